# SPDX-License-Identifier: MIT
"""The server as a service: how it starts, says that it is there, is passed sockets, and ends."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from server import DEMO, PROGRAM, Server, read_all, status_of, until


class Service(unittest.TestCase):
    def test_listens_at_once(self):
        with Server(ready=False) as s:
            self.assertLess(s.listening_after, 1)  # 10 ms on an idle machine
            loading = s.get("/health")
            if loading[0] == 503:
                self.assertEqual(json.loads(loading[2])["status"], "loading")
                self.assertEqual(loading[1]["retry-after"], "1")
                self.assertIn("error", json.loads(loading[2]))
            s.wait_ready()
            self.assertEqual(json.loads(s.get("/v1/health")[2]), {"status": "ok"})

    def test_ends_while_loading(self):
        with Server(ready=False) as s:
            self.assertEqual(s.stop(signal.SIGTERM, 10), 0)

    def test_port_is_taken(self):
        with Server() as s:
            second = subprocess.run([PROGRAM, "serve", DEMO, "--port", str(s.port)], capture_output=True, text=True)
            self.assertEqual(second.returncode, 1)
            self.assertIn("--port 0", second.stderr)

    def test_both_localhosts(self):
        with Server("--host", "localhost") as s:
            self.assertEqual(s.get("/health")[0], 200)

    def test_finishes_what_was_asked(self):
        with Server() as s:
            body = b'{"model": "any"}'
            asking, waiting = s.connect(), s.connect()
            asking.sendall(b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16\r\n\r\n" + body[:5])
            waiting.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(status_of(waiting.recv(4096)), 200)
            time.sleep(0.1)
            s.process.send_signal(signal.SIGTERM)
            self.assertEqual(read_all(waiting), b"")
            with self.assertRaises(OSError):
                s.connect()
            time.sleep(0.2)
            self.assertIsNone(s.process.poll())
            asking.sendall(body[5:])
            reply = read_all(asking)
            self.assertEqual(status_of(reply), 200)
            self.assertIn(b"Connection: close", reply)
            self.assertEqual(s.process.wait(10), 0)
            asking.close()
            waiting.close()

    def test_second_signal(self):
        with Server() as s:
            asking = s.connect()
            asking.sendall(b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16\r\n\r\n{")
            time.sleep(0.1)
            s.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            self.assertIsNone(s.process.poll())
            self.assertEqual(s.stop(signal.SIGTERM, 10), -signal.SIGTERM)
            asking.close()

    def test_interrupt(self):
        with Server() as s:
            self.assertEqual(s.stop(signal.SIGINT, 10), 0)

    def test_activation(self):
        with socket.socket() as tcp, tempfile.TemporaryDirectory() as folder:
            tcp.bind(("127.0.0.1", 0))
            tcp.listen()
            unix = socket.socket(socket.AF_UNIX)
            unix.bind(f"{folder}/s")
            unix.listen()

            with Server(passing=(tcp, unix)) as s:
                self.assertEqual(s.port, tcp.getsockname()[1])
                self.assertEqual(s.get("/health")[0], 200)
                s.path = f"{folder}/s"
                self.assertEqual(s.get("/health")[0], 200)
                self.assertEqual(s.stop(), 0)
            self.assertTrue(os.path.exists(f"{folder}/s"))  # it's the service manager's
            unix.close()

    def test_passed_public_socket(self):
        with socket.socket() as tcp:
            tcp.bind(("0.0.0.0", 0))
            tcp.listen()

            with Server(passing=(tcp,), ready=False) as s:
                self.assertEqual(s.process.wait(10), 1)
                self.assertIn("--insecure", s.messages())

    def test_notifies(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in f"{folder}/notify", "@stoker-test-" + os.path.basename(folder):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                    manager.bind("\0" + name[1:] if name[0] == "@" else name)
                    manager.settimeout(10)
                    with Server(env={**os.environ, "NOTIFY_SOCKET": name}) as s:
                        self.assertEqual(manager.recv(100), b"READY=1")
                        self.assertEqual(s.stop(), 0)
                        self.assertEqual(manager.recv(100), b"STOPPING=1")

    def test_units(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd-analyze")
        with tempfile.TemporaryDirectory() as folder:
            with open("tools/setup/stoker.service.in") as f, open(f"{folder}/stoker.service", "w") as out:
                out.write(f.read().replace("@PREFIX@/bin/stoker", "/bin/true"))
            shutil.copy("tools/setup/stoker.socket", folder)
            shown = subprocess.run(["systemd-analyze", "security", "--offline=true", f"{folder}/stoker.service"],
                                   capture_output=True, text=True)
            level = float(shown.stdout.split("exposure level for stoker.service: ")[1].split()[0])
            self.assertLessEqual(level, 2.0)
            checked = subprocess.run(["systemd-analyze", "verify", "--man=no", f"{folder}/stoker.service"],
                                     capture_output=True, text=True)
            self.assertEqual(checked.stderr, "")


class Logs(unittest.TestCase):
    def test_prompts(self):
        secret = {"model": "any", "secret": "täst\n"}
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/prompts"
            with Server("--log-prompts", path) as s:
                s.post("/api/show", secret)
                s.get("/health?secret")
                self.assertTrue(until(lambda: "/api/show" in s.messages()))
                self.assertNotIn("secret", s.messages())
                self.assertEqual(s.stop(), 0)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            with open(path) as f:
                lines = [json.loads(line) for line in f]
            self.assertEqual([line["request"] for line in lines], [secret])
            self.assertIn("modelfile", json.loads(lines[0]["reply"]))
            with Server() as s:
                s.post("/api/show", secret)
                self.assertEqual(s.stop(), 0)
            os.chmod(path, 0o644)
            os.symlink(path, f"{folder}/link")
            for odd in path, f"{folder}/link", folder, "/dev/full":
                with Server("--log-prompts", odd, ready=False) as s:
                    self.assertEqual(s.process.wait(10), 1, odd)

    def test_escapes(self):
        with Server() as s:
            s.raw(b"GET /%1b]52;c;x%07%0aFORGED HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            s.raw(b"G\xf5\x1bT /odd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            self.assertTrue(until(lambda: "/odd" in s.messages()))
            self.assertFalse([line for line in s.messages().split("\n") if line.startswith("FORGED")])
            self.assertNotIn("\x1b", s.messages())


if __name__ == "__main__":
    unittest.main()
