# SPDX-License-Identifier: MIT
"""Token ids beside those of Hugging Face's tokenizers, built from the same file's vocabulary.

usage: test_tokens.py BATCH COUNT MODEL...
"""

import subprocess
import sys
import os
import json

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

import gguf
import texts
from report import Report

CONTROL, USER_DEFINED = 3, 4
# tokenizer.ggml.pre: how the text is cut before merging, as its model's tokenizer.json has it
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CUTS = {
    "smollm": lambda: [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ],
    "deepseek-r1-qwen": lambda: [
        pre_tokenizers.Split(Regex(QWEN2), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ],
}


def byte_level(metadata, vocabulary):
    merges = [tuple(m.split(" ")) for m in metadata["tokenizer.ggml.merges"]]
    t = Tokenizer(models.BPE(vocabulary, merges))
    t.pre_tokenizer = pre_tokenizers.Sequence(CUTS[metadata["tokenizer.ggml.pre"]]())
    return t


def sentence_piece(metadata, vocabulary):
    """Pairs are merged in the order of the scores of what they make."""
    scores = metadata["tokenizer.ggml.scores"]
    kinds = metadata["tokenizer.ggml.token_type"]
    merges = []
    for piece, token in vocabulary.items():
        if kinds[token] != 1:
            continue
        for cut in range(1, len(piece)):
            left, right = vocabulary.get(piece[:cut]), vocabulary.get(piece[cut:])
            if left is not None and right is not None:
                merges.append((-scores[token], left, right, piece[:cut], piece[cut:]))
    merges.sort()
    t = Tokenizer(
        models.BPE(vocabulary, [m[3:] for m in merges], byte_fallback=True, fuse_unk=True,
                   unk_token=metadata["tokenizer.ggml.tokens"][metadata["tokenizer.ggml.unknown_token_id"]])
    )  # fmt: skip
    t.normalizer = normalizers.Replace(" ", "▁")
    return t


def build(metadata):
    words, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    vocabulary = {word: i for i, word in enumerate(words)}
    kind = metadata["tokenizer.ggml.model"]
    t = (byte_level if kind == "gpt2" else sentence_piece)(metadata, vocabulary)
    # tokens that a text may spell out; control tokens aren't among them
    t.add_tokens(
        [AddedToken(w, normalized=False) for w, k in zip(words, kinds) if k == USER_DEFINED]
    )
    return t


def main(batch, count, *paths):
    report = Report()
    wanted = texts.all_texts(int(count))
    for path in paths:
        t = build(gguf.File(path).metadata)
        lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in wanted)
        answer = subprocess.run([batch, "tokens", path], input=lines.encode(), stdout=subprocess.PIPE, check=True)
        ours = [json.loads(line) for line in answer.stdout.splitlines()]
        theirs = [t.encode(text, add_special_tokens=False).ids for text in wanted]
        wrong = [(x, o.get("ids", o), h) for x, o, h in zip(wanted, ours, theirs) if o.get("ids") != h]
        for text, our, their in wrong[:5]:
            print(f"  {text!r}\n    ours   {our}\n    theirs {their}")
        report.check(
            not wrong and len(ours) == len(wanted),
            f"{os.path.basename(path)}: {len(wanted) - len(wrong)} of {len(wanted)} texts have the same ids",
        )
    report.close()


main(*sys.argv[1:])
