# SPDX-License-Identifier: MIT
"""Clients that take their time."""

import time
import unittest

from server import Server, read_all, status_of


class Slow(unittest.TestCase):
    def setUp(self):
        self.server = Server()

    def tearDown(self):
        self.server.finish()

    def test_slow_loris(self):
        """A byte now and then doesn't keep a connection."""
        begun = time.monotonic()
        slow = [self.server.connect("127.0.0.9") for _ in range(16)]
        for s in slow:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ")
        while time.monotonic() - begun < 9:
            for s in slow:
                s.sendall(b"x")
            self.assertEqual(self.server.get("/health")[0], 200)
            time.sleep(0.5)
        for s in slow:
            self.assertEqual(status_of(read_all(s)), 408)
            s.close()
        self.assertLess(time.monotonic() - begun, 13)


if __name__ == "__main__":
    unittest.main()
