# SPDX-License-Identifier: MIT
"""A server of its own for tests, with the standard library's clients."""

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

PROGRAM = os.environ.get("STOKER", "build/stoker")
DEMO = "tools/demo-model/stoker-demo-Q4_K.gguf"


class Server:
    """`with Server("--sequences", "2") as s:` ... its address is s.host, s.port, or s.path."""

    def __init__(self, *options, port="0", model=DEMO, ready=True, passing=(), **popen):
        self.log = tempfile.TemporaryFile("w+")
        self.begun = time.monotonic()
        command = [PROGRAM, "serve", *options]
        if model:
            command += ["-m", model]
        if port is not None:
            command += ["--port", port]
        if passing:  # as a service manager does
            high = [fcntl.fcntl(s, fcntl.F_DUPFD, 20) for s in passing]
            moved = "".join(f"exec {3 + i}<&{fd} {fd}<&-; " for i, fd in enumerate(high))
            command = ["bash", "-c", f'{moved}LISTEN_PID=$$ LISTEN_FDS={len(high)} exec "$@"', "bash", *command]
            popen["pass_fds"] = high
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, **popen)
        for fd in popen.get("pass_fds", ()):
            os.close(fd)
        self.first_line = self.process.stdout.readline()
        self.listening_after = time.monotonic() - self.begun
        self.path = None
        address = self.first_line.removeprefix("listening on ").strip()
        if address.startswith("unix:"):
            self.path = address[5:]
        elif address:
            self.host, _, port = address.removeprefix("http://").rpartition(":")
            self.host = self.host.strip("[]")
            self.port = int(port)
        if ready and address:
            self.wait_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)
        self.log.close()

    def wait_ready(self, seconds=60):
        until = time.monotonic() + seconds
        while self.get("/health")[0] != 200:
            if time.monotonic() > until:
                raise TimeoutError(self.messages())
            time.sleep(0.02)

    def stop(self, how=signal.SIGTERM, seconds=60):
        """The exit status; messages() are still there until the end of the with."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(seconds)
        self.process.stdout.close()
        return status

    def finish(self):
        """Ends it as tests should: nothing is wrong with it, and under sanitizers nothing was."""
        status = self.stop()
        messages = self.messages()
        self.log.close()
        if status:
            raise AssertionError(f"the server ended with {status}:\n{messages[-4000:]}")

    def messages(self):
        """What it wrote to standard error."""
        self.log.seek(0)
        return self.log.read()

    def connect(self, source=None):
        if self.path:
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.path)
        else:
            s = socket.create_connection((self.host, self.port), 30, (source, 0) if source else None)
        s.settimeout(30)
        return s

    def raw(self, data, source=None, end=False):
        """All that comes back on a connection of its own; end: nothing more will be sent."""
        with self.connect(source) as s:
            try:
                s.sendall(data)
                if end:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # what it said before hanging up still counts
            return read_all(s)

    def request(self, method, path, body=None, headers=(), source=None):
        """Status, head (small letters), body as bytes."""
        connection = http.client.HTTPConnection("localhost", getattr(self, "port", 80))
        connection.sock = self.connect(source)
        try:
            connection.request(method, path, body, dict(headers))
            reply = connection.getresponse()
            return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, value, headers=(), **more):
        head = {"Content-Type": "application/json", **dict(headers)}
        return self.request("POST", path, json.dumps(value), head, **more)

    def stream(self, path, value, headers=()):
        """The connection's socket and a file of the reply's body as it comes in, its head read."""
        s = self.connect()
        body = json.dumps(value).encode()
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        lines += [f"{k}: {v}" for k, v in dict(headers).items()]
        s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        reply = http.client.HTTPResponse(s)
        reply.begin()
        return s, reply


def until(holds, seconds=10):
    """Waits for what takes the server a moment; whether it came."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def read_all(s):
    data = b""
    try:
        while piece := s.recv(65536):
            data += piece
    except OSError:
        pass
    return data


def status_of(reply):
    """Of raw bytes; 0: there is no reply."""
    parts = reply.split(b" ", 2)
    return int(parts[1]) if len(parts) > 1 else 0
