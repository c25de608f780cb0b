#!/usr/bin/env python3
"""The longest run of words that a text shares with the training text.

usage: verbatim.py DATADIR TEXT...      (files with generated text)
"""
import glob
import os
import sys


def words_of(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read().split()


def main():
    training = []
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "train", "*.txt"))):
        training += words_of(path)
    where = {}
    for i in range(len(training) - 2):
        where.setdefault(tuple(training[i:i + 3]), []).append(i)
    for path in sys.argv[2:]:
        words, best = words_of(path), []
        for i in range(len(words) - 2):
            for at in where.get(tuple(words[i:i + 3]), ()):
                n = 3
                while i + n < len(words) and at + n < len(training) and words[i + n] == training[at + n]:
                    n += 1
                if n > len(best):
                    best = words[i:i + n]
        print("%s: %d words: %s" % (path, len(best), " ".join(best)))


if __name__ == "__main__":
    main()
