#!/usr/bin/env python3
"""How a checkpoint routes the held-out text.  usage: routing.py DATADIR VOCAB.json CHECKPOINT

Prints for each layer the least used expert's share of its fair share, how often an LRU cache of twice
the active experts hits, in order and with the tokens shuffled, and how many of the next layer's
experts its router finds from this layer's router input.
"""
import collections
import glob
import os
import random
import sys

import torch

import bpe
from model import Config, Model


def hits(choices, room):
    cache, found = collections.OrderedDict(), 0
    for experts in choices:
        for e in experts:
            if e in cache:
                found += 1
                cache.move_to_end(e)
            else:
                if len(cache) == room:
                    cache.popitem(last=False)
                cache[e] = None
    return found / sum(map(len, choices))


def main():
    datadir, vocabulary, checkpoint = sys.argv[1:]
    saved = torch.load(checkpoint, map_location="cpu")
    config = Config(**saved["config"])
    model = Model(config).eval()
    model.load_state_dict(saved["model"])
    encoder = bpe.Encoder(vocabulary)
    tokens = []
    for path in sorted(glob.glob(os.path.join(datadir, "heldout", "*.txt"))):
        with open(path, encoding="ascii") as f:
            tokens += [encoder.end_of_text] + encoder.encode(f.read())
    chosen = [[] for _ in range(config.layers)]
    recall = [0.0] * config.layers
    count = 0
    with torch.no_grad():
        for at in range(0, len(tokens) - config.context, config.context):
            _, routing = model(torch.tensor([tokens[at:at + config.context]]), dtype=torch.float32)
            for i, (_, ids, h) in enumerate(routing):
                chosen[i] += ids.tolist()
                if i + 1 < config.layers:
                    guess = (h @ model.blocks[i + 1].router.t()).topk(config.active, -1).indices
                    same = (guess.unsqueeze(-1) == routing[i + 1][1].unsqueeze(-2)).any(-1)
                    recall[i + 1] += same.float().sum().item()
            count += config.context
    gains = []
    for i, choices in enumerate(chosen):
        share = collections.Counter(e for c in choices for e in c)
        least = min(share[e] for e in range(config.experts)) * config.experts / (count * config.active)
        shuffled = choices[:]
        random.Random(1).shuffle(shuffled)
        plain, mixed = hits(choices, 2 * config.active), hits(shuffled, 2 * config.active)
        gains.append(plain - mixed)
        print("layer %d: least used %.0f %% of fair share, LRU %.1f %% (shuffled %.1f %%), foreseen %s" %
              (i, 100 * least, 100 * plain, 100 * mixed,
               "%.1f %%" % (100 * recall[i] / count / config.active) if i else "-"))
    print("LRU gains %.1f points over shuffled on average" % (100 * sum(gains) / len(gains)))


if __name__ == "__main__":
    main()
