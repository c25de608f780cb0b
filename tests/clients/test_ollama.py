# SPDX-License-Identifier: MIT
"""The ollama package."""

import json

import jsonschema
import ollama

from matrix import expect
from server import Crowd
from asked import LONG, PERSON, QUESTION, TOOL, WEATHER


def features(server, busy):
    headers = {"Authorization": f"Bearer {server.key}"}
    client = ollama.Client(host=server.url, headers=headers)
    name = server.name
    ask = [{"role": "user", "content": QUESTION}]
    cold = {"temperature": 0, "num_predict": 12}

    def chat_with(of=client, **more):
        return of.chat(**{"model": name, "messages": ask, "options": cold, **more})

    def models():
        listed = [model for model in client.list().models if model.model == name][0]
        assert listed.size > 1000000 and client.show(name).details.family, listed
        assert name in [running.model for running in client.ps().models]
        assert chat_with(model=name + ":latest").done

    def chat():
        reply = chat_with()
        assert reply.done and reply.message.content and reply.done_reason in ("stop", "length"), reply
        assert reply.eval_count <= 12 and reply.prompt_eval_count > 5 and reply.total_duration > 0
        written = client.generate(model=name, prompt=QUESTION, options=cold)
        assert written.response == reply.message.content, (written, reply)
        raw = client.generate(model=name, prompt="Once upon", raw=True, options=cold)
        assert raw.response and raw.response != written.response

    def stream():
        whole = chat_with().message.content
        parts = list(chat_with(stream=True))
        assert "".join(part.message.content for part in parts) == whole
        assert parts[-1].done and not any(part.done for part in parts[:-1])
        pieces = list(client.generate(model=name, prompt=QUESTION, options=cold, stream=True))
        assert "".join(piece.response for piece in pieces) == whole and pieces[-1].eval_count > 0

    def tools():
        # the protocol can't say that a tool has to be called, so this model may not
        reply = chat_with(tools=[TOOL], options={"temperature": 0, "num_predict": 120})
        for call in reply.message.tool_calls or []:
            assert call.function.name == "get_weather"
            jsonschema.validate(dict(call.function.arguments), WEATHER)
        call = {"function": {"name": "get_weather", "arguments": {"city": "Paris", "unit": "celsius"}}}
        back = ask + [{"role": "assistant", "content": "", "tool_calls": [call]},
                      {"role": "tool", "content": "18 degrees, rain", "tool_name": "get_weather"}]
        assert chat_with(messages=back, tools=[TOOL]).done

    def schema():
        long = {"temperature": 0, "num_predict": 300}
        jsonschema.validate(json.loads(chat_with(format=PERSON, options=long).message.content), PERSON)
        reply = client.generate(model=name, prompt=QUESTION, format=PERSON, options=long)
        jsonschema.validate(json.loads(reply.response), PERSON)
        reply = chat_with(format="json", options=long)
        if reply.done_reason == "stop":
            assert isinstance(json.loads(reply.message.content), dict)

    def embeddings():
        two = client.embed(model=name, input=["a cat", "stock market"]).embeddings
        one = client.embeddings(model=name, prompt="a cat").embedding
        assert len(two) == 2 and len(two[0]) == len(one)
        assert abs(sum(x * x for x in two[0]) - 1) < 1e-3

    def unauthorized():
        other = ollama.Client(host=server.url, headers={"Authorization": "Bearer wrong"})
        expect(ollama.ResponseError, chat_with, other, status=401)

    def not_found():
        expect(ollama.ResponseError, client.show, "nonesuch", status=404)
        expect(ollama.ResponseError, chat_with, model="nonesuch", status=404)

    def bad():
        expect(ollama.ResponseError, chat_with, messages=[{"role": "user", "content": LONG}], status=400,
               says="context")
        expect(ollama.ResponseError, chat_with, options={"temperature": -1}, status=400, says="temperature")

    def too_many():
        crowded = ollama.Client(host=busy.url, headers=headers)
        with Crowd(busy):
            expect(ollama.ResponseError, chat_with, crowded, status=429)

    return {"models": models, "chat": chat, "stream": stream, "tools": tools, "schema": schema,
            "embeddings": embeddings, "401": unauthorized, "404": not_found, "400": bad, "429": too_many}
