# SPDX-License-Identifier: MIT
"""Too much, too slowly, too many: whoever asks for that is refused, and others are served meanwhile."""

import json
import multiprocessing
import os
import socket
import tempfile
import threading
import time
import unittest

from server import Server, read_all, status_of, until

MIB = 1 << 20
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"


def hold_many(server, told):
    """Opens ten thousand connections and asks for nothing."""
    idle = [server.connect(f"127.0.{3 + i % 50}.1") for i in range(10000)]
    time.sleep(0.1)
    told.send(sum(status_of(read_all(s)) == 503 for s in idle[:100]))
    time.sleep(60)


class Limits(unittest.TestCase):
    def setUp(self):
        self.server = Server()

    def tearDown(self):
        self.server.finish()

    def test_large_bodies(self):
        post = lambda body, **head: self.server.request("POST", "/api/show", body, headers=head)
        text = json.dumps({"model": "x" * (16 * MIB - 100)}).encode()
        self.assertEqual(post(text)[0], 200)  # a model by any name
        self.assertEqual(post(text + b" " * 200)[0], 413)
        # its length isn't known, and then not to be believed
        self.assertEqual(self.server.request("POST", "/api/show", iter([text, b" " * 200]))[0], 413)
        self.assertEqual(status_of(self.server.raw(b"POST /api/show HTTP/1.1\r\nHost: localhost\r\n"
                                                   b"Content-Length: 99999999999\r\n\r\n")), 413)
        # who asks before sending is told at once
        self.assertEqual(status_of(self.server.raw(b"POST /api/show HTTP/1.1\r\nHost: localhost\r\n"
                                                   b"Expect: 100-continue\r\nContent-Length: 20000000\r\n\r\n")), 413)

    def test_deep_and_many(self):
        post = lambda body: self.server.request("POST", "/api/show", body)[0]
        self.assertEqual(post(b'{"a":' * 65 + b"1" + b"}" * 65), 400)
        self.assertEqual(post(b'{"a":' + b"[" * 8 * MIB), 400)
        self.assertEqual(post(b'{"a":[' + b"1," * 4 * MIB + b"1]}"), 400)
        self.assertEqual(post(b'{"model": NaN}'), 400)
        self.assertEqual(post(b'[]'), 400)
        self.assertEqual(post(b''), 400)
        self.assertEqual(post(b'{"model":"\xff"}'), 400)

    def test_memory_of_bodies(self):
        """Sixteen large ones at a time stay within what all may take."""
        body = b'{"model":[' + b"1," * 1000000 + b"1]}"
        statuses = []
        threads = [threading.Thread(target=lambda i=i: statuses.append(
            self.server.request("POST", "/api/show", body, source=f"127.0.0.{i + 2}")[0])) for i in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(statuses), 16)
        self.assertLessEqual(set(statuses), {200, 400, 503})
        with open(f"/proc/{self.server.process.pid}/status") as f:
            peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
        self.assertLess(peak, 1 << 20, "KiB")
        self.assertEqual(self.server.get("/health")[0], 200)

    def test_connections_of_an_address(self):
        for address, most in ("127.0.0.2", 16), ("127.0.0.1", 48):
            taken = [self.server.connect(address) for _ in range(most)]
            for s in taken:
                s.sendall(HALF)
            time.sleep(0.5)  # until they have been read: one that waits would make room
            self.assertEqual(self.server.get("/health", source=address)[0], 503)
            refused = self.server.raw(GET, source=address)
            self.assertIn(b"Retry-After: 1", refused)
            self.assertIn(b"Connection: close", refused)
            self.assertEqual(self.server.get("/health", source="127.0.0.3")[0], 200)
            for s in taken:
                s.close()

    def test_all_connections(self):
        taken = [self.server.connect(f"127.0.1.{1 + i // 16}") for i in range(64)]
        for s in taken:
            s.sendall(HALF)
        time.sleep(0.5)  # until they have been read: one that waits would make room
        self.assertEqual(self.server.get("/health")[0], 503)
        taken.pop().close()
        self.assertTrue(until(lambda: self.server.get("/health")[0] == 200))
        # one that was answered and waits makes room; the server may see a moment later that it does
        def answered():
            kept.append(self.server.connect())
            kept[-1].sendall(GET)
            return status_of(kept[-1].recv(4096)) == 200

        kept = []
        self.assertTrue(until(answered))
        self.assertTrue(until(lambda: self.server.get("/health")[0] == 200))
        self.assertEqual(read_all(kept[-1]), b"")
        taken += kept
        for s in taken:
            s.close()

    def test_ten_thousand_idle(self):
        coming, going = multiprocessing.Pipe()
        others = multiprocessing.Process(target=hold_many, args=(self.server, going))
        others.start()
        self.addCleanup(others.join)
        self.addCleanup(others.terminate)
        statuses, slowest = [], 0
        while not coming.poll():
            begun = time.monotonic()
            statuses.append(self.server.get("/health", source="127.0.2.1")[0])
            slowest = max(slowest, time.monotonic() - begun)
        self.assertEqual(set(statuses), {200})
        self.assertGreater(len(statuses), 50)
        self.assertLess(slowest, 5)  # the kernel may ask again after a second
        self.assertEqual(coming.recv(), 100)  # were told so
        with open(f"/proc/{self.server.process.pid}/status") as f:
            threads = next(int(line.split()[1]) for line in f if line.startswith("Threads"))
        self.assertLess(threads, 150)
        self.assertEqual(self.server.get("/health")[0], 200)

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/socket"
            with Server("--socket", path) as s:
                self.assertEqual(s.first_line, f"listening on unix:{path}\n")
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
                taken = [s.connect() for _ in range(40)]
                for t in taken:
                    t.sendall(HALF)
                self.assertEqual(s.get("/health", headers={"Host": "any"})[0], 200)
                for t in taken:
                    t.close()
                self.assertEqual(s.stop(), 0)
                self.assertFalse(os.path.exists(path))
            stale = socket.socket(socket.AF_UNIX)
            stale.bind(path)
            stale.close()
            with Server("--socket", path) as s:
                self.assertEqual(s.get("/health")[0], 200)
            with open(f"{folder}/file", "w"), Server("--socket", f"{folder}/file") as s:
                self.assertEqual(s.process.wait(10), 1)


if __name__ == "__main__":
    unittest.main()
