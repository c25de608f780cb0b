# SPDX-License-Identifier: MIT
"""Chromium without a window, driven over its DevTools protocol.

Commands and events are JSON with a NUL behind each, through two pipes: nothing but Python is needed.
"""
import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
# what watches a document from its first line on
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (e) => violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
window.dialogs = 0;
for (const name of ['alert', 'confirm', 'prompt'])
	window[name] = () => { dialogs++; };
"""
KEYS = {
    "Enter": (13, "Enter", "\r"), "Tab": (9, "Tab", ""), "Escape": (27, "Escape", ""), "F2": (113, "F2", ""),
    "ArrowDown": (40, "ArrowDown", ""), "ArrowUp": (38, "ArrowUp", ""), "Delete": (46, "Delete", ""),
    " ": (32, "Space", " "), "Home": (36, "Home", ""), "End": (35, "End", ""), "Backspace": (8, "Backspace", ""), "PageUp": (33, "PageUp", ""),
}
ALT, CTRL, SHIFT = 1, 2, 8


def find():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Failed(Exception):
    """A command that the browser refuses, a script that throws, something that doesn't come to pass."""


class Browser:
    def __init__(self, path):
        self.folder = tempfile.mkdtemp(prefix="stoker-page-")
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()
        arguments = [path, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.folder}/profile",
                     "--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-sync",
                     "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-gpu",
                     "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--mute-audio",
                     "--disable-features=Translate,MediaRouter,OptimizationHints", "--lang=en-GB"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        # the shell puts the pipes where the browser looks for them
        command = ["sh", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "sh", *arguments]
        self.log = open(f"{self.folder}/log", "wb")
        self.process = subprocess.Popen(command, pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self.numbers = itertools.count(1)
        self.answers = {}
        self.arrived = threading.Condition()
        self.pages = {}
        self.ended = False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        rest = b""
        while piece := os.read(self.into, 1 << 16):
            *messages, rest = (rest + piece).split(b"\0")
            for message in map(json.loads, messages):
                with self.arrived:
                    if "id" in message:
                        self.answers[message["id"]] = message
                    elif message.get("sessionId") in self.pages:
                        self.pages[message["sessionId"]].event(message["method"], message["params"])
                    self.arrived.notify_all()
        with self.arrived:
            self.ended = True
            self.arrived.notify_all()

    def call(self, method, session=None, **parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        with self.arrived:
            if not self.arrived.wait_for(lambda: number in self.answers or self.ended, 60):
                raise Failed(f"{method}: no answer in 60 s")
            if number not in self.answers:
                raise Failed(f"{method}: the browser ended, see {self.folder}/log")
            answer = self.answers.pop(number)
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def page(self, address, width=1180, height=800):
        """A tab with storage of its own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        return Page(self, context, address, width, height)

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except (Failed, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Page:
    def __init__(self, browser, context, address, width=1180, height=800):
        self.browser, self.context = browser, context
        self.requests, self.errors = [], []
        self.target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.size(width, height)
        self.go(address)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def event(self, method, parameters):
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["source"] in ("security", "javascript"):
            self.errors.append(parameters["entry"]["text"])

    def go(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.documentElement.dataset.ready === 'true'", 20)

    def reload(self):
        """Once all that was to be kept is: a transaction waits for those that began before it."""
        self.js("""new Promise((done) => {
            const open = indexedDB.open('stoker');
            open.onerror = done;
            open.onupgradeneeded = () => open.transaction.abort();
            open.onsuccess = () => {
                const kept = open.result.transaction([...open.result.objectStoreNames], 'readwrite');
                kept.objectStore('messages').count();
                kept.oncomplete = kept.onabort = () => {
                    open.result.close();
                    done();
                };
            };
        })""")
        self.js("delete document.documentElement.dataset.ready")
        self.call("Page.reload")
        self.wait("document.documentElement.dataset.ready === 'true'", 20)

    def size(self, width, height, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def media(self, **features):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def js(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failed(f"{expression[:200]}: {details.get('exception', {}).get('description', details['text'])}")
        return answer["result"].get("value")

    def wait(self, expression, seconds=10):
        """Until an expression is true; what it is then."""
        end = time.monotonic() + seconds
        while True:
            try:
                value = self.js(f"((value) => value instanceof Node || value)({expression})")
            except Failed:
                if time.monotonic() > end:
                    raise
                value = None  # the document is being replaced
            if value:
                return value
            if time.monotonic() > end:
                raise Failed(f"not within {seconds} s: {expression}")
            time.sleep(0.02)

    def text(self, selector):
        return self.js(f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent).join('\\n')")

    def count(self, selector):
        return self.js(f"document.querySelectorAll({json.dumps(selector)}).length")

    def key(self, name, modifiers=0):
        code, key_code, text = KEYS.get(name) or (ord(name.upper()), f"Key{name.upper()}" if name.isalpha() else "", name)
        if modifiers & (ALT | CTRL):
            text = ""
        common = {"key": name, "code": key_code, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def click(self, selector, index=0):
        place = self.js(f"""(() => {{
            const e = document.querySelectorAll({json.dumps(selector)})[{index}];
            if (!e) return null;
            e.scrollIntoView({{block: 'nearest'}});
            const r = e.getBoundingClientRect();
            return [r.x + r.width / 2, r.y + r.height / 2];
        }})()""")
        if not place:
            raise Failed(f"nothing to click: {selector}")
        x, y = place
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="none" if kind == "mouseMoved" else "left", clickCount=1)

    def focus(self):
        """What has the focus: its id, name or text."""
        return self.js("(() => { const e = document.activeElement; return e === document.body ? 'BODY' : e.id || e.getAttribute('aria-label') || e.textContent.trim() || e.tagName; })()")

    def files(self, selector, paths):
        document = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=paths)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
