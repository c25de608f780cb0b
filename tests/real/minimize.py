# SPDX-License-Identifier: MIT
"""Makes a template smaller for as long as it still shows what it is to show."""

import re

PIECES = re.compile(r"(\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\})", re.S)


def without_runs(pieces, shows):
    """Leaves out runs of pieces, long ones first."""
    size = max(1, len(pieces) // 2)
    while size:
        at = 0
        while at < len(pieces):
            shorter = pieces[:at] + pieces[at + size :]
            if shows("".join(shorter)):
                pieces = shorter
            else:
                at += 1
        size //= 2
    return pieces


def groups(text):
    """Where balanced parentheses begin and end, outer ones first."""
    found, open_ = [], []
    for i, c in enumerate(text):
        if c == "(":
            open_.append(i)
        elif c == ")" and open_:
            found.append((open_.pop(), i + 1))
    return sorted(found, key=lambda g: g[0] - g[1])


def simpler(text):
    """Shorter forms of one {{ }} or {% %}."""
    head = re.match(r"(\{%[-+]?\s*(?:if|elif|set \w+ =|for .*? in)\s|\{\{-?)(.*?)(\s*[-+]?[%}]\})$", text, re.S)
    for begin, end in groups(text):
        inner = text[begin + 1 : end - 1]
        yield text[:begin] + inner + text[end:]
        for leaf in ("'a'", "1", "true", "none"):
            yield text[:begin] + leaf + text[end:]
        if head:
            yield head[1] + " " + inner + head[3]
    for found in re.finditer(r"\|\w+(\([^()]*\))?|\.\w+\([^()]*\)|\[[^\[\]]*\]", text):
        yield text[: found.start()] + text[found.end() :]


def minimize(template, shows, effort=2000):
    """@shows(template) says whether it still does."""
    pieces = [p for p in PIECES.split(template) if p]
    tries = effort

    def limited(text):
        nonlocal tries
        tries -= 1
        return tries > 0 and shows(text)

    pieces = without_runs(pieces, limited)
    changed = True
    while changed and tries > 0:
        changed = False
        for i, piece in enumerate(pieces):
            for shorter in simpler(piece):
                if len(shorter) < len(piece) and limited("".join(pieces[:i] + [shorter] + pieces[i + 1 :])):
                    pieces[i] = shorter
                    changed = True
                    break
    return "".join(without_runs(pieces, limited))
