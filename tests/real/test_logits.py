# SPDX-License-Identifier: MIT
"""Logits beside a forward pass in float64: Kullback-Leibler divergence of what a model expects next.

usage: test_logits.py STOKER TEXT SMOLLM2 GEMMA3 [--long]

In 32-bit floats throughout (--exact) it has to be next to nothing.  By default activations have 8
bits, as they have in llama.cpp; ours may not diverge more than that does on a longer text (build
bb4caa75, one batch, AVX2; on the ids of the short form it was 3.86e-3 and 8.43e-3).
"""

import os
import subprocess
import sys
import time

import numpy as np

import forward
import gguf
from report import Report

EXACT = 1e-9
PEER = {"llama": 4.17e-3, "gemma3": 1.03e-2}
ROWS_AT_ONCE = 32


def token_ids(stoker, path, text):
    command = [stoker, "tokenize", "-m", path, "--special", "-f", text]
    return [int(i) for i in subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()]


class Reference:
    """What the float64 pass expects behind each of the rows that are looked at."""

    def __init__(self, path, ids, rows):
        self.path, self.ids, self.rows = path, ids, rows
        began = time.time()
        model = forward.Model(gguf.File(path))
        self.architecture = model.architecture
        hidden = model.hidden(ids)[rows]
        parts = [
            model.log_probabilities(hidden[i : i + ROWS_AT_ONCE]) for i in range(0, len(rows), ROWS_AT_ONCE)
        ]
        self.expected = np.concatenate(parts)
        print(f"  float64 pass over {len(ids)} tokens of {os.path.basename(path)}: {time.time() - began:.1f} s")

    def compare(self, stoker, count, options):
        """Mean divergence and share of equal first choices over the rows before @count, seconds."""
        command = [stoker, "eval", "-m", self.path, "--logits", "/dev/stdout", *options]
        command += ["--tokens", ",".join(map(str, self.ids[:count]))]
        began = time.time()
        wanted = dict(zip(self.rows, self.expected))
        divergence, same = [], []
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            for row in range(count):
                raw = process.stdout.read(4 * self.expected.shape[1])
                if len(raw) != 4 * self.expected.shape[1]:
                    raise RuntimeError(f"{' '.join(command[:6])} ended in row {row}")
                if row not in wanted:
                    continue
                theirs = wanted[row]
                ours = forward.log_softmax(np.frombuffer(raw, "<f4").astype(np.float64))
                divergence.append(np.sum(np.exp(theirs) * (theirs - ours)))
                same.append(theirs.argmax() == ours.argmax())
        if process.returncode:
            raise RuntimeError(f"status {process.returncode}")
        return np.mean(divergence), np.mean(same), time.time() - began


def main(stoker, text, smollm2, gemma3, *options):
    long = "--long" in options
    report = Report()
    # positions, each how many-th is looked at, positions on a Vulkan device, one token at a time
    sizes = [(smollm2, 3000, 8, 256, 64), (gemma3, 1300, 8, 256, 64)] if long else [
        (smollm2, 256, 1, 32, 12), (gemma3, 544, 8, 24, 8)]  # fmt: skip
    for path, count, step, on_vulkan, single in sizes:
        ids = token_ids(stoker, path, text)[:count]
        reference = Reference(path, ids, list(range(0, count, step)))
        limit = PEER[reference.architecture]
        runs = [
            ("cpu", count, ["--exact"], EXACT), ("cpu", count, [], limit),
            ("cpu", single, ["--exact", "--single"], EXACT),
            ("vulkan", on_vulkan, ["--exact"], EXACT), ("vulkan", on_vulkan, [], limit),
            ("vulkan", single, ["--single"], 2 * limit),
        ]  # fmt: skip
        for device, positions, more, most in runs:
            what = f"{os.path.basename(path)} on {device} {' '.join(more) or 'by default'}, {positions} positions"
            try:
                found, same, seconds = reference.compare(stoker, positions, ["--device", device, *more])
            except RuntimeError as e:
                report.check(False, f"{what}: {e}")
                continue
            report.check(
                found <= most,
                f"{what}: mean divergence {found:.3g} of at most {most:.3g}, "
                f"same first choice {100 * same:.1f} %, {seconds:.1f} s",
            )
    report.close()


main(*sys.argv[1:])
