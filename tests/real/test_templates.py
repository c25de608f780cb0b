# SPDX-License-Identifier: MIT
"""Rendered templates, byte for byte beside Python's Jinja2.

usage: test_templates.py BATCH OURS [--published FOLDER] [--generated COUNT] [--first SEED]

OURS is a folder of templates, FOLDER another one with those that models were published with.  Where
Jinja2 fails on a published one nothing is compared: what we make of it is our own matter.
"""

import argparse
import glob
import os
import sys
import warnings

import generate
import messages
import reference
from batch import Batch
from minimize import minimize
from report import Report

NOW = 1764330000  # the clock, for both
SHOWN, WIDTH = 5, 300

# Python's addresses of objects, also backwards, and what its limits of recursion or of integers say
INCOMPARABLE = (" at 0x", "x0 ta ", "<built-in method", "RecursionError", "OverflowError", "Exceeds the limit")

LIMIT = "more than 64 bits"  # ours, of whole numbers, where Python has none


class Comparison:
    def __init__(self, batch, report, strict, optimized=True):
        self.batch, self.report, self.strict = batch, report, strict
        self.environment = reference.environment(NOW, optimized)
        self.compiled = {}
        self.count = self.failures = self.left_out = 0
        self.wrong = []

    def compare(self, case):
        """"alike", "different" or "left out"; what both made of it"""
        theirs, error = reference.render(self.environment, self.compiled, case)
        if any(word.lower() in (error or theirs).lower() for word in INCOMPARABLE):
            return "left out", {}, theirs, error
        ours = self.batch.ask(case)
        if LIMIT in ours.get("error", ""):
            return "left out", ours, theirs, error
        if theirs is None:
            alike = "error" in ours or not self.strict
        else:
            alike = ours.get("text") == theirs
        return "alike" if alike else "different", ours, theirs, error

    def add(self, case):
        state, ours, theirs, error = self.compare(case)
        self.count += 1
        self.left_out += state == "left out"
        self.failures += state == "alike" and theirs is None
        if state == "different":
            self.wrong.append((case, ours, theirs, error))

    def show(self, small):
        for case, ours, theirs, error in self.wrong[:SHOWN]:
            print(f"  {case['name']}")
            if small:

                def shows(template, case=case):
                    self.compiled = {}
                    return self.compare({**case, "template": template})[0] == "different"

                case = {**case, "template": minimize(case["template"], shows)}
                _, ours, theirs, error = self.compare(case)
                print(f"    template  {case['template']!r}")
                print(f"    variables {case.get('variables')}\n    messages  {case['messages']}")
            begin = 0
            if "text" in ours and theirs is not None:
                begin = len(os.path.commonprefix([ours["text"], theirs]))
                print(f"    alike up to character {begin}, then")
            print(f"    ours      {ours.get('text', str(ours))[begin:][:WIDTH]!r}")
            print(f"    jinja2    {(error or theirs[begin:])[:WIDTH]!r}")

    def close(self, what, small=False):
        self.show(small)
        same = self.count - len(self.wrong) - self.left_out
        failures = "fail in both" if self.strict else "fail in Jinja2"
        left_out = f", {self.left_out} can't be compared" if self.left_out else ""
        self.report.check(
            not self.wrong,
            f"{what}: {same} of {self.count} alike, {self.failures} of them {failures}{left_out}",
        )


def folder(batch, report, path, what, strict):
    comparison = Comparison(batch, report, strict)
    files = sorted(glob.glob(os.path.join(path, "*.jinja")))
    for file in files:
        with open(file, newline="") as f:
            source = f.read()
        for case in messages.cases(source, NOW):
            case["name"] = f"{os.path.basename(file)}: {case['name']}"
            comparison.add(case)
    comparison.close(f"{len(files)} {what} x {len(messages.LISTS)} lists of messages")


def generated(batch, report, first, count):
    # constants that are computed beforehand get away with what is an error otherwise: false[1:] == 1
    comparison = Comparison(batch, report, True, optimized=False)
    for seed in range(first, first + count):
        comparison.add(generate.case(seed, NOW))
        comparison.compiled = {}
    comparison.close(f"{count} generated templates", small=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("batch")
    parser.add_argument("ours")
    parser.add_argument("--published")
    parser.add_argument("--generated", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    sys.setrecursionlimit(20000)
    warnings.simplefilter("ignore", SyntaxWarning)  # Python's, of what Jinja2 makes of a template
    batch, report = Batch(options.batch, "templates"), Report()
    folder(batch, report, options.ours, "templates of ours", True)
    if options.published:
        folder(batch, report, options.published, "published templates", False)
    else:
        report.skip("published templates", "no folder of them is given: TEMPLATES=llama.cpp/models/templates")
    generated(batch, report, options.first, options.generated)
    report.close()


main()
