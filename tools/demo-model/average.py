#!/usr/bin/env python3
"""Mix checkpoints of one run into one (weight averaging, arXiv:2203.05482).

usage: average.py OUT.pt CHECKPOINT SHARE CHECKPOINT SHARE...     shares add up to 1
"""
import sys

import torch


def main():
    out, pairs = sys.argv[1], list(zip(sys.argv[2::2], map(float, sys.argv[3::2])))
    assert pairs and abs(sum(share for _, share in pairs) - 1) < 1e-6, "shares have to add up to 1"
    mixed, last = {}, None
    for path, share in pairs:
        last = torch.load(path, map_location="cpu")
        for name, weights in last["model"].items():
            mixed[name] = mixed.get(name, 0) + share * weights
    torch.save({"model": mixed, "step": last["step"], "config": last["config"]}, out)


if __name__ == "__main__":
    main()
