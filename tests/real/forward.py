# SPDX-License-Identifier: MIT
"""A forward pass of llama and gemma3 in float64, written for reading.

All positions of a text at once, no cache, no blocking: x has a row for each position.
"""

import numpy as np


def rms_norm(x, weight, epsilon):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def rotate(x, base, interleaved):
    """Rotary embedding of heads x[head, position, width]: pairs are neighbours or a half apart."""
    positions, width = x.shape[1:]
    angles = np.arange(positions)[:, None] * float(base) ** (-np.arange(0, width, 2) / width)
    sin, cos = np.sin(angles), np.cos(angles)
    if interleaved:
        first, second = x[..., 0::2], x[..., 1::2]
    else:
        first, second = x[..., : width // 2], x[..., width // 2 :]
    a, b = first * cos - second * sin, first * sin + second * cos
    if interleaved:
        return np.stack([a, b], axis=-1).reshape(x.shape)
    return np.concatenate([a, b], axis=-1)


def attend(q, k, v, scale, window):
    """Causal attention of one head; with a window a position sees itself and window - 1 before."""
    positions = np.arange(len(q))
    behind = positions[:, None] - positions[None, :]
    hidden = (behind < 0) | (behind >= window) if window else behind < 0
    return softmax(np.where(hidden, -np.inf, q @ k.T * scale)) @ v


class Model:
    def __init__(self, file):
        self.file = file
        self.architecture = file.metadata["general.architecture"]
        if self.architecture not in ("llama", "gemma3"):
            raise ValueError(f"no forward pass for {self.architecture} here")
        self.gemma = self.architecture == "gemma3"
        self.epsilon = self.key("attention.layer_norm_rms_epsilon")
        self.heads = self.key("attention.head_count")
        self.groups = self.key("attention.head_count_kv", self.heads)
        self.width = self.key("attention.key_length", self.key("embedding_length") // self.heads)
        self.layers = self.key("block_count")
        self.activation = gelu if self.gemma else silu

    def key(self, name, default=None):
        value = self.file.metadata.get(f"{self.architecture}.{name}", default)
        if value is None:
            raise ValueError(f"key {self.architecture}.{name} is missing")
        return value

    def weight(self, name, layer=None):
        return self.file.tensor(f"{name}.weight" if layer is None else f"blk.{layer}.{name}.weight")

    def norm(self, x, name, layer=None):
        return rms_norm(x, self.weight(name, layer), self.epsilon)

    def attention(self, x, layer):
        def split(name, heads):
            return (x @ self.weight(name, layer).T).reshape(len(x), heads, -1).transpose(1, 0, 2)

        q, k = split("attn_q", self.heads), split("attn_k", self.groups)
        v = split("attn_v", self.groups)
        base, window = self.key("rope.freq_base", 10000.0), 0
        if self.gemma:
            q, k = self.norm(q, "attn_q_norm", layer), self.norm(k, "attn_k_norm", layer)
            if layer % 6 < 5:  # five layers with a window, then one that sees everything
                base, window = 10000.0, self.key("attention.sliding_window")
        q, k = (rotate(heads, base, not self.gemma) for heads in (q, k))
        shared = self.heads // self.groups
        out = [
            attend(q[h], k[h // shared], v[h // shared], self.width**-0.5, window)
            for h in range(self.heads)
        ]
        return np.concatenate(out, axis=1) @ self.weight("attn_output", layer).T

    def feed_forward(self, x, layer):
        gate, up = x @ self.weight("ffn_gate", layer).T, x @ self.weight("ffn_up", layer).T
        return (self.activation(gate) * up) @ self.weight("ffn_down", layer).T

    def hidden(self, tokens):
        """The last layer's output, normalised: what the output matrix is multiplied with."""
        x = self.file.tensor("token_embd.weight", tokens)
        if self.gemma:
            x = x * np.sqrt(np.float32(self.key("embedding_length")))
        for layer in range(self.layers):
            y = self.attention(self.norm(x, "attn_norm", layer), layer)
            x = x + (self.norm(y, "post_attention_norm", layer) if self.gemma else y)
            y = self.feed_forward(self.norm(x, "ffn_norm", layer), layer)
            x = x + (self.norm(y, "post_ffw_norm", layer) if self.gemma else y)
        return self.norm(x, "output_norm")

    def log_probabilities(self, hidden, chunk=16384):
        """Of each next token, for rows of hidden(); the vocabulary a chunk at a time."""
        name = "output.weight" if self.file.has("output.weight") else "token_embd.weight"
        size = self.file.tensors[name][0][0]
        logits = [
            hidden @ self.file.tensor(name, slice(first, first + chunk)).T
            for first in range(0, size, chunk)
        ]
        return log_softmax(np.concatenate(logits, axis=1))
