# SPDX-License-Identifier: MIT
"""How it looks, and who can use it."""
import os
import tempfile
import time

import scripted
from browser import CTRL
from steps import DONE, equal, expect, rules, send, test


@test
def themes(page, server):
    send(page, "table")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.js(ground)
    rules(page, "light")
    page.media(prefers_color_scheme="dark")
    dark = page.js(ground)
    expect(light != dark, "the system's wish")
    rules(page, "dark")
    page.click("#theme")
    equal(page.js("document.documentElement.dataset.theme"), "light")
    equal(page.js(ground), light)
    page.click("#theme")
    page.media(prefers_color_scheme="light")
    equal(page.js(ground), dark)
    page.reload()
    equal(page.js(ground), dark, "it is kept")
    for opener, name in (("#settings-open", "settings"), ("#keys", "keys")):
        page.click(opener)
        rules(page, f"{name}, dark")
        page.key("Escape")


@test
def every_state_in_both_themes(page, server):
    send(page, "fault")
    send(page, "full")
    send(page, "call")
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"text")
        file.flush()
        page.files("#attach-file", [file.name])
        page.wait("document.querySelector('#attachments li')")
    page.click(".user [aria-label=Edit]")
    server.loading = 0.5
    page.js("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait("document.querySelector('.banner')")
    send(page, "slow", wait=False)
    for scheme in ("light", "dark"):
        page.media(prefers_color_scheme=scheme)
        page.js("new Promise((done) => setTimeout(done, 300))")
        rules(page, f"all at once, {scheme}")
    page.key("k", CTRL)
    page.type("nowhere to be found")
    page.wait("document.querySelector('#list .nothing')")
    rules(page, "nothing found, dark")


@test
def narrow(page, server):
    page.size(320, 568, mobile=True)
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    rules(page, "empty, 320 px")
    send(page, "table")
    send(page, "a" * 200)
    equal(page.js("document.scrollingElement.scrollWidth"), 320)
    rules(page, "320 px")
    for selector in ("#settings-open", "#sidebar-open"):
        page.click(selector)
        page.js("new Promise((done) => setTimeout(done, 250))")
        equal(page.js("document.scrollingElement.scrollWidth"), 320, selector)
        rules(page, f"{selector}, 320 px")
        page.key("Escape")
    equal(page.focus(), "sidebar-open", "the focus returns")
    page.click("#sidebar-open")
    page.click("#list a")
    page.wait("!document.body.classList.contains('sidebar-open')")


@test
def wide_and_large_text(page, server):
    send(page, "table")
    for width in (320, 640, 900, 1600, 2560):
        page.size(width, 800)
        rules(page, f"{width} px")
    page.size(1280, 800)
    page.js("document.documentElement.style.fontSize = '200%'")
    rules(page, "text twice as large")


@test
def reduced_motion(page, server):
    page.media(prefers_reduced_motion="reduce")
    time.sleep(0.3)  # what had begun before is over
    send(page, "silent", wait=False)
    page.wait("document.querySelector('.dots i')")
    long = page.js("document.getAnimations().filter((a) => a.effect.getTiming().iterations === Infinity || a.effect.getTiming().duration > 10)"
                   ".map((a) => `${a.animationName || a.transitionProperty} ${a.effect.target.className}`)")
    equal(long, [], "nothing moves")
    page.key("Escape")


@test
def keyboard_only(page, server):
    """From the first Tab to a conversation that is searched, edited and answered again; no mouse."""
    page.reload()
    equal(page.focus(), "draft", "one can write at once")
    page.type("hello")
    page.key("Enter")
    page.wait(DONE)
    page.js("document.activeElement.blur()")
    page.key("/")
    equal(page.focus(), "draft")
    page.js("document.activeElement.blur()")
    page.key("?")
    page.wait("document.getElementById('keys-dialog').open")
    page.key("Escape")
    page.wait("!document.getElementById('model').disabled")  # once the server has said what there is
    order = ["Skip to the message field"]
    page.js("document.querySelector('.skip').focus()")
    for _ in range(40):
        page.key("Tab")
        name = page.focus()
        if name in ("BODY", order[0]):
            break
        order.append(name)
        visible = page.js("(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== 'none' && s.outlineWidth !== '0px'"
                          " || document.activeElement.closest('#composer') !== null || document.activeElement === document.body; })()")
        expect(visible, f"the focus can be seen: {name}")
    wanted = ["Skip to the message field", "new", "search", "hello", "Rename “hello”", "Delete “hello”", "import", "export",
              "theme", "keys", "model", "settings-open"]
    equal(order[:len(wanted)], wanted, "order of focus")
    rest = order[len(wanted):]
    expect(rest.index("Copy") < rest.index("Answer again") < rest.index("draft") < rest.index("attach") < rest.index("send"), rest)
    # edit by keys alone
    page.js("document.querySelector('.user [aria-label=Edit]').focus()")
    page.key("Enter")
    page.js("document.activeElement.select()")
    page.type("changed")
    page.key("Enter")
    page.wait("document.querySelector('.user .plain')?.textContent === 'changed'")
    page.wait(DONE)
    page.js("document.querySelector('[aria-label=\"Earlier version\"]').focus()")
    page.key(" ")
    page.wait("document.querySelector('.user .plain')?.textContent === 'hello'")
    # where a button goes, the focus isn't lost
    page.js("document.querySelector('[aria-label=\"Answer again\"]').focus()")
    page.key("Enter")
    page.wait(DONE)
    equal(page.focus(), "send")
    page.js("document.getElementById('draft').focus()")
    page.type("table")
    page.key("Enter")
    page.wait(DONE)
    page.key("PageUp")
    page.wait("document.getElementById('scroll').scrollTop + document.getElementById('scroll').clientHeight < document.getElementById('scroll').scrollHeight - 100")
    equal(page.focus(), "draft")
    # dialogs keep the focus, and give it back
    page.js("document.getElementById('settings-open').focus()")
    page.key("Enter")
    page.wait("document.getElementById('settings').open")
    for _ in range(30):
        page.key("Tab")
        expect(page.js("document.activeElement.closest('dialog') !== null || document.activeElement === document.body"), page.focus())
    page.key("Escape")
    equal(page.focus(), "settings-open")


@test
def announcements(page, server):
    page.js("""window.said = [];
        new MutationObserver((changes) => changes.forEach((c) => c.addedNodes.forEach((n) => said.push(n.textContent))))
            .observe(document.getElementById('announcer'), { childList: true });""")
    send(page, "think")
    send(page, "table")
    said = page.js("said")
    expect("Thinking." in said and "Four." in said, said)
    expect(any(text.startswith("Peat, coal and oak differ") or "Peat, coal and oak differ" in text.replace("  ", " ") for text in said), said)
    expect(not any("mass_kg" in text for text in said), "code is named, not read out")
    expect(len(said) < 40, f"sentences, not tokens: {len(said)}")
    send(page, "break")
    page.wait("said.some((text) => text.includes('failed'))")


@test
def the_files(page, server):
    folder = scripted.PAGE
    total = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
    print(f"   {total / 1024:.0f} KiB in {len(os.listdir(folder))} files")
    expect(total < 140 << 10, f"{total} bytes")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text = file.read()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "style=", "http://", "cdn"):
            expect(word not in text or (word == "http://" and "www.w3.org" in text), f"{name}: {word}")
    page.js("new Promise((done) => setTimeout(done, 100))")
