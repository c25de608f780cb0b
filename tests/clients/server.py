# SPDX-License-Identifier: MIT
"""Our server in a process of its own, and another one of OpenAI's protocol to try tests on."""

import http.client
import json
import os
import re
import select
import subprocess
import tempfile
import time
import urllib.request

KEY = "key-of-the-tests"
START_SECONDS = 60


def first_model(server):
    request = urllib.request.Request(server.url + "/v1/models", headers={
        "Authorization": f"Bearer {server.key}"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)["data"][0]["id"]


class Server:
    """With a key unless there shall be none; on any free port; stopped when the block ends."""

    def __init__(self, stoker, model, *options, key=True):
        self.command = [stoker, "serve", "-m", model, "--port", "0", *options]
        self.key = KEY if key else ""
        self.folder = None

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        if self.key:
            name = os.path.join(self.folder.name, "keys")
            with open(name, "w", encoding="utf-8") as keys:
                keys.write(self.key + "\n")
            os.chmod(name, 0o600)
            self.command += ["--api-key-file", name]
        self.errors = open(os.path.join(self.folder.name, "errors"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.errors)
        self.url = self.address()
        self.wait()
        self.name = first_model(self)
        return self

    def address(self):
        began = time.monotonic()
        text = b""
        while time.monotonic() < began + START_SECONDS:
            if select.select([self.process.stdout], [], [], 1)[0]:
                more = os.read(self.process.stdout.fileno(), 4096)
                text += more
                found = re.search(rb"http://[^\s/]+", text)
                if found:
                    return found.group().decode()
                if not more:
                    break
        raise RuntimeError(f"the server didn't start: {self.said()}")

    def wait(self):
        began = time.monotonic()
        while time.monotonic() < began + START_SECONDS:
            try:
                with urllib.request.urlopen(self.url + "/health", timeout=5) as reply:
                    if reply.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"the server isn't ready: {self.said()}")

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def alive(self):
        return self.process.poll() is None

    def __exit__(self, *unused):
        self.process.terminate()
        try:
            self.status = self.process.wait(45)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        self.folder.cleanup()


class Other:
    """A server that runs already."""

    def __init__(self, url, key=KEY):
        self.url, self.key = url, key
        self.name = first_model(self)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        pass


class Crowd:
    """As many requests as a server that was started with CROWDED works on or lets wait."""

    CROWDED = ("--sequences", "1", "--queue", "1")

    def __init__(self, server):
        self.server = server
        self.connections = []

    def __enter__(self):
        body = json.dumps({"model": "any", "stream": True, "max_tokens": 1500, "ignore_eos": True,
                           "messages": [{"role": "user", "content": "Write."}]})
        for _ in range(2):
            connection = http.client.HTTPConnection(self.server.url.removeprefix("http://"))
            connection.request("POST", "/v1/chat/completions", body, {
                "Content-Type": "application/json", "Authorization": f"Bearer {self.server.key}"})
            self.connections.append(connection)
            time.sleep(0.2)

    def __exit__(self, *unused):
        for connection in self.connections:
            connection.close()
