# SPDX-License-Identifier: MIT
"""Reads GGUF containers: metadata, and matrices and vectors as float64.

Written from the format's description and for reading, apart from the library that it tests.
"""

import struct

import numpy as np

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


def halves(blocks, at):
    """The 16-bit float at byte `at` of each block, as a column."""
    return blocks[:, at : at + 2].copy().view("<f2").astype(np.float64)


def nibbles(codes):
    """Low halves of all bytes, then high halves: the order of the older formats."""
    return np.concatenate([codes & 15, codes >> 4], axis=1).astype(np.float64)


def decode_f32(blocks):
    return blocks.view("<f4").astype(np.float64)


def decode_f16(blocks):
    return blocks.view("<f2").astype(np.float64)


def decode_q8_0(blocks):
    return halves(blocks, 0) * blocks[:, 2:].view(np.int8)


def decode_q4_0(blocks):
    return halves(blocks, 0) * (nibbles(blocks[:, 2:]) - 8)


def decode_q4_1(blocks):
    return halves(blocks, 0) * nibbles(blocks[:, 4:]) + halves(blocks, 2)


def fifth_bits(blocks, at):
    bits = blocks[:, at : at + 4].copy().view("<u4")
    return 16.0 * (bits >> np.arange(32, dtype=np.uint32) & 1)


def decode_q5_0(blocks):
    return halves(blocks, 0) * (nibbles(blocks[:, 6:]) + fifth_bits(blocks, 2) - 16)


def decode_q5_1(blocks):
    return halves(blocks, 0) * (nibbles(blocks[:, 8:]) + fifth_bits(blocks, 4)) + halves(blocks, 2)


def scales_and_minima(packed):
    """Eight 6-bit scales and eight 6-bit minima in twelve bytes."""
    a, b, c = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([a & 63, (c & 15) | (a >> 6) << 4], axis=1)
    minima = np.concatenate([b & 63, (c >> 4) | (b >> 6) << 4], axis=1)
    return scales.astype(np.float64), minima.astype(np.float64)


def decode_q4_k(blocks):
    scales, minima = scales_and_minima(blocks[:, 4:16])
    # 32 bytes hold a group of 32 in their low halves and the next in their high ones
    codes = blocks[:, 16:].reshape(-1, 4, 1, 32)
    codes = np.concatenate([codes & 15, codes >> 4], axis=2).reshape(-1, 8, 32)
    scales *= halves(blocks, 0)
    minima *= halves(blocks, 2)
    return (codes * scales[:, :, None] - minima[:, :, None]).reshape(-1, 256)


def decode_q6_k(blocks):
    low = blocks[:, :128].reshape(-1, 2, 2, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 32)
    groups = [
        (low[:, :, 0] & 15) | (high & 3) << 4,
        (low[:, :, 1] & 15) | (high >> 2 & 3) << 4,
        (low[:, :, 0] >> 4) | (high >> 4 & 3) << 4,
        (low[:, :, 1] >> 4) | (high >> 6) << 4,
    ]
    codes = np.stack(groups, axis=2).reshape(-1, 16, 16).astype(np.float64) - 32
    scales = blocks[:, 192:208].view(np.int8) * halves(blocks, 208)
    return (codes * scales[:, :, None]).reshape(-1, 256)


# number in the file: name, elements and bytes of a block, decoder
FORMATS = {
    0: ("F32", 1, 4, decode_f32),
    1: ("F16", 1, 2, decode_f16),
    2: ("Q4_0", 32, 18, decode_q4_0),
    3: ("Q4_1", 32, 20, decode_q4_1),
    6: ("Q5_0", 32, 22, decode_q5_0),
    7: ("Q5_1", 32, 24, decode_q5_1),
    8: ("Q8_0", 32, 34, decode_q8_0),
    12: ("Q4_K", 256, 144, decode_q4_k),
    14: ("Q6_K", 256, 210, decode_q6_k),
}


class File:
    """`metadata` is a dict; tensor(NAME) gives float64 with the row length last."""

    def __init__(self, path):
        self.bytes = np.memmap(path, np.uint8, "r")
        self.at = 0
        if self.bytes[:4].tobytes() != b"GGUF":
            raise ValueError(f"{path} is no GGUF file")
        self.at = 4
        version, tensors, keys = self.take("IQQ")
        if version not in (2, 3):
            raise ValueError(f"{path} has GGUF version {version}")
        self.metadata = {}
        for _ in range(keys):
            name = self.string()
            self.metadata[name] = self.value(*self.take("I"))
        self.tensors = {}
        for _ in range(tensors):
            name = self.string()
            (dimensions,) = self.take("I")
            shape = self.take(f"{dimensions}Q")[::-1]
            self.tensors[name] = (shape, *self.take("IQ"))
        alignment = self.metadata.get("general.alignment", 32)
        self.data = -(-self.at // alignment) * alignment

    def take(self, layout):
        bytes_ = struct.calcsize("<" + layout)
        values = struct.unpack("<" + layout, self.bytes[self.at : self.at + bytes_].tobytes())
        self.at += bytes_
        return values

    def string(self):
        (bytes_,) = self.take("Q")
        self.at += bytes_
        return self.bytes[self.at - bytes_ : self.at].tobytes().decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.take(SCALARS[kind])[0]
        item, count = self.take("IQ")
        if item == STRING:
            return [self.string() for _ in range(count)]
        return list(self.take(f"{count}{SCALARS[item]}"))

    def has(self, name):
        return name in self.tensors

    def tensor(self, name, rows=slice(None)):
        """float64, all rows or those that an index of numpy selects"""
        shape, kind, offset = self.tensors[name]
        if kind not in FORMATS:
            raise ValueError(f"tensor {name} has type {kind}, which isn't written here")
        _, block, block_bytes, decode = FORMATS[kind]
        row_blocks = shape[-1] // block
        raw = self.bytes[self.data + offset :][: int(np.prod(shape)) // block * block_bytes]
        raw = np.asarray(raw.reshape(-1, row_blocks * block_bytes)[rows])
        values = decode(np.ascontiguousarray(raw).reshape(-1, block_bytes))
        return values.reshape(-1, shape[-1]) if len(shape) > 1 else values.reshape(-1)
