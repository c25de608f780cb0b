# SPDX-License-Identifier: MIT
"""The page in Chromium beside a scripted server.  usage: check.py [--record FOLDER] [TEST...]"""
import argparse
import os
import sys
import traceback

import browser
import scripted
from browser import ALT
import test_conversation, test_text, test_around, test_access  # noqa: E401,F401 (in the order that they run in)
from steps import TESTS, equal, send


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
        page.size(320, 640, mobile=True)
        page.js("new Promise((done) => setTimeout(done, 300))")
        page.picture(f"{folder}/page-narrow.png")
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
            name = function.__name__
            if arguments.tests and name not in arguments.tests:
                continue
            server = scripted.Server()
            page = None
            try:
                page = chromium.page(server.address + "/")
                function(page, server)
                equal(page.errors, [], "errors on the console")
                equal(page.js("violations"), [], "violations of the policy")
                equal([url for url in page.requests if not url.startswith((server.address, "blob:", "data:", "about:"))], [], "requests elsewhere")
                print(f"ok     {name}", flush=True)
                passed += 1
            except (AssertionError, browser.Failed, ValueError) as error:
                print(f"FAILED {name}: {error}", flush=True)
                if os.environ.get("PICTURE") and page:
                    page.picture(os.environ["PICTURE"])
                if os.environ.get("TRACE"):
                    traceback.print_exc()
                failed += 1
            finally:
                if page:
                    page.close()
                server.stop()
    finally:
        chromium.close()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
