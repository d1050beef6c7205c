"""Train a character GPT on Python's own source: OneCycleLR, clipping, an average, resume.

    python examples/char_gpt.py [--steps 400] [--batch-size 16] [--lr 0.004] [--seed 0] [--out out] [--quick]
    python examples/char_gpt.py --resume    # goes on where the last run was interrupted, with the same numbers

Writes OUT/char_gpt.json, its curves, OUT/char_gpt.png, and OUT/char_gpt.pt, a checkpoint.
"""

from __future__ import annotations

import common

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn, optim
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

CONTEXT, WIDTH, HEADS, BLOCKS = 64, 64, 4, 2
MODULES = ["argparse", "ast", "configparser", "dataclasses", "doctest", "inspect", "subprocess", "tarfile", "typing"]


def text() -> tuple[list[str], np.ndarray, np.ndarray]:
    """The characters, and the source of a few modules as indices into them: to train on, and to validate."""
    source = "".join(Path(os.__file__).with_name(f"{name}.py").read_text(encoding="utf-8") for name in MODULES)
    characters = sorted(set(source))
    index = {c: i for i, c in enumerate(characters)}
    data = np.array([index[c] for c in source])
    return characters, data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]


def batch(data: np.ndarray, size: int, key: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pieces (size, CONTEXT), and the same pieces one character further."""
    starts = np.random.default_rng(key).integers(0, len(data) - CONTEXT, (size, 1)) + np.arange(CONTEXT)
    return torch.tensor(data[starts]), torch.tensor(data[starts + 1])


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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        q, k, v = (
            part.reshape(n, t, HEADS, WIDTH // HEADS).swapaxes(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.swapaxes(1, 2).reshape(n, t, WIDTH))
        return x + self.down(gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Indices of characters (n, t) -> logits of the next ones (n, t, characters)."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.character = nn.Embedding(characters, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(BLOCKS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, characters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.character(x) + self.place(torch.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def loss_fn(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return cross_entropy(model(x).flatten(0, 1), y.flatten())


def validation(model: nn.Module, data: np.ndarray) -> float:
    with torch.no_grad():
        return loss_fn(model, *batch(data, 32, key=[0])).item()


def sample(model: nn.Module, characters: list[str], length: int, seed: int) -> str:
    """Text that begins with "def ", drawn character by character."""
    rng = np.random.default_rng(seed)
    written = [characters.index(c) for c in "\n\ndef "]
    for _ in range(length):
        with torch.no_grad():
            logits = model(torch.tensor([written[-CONTEXT:]]))[0, -1].double().numpy()
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
    torch.manual_seed(args.seed)
    model = GPT(len(characters))
    optimizer = optim.AdamW(model.parameters(), lr=args.lr)
    scheduler = OneCycleLR(optimizer, max_lr=args.lr, total_steps=args.steps)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    log = common.Log(__file__, args)
    place, start = args.out / "char_gpt.pt", 0
    if args.resume:
        if not place.exists():
            sys.exit(f"--resume: there is no {place} to go on from.")
        saved = torch.load(place)
        model.load_state_dict(saved["model"])
        ema.load_state_dict(saved["ema"])
        optimizer.load_state_dict(saved["optimizer"])
        scheduler.load_state_dict(saved["scheduler"])
        start = saved["step"]
        log.go_on(saved["curves"], saved["settings"])
    weights = sum(p.numel() for p in model.parameters())
    print(f"{len(train)} characters, {len(characters)} different ones, {weights} weights, step {start} of {args.steps}")

    for step in log.steps(args.steps, start=start):
        optimizer.zero_grad()
        loss = loss_fn(model, *batch(train, args.batch_size, key=[args.seed, step]))
        loss.backward()
        clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        scheduler.step()
        ema.update_parameters(model)
        log.add(step, loss=loss.item())
        if step % args.save_every == 0 or step == args.steps:
            log.add(step, validation=validation(model, validate), averaged_validation=validation(ema, validate))
            with common.whole(place) as file:
                parts = {"model": model, "ema": ema, "optimizer": optimizer, "scheduler": scheduler}
                states = {name: part.state_dict() for name, part in parts.items()}
                torch.save({"step": step, "curves": log.curves, "settings": log.settings, **states}, file)

    print("\n" + sample(ema, characters, 200, args.seed) + "\n")
    common.wrote(place)
    log.save("A character GPT on the standard library's source")


if __name__ == "__main__":
    main()
