# SPDX-License-Identifier: MIT
"""Tests of a protocol: one server with the demo model, and replies as its clients read them."""

import json
import unittest

from server import Server


class Reply:
    def __init__(self, status, head, body):
        self.status = status
        self.type = head.get("content-type", "")
        self.text = body.decode()

    def json(self):
        return json.loads(self.text)

    def lines(self):
        """NDJSON."""
        return [json.loads(line) for line in self.text.splitlines()]

    def events(self):
        """Of an event stream: (name, data), without comments."""
        found = []
        for block in self.text.split("\n\n"):
            name, data = "", None
            for line in block.split("\n"):
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    data = line[6:]
            if data is not None:
                found.append((name, data if data == "[DONE]" else json.loads(data)))
        return found


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--template", "chatml")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def check(self, what, condition, shown=""):
        self.assertTrue(condition, f"{what}: {str(shown)[:600]}")

    def post(self, path, value, headers=()):
        return Reply(*self.server.post(path, value, headers))

    def get(self, path):
        return Reply(*self.server.get(path))
