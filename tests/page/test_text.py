# SPDX-License-Identifier: MIT
"""What a model may write, and how it is shown."""
import json

import scripted
from steps import DONE, HERE, equal, expect, send, test


@test
def hostile_text_stays_text(page, server):
    server_address = server.address
    send(page, "script")
    send(page, "<script>alert(10)</script><img src=x onerror=alert(11)>")
    equal(page.js("dialogs"), 0, "no dialog")
    equal(page.count("main script, main img, main iframe, main svg[onload], main b"), 0, "no element from text")
    expect("<script>alert(1)</script>" in page.text(".answer"), "it is shown as it is")
    links = page.js("[...document.querySelectorAll('.answer a')].map((a) => [a.href, a.rel])")
    equal(links, [["https://example.invalid/picture.png", "noopener noreferrer"], ["https://example.invalid/page", "noopener noreferrer"],
                  ["https://example.invalid/", "noopener noreferrer"]])
    expect("image, example.invalid" in page.text(".target"), "where a link goes is shown")
    page.reload()
    page.js("new Promise((done) => setTimeout(done, 300))")
    expect(all(url.startswith((server_address, "blob:", "data:", "about:")) for url in page.requests), page.requests)


@test
def markdown(page, server):
    send(page, "table")
    equal(page.count(".answer table"), 1)
    equal(page.text(".answer tbody tr:nth-child(2)"), "Coal24hot")
    equal(page.text(".answer .language"), "python")
    equal(page.count(".answer ol > li > ul > li"), 2)
    equal(page.text(".answer blockquote"), "Wood warms twice: when it is cut, and when it burns.")
    expect("$E = m \\cdot h$" in page.text(".answer"), "mathematics is left alone")
    equal(page.text(".answer strong"), "oak")
    equal(page.text(".answer a"), "the notes")
    equal(page.text(".answer .target"), "(example.org)")
    before = page.js("document.querySelector('.answer').innerHTML")
    page.reload()
    equal(page.js("document.querySelector('.answer').innerHTML"), before, "as a stream and as a whole it is the same")
    page.browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"], browserContextId=page.context)
    page.click("[data-copy=code]")
    copied = page.js("new Promise((done) => setTimeout(() => navigator.clipboard.readText().then(done), 200))")
    expect(copied.startswith("def heat(") and copied.endswith('MJ")'), copied)
    page.click(".assistant [data-copy=message]")
    copied = page.js("new Promise((done) => setTimeout(() => navigator.clipboard.readText().then(done), 200))")
    equal(copied, scripted.TABLE)


@test
def markdown_cases(page, server):
    """A table of texts and what becomes of them, whole and letter by letter."""
    with open(f"{HERE}/markdown.json", encoding="utf-8") as file:
        cases = json.load(file)
    wrong = page.js("""import('/markdown.js').then(({ Markdown }) => {
        const wrong = [];
        for (const [text, wanted] of %s) {
            for (const step of [text.length, 1, 3]) {
                const root = document.createElement('div');
                const markdown = new Markdown(root);
                for (let i = 0; i < text.length; i += step)
                    markdown.append(text.slice(i, i + step));
                markdown.finish();
                const got = root.innerHTML.replace(/ (target|rel|title|tabindex|role|aria-label|scope|class="code-bar")="[^"]*"/g, '').replace(/<div class="code-bar">.*?<\\/div>/g, '');
                if (got !== wanted)
                    wrong.push({ text, step, got, wanted });
            }
        }
        return wrong;
    })""" % json.dumps(cases))
    expect(not wrong, "\n".join(f"{one['text']!r} by {one['step']}:\n   {one['got']}\n   {one['wanted']}" for one in wrong))


@test
def markdown_by_chance(page, server):
    """Texts of marks that chance puts together: in pieces they become what they are as a whole, and never an element
    that the renderer doesn't make."""
    wrong = page.js("""import('/markdown.js').then(({ Markdown }) => {
        const PARTS = ['*', '**', '_', '`', '```', '~~', '~~~', '[', ']', '(', ')', '](https://a.example)', '!', '<', '>', '> ', '|', '| ', '|-|-|', '\\n', '\\n\\n',
            '\\n- ', '\\n  - ', '\\n1. ', '\\n    ', '\\n# ', '### ', '---', '$', '$$', '\\\\', '\\\\(', '&amp;', '<b>', '<script>', 'https://a.example/x', 'word', ' ', 'a', 'é',
            '🔥', '[x] ', ': ', '\\t', '\\r\\n', '    ', '=', '1.', '<br>'];
        const KNOWN = new Set('P UL OL LI H3 H4 H5 H6 BLOCKQUOTE HR DIV SPAN BUTTON SVG USE PRE CODE TABLE THEAD TBODY TR TH TD EM STRONG DEL A BR'.split(' '));
        let seed = %d;
        const chance = (n) => { seed = (Math.imul(seed, 1103515245) + 12345) >>> 0; return (seed >>> 8) %% n; };
        const wrong = [];
        const render = (text, next) => {
            const root = document.createElement('div'), markdown = new Markdown(root);
            for (let at = 0; at < text.length;) {
                const to = at + next();
                markdown.append(text.slice(at, to));
                at = to;
            }
            markdown.finish();
            return root;
        };
        for (let i = 0; i < 4000 && wrong.length < 5; i++) {
            let text = '';
            for (let n = chance(24) + 1; n; n--)
                text += PARTS[chance(PARTS.length)];
            try {
                const whole = render(text, () => text.length), pieces = render(text, () => 1 + chance(3));
                if (whole.innerHTML !== pieces.innerHTML.replaceAll('<ul class="">', '<ul>').replaceAll('<ol class="">', '<ol>'))
                    wrong.push({ text, whole: whole.innerHTML, pieces: pieces.innerHTML });
                for (const element of whole.querySelectorAll('*'))
                    if (!KNOWN.has(element.tagName.toUpperCase()) || (element.tagName === 'A' && !element.href.startsWith('https://a.example')))
                        wrong.push({ text, element: element.outerHTML });
            } catch (error) {
                wrong.push({ text, error: error.stack });
            }
        }
        return wrong;
    })""" % 20261129)
    expect(not wrong, "\n".join(map(str, wrong)))


@test
def long_answers_cost_what_is_new(page, server):
    """Ten times the text costs about ten times as long, also in one list and in pathological lines."""
    times = page.js("""import('/markdown.js').then(({ Markdown }) => {
        const kinds = {
            list: (n) => '- item with **bold** and `code`\\n'.repeat(n),
            code: (n) => '```\\n' + 'a line of code\\n'.repeat(n),
            paragraphs: (n) => 'Some words in a row.\\n\\n'.repeat(n),
            table: (n) => '| a | b |\\n| - | - |\\n' + '| one | **two** |\\n'.repeat(n),
        };
        const run = (text) => {
            const markdown = new Markdown(document.createElement('div'));
            const before = performance.now();
            for (let i = 0; i < text.length; i += 8)
                markdown.append(text.slice(i, i + 8));
            markdown.finish();
            return performance.now() - before;
        };
        const times = {};
        for (const [kind, make] of Object.entries(kinds)) {
            run(make(200));
            times[kind] = [run(make(200)), run(make(2000))];
        }
        const lines = { stars: '*a '.repeat(20000), brackets: '['.repeat(50000), ticks: '` `` '.repeat(20000), quotes: '>'.repeat(20000),
            links: '[a]('.repeat(20000), pipes: '|'.repeat(50000) + '\\n' + '|-'.repeat(25000) };
        for (const [kind, text] of Object.entries(lines)) {
            const before = performance.now();
            const markdown = new Markdown(document.createElement('div'));
            markdown.append(text);
            markdown.finish();
            times[kind] = performance.now() - before;
        }
        return times;
    })""")
    print("   ms:", {kind: [round(t) for t in value] if isinstance(value, list) else round(value) for kind, value in times.items()})
    for kind, value in times.items():
        if isinstance(value, list):
            expect(value[1] < 40 * max(value[0], 5), f"{kind}: {value}")
        else:
            expect(value < 1500, f"{kind}: {value} ms")


@test
def long_answer_streams(page, server):
    send(page, "long 3000", wait=False)
    page.wait(DONE, 30)
    equal(page.count(".answer li"), 3000)
