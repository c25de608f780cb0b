"""The bundled model in PyTorch: a `qwen3moe` transformer, small enough to train on two CPU cores."""
import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass
class Config:
    vocab: int = 3072
    width: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 64
    experts: int = 16
    active: int = 3
    expert_width: int = 256
    context: int = 512
    rope_base: float = 10000.0
    eps: float = 1e-6
    dropout: float = 0.1


class GroupedExperts(torch.autograd.Function):
    """y[n, k] = down_e(silu(gate_e x[n]) * up_e x[n]) for e = chosen[n, k], one matmul an expert.

    Rows are sorted by expert and each group is padded to a multiple of PAD rows, so that oneDNN
    meets few distinct shapes.
    """
    PAD = 128

    @staticmethod
    def forward(ctx, x, gate, up, down, chosen):
        tokens, active = chosen.shape
        experts = gate.shape[0]
        flat = chosen.reshape(-1)
        order = torch.argsort(flat, stable=True)
        counts = torch.bincount(flat, minlength=experts)
        padded = (counts + GroupedExperts.PAD - 1) // GroupedExperts.PAD * GroupedExperts.PAD
        sizes = padded.tolist()
        begin = torch.cumsum(padded, 0) - padded
        first = torch.cumsum(counts, 0) - counts
        row = torch.empty_like(flat)
        row[order] = begin[flat[order]] + torch.arange(flat.numel()) - first[flat[order]]
        xp = x.new_zeros(sum(sizes), x.shape[1])
        xp[row] = x.repeat_interleave(active, 0)
        g, u, y = [], [], []
        for e, part in enumerate(xp.split(sizes)):
            g.append(part @ gate[e].t())
            u.append(part @ up[e].t())
            y.append((F.silu(g[-1]) * u[-1]) @ down[e].t())
        ctx.save_for_backward(xp, gate, up, down, row, torch.cat(g), torch.cat(u))
        ctx.sizes, ctx.active = sizes, active
        return torch.cat(y)[row].view(tokens, active, -1)

    @staticmethod
    def backward(ctx, dy):
        xp, gate, up, down, row, g, u = ctx.saved_tensors
        dyp = torch.zeros_like(xp)
        dyp[row] = dy.reshape(-1, dy.shape[-1])
        dxp, dgate, dup, ddown = [], [], [], []
        parts = [t.split(ctx.sizes) for t in (xp, g, u, dyp)]
        for e, (px, pg, pu, pdy) in enumerate(zip(*parts)):
            dh = pdy @ down[e]
            s = torch.sigmoid(pg)
            act = pg * s
            ddown.append(pdy.t() @ (act * pu))
            du = dh * act
            dg = dh * pu * (s + act * (1 - s))
            dgate.append(dg.t() @ px)
            dup.append(du.t() @ px)
            dxp.append(dg @ gate[e] + du @ up[e])
        dx = torch.cat(dxp)[row].view(-1, ctx.active, xp.shape[1]).sum(1)
        return dx, torch.stack(dgate), torch.stack(dup), torch.stack(ddown), None


def rms_norm(x, weight, eps):
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        out_std = 0.02 / math.sqrt(2 * c.layers)

        def matrix(*shape, std=0.02):
            return nn.Parameter(torch.randn(*shape) * std)

        self.attn_norm = nn.Parameter(torch.ones(c.width))
        self.q = matrix(c.heads * c.head_size, c.width)
        self.k = matrix(c.kv_heads * c.head_size, c.width)
        self.v = matrix(c.kv_heads * c.head_size, c.width)
        self.q_norm = nn.Parameter(torch.ones(c.head_size))
        self.k_norm = nn.Parameter(torch.ones(c.head_size))
        self.o = matrix(c.width, c.heads * c.head_size, std=out_std)
        self.ffn_norm = nn.Parameter(torch.ones(c.width))
        self.router = matrix(c.experts, c.width)
        self.gate = matrix(c.experts, c.expert_width, c.width)
        self.up = matrix(c.experts, c.expert_width, c.width)
        self.down = matrix(c.experts, c.width, c.expert_width, std=out_std)

    def attention(self, x, rope, mask, dtype):
        c = self.c
        b, t, _ = x.shape
        x = x.to(dtype)

        def heads(w, n, norm):
            y = (x @ w.to(dtype).t()).view(b, t, n, c.head_size)
            if norm is None:
                return y.transpose(1, 2)
            y = rms_norm(y, norm, c.eps)
            y1, y2 = y.chunk(2, -1)
            cos, sin = rope
            y = torch.cat((y1 * cos - y2 * sin, y2 * cos + y1 * sin), -1)
            return y.to(dtype).transpose(1, 2)

        q, k = heads(self.q, c.heads, self.q_norm), heads(self.k, c.kv_heads, self.k_norm)
        v = heads(self.v, c.kv_heads, None)
        group = c.heads // c.kv_heads
        q = (q / math.sqrt(c.head_size)).reshape(b, c.kv_heads, group * t, c.head_size)
        scores = (q @ k.transpose(-1, -2)).view(b, c.kv_heads, group, t, t) + mask
        weights = torch.softmax(scores, -1).view(b, c.kv_heads, group * t, t)
        y = (weights @ v).view(b, c.heads, t, c.head_size).transpose(1, 2).reshape(b, t, -1)
        return y @ self.o.to(dtype).t()

    def experts(self, x, dtype):
        """Returns the output and the router's logits; x is [tokens, width] after ffn_norm."""
        logits = x @ self.router.t()
        probability = torch.softmax(logits, -1)
        weight, chosen = probability.topk(self.c.active, -1)
        weight = weight / weight.sum(-1, keepdim=True)
        y = GroupedExperts.apply(x.to(dtype), self.gate.to(dtype), self.up.to(dtype),
                                 self.down.to(dtype), chosen)
        return (y * weight.to(dtype).unsqueeze(-1)).sum(1), logits, chosen


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embedding = nn.Parameter(torch.randn(c.vocab, c.width) * 0.02)
        self.blocks = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = nn.Parameter(torch.ones(c.width))

    def rope(self, t):
        half = self.c.head_size // 2
        frequency = self.c.rope_base ** (-torch.arange(half) / half)
        angle = torch.outer(torch.arange(t), frequency)[None, :, None, :]
        return angle.cos(), angle.sin()

    def forward(self, tokens, dtype=torch.bfloat16):
        """tokens [b, t] -> logits [b*t, vocab], and per layer (router logits, chosen, router input)."""
        c = self.c
        b, t = tokens.shape
        rope = self.rope(t)
        mask = torch.full((t, t), float("-inf"), dtype=dtype).triu(1)
        x = F.dropout(self.embedding[tokens], c.dropout, self.training)
        routing = []
        for block in self.blocks:
            y = block.attention(rms_norm(x, block.attn_norm, c.eps), rope, mask, dtype)
            x = x + F.dropout(y, c.dropout, self.training).float()
            h = rms_norm(x, block.ffn_norm, c.eps).view(b * t, c.width)
            y, logits, chosen = block.experts(h, dtype)
            routing.append((logits, chosen, h))
            x = x + F.dropout(y, c.dropout, self.training).float().view(b, t, c.width)
        h = rms_norm(x, self.norm, c.eps).view(b * t, c.width)
        return (h.to(dtype) @ self.embedding.to(dtype).t()).float(), routing
