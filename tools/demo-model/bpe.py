#!/usr/bin/env python3
"""Train a byte-level BPE vocabulary.

usage: bpe.py DATADIR OUT.json [--size 3072]

The pieces are those of the `qwen2` pre-tokenizer, which on ASCII text (all
that corpus.py writes) is the regular expression below.  OUT.json holds
{"tokens": [...], "merges": [...]} in GGUF's byte-to-unicode spelling; the
first 256 tokens are the bytes, the last is <|endoftext|>.
"""
import argparse
import collections
import glob
import json
import os
import re

PIECE = re.compile(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]"
                   r"| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
END_OF_TEXT = "<|endoftext|>"


def byte_alphabet():
    """GPT-2's printable stand-in for each byte."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {b: chr(b) for b in visible}, 0
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + extra)
            extra += 1
    return table


class Encoder:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            vocabulary = json.load(f)
        self.ids = {t: i for i, t in enumerate(vocabulary["tokens"])}
        self.rank = {tuple(m.split(" ")): i for i, m in enumerate(vocabulary["merges"])}
        self.alphabet, self.cache = byte_alphabet(), {}
        self.end_of_text = self.ids[END_OF_TEXT]

    def piece(self, text):
        if text not in self.cache:
            parts = [self.alphabet[b] for b in text.encode()]
            while len(parts) > 1:
                best = min(range(len(parts) - 1),
                           key=lambda i: self.rank.get((parts[i], parts[i + 1]), 1 << 30))
                if (parts[best], parts[best + 1]) not in self.rank:
                    break
                parts[best:best + 2] = [parts[best] + parts[best + 1]]
            self.cache[text] = [self.ids[p] for p in parts]
        return self.cache[text]

    def encode(self, text):
        return [i for m in PIECE.finditer(text) for i in self.piece(m.group())]


def train(words, size):
    alphabet = byte_alphabet()
    tokens = [alphabet[b] for b in range(256)]
    merges, sequences, counts = [], [], []
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for word, count in sorted(words.items()):
        sequence = [alphabet[b] for b in word.encode()]
        for p in zip(sequence, sequence[1:]):
            pairs[p] += count
            where[p].add(len(sequences))
        sequences.append(sequence)
        counts.append(count)
    while len(tokens) < size - 1:
        best = max(pairs.items(), key=lambda kv: (kv[1], kv[0]))[0]
        merged = best[0] + best[1]
        merges.append(" ".join(best))
        tokens.append(merged)
        for w in where.pop(best):
            old = sequences[w]
            for p in zip(old, old[1:]):
                pairs[p] -= counts[w]
            new, i = [], 0
            while i < len(old):
                if i + 1 < len(old) and (old[i], old[i + 1]) == best:
                    new.append(merged)
                    i += 2
                else:
                    new.append(old[i])
                    i += 1
            sequences[w] = new
            for p in zip(new, new[1:]):
                pairs[p] += counts[w]
                where[p].add(w)
        del pairs[best]
    return tokens + [END_OF_TEXT], merges


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("datadir")
    parser.add_argument("out")
    parser.add_argument("--size", type=int, default=3072)
    args = parser.parse_args()
    words = collections.Counter()
    for path in sorted(glob.glob(os.path.join(args.datadir, "train", "*.txt"))):
        with open(path, encoding="ascii") as f:
            words.update(m.group() for m in PIECE.finditer(f.read().replace("\f", "\n")))
    tokens, merges = train(words, args.size)
    with open(args.out, "w", encoding="utf-8") as f:
        json.dump({"tokens": tokens, "merges": merges}, f, ensure_ascii=False)
    print("%d tokens, %d merges" % (len(tokens), len(merges)))


if __name__ == "__main__":
    main()
