# SPDX-License-Identifier: MIT
"""Anthropic's Messages API: whole, streamed, tools, thinking, errors, counting."""

from dialect import Case

USER = {"role": "user", "content": "And God said"}
TOOL = {
    "name": "look",
    "description": "looks something up",
    "input_schema": {
        "type": "object",
        "properties": {"where": {"enum": ["here", "there"]}},
        "required": ["where"],
    },
}


class Anthropic(Case):
    def ask(self, **fields):
        body = {"model": "m", "max_tokens": 12, "temperature": 0, "messages": [USER], **fields}
        return self.post("/v1/messages", body, {"anthropic-version": "2023-06-01"})

    def test_whole(self):
        reply = self.ask()
        message = reply.json()
        self.check("a message", reply.status == 200 and reply.type == "application/json", reply.text)
        self.check("its frame", message["type"] == "message" and message["role"] == "assistant", message)
        self.check("its id", message["id"].startswith("msg_"), message)
        self.check("a block of text", message["content"][0]["type"] == "text", message)
        self.check("cut off", message["stop_reason"] == "max_tokens", message)
        usage = message["usage"]
        self.check("tokens that came", usage["output_tokens"] == 12, usage)
        self.check("tokens that were read", usage["input_tokens"] > 0, usage)
        again = self.ask().json()["usage"]
        read = again["input_tokens"] + again["cache_read_input_tokens"]
        self.check("the same tokens", read == usage["input_tokens"] + usage["cache_read_input_tokens"], again)

    def test_stream(self):
        text = self.ask().json()["content"][0]["text"]
        reply = self.ask(stream=True)
        events = reply.events()
        names = [name for name, _ in events if name != "ping"]
        self.check("an event stream", reply.type.startswith("text/event-stream"), reply.type)
        self.check("names are types", all(name == data["type"] for name, data in events), names)
        self.check("how it begins", names[:2] == ["message_start", "content_block_start"], names)
        ending = ["content_block_stop", "message_delta", "message_stop"]
        self.check("how it ends", names[-3:] == ending, names)
        pieces = [d["delta"]["text"] for n, d in events if n == "content_block_delta"]
        self.check("several pieces", len(pieces) > 1, pieces)
        self.check("the same text", "".join(pieces) == text, (pieces, text))
        delta = [d for n, d in events if n == "message_delta"][0]
        self.check("why it ended", delta["delta"]["stop_reason"] == "max_tokens", delta)
        self.check("usage", delta["usage"]["output_tokens"] == 12, delta)
        begun = events[0][1]["message"]
        self.check("an empty message first", begun["content"] == [] and begun["stop_reason"] is None, begun)

    def test_stop(self):
        text = self.ask().json()["content"][0]["text"]
        words = text.split()
        message = self.ask(stop_sequences=["\x7fnever", words[2]]).json()
        self.check("a stop sequence", message["stop_reason"] == "stop_sequence", message)
        self.check("which one", message["stop_sequence"] == words[2], message)
        said = "".join(block["text"] for block in message["content"])
        self.check("the text before it", text.startswith(said) and words[2] not in said, message)

    def test_tools(self):
        reply = self.ask(tools=[TOOL], tool_choice={"type": "any", "disable_parallel_tool_use": True}, max_tokens=100)
        message = reply.json()
        self.check("a call", reply.status == 200 and message["stop_reason"] == "tool_use", reply.text)
        use = message["content"][-1]
        self.check("of the tool", use["type"] == "tool_use" and use["name"] == "look", use)
        self.check("as its schema says", use["input"]["where"] in ("here", "there"), use)
        events = self.ask(
            tools=[TOOL],
            tool_choice={"type": "tool", "name": "look", "disable_parallel_tool_use": True},
            max_tokens=100,
            stream=True,
        ).events()
        starts = [d for n, d in events if n == "content_block_start"]
        self.check("a block of use", starts[-1]["content_block"]["type"] == "tool_use", starts)
        parts = [d["delta"].get("partial_json", "") for n, d in events if n == "content_block_delta"]
        self.check("streamed input", '"where"' in "".join(parts), parts)
        turns = [
            USER,
            {"role": "assistant", "content": message["content"]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": use["id"], "content": [{"type": "text", "text": "42"}]}
                ],
            },
        ]
        reply = self.ask(messages=turns, tools=[TOOL], tool_choice={"type": "none"})
        self.check("what the tool said goes back", reply.status == 200, reply.text)

    def test_forms(self):
        schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}
        reply = self.ask(output_config={"format": {"type": "json_schema", "schema": schema}}, max_tokens=60)
        message = reply.json()
        self.check("a form", reply.status == 200 and '"n"' in message["content"][0]["text"], reply.text)
        thinking = {"type": "enabled", "budget_tokens": 1024}
        self.check("thinking", self.ask(thinking=thinking).status == 200)
        blocks = [{"type": "thinking", "thinking": "hm", "signature": "stoker"}, {"type": "text", "text": "And"}]
        reply = self.ask(
            system=[{"type": "text", "text": "S"}], messages=[USER, {"role": "assistant", "content": blocks}, USER]
        )
        self.check("thoughts come back", reply.status == 200, reply.text)

    def test_count(self):
        reply = self.post("/v1/messages/count_tokens", {"model": "m", "messages": [USER]})
        usage = self.ask().json()["usage"]
        read = usage["input_tokens"] + usage["cache_read_input_tokens"]
        self.check("tokens are counted", reply.json() == {"input_tokens": read}, (reply.text, usage))

    def refused(self, what, status, kind, reply):
        error = reply.json()
        self.check(
            what,
            reply.status == status
            and error["type"] == "error"
            and error["error"]["type"] == kind
            and error["error"]["message"],
            reply.text,
        )

    def test_refused(self):
        bad = "invalid_request_error"
        image = [{"type": "image", "source": {"type": "url", "url": "http://localhost/a.png"}}]
        self.refused("images", 400, bad, self.ask(messages=[{"role": "user", "content": image}]))
        self.refused("no messages", 400, bad, self.ask(messages=[]))
        self.refused("a wrong type", 400, bad, self.ask(temperature="hot"))
        self.refused("beyond a range", 400, bad, self.ask(top_p=2))
        self.refused("an unknown tool", 400, bad, self.ask(tools=[TOOL], tool_choice={"type": "tool", "name": "x"}))
        self.refused("too long", 400, bad, self.ask(messages=[{"role": "user", "content": "word " * 5000}]))
        self.refused("not JSON", 400, bad, self.post("/v1/messages", "{"))
        reply = self.ask(n=5)
        self.check("one answer only", reply.status == 200 and reply.json()["type"] == "message", reply.text)
