# SPDX-License-Identifier: MIT
"""What becomes of messages that a template refuses."""

import json
import tempfile
import unittest

from server import Server

# as Gemma 2's
WITHOUT_SYSTEM = """{%- if messages[0].role == "system" %}{{ raise_exception("System role not supported") }}{% endif -%}
{%- for m in messages %}{% if (m.role == "user") != (loop.index0 % 2 == 0) %}
{{- raise_exception("Roles must alternate") }}{% endif %}{{ "[" + m.role + "]" + m.content }}{% endfor -%}"""


class WithoutSystem(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.file = tempfile.NamedTemporaryFile("w", suffix=".jinja")
        cls.file.write(WITHOUT_SYSTEM)
        cls.file.flush()
        cls.server = Server("--template", cls.file.name)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        cls.file.close()

    def prompt(self, *messages, status=200):
        body = {"messages": [{"role": role, "content": text} for role, text in messages]}
        got, _, data = self.server.post("/apply-template", body)
        self.assertEqual(got, status, data)
        return json.loads(data)

    def test_is_the_users(self):
        for role in "system", "developer":
            self.assertEqual(self.prompt((role, "Be kind."), ("user", "Hi"))["prompt"], "[user]Be kind.\n\nHi")
        self.assertEqual(self.prompt(("system", "a"), ("developer", "b"), ("user", "c"))["prompt"], "[user]a\n\nb\n\nc")
        self.assertEqual(self.prompt(("user", "Hi"))["prompt"], "[user]Hi")

    def test_is_refused(self):
        """What is left of it is what the template said of the conversation as it came."""
        for messages in ([("system", "a")], [("system", "a"), ("assistant", "b")]):
            error = self.prompt(*messages, status=400)["error"]["message"]
            self.assertIn("System role not supported", error)
        error = self.prompt(("user", "a"), ("user", "b"), status=400)["error"]["message"]
        self.assertIn("Roles must alternate", error)


if __name__ == "__main__":
    unittest.main()
