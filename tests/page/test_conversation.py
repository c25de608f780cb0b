# SPDX-License-Identifier: MIT
"""Sending, stopping, branches, what is kept, and a server that goes and comes."""
import json
import random
import statistics
import time

import scripted
from browser import ALT, CTRL, SHIFT
from steps import DONE, equal, expect, rules, send, test

FIRST_TOKEN_MS = 50


@test
def send_and_answer(page, server):
    send(page, "hello there")
    equal(page.text(".assistant .answer"), "Answer 1 to: hello there")
    equal(page.text(".user .plain"), "hello there")
    send(page, "once more")
    equal(page.text(".assistant:last-child .answer"), "Answer 2 to: once more")
    request = server.requests[-1]
    equal([m["role"] for m in request["messages"]], ["user", "assistant", "user"])
    expect(request["stream"] and request["stream_options"]["include_usage"], "a stream with usage is asked for")
    figures = page.text(".assistant:last-child .figures")
    expect("reused" in figures and "first after" in figures, figures)
    expect("of context" in page.text("#gauge"), page.text("#gauge"))
    page.key("Enter")
    time.sleep(0.1)
    equal(len(server.requests), 2, "an empty message isn't sent")


@test
def lines_and_composition(page, server):
    page.js("document.getElementById('draft').focus()")
    page.type("one")
    page.key("Enter", SHIFT)
    page.type("two")
    equal(page.js("draft.value"), "one\ntwo")
    page.js("draft.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))")
    equal(server.requests, [], "Enter that ends a composition sends nothing")
    page.click("#send")
    page.wait(DONE)
    equal(server.requests[0]["messages"][0]["content"], "one\ntwo")


@test
def stop(page, server):
    for how in ("button", "key"):
        send(page, "slow one", wait=False)
        page.wait("document.querySelector('.assistant:last-child .answer')?.textContent.includes('word3')")
        before = time.monotonic()
        if how == "button":
            page.click("#send")
        else:
            page.key("Escape")
        page.wait(DONE)
        while len(server.hung_up) < (1 if how == "button" else 2):
            expect(time.monotonic() - before < 2, f"{how}: the server doesn't notice")
            time.sleep(0.01)
        expect("Stopped" in page.text(".assistant:last-child .figures"), "it says so")
        expect("word3" in page.text(".assistant:last-child .answer"), "what was said stays")
    send(page, "silent one", wait=False)
    page.wait("document.querySelector('.waiting:not(.hidden)')")
    page.key("Escape")
    page.wait(DONE)
    time.sleep(0.2)
    equal(len(server.hung_up), 3, "before the first token as well")


@test
def edit_and_branches(page, server):
    send(page, "first")
    send(page, "second")
    page.click(".user [aria-label=Edit]", 0)
    equal(page.js("document.activeElement.value"), "first", "the field has the text and the focus")
    page.js("document.activeElement.select()")
    page.type("changed")
    page.key("Enter")
    page.wait(DONE)
    equal(page.text(".plain"), "changed")
    equal(page.text(".answer"), "Answer 1 to: changed")
    equal(page.text(".place"), "2/2")
    page.click("[aria-label='Earlier version']")
    equal(page.text(".plain"), "first\nsecond")
    equal(page.focus(), "Later version", "the focus stays beside the number")
    page.click("[aria-label='Later version']")
    equal(page.text(".plain"), "changed")
    # what a model said, without asking again
    asked = len(server.requests)
    page.click(".assistant [aria-label=Edit]")
    page.js("document.activeElement.select()")
    page.type("my own words")
    page.click(".editing [type=submit]")
    page.wait("document.querySelector('.assistant .answer').textContent === 'my own words'")
    equal(len(server.requests), asked)
    page.reload()
    equal(page.text(".answer"), "my own words", "the version is kept")
    equal(page.count(".branches"), 2)


@test
def edit_can_be_left(page, server):
    send(page, "hello")
    page.click(".user [aria-label=Edit]")
    page.key("Escape")
    equal(page.text(".plain"), "hello")
    equal(page.focus(), "Edit")
    equal(len(server.requests), 1)


@test
def retry(page, server):
    send(page, "hello")
    page.click("[aria-label='Answer again']")
    page.wait("document.querySelector('.assistant .place')")
    page.wait(DONE)
    equal(page.text(".assistant .place"), "2/2")
    equal(len(server.requests[-1]["messages"]), 1, "the first answer isn't sent along")


@test
def reload_keeps_history(page, server):
    send(page, "think of it")
    page.js("document.getElementById('draft').focus()")
    page.type("a draft")
    page.reload()
    equal(page.text(".plain"), "think of it")
    equal(page.text(".assistant .answer"), "Four.")
    equal(page.text(".thought"), scripted.THOUGHT)
    equal(page.js("draft.value"), "a draft", "the draft is kept")
    expect("Thought for" in page.text("summary"), page.text("summary"))
    page.js("draft.value = ''")
    send(page, "slow", wait=False)
    page.wait("document.querySelector('.assistant:last-child .answer').textContent.includes('word25')", 15)
    page.reload()
    expect("word5" in page.text(".assistant:last-child .answer"), "an answer in the middle is kept")
    expect("Interrupted" in page.text(".assistant:last-child .figures"), page.text(".assistant:last-child .figures"))


@test
def reasoning(page, server):
    send(page, "think of it", wait=False)
    page.wait("document.querySelector('summary')?.textContent.startsWith('Thinking')")
    expect(not page.js("document.querySelector('.reasoning').open"), "it is folded")
    page.wait(DONE)
    equal(page.text(".answer"), "Four.")
    page.click("summary")
    expect(page.js("document.querySelector('.thought').checkVisibility()"), "it unfolds")
    send(page, "next")
    equal(server.requests[-1]["messages"][1]["reasoning_content"], scripted.THOUGHT)


@test
def tool_calls(page, server):
    page.click("#settings-open")
    page.js("tools.focus()")
    page.type("not json")
    expect("isn’t JSON" in page.text("#tools-problem"), page.text("#tools-problem"))
    page.js("tools.select()")
    page.type(json.dumps([{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]))
    equal(page.text("#tools-problem"), "")
    page.key("Escape")
    send(page, "call the tool")
    equal(server.requests[-1]["tools"][0]["function"]["name"], "get_weather")
    expect("Calls get_weather" in page.text(".call"), page.text(".call"))
    expect('"city": "Tampere"' in page.text(".call code"), page.text(".call code"))
    rules(page, "a call")
    page.click(".results textarea")
    page.type("4 degrees")
    page.click(".results button")
    page.wait("document.querySelectorAll('.assistant').length === 2")
    page.wait(DONE)
    equal(page.text(".assistant:last-child .answer"), "It is 4 degrees there.")
    sent = server.requests[-1]["messages"]
    equal([m["role"] for m in sent], ["user", "assistant", "tool"])
    equal(sent[1]["tool_calls"][0], {"id": "call-1", "type": "function", "function": {"name": "get_weather", "arguments": scripted.CALL}})
    equal(sent[2]["tool_call_id"], "call-1")
    equal(page.count(".results"), 0)
    rules(page, "a result")


@test
def problems(page, server):
    send(page, "break")
    equal(page.text(".answer"), "This breaks")
    expect("connection" in page.text(".problem:not(.hidden)"), page.text(".problem"))
    rules(page, "a problem")
    send(page, "fault")
    expect("The device was lost." in page.text(".assistant:last-child .problem"), "the server's words")
    send(page, "full")
    expect("4096" in page.text(".assistant:last-child .problem"), page.text(".problem"))
    server.requests.clear()
    send(page, "busy")
    expect("Too many" in page.text(".assistant:last-child .problem"), page.text(".problem"))
    page.click(".assistant:last-child .problem button")
    page.wait("document.querySelector('.assistant:last-child .answer')?.textContent.startsWith('Answer')")
    page.wait(DONE)
    equal(page.count(".assistant:last-child .place"), 0, "an answer takes the place of nothing")
    # but not where the conversation went on
    page.js("[...document.querySelectorAll('.problem:not(.hidden)')].at(-1).querySelector('button').click()")
    page.wait("document.querySelector('.assistant:last-child .place')?.textContent === '2/2'")
    page.wait(DONE)
    page.click(".assistant:last-child [aria-label='Earlier version']")
    page.wait("document.querySelector('.assistant:last-child .answer').textContent.startsWith('Answer')")
    send(page, "cut")
    expect("Cut off" in page.text(".assistant:last-child .figures"), page.text(".figures"))


@test
def prompt_progress(page, server):
    send(page, "progress", wait=False)
    page.wait("/Reading the prompt, [2468]0 %/.test(document.querySelector('.waiting:not(.hidden)')?.textContent)")
    page.wait(DONE)
    equal(page.count(".waiting:not(.hidden)"), 0)


@test
def loading(page, server):
    server.loading = 0.25
    page.go(server.address + "/?")
    page.wait("document.getElementById('banner').textContent.includes('25 %')")
    rules(page, "loading")
    send(page, "hello")
    expect("being loaded" in page.text(".problem"), page.text(".problem"))
    server.loading = 0.75
    page.wait("document.getElementById('banner').textContent.includes('75 %')")
    server.loading = None
    page.wait("document.getElementById('banner').classList.contains('hidden')")
    page.click(".problem button")
    page.wait("document.querySelector('.assistant .answer').textContent.startsWith('Answer')")


@test
def works_when_the_server_is_away(page, server):
    send(page, "hello")
    send(page, "script")
    port = server.server_port
    server.stop()
    send(page, "are you there")
    expect("can’t be reached" in page.text(".assistant:last-child .problem"), page.text(".problem"))
    page.wait("document.getElementById('banner').textContent.includes('away')")
    rules(page, "away")
    page.key("n", ALT)
    equal(page.text("#title"), "New conversation")
    page.js("document.querySelector('#list a').click()")
    page.wait("document.querySelectorAll('.message').length === 6")
    page.click("#settings-open")
    page.key("Escape")
    page.key("k", CTRL)
    page.type("hello")
    page.wait("document.getElementById('search-result').textContent === '1 found'")
    again = scripted.Server(port)
    try:
        page.wait("document.getElementById('banner').classList.contains('hidden')", 15)
        page.click(".assistant:last-child .problem button")
        page.wait("document.querySelector('.assistant:last-child .answer')?.textContent.startsWith('Answer')")
    finally:
        again.stop()


@test
def first_token_is_soon_on_screen(page, server):
    """From the server's clock to the change of the document, and to the picture behind it."""
    page.js("""
        window.marks = [];
        new MutationObserver(() => {
            const prose = document.querySelector('.assistant:last-child .answer');
            const sent = /at (\\d+\\.\\d+)/.exec(prose?.textContent)?.[1];
            if (!sent || marks.some((mark) => mark.sent === sent)) return;
            const mark = { sent, changed: performance.timeOrigin + performance.now() - sent };
            marks.push(mark);
            requestAnimationFrame(() => { const port = new MessageChannel(); port.port1.onmessage = () => {
                mark.seen = performance.timeOrigin + performance.now() - sent; }; port.port2.postMessage(0); });
        }).observe(document.getElementById('messages'), { subtree: true, childList: true, characterData: true });""")
    for _ in range(12):
        send(page, "now")
    marks = page.js("marks")
    equal(len(marks), 12)
    changed, seen = ([mark[name] for mark in marks] for name in ("changed", "seen"))
    print(f"   first token, ms: changed {statistics.median(changed):.1f} (at most {max(changed):.1f}), "
          f"seen {statistics.median(seen):.1f} (at most {max(seen):.1f})")
    expect(statistics.median(changed) <= FIRST_TOKEN_MS, changed)
    expect(statistics.median(seen) <= FIRST_TOKEN_MS, seen)


@test
def buttons_by_chance(page, server):
    """A hundred things that a person may press in any order: nothing is thrown, and all of it is kept."""
    chance = random.Random(20261129)
    said = ("hello", "think", "call", "slow", "fault", "break", "full", "busy", "cut", "script", "progress")
    for _ in range(100):
        action = chance.random()
        if action < 0.35:
            page.js("document.getElementById('draft').focus()")
            page.type(chance.choice(said))
            page.key("Enter")
        elif action < 0.45:
            page.key("Escape")
        elif action < 0.52:
            page.key("n", ALT)
        else:
            page.js("""(() => {
                const all = [...document.querySelectorAll('main button, #list a, #list button, summary, dialog[open] button')]
                    .filter((e) => e.checkVisibility() && !e.disabled && e.id !== 'attach');
                all[%d %% all.length]?.click();
            })()""" % chance.randrange(10000))
        time.sleep(chance.random() * 0.05)
    page.js("document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close())")
    page.js("document.querySelector('#send[aria-label=Stop]')?.click()")
    # others go on behind: the slow one takes 20 s
    page.wait("!document.querySelector('#send[aria-label=Stop], #list .busy')", 60)
    page.js("document.querySelector('#list a')?.click()")
    time.sleep(0.5)
    page.js("document.querySelectorAll('.editing [type=button]').forEach((cancel) => cancel.click())")
    shown = "[...document.querySelectorAll('.message')].map((e) => [e.dataset.id, e.querySelector('.plain, .answer')?.textContent])"
    before = page.js(shown)
    page.reload()
    equal(page.js(shown), before, "after a reload")
