# SPDX-License-Identifier: MIT
"""curl, as docs/SERVER.md shows it; what other clients don't look at: fields of heads, lines."""

import json
import subprocess

import jsonschema

from server import Crowd
from asked import LONG, PERSON, QUESTION, TOOL, WEATHER


def features(server, busy):
    def curl(path, body=None, of=server, key=None, status=200, head=False):
        command = ["curl", "-sS", "-N", "--max-time", "120", "-w", "\n%{http_code}", of.url + path,
                   "-H", f"Authorization: Bearer {key or of.key}"]
        if head:
            command += ["-i"]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "-d", "@-"]
        done = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, check=True)
        text, _, code = done.stdout.rpartition("\n")
        assert int(code) == status, (code, text)
        return text

    def ask(of=server, status=200, path="/v1/chat/completions", key=None, **more):
        body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 12, "temperature": 0, **more}
        return curl(path, body, of, key, status)

    def models():
        listed = json.loads(curl("/v1/models"))
        assert listed["object"] == "list" and listed["data"][0]["object"] == "model", listed
        assert json.loads(curl("/health"))["status"] == "ok"

    def chat():
        reply = json.loads(ask())
        assert reply["object"] == "chat.completion" and reply["choices"][0]["message"]["content"]
        assert json.loads(ask(temperature=None, stop=None, seed=None, tools=None))["choices"]

    def stream():
        text = ask(stream=True, stream_options={"include_usage": True})
        events = [line for line in text.split("\n\n") if line and not line.startswith(":")]
        assert all(event.startswith("data: ") for event in events) and events[-1] == "data: [DONE]", text
        chunks = [json.loads(event[6:]) for event in events[:-1]]
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant", chunks[0]
        assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
        assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] <= 12
        assert chunks[-2]["choices"][0]["finish_reason"] in ("stop", "length")
        head = curl("/v1/completions", {"prompt": "Once", "max_tokens": 2, "stream": True}, head=True).lower()
        for field in ("content-type: text/event-stream", "cache-control: no-cache", "x-accel-buffering: no"):
            assert field in head, head
        lines = ask(path="/api/chat").split("\n")
        assert all(json.loads(line) for line in lines if line) and json.loads(lines[-1] or lines[-2])["done"]

    def tools():
        reply = json.loads(ask(tools=[TOOL], tool_choice="required", max_tokens=120))
        call = reply["choices"][0]["message"]["tool_calls"][0]
        jsonschema.validate(json.loads(call["function"]["arguments"]), WEATHER)
        assert call["id"] and call["type"] == "function", call

    def schema():
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": PERSON}}
        reply = json.loads(ask(response_format=form, max_tokens=300))
        jsonschema.validate(json.loads(reply["choices"][0]["message"]["content"]), PERSON)

    def embeddings():
        reply = json.loads(curl("/v1/embeddings", {"input": ["a", "b"]}))
        assert [e["index"] for e in reply["data"]] == [0, 1] and reply["data"][0]["embedding"]

    def probabilities():
        reply = json.loads(ask(logprobs=True, top_logprobs=2))
        assert len(reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2

    def unauthorized():
        error = json.loads(ask(key="wrong", status=401))["error"]
        assert error["type"] == "authentication_error" and error["message"], error

    def not_found():
        assert json.loads(curl("/v1/nonesuch", status=404))["error"]["message"]
        error = json.loads(ask(model="nonesuch", status=404))["error"]
        assert error["type"] == "not_found_error" and error["code"] == "model_not_found", error

    def bad():
        long = [{"role": "user", "content": LONG}]
        error = json.loads(ask(messages=long, status=400))["error"]
        assert error["code"] == "context_length_exceeded" and "1024" in error["message"], error
        error = json.loads(ask(temperature="warm", status=400))["error"]
        assert error["param"] == "temperature" and error["type"] == "invalid_request_error", error

    def too_many():
        with Crowd(busy):
            error = json.loads(ask(busy, 429))["error"]
        assert error["type"] == "rate_limit_error", error

    return {"models": models, "chat": chat, "stream": stream, "tools": tools, "schema": schema,
            "embeddings": embeddings, "log-probabilities": probabilities, "401": unauthorized,
            "404": not_found, "400": bad, "429": too_many}
