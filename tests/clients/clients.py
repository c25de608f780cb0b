# SPDX-License-Identifier: MIT
"""Programs of others talk to our server: clients.py STOKER MODEL OTHER [--only NAME,...] [--update] [--url URL].

The table of what each can do stands in docs/CLIENTS.md, which --update writes."""

import argparse
import importlib
import importlib.metadata
import os
import re
import subprocess

from matrix import Matrix
from server import Crowd, Other, Server

CLIENTS = {"openai": "openai", "ollama": "ollama", "anthropic": "anthropic", "llm": "llm",
           "langchain": "langchain-openai", "curl": None}
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "CLIENTS.md")
BEGIN, END = "<!-- tests/clients/clients.py -->", "<!-- end -->"


def version(name):
    if CLIENTS[name]:
        return CLIENTS[name], importlib.metadata.version(CLIENTS[name])
    text = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    return name, re.match(r"curl (\S+)", text).group(1)


def page_with(lines):
    with open(PAGE, encoding="utf-8") as page:
        text = page.read()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return text, f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stoker")
    parser.add_argument("model")
    parser.add_argument("other", help="another model, so that names count")
    parser.add_argument("--only", default=",".join(CLIENTS))
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--url", help="of a server that runs already")
    options = parser.parse_args()
    matrix = Matrix()
    normal = Other(options.url) if options.url else Server(
        options.stoker, options.model, "-m", options.other, "--load-late", "--context", "1024")
    crowded = Other(options.url) if options.url else Server(options.stoker, options.model, *Crowd.CROWDED)
    with normal as server, crowded as busy:
        for name in options.only.split(","):
            try:
                features = importlib.import_module(f"test_{name}").features(server, busy)
            except Exception as error:  # not even the list of models
                matrix.check(False, f"{name}: {type(error).__name__}: {error}")
                continue
            matrix.client(*version(name), features)
    if not options.url:
        matrix.check(normal.status == 0 and crowded.status == 0, "the servers end as they should")
    print("\n" + "\n".join(matrix.lines()))
    if set(options.only.split(",")) == set(CLIENTS):
        old, new = page_with(matrix.lines())
        if options.update:
            with open(PAGE, "w", encoding="utf-8") as page:
                page.write(new)
        else:
            # curl is the system's, of any version
            same = [re.sub(r"curl [0-9.]+ *", "curl ", text) for text in (old, new)]
            matrix.check(same[0] == same[1], "docs/CLIENTS.md has this table (UPDATE=1 writes it)")
    matrix.close()


main()
