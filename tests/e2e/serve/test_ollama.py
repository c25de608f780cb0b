# SPDX-License-Identifier: MIT
"""Ollama's API: chat, generate, embed; streams, options, forms, tools, errors."""

import re

from dialect import Case, Reply

USER = {"role": "user", "content": "And God said"}
TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "looks something up",
        "parameters": {"type": "object", "properties": {"where": {"enum": ["here", "there"]}}, "required": ["where"]},
    },
}
COUNTS = ["total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"]
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")


class Ollama(Case):
    def ask(self, path, options=None, **fields):
        options = {"temperature": 0, "num_predict": 12, "num_ctx": 9999, **(options or {})}
        return self.post(path, {"model": "m:latest", "options": options, **fields})

    def chat(self, **fields):
        return self.ask("/api/chat", **{"messages": [USER], **fields})

    def generate(self, **fields):
        return self.ask("/api/generate", **{"prompt": "And God said", **fields})

    def check_end(self, what, line, reason):
        self.check(what, line["done"] is True and line["done_reason"] == reason, line)
        self.check(what + ": counts", all(isinstance(line[name], int) for name in COUNTS), line)
        self.check(what + ": time", TIME.match(line["created_at"]), line)

    def test_chat(self):
        reply = self.chat()
        lines = reply.lines()
        self.check("it streams", reply.type == "application/x-ndjson" and len(lines) > 2, reply.text)
        self.check("no empty line", "" not in reply.text.split("\n")[:-1], reply.text)
        self.check("the name that was asked for", lines[0]["model"] == "m:latest", lines[0])
        self.check_end("the last line", lines[-1], "length")
        self.check("tokens", lines[-1]["eval_count"] == 12, lines[-1])
        text = "".join(line["message"]["content"] for line in lines)
        whole = self.chat(stream=False)
        self.check("whole", whole.type == "application/json", whole.type)
        self.check("the same text", whole.json()["message"]["content"] == text, (whole.text, text))
        self.check_end("whole", whole.json(), "length")
        stopped = self.chat(stream=False, options={"stop": [text.split()[2]]}).json()
        self.check("stop", stopped["done_reason"] == "stop" and text.startswith(stopped["message"]["content"]), stopped)
        loaded = self.chat(messages=[], keep_alive=0).json()
        self.check("nothing asked", loaded["done_reason"] == "load" and loaded["done"], loaded)

    def test_generate(self):
        reply = self.generate()
        lines = reply.lines()
        text = "".join(line["response"] for line in lines)
        self.check_end("generate", lines[-1], "length")
        self.check("a message's text", text == self.chat(stream=False).json()["message"]["content"], text)
        context = lines[-1]["context"]
        self.check("its tokens", len(context) >= lines[-1]["prompt_eval_count"] + 10, context)
        on = self.generate(prompt="Again", context=context, stream=False)
        self.check("goes on with them", on.json()["prompt_eval_count"] > len(context), on.text)
        raw = self.generate(raw=True, stream=False, prompt="And God said").json()
        self.check("raw", raw["done"] and raw["prompt_eval_count"] < lines[-1]["prompt_eval_count"], raw)
        self.check("raw has no context", "context" not in raw, raw)
        self.check("a system text", self.generate(system="Be brief", stream=False).status == 200)
        self.check("nothing asked", self.generate(prompt="").json()["done_reason"] == "load")
        reply = self.generate(prompt="def f(", suffix="return 1")
        self.check("no tokens to fill in with", reply.status == 501 and "error" in reply.json(), reply.text)

    def test_forms(self):
        answer = self.chat(
            format={"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]},
            stream=False,
            options={"num_predict": 60},
        )
        self.check(
            "a schema", answer.json()["message"]["content"].replace(" ", "") in ('{"n":1}', '{"n":2}'), answer.text
        )
        answer = self.chat(format="json", stream=False)
        self.check("JSON", answer.json()["message"]["content"].startswith("{"), answer.text)
        self.check("thinking", self.chat(think=True, stream=False).status == 200)
        self.check("thinking much", self.chat(think="high", stream=False).status == 200)
        turns = [
            USER,
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"function": {"name": "look", "arguments": {"where": "here"}}}],
            },
            {"role": "tool", "tool_name": "look", "content": "42"},
        ]
        reply = self.chat(messages=turns, tools=[TOOL], stream=False)
        self.check("tools", reply.status == 200, reply.text)

    def test_probabilities(self):
        whole = self.chat(stream=False, logprobs=True, top_logprobs=2).json()
        told = whole["logprobs"]
        self.check("each token's", len(told) == 12 and all(len(t["top_logprobs"]) == 2 for t in told), told)
        self.check("spelled", "".join(t["token"] for t in told) == whole["message"]["content"], whole)
        lines = self.chat(logprobs=True).lines()
        streamed = [t["logprob"] for line in lines for t in line.get("logprobs", [])]
        self.check("in a stream", streamed == [t["logprob"] for t in told], (streamed, told))
        self.check("not unasked", "logprobs" not in self.chat(stream=False).json())

    def test_refused(self):
        for what, reply, status in (
            ("images", self.chat(messages=[{**USER, "images": ["aGk="]}]), 400),
            ("a wrong option", self.chat(options={"temperature": "hot"}), 400),
            ("a wrong format", self.chat(format="yaml"), 400),
            ("templates", self.generate(template="{{ .Prompt }}"), 400),
            ("foreign tokens", self.generate(context=[1 << 40]), 400),
            ("pulling", self.post("/api/pull", {"model": "a"}), 403),
            ("creating", self.post("/api/create", {"model": "a"}), 403),
            ("deleting", Reply(*self.server.request("DELETE", "/api/delete")), 403),
        ):
            self.check(what, reply.status == status and isinstance(reply.json()["error"], str), reply.text)
