# SPDX-License-Identifier: MIT
"""Calls of tools in several families' ways, each by a template that writes them so."""

import json
import os
import tempfile
import unittest

from server import Server

FRAME = """{%% for t in tools or [] %%}{{ t | tojson }}
{%% endfor %%}{%% for m in messages %%}<{{ m.role }}>{{ m.content }}{%% for c in m.tool_calls or [] %%}%s{%% endfor %%}
{%% endfor %%}{%% if add_generation_prompt %%}<assistant>{%% endif %%}"""
JSON = "{{ c.function.arguments | tojson }}"
WAYS = {
    "hermes": '<tool_call>\n{"name": "{{ c.function.name }}", "arguments": %s}\n</tool_call>' % JSON,
    "tags": "<tool_call>\n<function={{ c.function.name }}>\n{% for k, v in c.function.arguments | items %}"
            "<parameter={{ k }}>\n{{ v }}\n</parameter>\n{% endfor %}</function>\n</tool_call>",
    "keys": "<tool_call>{{ c.function.name }}{% for k, v in c.function.arguments | items %}<arg_key>{{ k }}</arg_key>"
            "<arg_value>{{ v }}</arg_value>{% endfor %}</tool_call>",
    "marks": "[TOOL_CALLS]{{ c.function.name }}[ARGS]" + JSON,
    "python": "<|tool_call_start|>[{{ c.function.name }}({% for k, v in c.function.arguments | items %}{{ k }}="
              "{{ v | tojson }}{{ ', ' if not loop.last }}{% endfor %})]<|tool_call_end|>",
    "loose": "<|tool_call>call:{{ c.function.name }}{% raw %}{{% endraw %}{% for k, v in c.function.arguments | items %}"
             '{{ k }}:<|"|>{{ v }}<|"|>{{ "," if not loop.last }}{% endfor %}{% raw %}}{% endraw %}<tool_call|>',
    "none": "",
}
HARMONY = "../shared/cases/cli/chat-reasoning-history/harmony.gguf"
HARMONY_TEMPLATE = """<|start|>developer<|message|>{{ tools | tojson }}<|end|>{% for m in messages %}<|start|>{{ m.role }}\
{% if m.tool_calls %} to=functions.{{ m.tool_calls[0].function.name }}<|channel|>commentary json<|message|>\
{{ m.tool_calls[0].function.arguments | tojson }}<|call|>{% else %}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}\
{% if add_generation_prompt %}<|start|>assistant{% endif %}"""
MESSAGES = [{"role": "user", "content": "Go to the city."}]
TOOLS = [{"type": "function", "function": {
    "name": name, "description": "Goes somewhere.",
    "parameters": {"type": "object", "properties": {"where": {"type": "string", "enum": ["city", "sea", "hill"]},
                                                    "how": {"type": "string", "enum": ["fast", "slowly"]}},
                   "required": ["where"], "additionalProperties": False}}} for name in ("go", "come")]


class Calls(unittest.TestCase):
    def post(self, server, **more):
        status, _, body = server.post("/v1/chat/completions", {
            "messages": MESSAGES, "tools": TOOLS, "max_tokens": 200, "temperature": 0, **more})
        self.assertEqual(status, 200, body)
        return body.decode()

    def call_of(self, message):
        self.assertIsNone(message["content"])
        call, = message["tool_calls"]
        self.assertIn(call["function"]["name"], ["go", "come"])
        arguments = json.loads(call["function"]["arguments"])
        self.assertIn(arguments.pop("where"), ["city", "sea", "hill"])
        self.assertIn(arguments.pop("how", "fast"), ["fast", "slowly"])
        self.assertEqual(arguments, {})
        return call

    def check(self, server):
        one = {"tool_choice": "required", "parallel_tool_calls": False}
        choice, = json.loads(self.post(server, **one))["choices"]
        self.assertEqual(choice["finish_reason"], "tool_calls")
        call = self.call_of(choice["message"])
        named = {"type": "function", "function": {"name": "come"}}
        choice, = json.loads(self.post(server, tool_choice=named))["choices"]
        self.assertEqual(self.call_of(choice["message"])["function"]["name"], "come")

        chunks = [json.loads(line[6:]) for line in self.post(server, stream=True, **one).splitlines()
                  if line.startswith("data: {")]
        deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
        self.assertFalse([d for d in deltas if d.get("content")])
        parts = [d["tool_calls"][0]["function"] for d in deltas if "tool_calls" in d]
        self.assertEqual(parts[0]["arguments"], "")
        self.assertGreater(len(parts), 2)
        text = "".join(p.get("arguments", "") for p in parts)
        self.call_of({"content": None, "tool_calls": [{"function": {"name": parts[0]["name"], "arguments": text}}]})

        told = MESSAGES + [{"role": "assistant", "content": None, "tool_calls": [call]},
                           {"role": "tool", "tool_call_id": call["id"], "content": "Arrived."}]
        for more in ({}, {"tools": []}, {"tool_choice": "none"}):
            reply = json.loads(self.post(server, **{"messages": told, **more, "max_tokens": 4}))
            self.assertNotIn("tool_calls", reply["choices"][0]["message"])

    def test_ways(self):
        for way, written in WAYS.items():
            with self.subTest(way), tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "template")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(FRAME % written)
                with Server("--template", path) as server:
                    self.check(server)

    @unittest.skipUnless(os.path.exists(HARMONY), "skipped: no model with harmony's marks in ../shared/cases")
    def test_harmony(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "template")
            with open(path, "w", encoding="utf-8") as f:
                f.write(HARMONY_TEMPLATE)
            with Server("--template", path, "-c", "4096", model=HARMONY) as server:
                for seed in range(6):
                    for choice in "required", {"type": "function", "function": {"name": "come"}}:
                        reply = json.loads(self.post(server, tool_choice=choice, temperature=1, seed=seed,
                                                     parallel_tool_calls=False, max_tokens=400))
                        self.assertEqual(reply["choices"][0]["finish_reason"], "tool_calls")
                        self.call_of(reply["choices"][0]["message"])


if __name__ == "__main__":
    unittest.main()
