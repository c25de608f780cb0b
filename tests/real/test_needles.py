# SPDX-License-Identifier: MIT
"""Numbers hidden in a long text, asked for at its end: caches of fewer bits find the same ones.

A text of plain sentences has 1, 4 or 16 needles, "The number of NAME is N.", one of them at each of
five depths and the others between.  The model goes on from "The number of NAME is", greedily.  What
it finds with F16 it has to find with the others.
usage: test_needles.py STOKER MODEL [--long]
"""

import random
import re
import subprocess
import sys
import tempfile

NAMES = """Paris London Berlin Madrid Rome Vienna Prague Warsaw Lisbon Dublin Athens Oslo Helsinki
Budapest Brussels Stockholm""".split()
SENTENCES = [
    "The grass is green and the sky is blue.", "A river runs through the valley to the sea.",
    "People walk along the road every morning.", "The old house stands at the end of the street.",
    "In winter the days are short and the nights are long.", "Birds sing in the trees before the sun is up.",
    "The baker opens the shop early and sells fresh bread.", "Children play in the garden behind the school.",
]  # fmt: skip
DEPTHS = [0.05, 0.25, 0.5, 0.75, 0.95]
CACHES = {
    "f16": ["--kv", "f16"],
    "q8_0": ["--kv", "q8_0"],
    "keys q8_0, values q4_0": ["--kv-k", "q8_0", "--kv-v", "q4_0"],
}
WORDS_A_TOKEN = 0.8  # of these texts, with SmolLM2's vocabulary: fewer than there are


def prompt(tokens, needles, depth, seed):
    """The text, and the answer."""
    r = random.Random(seed)
    numbers = [str(r.randrange(1000, 10000)) for _ in range(needles)]
    text, words = [], 0
    while words < tokens * WORDS_A_TOKEN:
        text.append(r.choice(SENTENCES))
        words += len(text[-1].split())
    at = [depth] + [(i + 0.5) / needles for i in range(1, needles)]
    hidden = [(round(d * len(text)), f"The number of {NAMES[i]} is {numbers[i]}.") for i, d in enumerate(at)]
    for place, sentence in sorted(hidden, reverse=True):
        text.insert(place, sentence)
    return " ".join(text) + f" The number of {NAMES[0]} is", numbers[0]


def answer(stoker, model, path, tokens, cache):
    """The first number that the model goes on with."""
    out = subprocess.run(
        [stoker, "run", "-m", model, "-f", path, "-n", "8", "--temp", "0", "-c", str(tokens), "--json", *cache],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r'"text": *"\D*(\d+)', out)
    return found.group(1) if found else ""


def main():
    stoker, model = sys.argv[1:3]
    context = 8192 if "--long" in sys.argv[3:] else 1024
    passed = failed = 0
    right = dict.fromkeys(CACHES, 0)
    for needles in 1, 4, 16:
        for i, depth in enumerate(DEPTHS):
            text, wanted = prompt(context - 256, needles, depth, 100 * needles + i)
            with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
                file.write(text)
                file.flush()
                got = {name: answer(stoker, model, file.name, context, cache) for name, cache in CACHES.items()}
            for name in CACHES:
                right[name] += got[name] == wanted
            # what the model can't find anyway says nothing about a cache
            if got["f16"] != wanted:
                continue
            for name in list(CACHES)[1:]:
                if got[name] == wanted:
                    passed += 1
                    continue
                failed += 1
                print(f"FAILED: {needles} needles, depth {depth}, {name}: {got[name]}, hidden {wanted}", flush=True)
    counts = ", ".join(f"{count} with {name}" for name, count in right.items())
    print(f"numbers found of {3 * len(DEPTHS)} in {context} positions: {counts}")
    if right["f16"] < len(DEPTHS):
        print("FAILED: the model finds too few for this to say anything")
        failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


sys.exit(main())
