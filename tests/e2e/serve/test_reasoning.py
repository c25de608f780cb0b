# SPDX-License-Identifier: MIT
"""Thoughts and answers told apart, by a template that has every answer begin with thoughts."""

import json
import tempfile
import unittest

from server import Server

TEMPLATE = """{%- for m in messages -%}
{{- "[" + m.role + "]\\n" }}{% if m.reasoning_content %}{{ "<think>" + m.reasoning_content + "</think>" }}{% endif -%}
{{- (m.content or "") + "\\n" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- "[assistant]\\n" }}{% if enable_thinking is not defined or enable_thinking %}{{ "<think>\\n" }}{% endif -%}
{%- if reasoning_effort %}{{ "(" + reasoning_effort + ")" }}{% endif -%}
{%- endif -%}"""
HELLO = [{"role": "user", "content": "Speak."}]


class Reasoning(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.file = tempfile.NamedTemporaryFile("w", suffix=".jinja")
        cls.file.write(TEMPLATE)
        cls.file.flush()
        cls.server = Server("--template", cls.file.name)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        cls.file.close()

    def chat(self, status=200, **body):
        said = {"messages": HELLO, "max_tokens": 24, "temperature": 0, "reasoning_budget": 5, **body}
        got, _, data = self.server.post("/v1/chat/completions", said)
        self.assertEqual(got, status, data)
        return json.loads(data)

    def message(self, **body):
        return self.chat(**body)["choices"][0]["message"]

    def test_split(self):
        reply = self.chat()
        message = reply["choices"][0]["message"]
        self.assertTrue(message["reasoning_content"])
        self.assertTrue(message["content"])
        self.assertNotIn("think>", message["content"] + message["reasoning_content"])
        self.assertGreaterEqual(reply["usage"]["completion_tokens_details"]["reasoning_tokens"], 5)
        kept = self.message(reasoning_format="none")
        self.assertNotIn("reasoning_content", kept)
        self.assertIn("</think>", kept["content"])

    def test_streamed(self):
        message = self.message()
        _, _, data = self.server.post("/v1/chat/completions", {
            "messages": HELLO, "max_tokens": 24, "temperature": 0, "reasoning_budget": 5, "stream": True})
        chunks = [json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: {")]
        for key in "content", "reasoning_content":
            pieces = [c["choices"][0]["delta"].get(key) or "" for c in chunks]
            self.assertEqual("".join(pieces), message[key])

    def test_switches(self):
        for off in ({"reasoning_effort": "none"}, {"enable_thinking": False},
                    {"chat_template_kwargs": {"enable_thinking": False}}):
            self.assertNotIn("reasoning_content", self.message(**off), off)
        # a template that begins them all the same
        message = self.message(reasoning_effort="none", chat_template_kwargs={"enable_thinking": True})
        self.assertNotIn("reasoning_content", message)
        self.assertNotIn("think>", message["content"])
        tokens = [self.chat(max_tokens=1, **more)["usage"]["prompt_tokens"]
                  for more in ({}, {"reasoning_effort": "high"})]
        self.assertLess(*tokens)

    def test_form(self):
        """A grammar is about the answer, not about the thoughts."""
        message = self.message(grammar='root ::= "so be it"')
        self.assertEqual(message["content"].strip(), "so be it")
        self.assertTrue(message["reasoning_content"])
        self.assertNotEqual(message["reasoning_content"].strip()[:5], "so be")

    def test_going_on(self):
        """What an answer says already takes the place of thoughts."""
        begun = HELLO + [{"role": "assistant", "content": "And Moses"}]
        self.assertNotIn("reasoning_content", self.message(messages=begun))
        begun[-1] = {"role": "assistant", "content": "And Moses", "reasoning_content": "Who?"}
        self.assertNotIn("reasoning_content", self.message(messages=begun))
        begun[-1] = {"role": "assistant", "content": "", "reasoning_content": "Who was it"}
        self.assertIn("reasoning_content", self.message(messages=begun))

    def test_other_marks(self):
        """A template that begins thoughts by a text that no vocabulary has as a token; and one that knows of
        developers, but refuses them."""
        template = TEMPLATE.replace("<think>\\n", "Here are my reasoning steps:\\n")
        template += "{% if messages[0].role == 'developer' %}{{ raise_exception('who?') }}{% endif %}"
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as file:
            file.write(template)
            file.flush()
            with Server("--template", file.name) as server:
                said = {"messages": [{"role": "developer", "content": "Speak."}, *HELLO], "max_tokens": 60,
                        "temperature": 0, "reasoning_budget": 3, "grammar": 'root ::= "so be it"'}
                status, _, data = server.post("/v1/chat/completions", said)
                self.assertEqual(status, 200, data)
                message = json.loads(data)["choices"][0]["message"]
                self.assertEqual(message["content"].strip(), "so be it")
                self.assertTrue(message["reasoning_content"])
                _, _, data = server.post("/v1/chat/completions", {**said, "reasoning_effort": "none",
                                                                  "chat_template_kwargs": {"enable_thinking": True}})
                self.assertNotIn("reasoning_content", json.loads(data)["choices"][0]["message"])

    def test_responses(self):
        got, _, data = self.server.post("/v1/responses", {
            "input": "Speak.", "max_output_tokens": 24, "temperature": 0, "reasoning_budget": 5})
        self.assertEqual(got, 200, data)
        thoughts, answer = json.loads(data)["output"]
        self.assertEqual((thoughts["type"], answer["type"]), ("reasoning", "message"))
        self.assertEqual(thoughts["summary"][0]["text"], self.message()["reasoning_content"])
        got, _, again = self.server.post("/v1/responses", {
            "input": [{"role": "user", "content": "Speak."}, thoughts, answer, {"role": "user", "content": "More."}],
            "max_output_tokens": 8, "stream": True})
        self.assertEqual(got, 200, again)
        names = [line[7:] for line in again.decode().split("\n") if line.startswith("event: ")]
        self.assertIn("response.reasoning_summary_text.delta", names)
        self.assertEqual(names[-1], "response.incomplete")


if __name__ == "__main__":
    unittest.main()
