# SPDX-License-Identifier: MIT
"""The page in Chromium, beside a scripted server and `stoker serve`.

usage: check.py [--build BUILD] [--record FOLDER] [TEST...]
"""
import argparse
import os
import sys
import traceback

import browser
import scripted
from browser import ALT
import test_conversation, test_text, test_around, test_access  # noqa: E401,F401 (in the order that they run in)
from steps import REAL_TESTS, TESTS, equal, send
from test_real import Real


def record(chromium, folder):
    server = scripted.Server()
    os.makedirs(folder, exist_ok=True)
    try:
        page = chromium.page(server.address + "/", 1120, 720)
        # as on a desktop that has a font of its own
        page.js("document.documentElement.style.setProperty('--font', 'Inter, system-ui')")
        for text in ("What did we say about kindling?", "Think: what are two and two?"):
            send(page, text)
            page.key("n", ALT)
        send(page, "Table of fuels, and the heat in a pile of oak, please")
        page.js("document.activeElement.blur(); scroll.scrollTop = 0")
        page.js("document.getElementById('scroll').scrollTop = 0")
        page.js("new Promise((done) => setTimeout(done, 300))")
        page.picture(f"{folder}/page-light.png")
        page.js("document.getElementById('scroll').scrollTop = 1e6")
        page.picture(f"{folder}/page-code.png")
        page.media(prefers_color_scheme="dark")
        page.js("document.getElementById('scroll').scrollTop = 0")
        page.js("new Promise((done) => setTimeout(done, 300))")
        page.picture(f"{folder}/page-dark.png")
        page.click("#settings-open")
        page.js("new Promise((done) => setTimeout(done, 300))")
        page.picture(f"{folder}/page-settings.png")
        page.key("Escape")
        page.media(prefers_color_scheme="light")
        page.js("document.activeElement.blur()")
        page.size(320, 640, mobile=True)
        page.js("new Promise((done) => setTimeout(done, 300))")
        page.picture(f"{folder}/page-narrow.png")
    finally:
        server.stop()


def run(chromium, function, server):
    """Whether a test passes, on a page of its own."""
    page = None
    try:
        page = chromium.page(server.address + "/")
        function(page, server)
        equal(page.errors, [], "errors on the console")
        equal(page.js("violations"), [], "violations of the policy")
        elsewhere = [url for url in page.requests if not url.startswith((server.address, "blob:", "data:", "about:"))]
        equal(elsewhere, [], "requests elsewhere")
        print(f"ok     {function.__name__}", flush=True)
        return True
    except (AssertionError, browser.Failed, ValueError, TypeError) as error:
        print(f"FAILED {function.__name__}: {error}", flush=True)
        if os.environ.get("PICTURE") and page:
            page.picture(os.environ["PICTURE"])
        if os.environ.get("TRACE"):
            traceback.print_exc()
        return False
    finally:
        if page:
            page.close()


def run_real(chromium, wanted, build):
    """Those that want the program itself: passed, failed, skipped."""
    functions = [function for function in REAL_TESTS if not wanted or function.__name__ in wanted]
    if not functions:
        return 0, 0, 0
    server = Real(build)
    try:
        reason = server.reason or ("it has no page" if server.get("/")[0] != 200 else None)
        if reason:
            print(f"skipped: {', '.join(function.__name__ for function in functions)}: {reason}")
            return 0, 0, len(functions)
        passed = sum(run(chromium, function, server) for function in functions)
        return passed, len(functions) - passed, 0
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", metavar="FOLDER")
    parser.add_argument("--build", default="build", help="folder of the program")
    parser.add_argument("tests", nargs="*")
    arguments = parser.parse_args()
    path = browser.find()
    if not path:
        print("skipped: there is no Chromium here\n0 passed, 0 failed, 1 skipped")
        return 0
    chromium = browser.Browser(path)
    passed = failed = 0
    try:
        if arguments.record:
            record(chromium, arguments.record)
            return 0
        for function in TESTS:
            if arguments.tests and function.__name__ not in arguments.tests:
                continue
            server = scripted.Server()
            if run(chromium, function, server):
                passed += 1
            else:
                failed += 1
            server.stop()
        really = run_real(chromium, arguments.tests, arguments.build)
    finally:
        chromium.close()
    print(f"{passed + really[0]} passed, {failed + really[1]} failed, {really[2]} skipped")
    return 1 if failed + really[1] else 0


if __name__ == "__main__":
    sys.exit(main())
