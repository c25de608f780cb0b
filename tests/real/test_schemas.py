# SPDX-License-Identifier: MIT
"""Grammars of JSON Schemas beside Python's jsonschema.

Of random schemas: texts of tokens drawn at random from what a grammar allows are valid, texts written by
another generator are matched, and what of them was spoilt is matched only where it is still valid.

usage: test_schemas.py BATCH MODEL [--count COUNT] [--first SEED] [--stoker STOKER] [--suite FOLDER]

STOKER writes some with MODEL itself.  FOLDER is a draft of the official JSON-Schema-Test-Suite: what of its
cases is supported is counted.
"""

import argparse
import collections
import datetime
import decimal
import glob
import ipaddress
import json
import os
import random
import re
import subprocess
import tempfile
import uuid

import jsonschema
from batch import Batch
from report import Report
from schemas import Generator, Writer

SHOWN = 5


def load(text):
    """Numbers keep all their digits."""
    return json.loads(text, parse_float=decimal.Decimal)


formats = jsonschema.FormatChecker(formats=())


def check_format(name, pattern=None):
    def decorate(function):
        def checked(text):
            if isinstance(text, str) and not (pattern is None or re.fullmatch(pattern, text, re.ASCII)):
                raise ValueError
            return not isinstance(text, str) or function(text) is not False

        formats.checks(name, raises=Exception)(checked)

    return decorate


check_format("date", r"\d{4}-\d\d-\d\d")(datetime.date.fromisoformat)
check_format("time", r"\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")(lambda t: datetime.time.fromisoformat(re.sub(r"\.\d+", "", t)))
check_format("date-time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")(
    lambda t: datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", t)))
check_format("uuid", r"[\da-fA-F]{8}(-[\da-fA-F]{4}){3}-[\da-fA-F]{12}")(uuid.UUID)
check_format("ipv4")(ipaddress.IPv4Address)
check_format("ipv6", r"[^%]*")(ipaddress.IPv6Address)
LABEL = r"(?!-)[0-9A-Za-z-]{1,63}(?<!-)"
check_format("hostname", rf"{LABEL}(\.{LABEL})*")(lambda t: len(t) <= 253)
check_format("email", rf"[0-9A-Za-z!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@{LABEL}(\.{LABEL})+")(
    lambda t: len(t) <= 254 and ".." not in t and not t.startswith(".") and ".@" not in t)
check_format("uri", r"[A-Za-z][0-9A-Za-z+.-]*:([0-9A-Za-z._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")(lambda t: None)


def validator(schema):
    """As grammars understand it: oneOf is anyOf."""

    def replace(s):
        if isinstance(s, dict):
            return {"anyOf" if k == "oneOf" and isinstance(v, list) else k: v if k in ("enum", "const") else replace(v) for k, v in s.items()}
        return [replace(e) for e in s] if isinstance(s, list) else s

    return jsonschema.Draft202012Validator(load(json.dumps(replace(schema))), format_checker=formats)


def spoil(r, text):
    """One edit."""
    i = r.randrange(len(text) + 1)
    kind = r.randrange(4)
    if kind == 0:
        return text[:i] + text[i + 1 :]
    if kind == 1:
        return text[:i] + r.choice('"\\,:{}[] 0159.-eatrué\n') + text[i:]
    if kind == 2:
        return text[:i] + r.choice('"\\,:{}[] 0159.-eatrué') + text[i + 1 :]
    j = min(len(text), i + r.randrange(1, 12))
    return text[:i] + text[i:j] + text[i:]


def is_valid(check, text):
    def once(pairs):
        return dict(pairs)

    try:
        value = json.loads(text, parse_float=decimal.Decimal, object_pairs_hook=once, parse_constant=lambda c: 1 / 0)
    except (ValueError, ZeroDivisionError):
        return False
    return check.is_valid(value)


class Counts(collections.Counter):
    """Of each kind of fault the one with the shortest schema is shown."""

    def __init__(self):
        super().__init__()
        self.shown = {}

    def wrong(self, what, seed, schema, text):
        self[what] += 1
        one = json.dumps(schema, ensure_ascii=False)
        if what not in self.shown or len(one) < len(self.shown[what][1]):
            self.shown[what] = (seed, one, text)

    def show(self):
        for what, (seed, schema, text) in self.shown.items():
            print(f"  {what}: seed {seed}\n    {schema}\n    {text!r}")


def random_schemas(batch, report, first, count):
    c = Counts()
    for seed in range(first, first + count):
        r = random.Random(seed)
        schema, write = Generator(seed).schema()
        check = validator(schema)
        good = [write(Writer(r)) for _ in range(8)]
        bad = [spoil(r, r.choice(good)) for _ in range(16)]
        answer = batch.ask({"schema": json.dumps(schema, ensure_ascii=False), "texts": good + bad, "walks": 4, "seed": seed})
        if "error" in answer:
            c.wrong("refused", seed, schema, answer["error"])
            continue
        c["schemas"] += 1
        for text, matches in zip(good, answer["matches"]):
            c["written"] += 1
            if not is_valid(check, text):
                c.wrong("written, but invalid", seed, schema, text)
            if not matches:
                c.wrong("valid, but not matched", seed, schema, text)
        for text, matches in zip(bad, answer["matches"][len(good) :]):
            c["spoilt"] += 1
            if matches and not is_valid(check, text):
                c.wrong("matched, but invalid", seed, schema, text)
        for text in answer["walks"]:
            c["drawn" if text is not None else "without end"] += 1
            if text is not None and not is_valid(check, text):
                c.wrong("drawn, but invalid", seed, schema, text)
    c.show()
    report.check(c["schemas"] == count, f"{count} random schemas become grammars")
    report.check(not c["written, but invalid"] + c["valid, but not matched"], f"{c['written']} texts of another generator are matched")
    report.check(not c["matched, but invalid"], f"{c['spoilt']} spoilt texts are matched only where they are valid")
    report.check(c["drawn"] and not c["drawn, but invalid"], f"{c['drawn']} texts of random tokens are valid, {c['without end']} had no end")


def combined_schemas(batch, report, first, count):
    """Two that hold for one value: mostly nothing is left, and what is left has to be valid."""
    c = Counts()
    for seed in range(first, first + count):
        r = random.Random(-1 - seed)
        kind = r.choice(["string", "integer", "number", "array", "object", "object", "object", "make"])
        parts = []
        for i in range(3):
            g = Generator(4 * seed + i)
            parts.append(getattr(g, kind)(2)[0])
        if kind == "object":  # keys that they have in common
            for p in parts[1:]:
                for name in r.sample(sorted(parts[0]["properties"]), len(parts[0]["properties"]) // 2):
                    p["properties"][name] = r.choice([True, parts[0]["properties"][name], {"type": ["object", "string", "number"]}])
        schema = r.choice([{"allOf": parts[:2]}, {"anyOf": parts[1:], "allOf": parts[:1]},
                           {"$ref": "#/$defs/a", "$defs": {"a": parts[0]}, "allOf": parts[1:2]}])
        check = validator(schema)
        answer = batch.ask({"schema": json.dumps(schema, ensure_ascii=False), "texts": [], "walks": 6, "seed": seed})
        if "error" in answer:
            known = any(words in answer["error"] for words in ("no text matches", "isn't supported", "too large", "too many"))
            c["left out" if known else "refused"] += 1
            if not known:
                c.wrong("refused", seed, schema, answer["error"])
            continue
        c["schemas"] += 1
        for text in answer["walks"]:
            c["drawn" if text is not None else "without end"] += 1
            if text is not None and not is_valid(check, text):
                c.wrong("drawn, but invalid", seed, schema, text)
    c.show()
    report.check(not c["refused"] + c["drawn, but invalid"],
                 f"{c['drawn']} texts of {c['schemas']} combined schemas are valid; {c['left out']} others are refused or describe nothing")


def written_by_model(stoker, model, report, count):
    """stoker run --json-schema: what ends in time is valid."""
    prompt, wrong, ended = "A JSON object: ", [], 0
    for seed in range(count):
        schema, _ = Generator(seed).schema()
        short = {"type": "string", "maxLength": 20}
        schema = {"type": "object", "properties": {"name": short, "n": {"type": "integer", "maximum": 99}, "more": schema}, "required": ["name", "n"]}
        if isinstance(schema["properties"]["more"], dict) and "$defs" in schema["properties"]["more"]:
            schema["$defs"] = schema["properties"]["more"].pop("$defs")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(schema, f)
            f.flush()
            ran = subprocess.run([stoker, "run", "-m", model, "--json-schema", f.name, "-p", prompt, "-n", "150", "--seed", str(seed)],
                                 capture_output=True, text=True)
        text = ran.stdout[len(prompt) :].rstrip("\n")
        complete = text.endswith("}") and text.count("{") == text.count("}")
        ended += complete
        if ran.returncode or (complete and not is_valid(validator(schema), text)):
            wrong.append((schema, ran.stdout, ran.stderr))
    for schema, out, error in wrong[:SHOWN]:
        print(f"  {json.dumps(schema)[:400]}\n    {out!r} {error!r}")
    report.check(ended and not wrong, f"{ended} of {count} texts that a model writes with --json-schema end, and are valid")


def official(batch, report, folder):
    c, files = collections.Counter(), collections.defaultdict(collections.Counter)
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))) + sorted(glob.glob(os.path.join(folder, "optional/format/*.json"))):
        with open(path, encoding="utf-8") as f:
            cases = json.load(f)
        for case in cases:
            texts = [json.dumps(t["data"], ensure_ascii=False, separators=(",", ":")) for t in case["tests"]]
            answer = batch.ask({"schema": json.dumps(case["schema"], ensure_ascii=False), "texts": texts, "walks": 0, "seed": 0})
            for i, t in enumerate(case["tests"]):
                if "error" in answer:
                    kind = "refused" if "supported" in answer["error"] or "document" in answer["error"] or t["valid"] else "refused rightly"
                    kind = "refused rightly" if "no text matches" in answer["error"] and not t["valid"] else kind
                elif answer["matches"][i] == t["valid"]:
                    kind = "agree"
                else:
                    kind = "left out" if t["valid"] else "oneOf" if "oneOf" in case["schema"] else "WRONG"
                c[kind] += 1
                files[os.path.basename(path)][kind] += 1
                if kind in ("WRONG",) or os.environ.get("SHOW") == kind:
                    print(f"  {kind}: {os.path.basename(path)}: {case['description']}: {t['description']}: {json.dumps(case['schema'])} {texts[i]} {answer.get('error', '')}")
    for name, counts in files.items():
        print(f"  {name}: {dict(counts)}")
    report.check(not c["WRONG"], f"the official suite: {dict(c)}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("batch")
    p.add_argument("model")
    p.add_argument("--count", type=int, default=500)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--stoker")
    p.add_argument("--written", type=int, default=6)
    p.add_argument("--suite")
    a = p.parse_args()
    report = Report()
    batch = Batch(a.batch, "grammars", a.model)
    random_schemas(batch, report, a.first, a.count)
    combined_schemas(batch, report, a.first, a.count)
    if a.suite:
        official(batch, report, a.suite)
    if a.stoker:
        written_by_model(a.stoker, a.model, report, a.written)
    report.close()


if __name__ == "__main__":
    main()
