#!/usr/bin/env python3
"""Write a checkpoint as GGUF with F16 matrices.  usage: export.py CHECKPOINT VOCAB.json OUT.gguf"""
import json
import struct
import sys

import numpy
import torch

ALIGNMENT = 32
F32, F16 = 0, 1
U32, FLOAT, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, value):
    packed = {U32: lambda v: struct.pack("<I", v), FLOAT: lambda v: struct.pack("<f", v),
              BOOL: lambda v: struct.pack("<?", v), STRING: string}
    if kind in packed:
        return string(key) + struct.pack("<I", kind) + packed[kind](value)
    element, values = value
    body = b"".join(string(v) if element == STRING else struct.pack("<i", v) for v in values)
    return string(key) + struct.pack("<IIQ", ARRAY, element, len(values)) + body


def tensors(state, layers):
    """(name, array) in the order of the file; matrices are [out][in] as GGUF wants them."""
    names = {"attn_norm": "attn_norm", "q": "attn_q", "k": "attn_k", "v": "attn_v", "q_norm": "attn_q_norm",
             "k_norm": "attn_k_norm", "o": "attn_output", "ffn_norm": "ffn_norm", "router": "ffn_gate_inp",
             "gate": "ffn_gate_exps", "up": "ffn_up_exps", "down": "ffn_down_exps"}
    yield "token_embd.weight", state["embedding"]
    yield "output_norm.weight", state["norm"]
    for i in range(layers):
        for own, name in names.items():
            yield "blk.%d.%s.weight" % (i, name), state["blocks.%d.%s" % (i, own)]


def main():
    checkpoint, vocabulary, out = sys.argv[1:]
    saved = torch.load(checkpoint, map_location="cpu")
    c = saved["config"]
    with open(vocabulary, encoding="utf-8") as f:
        vocab = json.load(f)
    end = len(vocab["tokens"]) - 1
    a = "qwen3moe."
    keys = [
        entry("general.architecture", STRING, "qwen3moe"),
        entry("general.name", STRING, "Stoker demo"),
        entry("general.license", STRING, "public domain"),
        entry("general.file_type", U32, 1),
        entry(a + "block_count", U32, c["layers"]),
        entry(a + "context_length", U32, c["context"]),
        entry(a + "embedding_length", U32, c["width"]),
        entry(a + "feed_forward_length", U32, c["expert_width"] * c["active"]),
        entry(a + "expert_feed_forward_length", U32, c["expert_width"]),
        entry(a + "expert_count", U32, c["experts"]),
        entry(a + "expert_used_count", U32, c["active"]),
        entry(a + "attention.head_count", U32, c["heads"]),
        entry(a + "attention.head_count_kv", U32, c["kv_heads"]),
        entry(a + "attention.key_length", U32, c["head_size"]),
        entry(a + "attention.value_length", U32, c["head_size"]),
        entry(a + "attention.layer_norm_rms_epsilon", FLOAT, c["eps"]),
        entry(a + "rope.freq_base", FLOAT, c["rope_base"]),
        entry("tokenizer.ggml.model", STRING, "gpt2"),
        entry("tokenizer.ggml.pre", STRING, "qwen2"),
        entry("tokenizer.ggml.tokens", ARRAY, (STRING, vocab["tokens"])),
        entry("tokenizer.ggml.token_type", ARRAY, (I32, [1] * end + [3])),
        entry("tokenizer.ggml.merges", ARRAY, (STRING, vocab["merges"])),
        entry("tokenizer.ggml.bos_token_id", U32, end),
        entry("tokenizer.ggml.eos_token_id", U32, end),
        entry("tokenizer.ggml.add_bos_token", BOOL, True),
    ]
    rows, data, offset = [], [], 0
    for name, tensor in tensors(saved["model"], c["layers"]):
        half = tensor.dim() >= 2 and "ffn_gate_inp" not in name
        array = tensor.numpy().astype(numpy.float16 if half else numpy.float32)
        raw = array.tobytes()
        rows.append(string(name) + struct.pack("<I", array.ndim) +
                    b"".join(struct.pack("<Q", n) for n in reversed(array.shape)) +
                    struct.pack("<IQ", F16 if half else F32, offset))
        raw += b"\0" * (-len(raw) % ALIGNMENT)
        data.append(raw)
        offset += len(raw)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(rows), len(keys)) + b"".join(keys) + b"".join(rows)
    with open(out, "wb") as f:
        f.write(head + b"\0" * (-len(head) % ALIGNMENT) + b"".join(data))
    print("%s: step %d, %d tensors, %d bytes" % (out, saved["step"], len(rows), len(head) + offset))


if __name__ == "__main__":
    main()
