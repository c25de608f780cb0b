# SPDX-License-Identifier: MIT
"""The list of conversations, settings, files."""
import json
import os
import tempfile
import time

from browser import ALT, CTRL
from steps import DONE, equal, expect, rules, send, test, titles


@test
def search_rename_delete(page, server):
    for text in ("apples are red", "bananas are yellow", "cherries too"):
        page.key("n", ALT)
        send(page, text)
    equal(titles(page), ["cherries too", "bananas are yellow", "apples are red"])
    page.key("k", CTRL)
    equal(page.focus(), "search")
    page.type("YELLOW")
    page.wait("document.querySelectorAll('#list a').length === 1")
    equal(page.text("#search-result"), "1 found")
    page.key("Enter")
    page.key("Enter")
    page.wait("document.getElementById('title').textContent === 'bananas are yellow'")
    page.js("search.focus(); search.select()")
    page.type("answer cherries")
    page.wait("document.querySelector('#list a')?.textContent === 'cherries too'")
    page.js("search.focus()")
    page.key("Escape")
    page.wait("document.querySelectorAll('#list a').length === 3")
    page.js("document.querySelector('#list a').focus()")
    page.key("ArrowDown")
    page.key("F2")
    page.js("document.activeElement.select()")
    page.type("Yellow things")
    page.key("Enter")
    page.wait("document.activeElement.textContent === 'Yellow things'")
    equal(page.text("#title"), "Yellow things")
    page.key("ArrowDown")
    page.key("Delete")
    page.wait("document.getElementById('delete-dialog').open")
    rules(page, "the question")
    page.key("Escape")
    equal(len(titles(page)), 3, "Esc keeps it")
    page.key("Delete")
    page.click("#delete-dialog .danger")
    page.wait("document.querySelectorAll('#list a').length === 2")
    expect(page.focus() in ("Yellow things", "cherries too"), page.focus())
    page.reload()
    equal(titles(page), ["cherries too", "Yellow things"])


@test
def many_conversations(page, server):
    file = {"format": "stoker-conversations", "version": 1, "conversations": [
        {"id": f"c{i}", "title": f"Number {i}", "created": i, "changed": i, "settings": {}, "chosen": {}, "messages": [
            {"id": f"m{i}", "parent": "", "role": "user", "content": f"text {i}", "created": i}]} for i in range(1000)]}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "many.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(file, out)
        page.files("#import-file", [path])
        page.wait("document.getElementById('toast').textContent === '1000 imported.'", 30)
    page.wait("document.querySelectorAll('#list a').length === 200")
    page.click("#list > .button")
    page.wait("document.querySelectorAll('#list a').length === 1000")
    page.click("#search")
    page.type("text 777")
    page.wait("document.querySelectorAll('#list a').length === 1")


@test
def deleted_and_renamed_while_it_answers(page, server):
    send(page, "slow one", wait=False)
    page.wait("document.querySelector('#list a')")
    page.js("document.querySelector('#list a').focus()")
    page.key("F2")
    page.js("document.activeElement.select()")
    page.type("Renamed")
    page.key("Enter")
    page.wait("document.activeElement.textContent === 'Renamed'")
    page.key("n", ALT)
    page.js("document.querySelector('#list a').focus()")
    page.key("F2")
    page.js("document.activeElement.select()")
    page.type("Again")
    page.key("Enter")
    page.wait("document.activeElement.textContent === 'Again'")
    page.key("Enter")
    page.wait("document.getElementById('title').textContent === 'Again'")
    page.key("Escape")
    page.wait(DONE)
    page.wait("document.querySelector('#list a').textContent === 'Again'")
    send(page, "slow two", wait=False)
    page.wait("document.querySelector('.assistant:last-child .answer').textContent.includes('word3')")
    page.js("document.querySelector('#list a').focus()")
    page.key("Delete")
    page.click("#delete-dialog .danger")
    page.wait("document.querySelector('#list .nothing')")
    time.sleep(0.5)
    page.reload()
    equal(titles(page), [], "it doesn't come back")
    equal(len(server.hung_up), 2, "the server has been told")


@test
def draft_is_measured(page, server):
    page.js("document.getElementById('draft').focus()")
    page.type("word " * 512)
    page.wait("document.getElementById('gauge').getAttribute('aria-valuetext') === '512 of 2,048 tokens'")


@test
def export_and_import(page, server):
    send(page, "think of it")
    send(page, "more")
    page.click(".assistant:last-child [aria-label='Answer again']")
    page.wait(DONE)
    with tempfile.TemporaryDirectory() as folder:
        page.browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder, browserContextId=page.context)
        page.click("#export")
        end = time.monotonic() + 5
        while not [name for name in os.listdir(folder) if name.endswith(".json")]:
            expect(time.monotonic() < end, "no file comes")
            time.sleep(0.05)
        path = os.path.join(folder, os.listdir(folder)[0])
        with open(path, encoding="utf-8") as file:
            saved = json.load(file)
        equal(len(saved["conversations"][0]["messages"]), 5)
        other = page.browser.page(server.address + "/")
        other.files("#import-file", [path])
        other.wait("document.querySelectorAll('#list a').length === 1")
        equal(other.text("#toast"), "1 imported.")
        other.click("#list a")
        other.wait("document.querySelectorAll('.message').length === 4")
        equal(other.text(".assistant:last-child .place"), "2/2")
        other.files("#import-file", [path])
        other.wait("document.getElementById('toast').textContent.includes('were here already')")
        broken = os.path.join(folder, "broken")
        conversation = saved["conversations"][0]
        for content, said in (("{", "isn’t JSON"), ('{"format": "other"}', "doesn’t hold"),
                              (json.dumps({**saved, "conversations": [{**conversation, "id": "x", "messages": [{**conversation["messages"][0], "parent": "nobody"}]}]}), "doesn’t follow"),
                              (json.dumps({**saved, "conversations": [{"id": "<b>"}]}), "is broken")):
            with open(broken, "w", encoding="utf-8") as file:
                file.write(content)
            other.files("#import-file", [broken])
            other.wait(f"document.getElementById('toast').textContent.includes({json.dumps(said)})")
        equal(other.errors, [])
        other.close()


@test
def two_conversations_at_once(page, server):
    send(page, "slow one", wait=False)
    page.wait("document.querySelector('.assistant .answer')?.textContent.includes('word2')")
    page.key("n", ALT)
    send(page, "hello")
    equal(page.text(".assistant .answer"), "Answer 1 to: hello")
    equal(page.count("#list .busy"), 1)
    page.js("[...document.querySelectorAll('#list a')].find((a) => a.textContent === 'slow one').click()")
    page.wait("document.querySelector('.assistant .answer')?.textContent.includes('word12')")
    page.key("Escape")
    page.wait(DONE)


@test
def settings(page, server):
    page.click("#settings-open")
    page.wait("document.getElementById('set-temperature').placeholder === '0.8'")
    rules(page, "settings")
    page.js("system.focus()")
    page.type("Be brief.")
    for name, value in (("temperature", "0.3"), ("top_k", "7"), ("seed", "42"), ("max_tokens", "100"), ("repeat_penalty", "1.1")):
        page.js(f"document.getElementById('set-{name}').focus()")
        page.type(value)
    page.js("document.getElementById('set-top_p').focus()")
    page.type("7")
    equal(page.js("document.getElementById('set-top_p').getAttribute('aria-invalid')"), "true")
    expect("0 to 1" in page.text("#hint-top_p"), page.text("#hint-top_p"))
    page.js("reasoning.value = 'off'; reasoning.dispatchEvent(new Event('input'))")
    page.key("Escape")
    page.wait("!document.getElementById('settings').open")
    page.js("model.value = 'large-30b'; model.dispatchEvent(new Event('change'))")
    send(page, "hello")
    sent = server.requests[-1]
    wanted = {"temperature": 0.3, "top_k": 7, "seed": 42, "max_tokens": 100, "repeat_penalty": 1.1, "model": "large-30b",
              "chat_template_kwargs": {"enable_thinking": False}}
    equal({name: sent.get(name) for name in wanted}, wanted)
    expect("top_p" not in sent and "min_p" not in sent, "what isn't set, or not well, isn't sent")
    equal(sent["messages"][0], {"role": "system", "content": "Be brief."})
    page.reload()
    equal(page.js("document.getElementById('set-temperature').value"), "0.3")
    equal(page.js("model.value"), "large-30b")
    page.key("n", ALT)
    equal(page.js("system.value"), "Be brief.", "a new conversation begins with them")


@test
def models(page, server):
    page.wait("model.value === 'smol-135m'")
    send(page, "hello")
    expect("model" not in server.requests[-1], "the server chooses while nobody does")
    page.js("model.value = 'large-30b'; model.dispatchEvent(new Event('change'))")
    page.click("[aria-label='Answer again']")
    page.wait("document.querySelector('.assistant .place')")
    page.wait(DONE)
    expect(page.text(".figures").startswith("large-30b"), page.text(".figures"))
    page.click("[aria-label='Earlier version']")
    page.wait("document.querySelector('.figures').textContent.startsWith('smol-135m')")
    server.models = ("another",)
    page.reload()
    page.wait("model.value === 'another'")
    send(page, "hello again")
    expect("model" not in server.requests[-1], "one that isn't there any more isn't asked for")


@test
def attachments(page, server):
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, data in (("notes.txt", b"alpha ```beta``` gamma"), ("picture.bin", b"\x89PNG\0\xff"), ("large.txt", b"x" * (1 << 20) + b"x")):
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "wb") as file:
                file.write(data)
        page.files("#attach-file", paths[:1])
        page.wait("document.querySelectorAll('#attachments li').length === 1")
        page.files("#attach-file", paths[1:2])
        page.wait("document.getElementById('toast').textContent.includes('isn’t text')")
        page.files("#attach-file", paths[2:])
        page.wait("document.getElementById('toast').textContent.includes('1.0 MiB')")
        equal(page.count("#attachments li"), 1)
        rules(page, "an attachment")
        send(page, "what is it")
        content = server.requests[-1]["messages"][0]["content"]
        equal(content, "File notes.txt:\n````\nalpha ```beta``` gamma\n````\n\nwhat is it")
        expect("notes.txt" in page.text(".user .chip"), "it is shown with the message")
        page.js("""(() => {
            const data = new DataTransfer();
            data.items.add(new File(['dropped'], 'dropped.md'));
            document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
        })()""")
        page.wait("document.querySelector('#attachments')?.textContent.includes('dropped.md')")
        page.click("#attachments button")
        equal(page.count("#attachments li"), 0)


@test
def key(page, server):
    server.key = "secret"
    page.go(server.address + "/?")
    page.wait("document.getElementById('key-dialog').open")
    rules(page, "the key's dialog")
    page.type("wrong")
    page.key("Enter")
    page.wait("!document.getElementById('key-dialog').open")
    send(page, "hello", wait=False)
    page.wait("document.getElementById('key-dialog').open")
    page.type("secret")
    page.key("Enter")
    page.wait("document.querySelector('.assistant .answer')?.textContent.startsWith('Answer')")
    equal(page.js("JSON.stringify(localStorage).includes('secret')"), False, "it isn't kept for long")
    page.wait("document.getElementById('model').value === 'smol-135m'")
