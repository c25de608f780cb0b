# SPDX-License-Identifier: MIT
"""llama.cpp's own tests of its server, against ours: llama.py STOKER MODEL CHECKOUT [--update].

Those that need its models, or what we leave out, are in llama_apart.txt with the reason; all others have to
pass.  docs/CLIENTS.md has both, which --update writes."""

import argparse
import collections
import fnmatch
import os
import re
import socket
import subprocess
import sys
import tempfile

from matrix import Report

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "CLIENTS.md")
BEGIN, END = "<!-- tests/clients/llama.py -->", "<!-- end -->"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(options):
    """{(file, test): (outcome, why)}"""
    folder = os.path.join(options.checkout, "tools", "server", "tests")
    with tempfile.TemporaryDirectory() as scratch:
        result = os.path.join(scratch, "result")
        environment = {**os.environ, "LLAMA_SERVER_BIN_PATH": os.path.join(HERE, "llama_server.py"),
                       "STOKER": os.path.abspath(options.stoker), "MODEL": os.path.abspath(options.model),
                       "PORT": str(free_port()), "PYTHONPATH": HERE, "TMPDIR": scratch, "RESULT": result,
                       "PYTHONDONTWRITEBYTECODE": "1",
                       "PATH": os.path.dirname(sys.executable) + ":" + os.environ["PATH"]}
        try:
            subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "llama_plugin", "-p", "no:cacheprovider",
                            *(["-k", options.only] if options.only else []), "unit"],
                           cwd=folder, env=environment, check=False, timeout=options.seconds,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            print(f"after {options.seconds} seconds the rest isn't waited for")
        with open(result, encoding="utf-8") as lines:
            fields = [line.rstrip("\n").split("\t") for line in lines]
        return {(file, test): (kind, why) for kind, file, test, why in fields}


def reasons():
    """[(pattern of FILE::TEST, why it isn't about us)]"""
    with open(os.path.join(HERE, "llama_apart.txt"), encoding="utf-8") as lines:
        return [tuple(line.rstrip("\n").split("\t")) for line in lines if line.strip() and line[0] != "#"]


def reason_of(name, apart):
    for pattern, why in apart:
        if fnmatch.fnmatchcase(name, pattern.replace("[", "[[]")):
            return why
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stoker")
    parser.add_argument("model")
    parser.add_argument("checkout")
    parser.add_argument("--only")
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    report, apart = Report(), reasons()
    passed, others = collections.Counter(), collections.defaultdict(collections.Counter)
    for (file, test), (kind, why) in sorted(run(options).items()):
        name = f"{file}::{test}"
        reason = reason_of(name, apart)
        if kind == "passed":
            passed[file] += 1
            report.check(True, name)
        elif kind == "skipped":
            others[file][f"skipped by itself: {re.sub('^Skipped: ', '', why)}"] += 1
            report.skip(name, why)
        elif reason:
            others[file][reason] += 1
            report.skip(name, reason)
        else:
            others[file]["fail"] += 1
            report.check(False, f"{name}: {why}")
    if options.update:
        update(passed, others)
    report.close()


def update(passed, others):
    lines = ["| file | pass | others |", "| --- | --- | --- |"]
    for file in sorted(set(passed) | set(others)):
        why = "; ".join(f"{count}: {reason}" for reason, count in others[file].most_common())
        lines.append(f"| {file}.py | {passed[file]} | {why} |")
    with open(PAGE, encoding="utf-8") as page:
        before, rest = page.read().split(BEGIN, 1)
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}" + rest.split(END, 1)[1])


main()
