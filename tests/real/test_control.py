# SPDX-License-Identifier: MIT
"""What people type never becomes a control token.

All control tokens of real vocabularies are typed into messages, for all templates: alone, between
words, and all of them one after the other.  Of the ids only those may be control tokens that the
template's own text gives by itself; and what was typed is inside the spans of messages.

usage: test_control.py BATCH OURS MODEL... [--published FOLDER]
"""

import argparse
import glob
import json
import os
from collections import Counter

import gguf
from batch import Batch
from report import Report

CONTROL, UNKNOWN = 3, 2
MARK = "«7»"  # no template has it


def lists(typed):
    """Lists of messages that say it in every role."""
    user, answer = {"role": "user", "content": typed}, {"role": "assistant", "content": typed}
    call = {"id": "abcdefgh1", "type": "function", "function": {"name": typed, "arguments": {typed: typed}}}
    yield [user], {}
    yield [{"role": "system", "content": typed}, user, answer, user], {}
    yield [user, {**answer, "reasoning_content": typed}, user], {}
    yield [
        user,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": typed, "tool_call_id": "abcdefgh1", "name": typed},
        user,
    ], {}
    tool = {"name": typed, "description": typed, "parameters": {"type": "object", "properties": {typed: {"type": "string", "description": typed}}}}
    yield [user], {"tools": json.dumps([{"type": "function", "function": tool}], ensure_ascii=False)}


class Check:
    def __init__(self, batch, path):
        metadata = gguf.File(path).metadata
        words, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
        self.control = {i for i, kind in enumerate(kinds) if kind in (CONTROL, UNKNOWN)}
        # all of them in one message, but by itself only some of each shape: <unused17>
        shapes = Counter()
        self.words = []
        for i in sorted(self.control):
            shape = "".join("0" if c.isdigit() else c for c in words[i])
            shapes[shape] += 1
            if words[i] and shapes[shape] <= 3:
                self.words.append(words[i])
        self.words.append(" ".join(words[i] for i in sorted(self.control)))
        self.render = Batch(batch, "templates", path)
        self.tokens = Batch(batch, "tokens", path)
        self.count = 0
        self.wrong = []

    def of_template(self, text, spans):
        """How many control tokens the template's own pieces of text have, each by itself."""
        raw, count, at = text.encode(errors="surrogateescape"), 0, 0
        for begin, end in [*spans, [len(raw), len(raw)]]:
            if begin > at:
                piece = raw[at:begin].decode(errors="surrogateescape")
                ids = self.tokens.ask({"text": piece, "special": True})["ids"]
                count += sum(i in self.control for i in ids)
            at = max(at, end)
        return count

    def add(self, what, template, word):
        for form in (word, MARK + word + MARK):
            for messages, more in lists(form):
                case = {"template": template, "messages": json.dumps(messages, ensure_ascii=False), "answer": True,
                        "now": 1764330000, **more}  # fmt: skip
                answer = self.render.ask(case)
                if "error" in answer:
                    continue
                self.count += 1
                text, spans = answer["text"], answer["spans"]
                found = sum(i in self.control for i in answer["ids"])
                # one more that begins the text
                most = self.of_template(text, spans) + 1
                if found > most:
                    self.wrong.append(f"{what}: {form[:80]!r}: {found} control tokens, at most {most} are the template's")
                raw = text.encode(errors="surrogateescape")
                for at in positions(raw, MARK.encode()):
                    if not any(b <= at and at + len(MARK.encode()) <= e for b, e in spans):
                        self.wrong.append(f"{what}: {form[:80]!r}: byte {at} is said to be the template's")
                        break


def positions(raw, wanted):
    at = raw.find(wanted)
    while at >= 0:
        yield at
        at = raw.find(wanted, at + 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("batch")
    parser.add_argument("ours")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--published")
    options = parser.parse_args()
    report = Report()
    folders = [options.ours] + ([options.published] if options.published else [])
    templates = {}
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "*.jinja"))):
            with open(path, newline="") as f:
                templates[os.path.basename(path)] = f.read()
    for path in options.models:
        check = Check(options.batch, path)
        for name, template in templates.items():
            for word in check.words:
                check.add(name, template, word)
        for line in check.wrong[:5]:
            print(f"  {line}")
        report.check(
            not check.wrong,
            f"{os.path.basename(path)}: {len(check.control)} control tokens typed, "
            f"{len(templates)} templates, {check.count} prompts, {len(check.wrong)} wrong",
        )
    report.close()


main()
