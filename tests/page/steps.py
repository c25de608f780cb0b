# SPDX-License-Identifier: MIT
"""What the page's tests share: how they say what they expect, and a few steps that all take."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS, REAL_TESTS = [], []
# an answer is complete, and nothing else is under way
DONE = "document.querySelector('.message.assistant:last-child:not(.running)') && document.getElementById('send').getAttribute('aria-label') === 'Send'"


def test(function):
    TESTS.append(function)
    return function


def real_test(function):
    REAL_TESTS.append(function)
    return function


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r} instead of {wanted!r}")


def send(page, text, wait=True):
    page.js("document.getElementById('draft').focus()")
    page.type(text)
    page.key("Enter")
    if wait:
        page.wait(DONE)


def rules(page, what):
    with open(f"{HERE}/rules.js", encoding="utf-8") as file:
        page.js("new Promise((done) => setTimeout(done, 200))")  # colours have changed by then
        violations = page.js(file.read())
    equal(violations, [], what)


def titles(page):
    return page.js("[...document.querySelectorAll('#list a')].map((a) => a.textContent)")
