#!/usr/bin/env python3
"""Train the bundled model.  usage: train.py DATADIR VOCAB.json CHECKPOINT [--steps N] [--resume]

Deterministic by seed and step: the batch of a step and its dropout depend on nothing else, so a run
that is stopped and resumed gives the same weights (on the same machine and number of threads).
"""
import argparse
import glob
import os
import time

import torch
import torch.nn.functional as F

import bpe
from model import Config, Model

BALANCE = 0.01      # load-balancing loss, Switch Transformer (arXiv:2101.03961), equation 4
FORESIGHT = 0.02    # how well the next layer's router predicts from this layer's router input;
FIRST_PAIR = 35.0   # the first layer changes its input most, so its successor needs more of both:
SECOND_BALANCE = 3.0  # what is easily foreseen is easily always the same
PIECE_TOKENS = 2048
DECAY = 0.4         # last part of the run, over which the learning rate falls to nothing


def pieces(datadir, encoder):
    """Training text cut at documents into pieces, which every epoch joins in another order."""
    out = []
    for path in sorted(glob.glob(os.path.join(datadir, "train", "*.txt"))):
        with open(path, encoding="ascii") as f:
            for run in f.read().split("\n\f\n"):
                current = []
                for document in run.split("\n\n"):
                    current += encoder.encode(document + "\n\n")
                    if len(current) >= PIECE_TOKENS:
                        out.append(current)
                        current = []
                if current:
                    out.append(current)
    return out


def batches(parts, end_of_text, rows, context, steps, seed):
    stream, epoch = [], 0
    need = rows * context + 1
    for _ in range(steps):
        while len(stream) < need:
            generator = torch.Generator().manual_seed(seed * 1000003 + epoch)
            for i in torch.randperm(len(parts), generator=generator).tolist():
                stream.append(end_of_text)
                stream += parts[i]
            epoch += 1
        yield torch.tensor(stream[:need])
        stream = stream[need - 1:]


def losses(model, tokens, rows, context):
    x, y = tokens[:-1].view(rows, context), tokens[1:]
    logits, routing = model(x)
    loss = F.cross_entropy(logits, y)
    balance = foresight = 0.0
    for i, (router_logits, chosen, _) in enumerate(routing):
        n = router_logits.shape[1]
        share = torch.bincount(chosen.reshape(-1), minlength=n) / chosen.numel()
        uneven = n * (share * torch.softmax(router_logits, -1).mean(0)).sum()
        balance = balance + uneven * (SECOND_BALANCE if i == 1 else 1.0)
    for i, ((_, _, h), (after, chosen, _)) in enumerate(zip(routing, routing[1:])):
        guess = torch.log_softmax(h @ model.blocks[i + 1].router.t(), -1)
        surprise = -(torch.softmax(after, -1).detach() * guess).sum(-1).mean()
        if i == 0:  # half of it is about the choice alone
            surprise = FIRST_PAIR * (surprise - guess.gather(1, chosen).mean()) / 2
        foresight = foresight + surprise
    return loss, balance / len(routing), foresight / (len(routing) - 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("datadir")
    parser.add_argument("vocabulary")
    parser.add_argument("checkpoint")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    config = Config()
    model = Model(config)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1},
                                   {"params": vectors, "weight_decay": 0.0}],
                                  lr=args.rate, betas=(0.9, 0.95), eps=1e-9, foreach=True)
    begin = 0
    if args.resume and os.path.exists(args.checkpoint):
        saved = torch.load(args.checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        begin = saved["step"]

    encoder = bpe.Encoder(args.vocabulary)
    parts = pieces(args.datadir, encoder)
    print("%.1f M parameters, %d tokens of training text" %
          (sum(p.numel() for p in model.parameters()) / 1e6, sum(map(len, parts))), flush=True)
    warmup, started, running = 100, time.time(), None
    for step, tokens in enumerate(batches(parts, encoder.end_of_text, args.rows, config.context,
                                          args.steps, args.seed)):
        if step < begin:
            continue
        torch.manual_seed(args.seed * 7919 + step)
        # Constant, then a linear decay: a resumed run may still choose another number of steps.
        left = (args.steps - step) / (DECAY * args.steps)
        rate = args.rate * min(1.0, (step + 1) / warmup, max(0.01, left))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, balance, foresight = losses(model, tokens, args.rows, config.context)
        optimizer.zero_grad(set_to_none=True)
        (loss + BALANCE * balance + FORESIGHT * foresight).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 10 == 0:
            rate_tokens = (step + 1 - begin) * args.rows * config.context / (time.time() - started)
            print("step %d loss %.4f (%.4f) balance %.3f foresight %.3f norm %.2f  %.0f tok/s" %
                  (step, running, loss.item(), float(balance), float(foresight), float(norm), rate_tokens),
                  flush=True)
        if (step + 1) % args.save_every == 0 or step + 1 == args.steps:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                        "step": step + 1, "config": vars(config)}, args.checkpoint + ".new")
            os.replace(args.checkpoint + ".new", args.checkpoint)


if __name__ == "__main__":
    main()
