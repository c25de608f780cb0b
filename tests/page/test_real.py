# SPDX-License-Identifier: MIT
"""The page as `stoker serve` has it, with a real model."""
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

import scripted
from steps import DONE, equal, expect, real_test, rules, send

MODELS = ("build/models/smollm2-135m-instruct-Q4_1.gguf", "tools/demo-model/stoker-demo-Q4_K.gguf")
START_S = 60


class Real:
    """`stoker serve` on a port of its own; why it can't be tried is in `reason`."""
    requests = ()

    def __init__(self, build):
        self.program, self.process, self.reason = f"{build}/stoker", None, None
        self.model = next((path for path in MODELS if os.path.exists(path)), None)
        if not os.access(self.program, os.X_OK):
            self.reason = f"there is no {self.program}"
            return
        self.process = subprocess.Popen([self.program, "serve", self.model, "--port", "0"], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on http"):
            self.reason = f"{self.program} doesn't serve: {line.strip() or 'it ended'}"
            return
        self.address = line.split()[-1].rstrip("/")
        end = time.monotonic() + START_S
        while self.get("/health")[0] == 503 and time.monotonic() < end:
            time.sleep(0.1)

    def get(self, path):
        """Status, head and body."""
        try:
            with urllib.request.urlopen(self.address + path) as reply:
                return reply.status, reply.headers, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)
            self.process.stdout.close()


def shorter(page, tokens):
    page.click("#settings-open")
    page.js(f"(() => {{ const f = document.getElementById('set-max_tokens'); f.value = '{tokens}'; f.dispatchEvent(new Event('input')); }})()")
    page.key("Escape")


@real_test
def files_and_policy(page, server):
    for name in sorted(os.listdir(scripted.PAGE)):
        with open(os.path.join(scripted.PAGE, name), "rb") as file:
            wanted = file.read()
        status, head, body = server.get("/" if name == "index.html" else f"/{name}")
        equal(status, 200, name)
        expect(body == wanted, f"{name} isn't what the source has: is the program built?")
        equal(head["Content-Security-Policy"], scripted.CSP, name)
        equal(head["Content-Type"], scripted.TYPES[os.path.splitext(name)[1]], name)


@real_test
def conversation(page, server):
    shorter(page, 24)
    # longer than the 64 tokens that the cache keeps together
    send(page, f"Here is a list of colours: {', '.join(('red', 'green', 'blue', 'white') * 20)}. Name three of them.")
    page.wait(DONE, 60)
    expect(page.text(".assistant .answer").strip(), "there is an answer")
    equal(page.text(".problem:not(.hidden)"), "")
    figures = page.text(".assistant .figures")
    expect("tokens/s" in figures and "first after" in figures, figures)
    expect("of context" in page.text("#gauge"), page.text("#gauge"))
    expect(page.js("document.getElementById('set-temperature').placeholder !== ''"), "the model's own values are known")
    expect(page.js("model.value !== 'No model'"), page.text("#model"))
    send(page, "And three more?")
    page.wait(DONE, 60)
    reused = page.js("parseInt(/(\\d+) % reused/.exec(document.querySelector('.assistant:last-child .figures').textContent)[1])")
    print(f"   {page.text('.assistant:last-child .figures')}")
    expect(reused > 0, "the first turn isn't computed again")
    page.reload()
    equal(page.count(".message"), 4)
    rules(page, "the real thing")


@real_test
def stop_cancels(page, server):
    send(page, "Write a long story about a lighthouse keeper.", wait=False)
    page.wait("document.querySelector('.assistant .answer')?.textContent.length > 20", 60)
    busy = [slot for slot in json.loads(server.get("/slots")[2]) if slot.get("is_processing")]
    equal(len(busy), 1, "one sequence is computed")
    page.key("Escape")
    page.wait(DONE)
    end = time.monotonic() + 2
    while any(slot.get("is_processing") for slot in json.loads(server.get("/slots")[2])):
        expect(time.monotonic() < end, "the server goes on")
        time.sleep(0.01)


@real_test
def a_problem_is_readable(page, server):
    shorter(page, 4)
    page.js("(() => { const f = document.getElementById('draft'); f.value = 'word '.repeat(100000); f.dispatchEvent(new Event('input')); })()")
    page.click("#send")
    page.wait(DONE, 60)
    said = page.text(".problem:not(.hidden) p")
    print(f"   {said}")
    expect("token" in said, said)


@real_test
def draft_is_measured_by_the_model(page, server):
    page.js("document.getElementById('draft').focus()")
    page.type("several words that become tokens")
    page.wait("!document.getElementById('gauge').classList.contains('hidden')")
