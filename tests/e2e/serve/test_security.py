# SPDX-License-Identifier: MIT
"""What the server refuses, and that it goes on serving others meanwhile."""

import json
import os
import subprocess
import tempfile
import unittest

from server import DEMO, PROGRAM, Server, status_of


def error(reply):
    return json.loads(reply[2])["error"]


class Names(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--allow-host", "chat.example", "--allow-origin", "https://app.example")

    @classmethod
    def tearDownClass(cls):
        cls.server.finish()

    def status(self, method="GET", **head):
        return self.server.request(method, "/health", headers={k.replace("_", "-"): v for k, v in head.items()})[0]

    def test_rebinding(self):
        self.assertEqual(self.status(Host="evil.example"), 403)
        self.assertEqual(self.status(Host=f"evil.example:{self.server.port}"), 403)
        self.assertEqual(self.status(Host="192.168.1.5"), 403)
        self.assertEqual(self.status(Host="localhost"), 200)
        self.assertEqual(self.status(Host="[::1]:99"), 200)
        self.assertEqual(self.status(Host="chat.example"), 200)
        self.assertEqual(status_of(self.server.raw(b"GET /health HTTP/1.1\r\n\r\n")), 400)
        refused = self.server.request("GET", "/health", headers={"Host": "evil.example"})
        self.assertEqual(error(refused)["type"], "permission_error")

    def test_foreign_origin(self):
        own = f"localhost:{self.server.port}"
        for method in "GET", "POST":
            for origin in "http://evil.example", "null", "http://localhost:1", "https://app.example.evil":
                self.assertEqual(self.status(method, Origin=origin), 403, origin)
        self.assertEqual(self.status(Host=own, Origin="http://" + own), 200)
        self.assertEqual(self.status(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors"), 403)
        self.assertEqual(self.status(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate"), 200)

    def test_no_cors_headers(self):
        for method, head in ("GET", {}), ("GET", {"Origin": "http://evil.example"}), ("OPTIONS", {"Origin": "null"}):
            reply = self.server.request(method, "/health", headers=head)
            self.assertFalse([name for name in reply[1] if name.startswith("access-control")])
        self.assertEqual(self.server.request("OPTIONS", "/health")[0], 405)
        asked = self.server.request("OPTIONS", "/health", headers={"Origin": "https://app.example"})
        self.assertEqual(asked[0], 204)
        self.assertEqual(asked[1]["access-control-allow-origin"], "https://app.example")

    def test_dialects(self):
        host = {"Host": "evil.example"}
        self.assertEqual(type(error(self.server.get("/api/tags", headers=host))), str)
        self.assertEqual(json.loads(self.server.post("/v1/messages", {}, host)[2])["type"], "error")


class Keys(unittest.TestCase):
    def test_keys(self):
        with tempfile.NamedTemporaryFile("w") as keys:
            keys.write("# two\nsk-one\n\nsk-two\n")
            keys.flush()
            os.chmod(keys.name, 0o644)
            with Server("--api-key-file", keys.name) as s:
                refused = s.get("/v1/models")
                self.assertEqual(refused[0], 401)
                self.assertEqual(refused[1]["www-authenticate"], "Bearer")
                self.assertEqual(error(refused)["type"], "authentication_error")
                self.assertEqual(s.post("/v1/nothing", {})[0], 401)
                self.assertEqual(s.get("/health")[0], 200)
                for head in {"Authorization": "Bearer sk-one"}, {"x-api-key": "sk-two"}:
                    self.assertNotEqual(s.get("/v1/nothing", headers=head)[0], 401)
                for head in {"Authorization": "Bearer sk-on"}, {"x-api-key": "sk-one2"}, {"x-api-key": "# two"}:
                    self.assertEqual(s.get("/v1/nothing", headers=head)[0], 401)
                self.assertIn("can be read by others", s.messages())
                self.assertNotIn("sk-one", s.messages())

    def test_empty_file(self):
        ended = subprocess.run([PROGRAM, "serve", DEMO, "--api-key-file", "/dev/null"], capture_output=True, text=True)
        self.assertEqual(ended.returncode, 1)

    def test_public_address(self):
        for host in "0.0.0.0", "::":
            ended = subprocess.run([PROGRAM, "serve", DEMO, "--port", "0", "--host", host], capture_output=True, text=True)
            self.assertEqual(ended.returncode, 1)
            self.assertIn("--insecure", ended.stderr)
        with Server("--host", "0.0.0.0", "--insecure") as s:
            self.assertEqual(s.get("/health")[0], 200)
            self.assertEqual(s.get("/health", headers={"Host": "evil.example"})[0], 403)


class Framing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.finish()

    def refused(self, *lines, body=b"", status=400):
        head = "\r\n".join(["POST /health HTTP/1.1", "Host: localhost", *lines]).encode()
        # a second request that is never to be seen: the connection is closed
        reply = self.server.raw(head + b"\r\n\r\n" + body + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(status_of(reply), status, lines)
        self.assertNotIn(b"HTTP/1.1 200", reply)

    def test_two_lengths(self):
        self.refused("Content-Length: 5", "Content-Length: 5", body=b"hello")
        self.refused("Content-Length: 5", "Content-Length: 0", body=b"hello")
        self.refused("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
        self.refused("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
        self.refused("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n")
        self.refused("Transfer-Encoding: identity", body=b"0\r\n\r\n")
        self.refused("Content-Length : 5", body=b"hello")
        self.refused("Content-Length: +5", body=b"hello")
        self.refused("Content-Length: 99999999999999999999", body=b"hello", status=413)
        self.refused("Host: localhost")

    def test_large_head(self):
        reply = self.server.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (17 << 10) + b"\r\n\r\n")
        self.assertEqual(status_of(reply), 431)
        reply = self.server.raw(b"GET /" + b"x" * 200000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertIn(status_of(reply), (0, 414, 431))
        self.assertEqual(self.server.get("/health")[0], 200)

    def test_odd_requests(self):
        for odd in b"\r\n\r\n\r\n", b"\0" * 100, b"GET\r\n\r\n", b"GET /health HTTP/9.9\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02":
            self.assertNotEqual(status_of(self.server.raw(odd, end=True)), 200)
        self.assertEqual(self.server.get("/health")[0], 200)

    def test_pipelined(self):
        one = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
        reply = self.server.raw((one + b"\r\n") * 20 + one + b"Connection: close\r\n\r\n")
        self.assertEqual(reply.count(b"HTTP/1.1 200"), 21)


if __name__ == "__main__":
    unittest.main()
