# SPDX-License-Identifier: MIT
"""The examples of docs/SERVER.md, as a reader would run them; and the description for programs."""

import json
import re
import shutil
import subprocess
import unittest

from dialect import Case

ROW = re.compile(r'^\t\{ "(\w+)", "([^"]+)", .*?\},$', re.MULTILINE)
BLOCK = re.compile(r"^```sh test\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Documented(Case):
    @unittest.skipUnless(shutil.which("curl"), "curl isn't installed")
    def test_examples(self):
        with open("docs/SERVER.md", encoding="utf-8") as file:
            blocks = BLOCK.findall(file.read())
        self.assertGreaterEqual(len(blocks), 5)
        address = f"http://localhost:{self.server.port}"
        for block in blocks:
            command = block.replace("http://localhost:8080", address)
            done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True, timeout=60, check=False)
            with self.subTest(block):
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout)
                self.assertNotRegex(done.stdout, r'"error": *["{]')

    def test_description(self):
        """openapi.json has what the table of routes has, the page and itself."""
        description = self.get("/openapi.json").json()
        self.assertEqual(description["openapi"], "3.1.0")
        described = {
            (method.upper(), re.sub(r"\{\w+\}$", "", path))
            for path, methods in description["paths"].items()
            for method in methods
        }
        with open("tools/serve/routes.c", encoding="utf-8") as file:
            rows = ROW.findall(file.read())
        self.assertEqual(described, {*rows, ("GET", "/"), ("GET", "/openapi.json")})

    def test_references(self):
        """Each schema of it is there, and is used."""
        text = self.get("/openapi.json").text
        names = set(re.findall(r'"#/components/(?:schemas|responses)/(\w+)"', text))
        components = json.loads(text)["components"]
        self.assertEqual(names, set(components["schemas"]) | set(components["responses"]))
