#!/usr/bin/env python3
"""An interpolated modified Kneser-Ney n-gram over the model's tokens, as a yardstick.

usage: ngram.py DATADIR VOCAB.json [--order 5]

Prints bits a byte on each held-out domain and over all (Chen and Goodman 1998, section 3).
"""
import argparse
import collections
import glob
import math
import os

import bpe


def read(datadir, part, encoder):
    texts = {}
    for path in sorted(glob.glob(os.path.join(datadir, part, "*.txt"))):
        with open(path, encoding="ascii") as f:
            text = f.read()
        tokens = []
        for run in text.split("\n\f\n"):
            tokens += [encoder.end_of_text] + encoder.encode(run)
        texts[os.path.basename(path)[:-4]] = (tokens, len(text.encode()))
    return texts


class KneserNey:
    def __init__(self, tokens, order, vocabulary):
        self.order, self.vocabulary = order, vocabulary
        counts = [collections.Counter() for _ in range(order + 1)]
        for n in range(1, order + 1):
            counts[n].update(zip(*(tokens[i:] for i in range(n))))
        # below the highest order a gram counts once for each different token before it
        for n in range(order - 1, 0, -1):
            counts[n] = collections.Counter(g[1:] for g in counts[n + 1])
        self.counts, self.totals, self.kinds, self.discounts = counts, [None], [None], [None]
        for n in range(1, order + 1):
            totals, kinds = collections.Counter(), collections.defaultdict(lambda: [0, 0, 0])
            of = collections.Counter(c for c in counts[n].values() if c <= 4)
            y = of[1] / (of[1] + 2 * of[2])
            self.discounts.append([1 - 2 * y * of[2] / of[1], 2 - 3 * y * of[3] / of[2], 3 - 4 * y * of[4] / of[3]])
            for gram, c in counts[n].items():
                totals[gram[:-1]] += c
                kinds[gram[:-1]][min(c, 3) - 1] += 1
            self.totals.append(totals)
            self.kinds.append(kinds)

    def probability(self, gram):
        p = 1 / self.vocabulary
        for n in range(1, len(gram) + 1):
            part = gram[-n:]
            total = self.totals[n].get(part[:-1])
            if not total:
                break
            d, c = self.discounts[n], self.counts[n].get(part, 0)
            kept = c - d[min(c, 3) - 1] if c else 0
            left = sum(a * b for a, b in zip(d, self.kinds[n][part[:-1]]))
            p = kept / total + left / total * p
        return p


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("datadir")
    parser.add_argument("vocabulary")
    parser.add_argument("--order", type=int, default=5)
    args = parser.parse_args()
    encoder = bpe.Encoder(args.vocabulary)
    training = [t for tokens, _ in read(args.datadir, "train", encoder).values() for t in tokens]
    model = KneserNey(training, args.order, len(encoder.ids))
    all_bits = all_bytes = 0
    for name, (tokens, size) in read(args.datadir, "heldout", encoder).items():
        bits = -sum(math.log2(model.probability(tuple(tokens[max(0, i - args.order + 1):i + 1])))
                    for i in range(1, len(tokens)))
        print("%-8s %.4f bits a byte" % (name, bits / size))
        all_bits, all_bytes = all_bits + bits, all_bytes + size
    print("%-8s %.4f bits a byte" % ("all", all_bits / all_bytes))


if __name__ == "__main__":
    main()
