# SPDX-License-Identifier: MIT
"""OpenAI's endpoints: chats, completions, responses and embeddings, streamed and at once."""

import base64
import json
import struct
import threading
import time
import unittest

from server import Server

HELLO = [{"role": "user", "content": "And God said unto Moses,"}]
PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}


def setUpModule():
    global server
    server = Server()


def tearDownModule():
    server.__exit__()


def post(path, status=200, **body):
    got, head, data = server.post(path, body)
    reply = json.loads(data)
    if got != status:
        raise AssertionError(f"{path} {body}: {got} {reply}")
    return reply


def refused(path, **body):
    return post(path, 400, **body)["error"]


def events(path, **body):
    """The names and data of an event stream, "[DONE]" as it is."""
    status, head, data = server.post(path, {**body, "stream": True})
    if status != 200:
        raise AssertionError(f"{path} {body}: {status} {data}")
    assert head["content-type"].startswith("text/event-stream"), head
    assert head["cache-control"] == "no-cache", head
    for block in data.decode().removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        yield fields.get("event"), fields["data"] if fields["data"] == "[DONE]" else json.loads(fields["data"])


def chat(**body):
    return post("/v1/chat/completions", **{"messages": HELLO, "max_tokens": 8, "temperature": 0, **body})


def chunks(**body):
    got = [data for _, data in events("/v1/chat/completions",
                                      **{"messages": HELLO, "max_tokens": 8, "temperature": 0, **body})]
    return got


def token_texts(choice):
    return "".join(bytes(b"".join(bytes(t["bytes"]) for t in choice["logprobs"]["content"])).decode())


class Chat(unittest.TestCase):
    def test_at_once(self):
        reply = chat()
        self.assertEqual(reply["object"], "chat.completion")
        self.assertTrue(reply["id"].startswith("chatcmpl-"))
        self.assertLess(abs(reply["created"] - time.time()), 60)
        choice, = reply["choices"]
        self.assertEqual(choice["finish_reason"], "length")
        self.assertEqual(choice["message"]["role"], "assistant")
        self.assertIsNone(choice["logprobs"])
        usage = reply["usage"]
        self.assertEqual(usage["completion_tokens"], 8)
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + 8)
        self.assertEqual(usage["completion_tokens_details"]["reasoning_tokens"], 0)
        self.assertEqual(reply["timings"]["predicted_n"], 8)

    def test_streamed(self):
        whole = chat()
        got = chunks(stream_options={"include_usage": True})
        self.assertEqual(got.pop(), "[DONE]")
        self.assertEqual(len({(c["id"], c["created"], c["model"], c["object"]) for c in got}), 1)
        self.assertEqual(got[0]["choices"][0]["delta"], {"role": "assistant", "content": None})
        usage = got.pop()
        self.assertEqual(usage["choices"], [])
        self.assertEqual(usage["usage"]["completion_tokens"], whole["usage"]["completion_tokens"])
        last = got.pop()["choices"][0]
        self.assertEqual((last["delta"], last["finish_reason"]), ({}, "length"))
        self.assertTrue(all(c["usage"] is None and c["choices"][0]["finish_reason"] is None for c in got))
        text = "".join(c["choices"][0]["delta"]["content"] for c in got[1:])
        self.assertEqual(text, whole["choices"][0]["message"]["content"])
        self.assertNotIn("usage", chunks()[-2])

    def test_several(self):
        reply = chat(n=3, temperature=1.5, seed=5)
        texts = [c["message"]["content"] for c in reply["choices"]]
        self.assertEqual([c["index"] for c in reply["choices"]], [0, 1, 2])
        self.assertEqual(len(set(texts)), 3)
        self.assertEqual(reply["usage"]["completion_tokens"], 24)
        self.assertEqual(reply["usage"]["total_tokens"], reply["usage"]["prompt_tokens"] + 24)
        # each has the next seed
        self.assertEqual(chat(temperature=1.5, seed=6)["choices"][0]["message"]["content"], texts[1])
        streamed = ["", "", ""]
        got = chunks(n=3, temperature=1.5, seed=5)
        for c in got[:-1]:
            streamed[c["choices"][0]["index"]] += c["choices"][0]["delta"].get("content") or ""
        self.assertEqual(streamed, texts)

    def test_log_probabilities(self):
        choice, = chat(logprobs=True, top_logprobs=3)["choices"]
        tokens = choice["logprobs"]["content"]
        self.assertEqual(len(tokens), 8)
        self.assertEqual(token_texts(choice), choice["message"]["content"])
        for t in tokens:
            self.assertEqual(len(t["top_logprobs"]), 3)
            self.assertEqual(t["top_logprobs"][0]["token"], t["token"])
            self.assertLessEqual(t["logprob"], 0)
        streamed = [t for c in chunks(logprobs=True)[:-1]
                    for t in (c["choices"][0]["logprobs"] or {"content": []})["content"]]
        self.assertEqual([t["token"] for t in streamed], [t["token"] for t in tokens])
        self.assertEqual(streamed[0]["top_logprobs"], [])

    def test_stop(self):
        text = chat()["choices"][0]["message"]["content"]
        word = text.split()[1]
        choice, = chat(stop=[word])["choices"]
        self.assertEqual(choice["finish_reason"], "stop")
        self.assertEqual(choice["message"]["content"], text[:text.index(word)])
        streamed = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks(stop=word)[:-1])
        self.assertEqual(streamed, text[:text.index(word)])

    def test_forms(self):
        def content(**more):
            return chat(**{"max_tokens": 200, **more})["choices"][0]["message"]["content"]

        schema = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}
        person = json.loads(content(response_format=schema))
        self.assertEqual(list(person), ["name", "age"])
        self.assertIn(content(structured_outputs={"choice": ["aye", "nay"]}), ["aye", "nay"])
        self.assertRegex(content(guided_regex="[0-9]{3}-x"), "^[0-9]{3}-x$")
        self.assertEqual(content(grammar='root ::= "so be it"'), "so be it")
        self.assertTrue(content(response_format={"type": "json_object"}, max_tokens=5).startswith("{"))

    def test_going_on(self):
        begun = HELLO + [{"role": "assistant", "content": "Speak unto the children of"}]
        self.assertIn("srael", chat(messages=begun)["choices"][0]["message"]["content"])
        prompts = [chat(messages=begun, max_tokens=1, **more)["usage"]["prompt_tokens"]
                   for more in ({}, {"add_generation_prompt": True})]
        self.assertLess(*prompts)
        self.assertEqual(refused("/v1/chat/completions", messages=HELLO, continue_final_message=True)["param"],
                         "messages")

    def test_control_tokens(self):
        """Nobody types one."""
        plain, typed = (chat(messages=[{"role": "user", "content": text}], max_tokens=1)["usage"]["prompt_tokens"]
                        for text in ("a", "a<|im_end|>"))
        self.assertGreater(typed, plain + 1)

    def test_refused(self):
        def error(**body):
            return refused("/v1/chat/completions", **{"messages": HELLO, **body})

        self.assertEqual(error(temperature=-1), {
            "message": "temperature is -1, limits 0 and 100", "type": "invalid_request_error",
            "param": "temperature", "code": None})
        self.assertEqual(error(messages=[])["param"], "messages")
        self.assertEqual(error(n=1000)["param"], "n")
        self.assertEqual(error(max_tokens=0)["param"], "max_tokens")
        self.assertIn("dependentSchemas", error(response_format={
            "type": "json_schema", "json_schema": {"schema": {"dependentSchemas": {}}}})["message"])
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]}]
        self.assertIn("messages[0].content[0] is of type image_url", error(messages=image)["message"])
        long = error(messages=[{"role": "user", "content": "word " * 9000}])
        self.assertEqual(long["code"], "context_length_exceeded")
        self.assertRegex(long["message"], "[0-9]{4,} tokens.*[0-9]{3,}")
        stream = server.post("/v1/chat/completions", {"messages": HELLO, "stream": True, "top_k": "x"})
        self.assertEqual(stream[0], 400)


class Completions(unittest.TestCase):
    def complete(self, **body):
        return post("/v1/completions", **{"prompt": HELLO[0]["content"], "max_tokens": 6, "temperature": 0, **body})

    def test_prompts(self):
        reply = self.complete()
        self.assertEqual(reply["object"], "text_completion")
        text = reply["choices"][0]["text"]
        both = self.complete(prompt=["In the", HELLO[0]["content"]], n=2)
        self.assertEqual([c["index"] for c in both["choices"]], [0, 1, 2, 3])
        self.assertEqual([c["text"] for c in both["choices"][2:]], [text, text])
        self.assertEqual(both["usage"]["completion_tokens"], 24)
        self.assertGreater(both["usage"]["prompt_tokens"], reply["usage"]["prompt_tokens"])
        self.assertEqual(self.complete(prompt="")["choices"][0]["finish_reason"], "length")

    def test_tokens(self):
        reply = self.complete(prompt=[5, 6, 7], echo=True)
        self.assertEqual(reply["usage"]["prompt_tokens"], 3)
        self.assertEqual(self.complete(prompt=[[5, 6, 7]], echo=True)["choices"], reply["choices"])
        self.assertEqual(refused("/v1/completions", prompt=[5, 10**9])["param"], "prompt")

    def test_echo(self):
        text = self.complete()["choices"][0]["text"]
        whole = HELLO[0]["content"] + text
        self.assertEqual(self.complete(echo=True)["choices"][0]["text"], whole)
        got = [data for _, data in events("/v1/completions", prompt=HELLO[0]["content"], max_tokens=6,
                                          temperature=0, echo=True, stream_options={"include_usage": True})]
        self.assertEqual(got.pop(), "[DONE]")
        self.assertEqual(got.pop()["usage"]["completion_tokens"], 6)
        self.assertEqual(got[-1]["choices"][0]["finish_reason"], "length")
        self.assertEqual("".join(c["choices"][0]["text"] for c in got), whole)

    def test_log_probabilities(self):
        choice, = self.complete(logprobs=2)["choices"]
        lists = choice["logprobs"]
        self.assertEqual({len(lists[key]) for key in lists}, {6})
        self.assertEqual("".join(lists["tokens"]), choice["text"])
        self.assertEqual(lists["text_offset"][1], len(lists["tokens"][0]))
        self.assertEqual(len(lists["top_logprobs"][0]), 2)
        self.assertEqual(max(lists["top_logprobs"][0].values()), lists["token_logprobs"][0])

    def test_refused(self):
        for body in ({}, {"prompt": []}, {"prompt": {}}, {"prompt": 5}, {"prompt": ["a"] * 40}):
            self.assertEqual(refused("/v1/completions", **body)["param"], "prompt")
        self.assertEqual(refused("/v1/completions", prompt="a", best_of=4)["param"], "best_of")
        self.assertEqual(refused("/v1/completions", prompt="a", echo=True, logprobs=1)["param"], "echo")
        self.assertEqual(refused("/v1/completions", prompt="a", suffix="b")["param"], "suffix")


class Tools(unittest.TestCase):
    TOOLS = [{"type": "function", "function": {
        "name": name, "description": "Says something.",
        "parameters": {"type": "object", "properties": {"what": {"enum": ["peace", "war"]}}, "required": ["what"],
                       "additionalProperties": False}}} for name in ("speak", "shout")]
    ONE = {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 100}

    def call(self, reply, name=None):
        choice, = reply["choices"]
        self.assertEqual(choice["finish_reason"], "tool_calls")
        self.assertIsNone(choice["message"]["content"])
        call, = choice["message"]["tool_calls"]
        self.assertEqual(call["type"], "function")
        self.assertTrue(call["id"])
        self.assertIn(call["function"]["name"], [name] if name else ["speak", "shout"])
        self.assertIn(json.loads(call["function"]["arguments"])["what"], ["peace", "war"])
        return call

    def test_choices(self):
        self.call(chat(**self.ONE))
        for name in "speak", "shout":
            choice = {"type": "function", "function": {"name": name}}
            self.call(chat(**{**self.ONE, "tool_choice": choice}), name)
        self.assertNotIn("tool_calls", chat(tools=self.TOOLS, tool_choice="none")["choices"][0]["message"])
        with_tools, without = (chat(max_tokens=1, **more)["usage"]["prompt_tokens"]
                               for more in ({"tools": self.TOOLS}, {}))
        self.assertGreater(with_tools, without + 20)

    def test_streamed(self):
        whole = self.call(chat(**self.ONE))
        got = chunks(**self.ONE)[:-1]
        self.assertEqual(got[-1]["choices"][0]["finish_reason"], "tool_calls")
        pieces = [c["choices"][0]["delta"]["tool_calls"][0] for c in got[1:-1]]
        self.assertEqual({p["index"] for p in pieces}, {0})
        self.assertEqual(pieces[0]["function"], {"name": whole["function"]["name"], "arguments": ""})
        self.assertEqual((pieces[0]["type"], bool(pieces[0]["id"])), ("function", True))
        self.assertEqual("".join(p["function"]["arguments"] for p in pieces), whole["function"]["arguments"])

    def test_round_trip(self):
        call = self.call(chat(**self.ONE))
        told = HELLO + [{"role": "assistant", "content": None, "tool_calls": [call]},
                        {"role": "tool", "tool_call_id": call["id"], "content": "They heard."}]
        for more in ({}, {"tools": self.TOOLS}):
            self.assertTrue(chat(messages=told, max_tokens=1, **more)["usage"]["completion_tokens"])

    def test_either(self):
        """A call, or an answer of the form that it has to have."""
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": ["yes", "no"]}}}
        for seed in range(4):
            choice, = chat(**{**self.ONE, "tool_choice": "auto"}, response_format=form, temperature=1,
                           seed=seed)["choices"]
            if choice["finish_reason"] == "tool_calls":
                self.assertIn(choice["message"]["tool_calls"][0]["function"]["name"], ["speak", "shout"])
            else:
                self.assertIn(json.loads(choice["message"]["content"]), ["yes", "no"])

    def test_responses(self):
        tools = [{"type": "function", **t["function"]} for t in self.TOOLS]
        said = {"input": [{"role": "user", "content": "Speak."}], "tools": tools, "tool_choice": "required",
                "parallel_tool_calls": False, "temperature": 0, "max_output_tokens": 100}
        reply = post("/v1/responses", **said)
        call, = reply["output"]
        self.assertEqual((call["type"], call["status"]), ("function_call", "completed"))
        self.assertIn(json.loads(call["arguments"])["what"], ["peace", "war"])
        got = list(events("/v1/responses", **said))
        deltas = [d["delta"] for name, d in got if name == "response.function_call_arguments.delta"]
        self.assertEqual("".join(deltas), call["arguments"])
        done, = (d for name, d in got if name == "response.function_call_arguments.done")
        self.assertEqual((done["name"], done["arguments"]), (call["name"], call["arguments"]))
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "They heard."}
        said = {**said, "input": [*said["input"], call, output], "tool_choice": "none", "max_output_tokens": 4}
        self.assertEqual(post("/v1/responses", **said)["output"][0]["type"], "message")

    def test_refused(self):
        wrong = [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {
            "type": "object", "properties": {"a": {"not": {}}}}}}]
        error = refused("/v1/chat/completions", messages=HELLO, tools=wrong, tool_choice="required")
        self.assertIn("not", error["message"])
        self.assertEqual(refused("/v1/chat/completions", messages=HELLO, tool_choice="required")["param"],
                         "tool_choice")


class Responses(unittest.TestCase):
    def test_at_once(self):
        reply = post("/v1/responses", input="Speak.", max_output_tokens=6, temperature=0, instructions="Be brief.")
        self.assertEqual((reply["object"], reply["status"]), ("response", "incomplete"))
        self.assertEqual(reply["incomplete_details"], {"reason": "max_output_tokens"})
        item, = reply["output"]
        self.assertEqual((item["type"], item["role"], item["status"]), ("message", "assistant", "incomplete"))
        self.assertTrue(item["content"][0]["text"])
        self.assertEqual(reply["usage"]["output_tokens"], 6)
        self.assertEqual((reply["instructions"], reply["temperature"]), ("Be brief.", 0))

    def test_streamed(self):
        body = {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Speak."}]}],
                "max_output_tokens": 6, "temperature": 0}
        whole = post("/v1/responses", **body)
        got = list(events("/v1/responses", **body))
        names = [name for name, _ in got]
        self.assertEqual(names, [data["type"] for _, data in got])
        self.assertEqual([data["sequence_number"] for _, data in got], list(range(len(got))))
        self.assertEqual(names[:4], ["response.created", "response.in_progress", "response.output_item.added",
                                     "response.content_part.added"])
        self.assertEqual(names[-4:], ["response.output_text.done", "response.content_part.done",
                                      "response.output_item.done", "response.incomplete"])
        text = "".join(data["delta"] for name, data in got if name == "response.output_text.delta")
        self.assertEqual(text, whole["output"][0]["content"][0]["text"])
        self.assertEqual(got[-1][1]["response"]["output"][0]["content"][0]["text"], text)
        self.assertEqual(got[-4][1]["text"], text)

    def test_forms(self):
        reply = post("/v1/responses", input="A person.", max_output_tokens=200,
                     text={"format": {"type": "json_schema", "name": "person", "schema": PERSON}})
        self.assertEqual(list(json.loads(reply["output"][0]["content"][0]["text"])), ["name", "age"])
        self.assertEqual(reply["status"], "completed")

    def test_refused(self):
        self.assertEqual(refused("/v1/responses", input="a", previous_response_id="resp_1")["param"],
                         "previous_response_id")
        self.assertEqual(refused("/v1/responses")["param"], "input")


class Embeddings(unittest.TestCase):
    def test_forms(self):
        reply = post("/v1/embeddings", input=["And God said", "Moses", "And God said"])
        a, b, c = (d["embedding"] for d in reply["data"])
        self.assertEqual([d["index"] for d in reply["data"]], [0, 1, 2])
        self.assertEqual(a, c)
        self.assertAlmostEqual(sum(x * x for x in a), 1, 5)
        self.assertLess(sum(x * y for x, y in zip(a, b)), 0.999)
        coded = post("/v1/embeddings", input="And God said", encoding_format="base64")["data"][0]["embedding"]
        floats = struct.unpack(f"<{len(a)}f", base64.b64decode(coded, validate=True))
        self.assertLess(max(abs(x - y) for x, y in zip(a, floats)), 1e-7)
        self.assertEqual(reply["usage"]["prompt_tokens"], reply["usage"]["total_tokens"])
        self.assertEqual(len(post("/v1/embeddings", input=[[5, 6], [7]], dimensions=len(a))["data"]), 2)
        self.assertEqual(len(post("/v1/embeddings", input=[5, 6])["data"]), 1)

    def test_refused(self):
        for body in ({}, {"input": []}, {"input": [[]]}, {"input": ""}, {"input": 5}, {"input": {}},
                     {"input": [5, "a"]}, {"input": ["a", 5]}, {"input": [10**9]}):
            self.assertEqual(refused("/v1/embeddings", **body)["param"], "input", body)
        self.assertEqual(refused("/v1/embeddings", input="a", dimensions=7)["param"], "dimensions")
        self.assertEqual(refused("/v1/embeddings", input="a", encoding_format="x")["param"], "encoding_format")
        self.assertEqual(refused("/v1/embeddings", input="word " * 9000)["code"], "context_length_exceeded")

    def test_together(self):
        """While others generate and embed, too."""
        got = []
        work = [lambda: got.append(chat()["usage"]["completion_tokens"])] * 3
        work += [lambda: got.append(len(post("/v1/embeddings", input=["a", "b"])["data"]))] * 3
        threads = [threading.Thread(target=w) for w in work]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sorted(got), [2, 2, 2, 8, 8, 8])


class HangingUp(unittest.TestCase):
    """Who hangs up ends what is computed for him, in each state, streamed or not."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server("-c", "30000", "--sequences", "2")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def busy(self):
        text = self.server.get("/metrics")[2].decode()
        return [int(line.split()[1]) for line in text.split("\n")
                if line.startswith(("stoker_requests_running ", "stoker_requests_waiting "))]

    def wait_for(self, running, waiting):
        until = time.monotonic() + 5
        while self.busy() != [running, waiting]:
            self.assertLess(time.monotonic(), until, self.busy())
            time.sleep(0.01)

    def send(self, path, **body):
        connection = self.server.connect()
        data = json.dumps({"ignore_eos": True, "temperature": 0, **body}).encode()
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                           + data)
        return connection

    def test_states(self):
        for path, body in (("/v1/chat/completions", {"messages": HELLO}), ("/v1/responses", {"input": "Speak."}),
                           ("/v1/completions", {"prompt": "Speak."})):
            for stream in False, True:
                begun = [self.send(path, stream=stream, **body) for _ in range(2)]
                self.wait_for(2, 0)
                queued = [self.send(path, stream=stream, **body) for _ in range(2)]
                self.wait_for(2, 2)
                for connection in queued:
                    connection.close()
                self.wait_for(2, 0)
                for connection in begun:
                    connection.close()
                self.wait_for(0, 0)

    def test_several(self):
        with self.send("/v1/chat/completions", messages=HELLO, n=4):
            self.wait_for(2, 2)
        self.wait_for(0, 0)

    def test_embeddings(self):
        with self.send("/v1/embeddings", input=["word " * 300] * 2000):
            time.sleep(0.2)
        begun = time.monotonic()
        _, _, data = self.server.post("/v1/embeddings", {"input": "a"})
        self.assertEqual(len(json.loads(data)["data"]), 1)
        self.assertLess(time.monotonic() - begun, 5)


if __name__ == "__main__":
    unittest.main()
