#!/usr/bin/env python3
"""Build the training and held-out text of the bundled model from Debian packages.

usage: corpus.py OUTDIR [--opticks FILE]

Reads the King James Bible (bible-kjv-text, through `bible`), the Jargon File
(dict-jargon), the Devil's Dictionary (dict-devil) and Newton's Opticks
(golang-1.19-src).  All four texts are in the public domain; README.md names
the packages' own words on it.  Writes OUTDIR/train/DOMAIN.txt and
OUTDIR/heldout/DOMAIN.txt.  Every fiftieth block of about 8 kB of consecutive
documents (chapters, entries, sections) is held out.  A blank line separates
documents; in the training text a form feed separates blocks that are not neighbours.
"""
import argparse
import gzip
import os
import re
import subprocess
import unicodedata

BLOCK_BYTES = 8192
HELDOUT_EVERY = 50

BOOKS = """Genesis Exodus Leviticus Numbers Deuteronomy Joshua Judges Ruth 1_Samuel 2_Samuel 1_Kings
2_Kings 1_Chronicles 2_Chronicles Ezra Nehemiah Esther Job Psalms Proverbs Ecclesiastes
Song_of_Solomon Isaiah Jeremiah Lamentations Ezekiel Daniel Hosea Joel Amos Obadiah Jonah Micah
Nahum Habakkuk Zephaniah Haggai Zechariah Malachi Matthew Mark Luke John Acts Romans 1_Corinthians
2_Corinthians Galatians Ephesians Philippians Colossians 1_Thessalonians 2_Thessalonians 1_Timothy
2_Timothy Titus Philemon Hebrews James 1_Peter 2_Peter 1_John 2_John 3_John Jude Revelation"""

PUNCTUATION = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "--",
                             "…": "...", "·": "-", "×": "x", "−": "-", "\u00a0": " "})


def ascii_text(text):
    text = unicodedata.normalize("NFKD", text.translate(PUNCTUATION))
    return text.encode("ascii", "ignore").decode("ascii")


def reflow(text):
    """Join the wrapped lines of prose; leave verse, tables and code as they are."""
    out = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in paragraph.split("\n") if line.strip()]
        if not lines:
            continue
        prose = len(lines) == 1 or min(len(line) for line in lines[:-1]) >= 48
        out.append((" " if prose else "\n").join(lines))
    return "\n\n".join(re.sub(r"[ \t]+", " ", p) for p in out)


def bible():
    names = [b.replace("_", " ") for b in BOOKS.split()]
    # One line a verse: "Ge1:1 text"; the abbreviation changes where a book begins.
    raw = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], check=True,
                         stdout=subprocess.PIPE).stdout.decode("latin-1")
    chapters, book, last = [], -1, None
    for line in raw.splitlines():
        m = re.match(r"^(\w*?[A-Za-z]+)(\d+):(\d+) (.*)$", line)
        if not m:
            continue
        abbreviation, chapter, verse, text = m.groups()
        if abbreviation != last:
            book, last = book + 1, abbreviation
        if verse == "1":
            chapters.append(["%s %s\n" % (names[book], chapter)])
        chapters[-1].append(text.strip())
    assert book == 65, "bible -f gave %d books" % (book + 1)
    return [ascii_text("\n".join(c)) for c in chapters]


def dictd(name):
    with gzip.open("/usr/share/dictd/%s.dict.dz" % name) as f:
        return f.read().decode("utf-8", "replace")


def jargon():
    text = ascii_text(dictd("jargon")).replace("{", "").replace("\n    }", "").replace("}", "")
    entries, current = [], []
    for line in text.split("\n"):
        if re.match(r"^\S", line) and current and not current[-1].strip():
            entries.append("\n".join(current))
            current = []
        current.append(line)
    entries.append("\n".join(current))
    out = []
    for entry in entries:
        if entry.startswith("00-database") or len(entry) < 40:
            continue
        head, _, body = entry.partition("\n\n")
        out.append(" ".join(head.split()) + "\n\n" + reflow(body))
    return out


def devil():
    text = ascii_text(dictd("devil"))
    entries = re.split(r"\n(?=[A-Z][A-Z' -]+, )", text)
    return [reflow(e) for e in entries[1:] if "nigger" not in e.lower()]


def opticks(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        text = ascii_text(f.read().replace("\r", ""))
    begin = re.search(r"\*\*\* START OF TH.*?\*\*\*", text)
    end = re.search(r"\*\*\* END OF TH|End of (the )?Project Gutenberg", text)
    text = text[begin.end() if begin else 0:end.start() if end else None].replace("_", "")
    text = re.sub(r"\[Illustration[^\]]*\]", "", text)
    paragraphs = reflow(text).split("\n\n")
    documents, current = [], []
    for p in paragraphs:
        if re.match(r"^(PROP|DEF|AXIOM|Exper|Obs|Qu|THE )", p) and sum(map(len, current)) > 1500:
            documents.append("\n\n".join(current))
            current = []
        current.append(p)
    return documents + ["\n\n".join(current)]


def blocks(documents):
    out, current, size = [], [], 0
    for d in documents:
        current.append(d.strip())
        size += len(d)
        if size >= BLOCK_BYTES:
            out.append("\n\n".join(current))
            current, size = [], 0
    return out + (["\n\n".join(current)] if current else [])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("outdir")
    parser.add_argument("--opticks",
                        default="/usr/share/go-1.19/src/testdata/Isaac.Newton-Opticks.txt")
    args = parser.parse_args()
    domains = {"kjv": bible(), "jargon": jargon(), "devil": devil(), "opticks": opticks(args.opticks)}
    for part in ("train", "heldout"):
        os.makedirs(os.path.join(args.outdir, part), exist_ok=True)
    for number, (name, documents) in enumerate(domains.items()):
        parts = {"train": [], "heldout": []}
        previous = None
        for i, block in enumerate(blocks(documents)):
            part = "heldout" if i % HELDOUT_EVERY == (17 + 11 * number) % HELDOUT_EVERY else "train"
            if previous == part == "train":
                parts[part][-1].append(block)
            else:
                parts[part].append([block])
            previous = part
        for part, runs in parts.items():
            between = "\n\f\n" if part == "train" else "\n\n"
            text = between.join("\n\n".join(run) for run in runs) + "\n"
            with open(os.path.join(args.outdir, part, name + ".txt"), "w", encoding="ascii") as f:
                f.write(text)
            print("%-8s %-8s %9d bytes" % (part, name, len(text)))


if __name__ == "__main__":
    main()
