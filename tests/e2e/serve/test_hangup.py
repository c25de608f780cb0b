# SPDX-License-Identifier: MIT
"""Clients that hang up: in each state of a request, and half of all at random moments.  LONG=1 takes
ten minutes for the latter, HANGUP_SECONDS=N so long."""

import json
import os
import random
import socket
import struct
import threading
import time
import unittest

from server import Server

LONG = float(os.environ.get("HANGUP_SECONDS", 600 if os.environ.get("LONG") else 6))
PROMPT = "And it came to pass that God said unto Moses, "
CHAT, COMPLETION = "/v1/chat/completions", "/completion"


def numbers(server):
    """What /metrics says, without histograms."""
    text = server.get("/metrics")[2].decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("stoker_"): float(value) for name, value in pairs}


def wait(server, right, seconds=10):
    """Until the numbers are right; how long that took, and they."""
    begun = time.monotonic()
    while not right(now := numbers(server)):
        if time.monotonic() > begun + seconds:
            raise AssertionError(f"after {seconds} s: {now}")
        time.sleep(0.002)
    return time.monotonic() - begun, now


def is_idle(now):
    return not now["requests_running"] and not now["requests_waiting"] and not now['kv_bytes{state="used"}']


def send(server, path, body):
    data = json.dumps(body).encode()
    s = server.connect()
    s.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    return s


def hang_up(s, rudely=False):
    if rudely:  # what is on its way is dropped
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


class States(unittest.TestCase):
    """None of these would have ended by itself: what was generated says so."""

    def setUp(self):
        self.server = Server("--sequences", "1", "-t", "1")
        self.long = {"prompt": PROMPT, "n_predict": 450, "ignore_eos": True, "temperature": 0, "stream": False}
        self.chat = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 450, "ignore_eos": True}

    def tearDown(self):
        self.server.__exit__()

    def generated(self):
        return numbers(self.server)["generated_tokens_total"]

    def test_queued(self):
        for stream in (True, False):
            before = send(self.server, CHAT, {**self.chat, "n": 8})
            wait(self.server, lambda now: now["requests_waiting"] == 7)
            s = send(self.server, COMPLETION, {**self.long, "stream": stream})
            _, now = wait(self.server, lambda now: now["requests_waiting"] + now["requests_running"] >= 8)
            waiting = now["requests_waiting"]
            hang_up(s)
            wait(self.server, lambda now: now["requests_waiting"] < waiting)
            hang_up(before)
            wait(self.server, is_idle)
            self.assertLess(self.generated(), 8 * 450)

    def test_prefill(self):
        words = {**self.long, "prompt": " ".join(f"verse {i}" for i in range(110))}
        for stream in (True, False):
            for delay in range(0, 40, 4):
                before = self.generated()
                s = send(self.server, COMPLETION, {**words, "stream": stream})
                time.sleep(delay * 1e-3)
                hang_up(s)
                wait(self.server, is_idle, 5)
                self.assertLess(self.generated() - before, 200)

    def test_decode(self):
        for path, body in ((COMPLETION, self.long), (CHAT, self.chat)):
            before = self.generated()
            s = send(self.server, path, {**body, "stream": True})
            received = b""
            while received.count(b"data: ") < 4:
                received += s.recv(4096)
            hang_up(s)
            took, _ = wait(self.server, is_idle)
            self.assertLess(took, 1)
            self.assertLess(self.generated() - before, 300)

    def test_not_streamed(self):
        for rudely in (False, True):
            before = self.generated()
            s = send(self.server, CHAT if rudely else COMPLETION, self.chat if rudely else self.long)
            wait(self.server, lambda now: now["requests_running"] == 1 and now["generated_tokens_total"] > before)
            hang_up(s, rudely)
            took, _ = wait(self.server, is_idle)
            self.assertLess(took, 1)
            self.assertLess(self.generated() - before, 400)


class Client(threading.Thread):
    """Asks again and again; hangs up half of the time."""

    def __init__(self, server, seed, until):
        super().__init__()
        self.server, self.chance, self.until = server, random.Random(seed), until
        self.answers, self.odd = 0, []

    def request(self):
        chance = self.chance
        prompt = PROMPT * chance.randrange(1, 20)
        messages = [{"role": "user", "content": prompt}]
        body = {"stream": chance.random() < 0.6, "seed": chance.randrange(1000)}
        count = chance.randrange(1, 60)
        return chance.choice((
            (COMPLETION, {**body, "prompt": prompt, "n_predict": count, "ignore_eos": True}),
            (CHAT, {**body, "messages": messages, "max_tokens": count, "n": chance.choice((1, 3))}),
            ("/api/chat", {"stream": body["stream"], "messages": messages, "model": "any",
                           "options": {"num_predict": count}}),
            ("/v1/messages", {"stream": body["stream"], "messages": messages, "max_tokens": count}),
        ))

    def ask(self):
        chance = self.chance
        path, body = self.request()
        if chance.random() < 0.5:
            status, _, data = self.server.post(path, body)
            if status not in (200, 429, 503):
                self.odd.append((status, data))
            self.answers += status == 200
            return
        s = send(self.server, path, body)
        if chance.random() < 0.5:
            time.sleep(chance.random() ** 2 * 0.2)
        else:
            s.recv(chance.choice((1, 100, 1000, 10000)))
        hang_up(s, chance.random() < 0.3)

    def run(self):
        while time.monotonic() < self.until:
            try:
                self.ask()
            except OSError as e:  # refused politely, or a reply that was cut off isn't
                self.odd.append(e)


class AtRandom(unittest.TestCase):
    def state(self, server):
        folder = f"/proc/{server.process.pid}"
        with open(f"{folder}/statm") as f:
            resident = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
        return resident, len(os.listdir(f"{folder}/fd")), len(os.listdir(f"{folder}/task"))

    def keeps_freed(self, server):
        """The address sanitizer does, to see who uses it later."""
        with open(f"/proc/{server.process.pid}/maps") as f:
            return "libasan" in f.read()

    def idle_state(self, server):
        wait(server, is_idle)
        until = time.monotonic() + 5
        # the connection that asked last is on its way out
        while (state := self.state(server))[1:] != self.first[1:] and time.monotonic() < until:
            time.sleep(0.01)
        return state

    def load(self, server, seconds, seed):
        clients = [Client(server, seed + i, time.monotonic() + seconds) for i in range(12)]
        for c in clients:
            c.start()
        for c in clients:
            c.join()
            self.assertEqual(c.odd, [])
        return sum(c.answers for c in clients)

    def test_half_of_all(self):
        with Server("--sequences", "4", "--queue", "8") as server:
            server.get("/metrics")
            time.sleep(0.1)
            self.first = self.state(server)
            answers = self.load(server, LONG / 2, 1)
            half = self.idle_state(server)
            answers += self.load(server, LONG / 2, 1000)
            last = self.idle_state(server)
            self.assertGreater(answers, 10)
            self.assertEqual(last[1:], self.first[1:])  # descriptors, threads
            if not self.keeps_freed(server):
                self.assertLess(last[0], half[0] + (24 << 20))
            status, _, data = server.post(COMPLETION, {"prompt": PROMPT, "n_predict": 5})
            self.assertEqual(status, 200, data)
            print(f"    {answers} answers in {LONG:.0f} s, {half[0] >> 20} and {last[0] >> 20} MiB")
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
