"""Train a character GPT on Python's own source: OneCycleLR, clipping, an average, resume. Ported to MLX.

    python examples/char_gpt.py [--steps 400] [--batch-size 16] [--lr 0.004] [--seed 0] [--out out] [--quick]
    python examples/char_gpt.py --resume    # goes on where the last run was interrupted, with the same numbers

Writes OUT/char_gpt.json, its curves, OUT/char_gpt.png, with char_gpt_torch.py's curves over them, and OUT/char_gpt.pt.
"""

from __future__ import annotations

import common

import argparse
import os
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.core.fast import scaled_dot_product_attention
from mlx.nn import gelu
from mlx.nn.losses import cross_entropy

import torchish_mlx
from torchish_mlx import checkpoint, optim
from torchish_mlx.nn.utils import clip_grad_norm_
from torchish_mlx.optim.lr_scheduler import OneCycleLR
from torchish_mlx.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

CONTEXT, WIDTH, HEADS, BLOCKS = 64, 64, 4, 2
MODULES = ["argparse", "ast", "configparser", "dataclasses", "doctest", "inspect", "subprocess", "tarfile", "typing"]


def text() -> tuple[list[str], np.ndarray, np.ndarray]:
    """The characters, and the source of a few modules as indices into them: to train on, and to validate."""
    source = "".join(Path(os.__file__).with_name(f"{name}.py").read_text(encoding="utf-8") for name in MODULES)
    characters = sorted(set(source))
    index = {c: i for i, c in enumerate(characters)}
    data = np.array([index[c] for c in source])
    return characters, data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]


def batch(data: np.ndarray, size: int, key: list[int]) -> tuple[mx.array, mx.array]:
    """Random pieces (size, CONTEXT), and the same pieces one character further."""
    starts = np.random.default_rng(key).integers(0, len(data) - CONTEXT, (size, 1)) + np.arange(CONTEXT)
    return mx.array(data[starts]), mx.array(data[starts + 1])


class Block(nn.Module):
    """Attention to what came before, and a perceptron, each added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def __call__(self, x: mx.array) -> mx.array:
        n, t, _ = x.shape
        q, k, v = (
            part.reshape(n, t, HEADS, WIDTH // HEADS).swapaxes(1, 2) for part in self.qkv(self.norm1(x)).split(3, -1)
        )
        mixed = scaled_dot_product_attention(q, k, v, scale=(WIDTH // HEADS) ** -0.5, mask="causal")
        x = x + self.out(mixed.swapaxes(1, 2).reshape(n, t, WIDTH))
        return x + self.down(gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Indices of characters (n, t) -> logits of the next ones (n, t, characters)."""

    def __init__(self, characters: int, seed: int) -> None:
        super().__init__()
        self.character = nn.Embedding(characters, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = [Block() for _ in range(BLOCKS)]
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, characters)
        for name, p in torchish_mlx.named_parameters(self):
            p.data = mx.array(common.initial(name, p.shape, seed))

    def __call__(self, x: mx.array) -> mx.array:
        x = self.character(x) + self.place(mx.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def loss_fn(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
    return cross_entropy(model(x), y, reduction="mean")


def validation(model: nn.Module, data: np.ndarray) -> float:
    return loss_fn(model, *batch(data, 32, key=[0])).item()


def sample(model: nn.Module, characters: list[str], length: int, seed: int) -> str:
    """Text that begins with "def ", drawn character by character."""
    rng = np.random.default_rng(seed)
    written = [characters.index(c) for c in "\n\ndef "]
    for _ in range(length):
        logits = np.array(model(mx.array([written[-CONTEXT:]]))[0, -1]).astype(np.float64)
        odds = np.exp((logits - logits.max()) / 0.7)
        written.append(int(rng.choice(len(characters), p=odds / odds.sum())))
    return "".join(characters[i] for i in written).strip()


def options() -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("--steps", type=common.count, default=400, help="steps of training")
    parser.add_argument("--batch-size", type=common.count, default=16, help="pieces of text per step")
    parser.add_argument("--lr", type=common.positive, default=0.004, help="the highest learning rate")
    parser.add_argument("--save-every", type=common.count, default=50, help="steps between checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    return common.parse(parser, quick={"steps": 40, "batch_size": 4, "save_every": 10})


def main() -> None:
    args = options()
    characters, train, validate = text()
    model = GPT(len(characters), args.seed)
    optimizer = optim.AdamW(model, lr=args.lr)
    scheduler = OneCycleLR(optimizer, max_lr=args.lr, total_steps=args.steps)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    log = common.Log(__file__, args)
    parts = {"model": {"net": model, "ema": ema}, "optimizer": optimizer, "scheduler": scheduler}
    place, start = args.out / "char_gpt.pt", 0
    if args.resume:
        if not place.exists():
            sys.exit(f"--resume: there is no {place} to go on from.")
        run = checkpoint.resume(place, **parts)
        start = run.step
        log.go_on(**run.extra)
    weights = sum(p.numel() for p in torchish_mlx.parameters(model))
    print(f"{len(train)} characters, {len(characters)} different ones, {weights} weights, step {start} of {args.steps}")

    for step in log.steps(args.steps, start=start):
        optimizer.zero_grad()
        loss = torchish_mlx.backward(model, loss_fn, *batch(train, args.batch_size, key=[args.seed, step]))
        clip_grad_norm_(torchish_mlx.parameters(model), max_norm=1.0)
        optimizer.step()
        scheduler.step()
        ema.update_parameters(model)
        log.add(step, loss=loss.item())
        if step % args.save_every == 0 or step == args.steps:
            log.add(step, validation=validation(model, validate), averaged_validation=validation(ema, validate))
            checkpoint.save(place, step=step, **parts, extra={"curves": log.curves, "settings": log.settings})

    print("\n" + sample(ema, characters, 200, args.seed) + "\n")
    common.wrote(place)
    log.save("A character GPT on the standard library's source")


if __name__ == "__main__":
    main()
