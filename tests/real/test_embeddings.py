# SPDX-License-Identifier: MIT
"""Embeddings beside hidden states of a forward pass in float64: the cosine of the angle between them.

usage: test_embeddings.py STOKER TEXT MODEL...
"""

import os
import subprocess
import sys

import numpy as np

import forward
import gguf
from report import Report

LINES, EXACT = 6, 1 - 1e-9
# with activations of 8 bits; nothing averages a single token's out: 0.9971 was measured of the last
NEAR = {"mean": 0.999, "last": 0.995, "cls": 0.999}
POOLINGS = {
    "mean": lambda rows: rows.mean(axis=0),
    "last": lambda rows: rows[-1],
    "cls": lambda rows: rows[0],
}


def output(command, text):
    return subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def embed(stoker, path, pooling, text, options):
    rows = output([stoker, "embed", path, "--pooling", pooling, *options], text).splitlines()
    return [np.array(row.split(), dtype=np.float64) for row in rows]


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def main(stoker, text, *paths):
    report = Report()
    with open(text, encoding="utf-8") as file:
        lines = [line.strip() for line in file if len(line.strip()) > 20][:LINES]
    for path in paths:
        model = forward.Model(gguf.File(path))
        ids = [output([stoker, "tokenize", path, "--special"], line).split() for line in lines]
        hidden = [model.hidden([int(i) for i in one]) for one in ids]
        for pooling, pool in POOLINGS.items():
            wanted = [pool(rows) for rows in hidden]
            for device in ("cpu", "vulkan"):
                for least, options in ((EXACT, ["--exact"]), (NEAR[pooling], [])):
                    found = embed(stoker, path, pooling, "\n".join(lines), ["--device", device, *options])
                    worst = min(cosine(a, b) for a, b in zip(found, wanted)) if len(found) == len(wanted) else -1
                    report.check(
                        worst >= least,
                        f"{os.path.basename(path)} on {device} {' '.join(options) or 'by default'}, {pooling}: "
                        f"1 - cosine up to {1 - worst:.3g}, limit {1 - least:.3g}",
                    )
    report.close()


main(*sys.argv[1:])
