# SPDX-License-Identifier: MIT
"""The page's files, as the server has them. What is in them is tried in tests/page."""

import os
import tempfile
import unittest

from server import Server

FOLDER = "tools/serve/page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Page(unittest.TestCase):
    def test_files(self):
        with tempfile.NamedTemporaryFile("w") as keys:
            keys.write("sk-one")
            keys.flush()
            with Server("--api-key-file", keys.name) as s:
                for name in os.listdir(FOLDER):
                    path = "/" if name == "index.html" else "/" + name
                    status, head, data = s.get(path)  # asks for the key itself
                    self.assertEqual(status, 200)
                    with open(f"{FOLDER}/{name}", "rb") as f:
                        self.assertEqual(data, f.read())
                    self.assertTrue(head["content-type"].startswith(TYPES[os.path.splitext(name)[1]]))
                    self.assertEqual(head["x-content-type-options"], "nosniff")
                    self.assertEqual(head["referrer-policy"], "no-referrer")
                    self.assertIn("default-src 'none'; script-src 'self';", head["content-security-policy"])
                    self.assertIn("frame-ancestors 'none'", head["content-security-policy"])
                    again = s.get(path, headers={"If-None-Match": head["etag"]})
                    self.assertEqual((again[0], again[2]), (304, b""))
                    self.assertEqual(s.get(path, headers={"Host": "evil.example"})[0], 403)
                for path in "/nothing.js", "/../serve.c", "//index.html", "/page.js/", "/%2e%2e/serve.c":
                    self.assertEqual(s.get(path, headers={"x-api-key": "sk-one"})[0], 404, path)


if __name__ == "__main__":
    unittest.main()
