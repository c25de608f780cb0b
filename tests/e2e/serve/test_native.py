# SPDX-License-Identifier: MIT
"""llama-server's own endpoints: completion, infill, tokens, templates."""

from dialect import Case

PROMPT = "And God said unto Moses,"


class Native(Case):
    def complete(self, **fields):
        body = {"prompt": PROMPT, "n_predict": 8, "temperature": 0, **fields}
        return self.post("/completion", body)

    def test_whole(self):
        reply = self.complete()
        answer = reply.json()
        self.check("an answer", reply.status == 200, reply.text)
        self.check("cut off", answer["stop"] and answer["stop_type"] == "limit", answer)
        self.check("its prompt", answer["prompt"].endswith(PROMPT), answer)
        self.check("counts", answer["tokens_predicted"] == 8 and answer["timings"]["predicted_n"] == 8, answer)
        self.check("settings", answer["generation_settings"]["n_predict"] == 8, answer)
        self.check("no tokens", answer["tokens"] == [] and "completion_probabilities" not in answer, answer)

    def test_stream(self):
        text = self.complete().json()["content"]
        reply = self.complete(stream=True)
        events = [data for _, data in reply.events()]
        self.check("an event stream", reply.type.startswith("text/event-stream"), reply.type)
        self.check("no [DONE]", "[DONE]" not in reply.text, reply.text)
        self.check("only the last stops", [e["stop"] for e in events] == [False] * (len(events) - 1) + [True], events)
        self.check("the same text", "".join(e["content"] for e in events) == text, (events, text))
        self.check("timings", "timings" in events[-1], events[-1])
        told = [token for e in events for token in e["tokens"]]
        self.check("tokens", len(told) == 8 and "completion_probabilities" not in events[0], events)

    def test_fields(self):
        text = self.complete().json()["content"]
        answer = self.complete(stop=[text.split()[1]]).json()
        self.check("a word stops", answer["stop_type"] == "word" and answer["stopping_word"], answer)
        answer = self.complete(n_probs=3, return_tokens=True).json()
        told = answer["completion_probabilities"]
        self.check("probabilities", len(told) == 8 and len(told[0]["top_logprobs"]) == 3, told)
        self.check("the best first", told[0]["top_logprobs"][0]["id"] == told[0]["id"], told[0])
        self.check("bytes", bytes(told[0]["bytes"]).decode() == told[0]["token"], told[0])
        self.check("tokens", answer["tokens"] == [t["id"] for t in told], answer)
        few = self.complete(response_fields=["content", "timings/predicted_n", "x/y"]).json()
        self.check("some fields", few == {"content": text, "timings/predicted_n": 8}, few)
        nothing = self.complete(n_predict=0).json()
        self.check("only reading", nothing["content"] == "" and nothing["tokens_predicted"] == 0, nothing)
        answer = self.complete(grammar='root ::= "yes" | "no"').json()
        self.check("a grammar", answer["content"] in ("yes", "no"), answer)
        answer = self.complete(json_schema={"enum": [1, 2]}).json()
        self.check("a schema", answer["content"] in ("1", "2"), answer)

    def test_prompts(self):
        text = self.complete().json()["content"]
        tokens = self.post("/tokenize", {"content": PROMPT, "add_special": True}).json()["tokens"]
        self.check("tokens are a prompt", self.complete(prompt=tokens).json()["content"] == text)
        mixed = [tokens[0], self.post("/detokenize", {"tokens": tokens[1:]}).json()["content"]]
        self.check("tokens and text", self.complete(prompt=mixed).json()["content"] == text)
        several = self.complete(prompt=[PROMPT, tokens, "In the"]).json()
        self.check("several", [a["index"] for a in several] == [0, 1, 2], several)
        self.check("as alone", several[0]["content"] == several[1]["content"] == text, several)
        events = self.complete(prompt=[PROMPT, "In the"], stream=True).events()
        ends = sorted(data["index"] for _, data in events if data["stop"])
        self.check("several in a stream", ends == [0, 1], events)
        self.check("an object", self.complete(prompt={"prompt_string": PROMPT}).json()["content"] == text)

    def test_tokens(self):
        content = "And a h\u00e9 \U0001f600"
        tokens = self.post("/tokenize", {"content": content}).json()["tokens"]
        self.check("there and back", self.post("/detokenize", {"tokens": tokens}).json() == {"content": content})
        pieces = self.post("/tokenize", {"content": content, "with_pieces": True}).json()["tokens"]
        spelled = b"".join(bytes(p["piece"]) if isinstance(p["piece"], list) else p["piece"].encode() for p in pieces)
        self.check("pieces", [p["id"] for p in pieces] == tokens and spelled.decode() == content, pieces)
        self.check("nothing", self.post("/tokenize", {"content": ""}).json() == {"tokens": []})
        messages = [{"role": "user", "content": "Hi"}]
        prompt = self.post("/apply-template", {"messages": messages}).json()["prompt"]
        self.check("a template", "<|im_start|>user\nHi<|im_end|>" in prompt, prompt)

    def test_refused(self):
        for what, reply, status in (
            ("no prompt", self.complete(prompt=None), 400),
            ("a foreign token", self.complete(prompt=[1 << 40]), 400),
            ("too many prompts", self.complete(prompt=["a"] * 100), 400),
            ("pictures", self.complete(prompt={"prompt_string": "a", "multimodal_data": ["x"]}), 400),
            ("a wrong grammar", self.complete(grammar="root"), 400),
            ("a foreign token", self.post("/detokenize", {"tokens": [-1]}), 400),
            ("no messages", self.post("/apply-template", {}), 400),
            ("no suffix", self.post("/infill", {"input_prefix": ""}), 400),
            ("no tokens to fill in with", self.post("/infill", {"input_prefix": "", "input_suffix": ""}), 501),
        ):
            self.check(what, reply.status == status and reply.json()["error"]["message"], reply.text)
