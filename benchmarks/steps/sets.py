"""The sets of parameters, as name -> shape, and the modules, arrays and gradients made of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

Shapes = dict[str, tuple[int, ...]]

#: Newton-Schulz runs in bfloat16, whose products MLX's CPU backend takes at 5 GFLOP/s: more than this is left out there
MOST_GFLOP = 100


def gpt(quick: bool) -> Shapes:
    """GPT-2's 148 tensors, 11.6 M numbers: 12 blocks of width 256, a vocabulary of 8,192."""
    width, depth, vocabulary = (32, 2, 128) if quick else (256, 12, 8192)
    shapes: Shapes = {"wte.weight": (vocabulary, width), "wpe.weight": (128, width)}
    for i in range(depth):
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"blocks.{i}.{norm}.{kind}": (width,) for kind in ("weight", "bias")}
        for layer, rows, columns in (
            ("attn.qkv", 3 * width, width),
            ("attn.out", width, width),
            ("mlp.up", 4 * width, width),
            ("mlp.down", width, 4 * width),
        ):
            shapes |= {f"blocks.{i}.{layer}.weight": (rows, columns), f"blocks.{i}.{layer}.bias": (rows,)}
    return shapes | {"ln_f.weight": (width,), "ln_f.bias": (width,)}


def resnet50(quick: bool) -> Shapes:
    """ResNet-50's 161 tensors, 25.6 M numbers, 106 of them vectors; convolutions as MLX has them, channels last."""
    stages = ((64, 3), (128, 4), (256, 6), (512, 3))
    if quick:
        stages = ((8, 1), (16, 1))
    first = stages[0][0]
    shapes: Shapes = {}

    def convolution(name: str, out: int, kernel: int, into: int) -> None:
        shapes[f"{name}.conv.weight"] = (out, kernel, kernel, into)
        shapes[f"{name}.bn.weight"] = shapes[f"{name}.bn.bias"] = (out,)

    convolution("stem", first, 7, 3)
    into = first
    for s, (width, blocks) in enumerate(stages):
        for b in range(blocks):
            name = f"stages.{s}.{b}"
            convolution(f"{name}.a", width, 1, into)
            convolution(f"{name}.b", width, 3, width)
            convolution(f"{name}.c", 4 * width, 1, width)
            if b == 0:
                convolution(f"{name}.down", 4 * width, 1, into)
            into = 4 * width
    return shapes | {"head.weight": (10 if quick else 1000, into), "head.bias": (10 if quick else 1000,)}


def equal(count: int, size: int) -> Shapes:
    """``count`` layers of one vector of ``size`` numbers."""
    return {f"layers.{i}.weight": (size,) for i in range(count)}


def small_model(_quick: bool) -> Shapes:
    """0.4 M numbers in 16 tensors: its first step is what a person with a small model waits for."""
    sides = ((256, 784), (256, 256), (128, 256), (128, 128), (64, 128), (10, 64))
    shapes: Shapes = {"embedding.weight": (512, 128), "norm.weight": (256,), "norm.bias": (256,), "scale": (1,)}
    for i, (rows, columns) in enumerate(sides):
        shapes |= {f"layers.{i}.weight": (rows, columns), f"layers.{i}.bias": (rows,)}
    return shapes


#: the four sets, name -> (shapes, given --quick)
SETS: dict[str, Callable[[bool], Shapes]] = {
    "gpt": gpt,
    "resnet50": resnet50,
    "small": lambda quick: equal(20 if quick else 1000, 64),
    "large": lambda quick: equal(1, 1 << (12 if quick else 25)),
}


def matrices(shapes: Shapes) -> Shapes:
    """What Muon takes of a set: no vectors and no embeddings, convolutions as matrices, other vectors folded."""
    folded: Shapes = {
        name: (s[0], math.prod(s[1:]))
        for name, s in shapes.items()
        if len(s) > 1 and name not in ("wte.weight", "wpe.weight")
    }
    if folded:
        return folded
    rows = {name: 1 << (int(math.log2(s[0])) // 2) for name, s in shapes.items()}
    return {name: (rows[name], s[0] // rows[name]) for name, s in shapes.items()}


def muon_gflop(shapes: Shapes) -> float:
    """What five Newton-Schulz steps over matrices take."""
    sides = [(min(s), max(s)) for s in shapes.values()]
    return 5 * sum(4 * m * m * n + 2 * m**3 for m, n in sides) / 1e9


@dataclass
class Case:
    """One optimizer on one set in one dtype."""

    optimizer: str
    set: str
    dtype: str
    shapes: Shapes

    def __str__(self) -> str:
        return f"{self.optimizer} {self.set} {self.dtype}"

    @property
    def numbers(self) -> int:
        """How many numbers the parameters are."""
        return sum(math.prod(s) for s in self.shapes.values())

    @property
    def megabytes(self) -> float:
        """The size of the parameters."""
        return self.numbers * getattr(mx, self.dtype).size / 1e6

    def arrays(self, seed: int, scale: float) -> dict[str, mx.array]:
        """Normal numbers in the shapes of the set, evaluated one after the other."""
        made = {}
        for i, (name, shape) in enumerate(self.shapes.items()):
            key = mx.random.key(seed * 100_003 + i)
            made[name] = (mx.random.normal(shape, key=key) * scale).astype(getattr(mx, self.dtype))
            mx.eval(made[name])
        return made


def case(optimizer: str, set_name: str, dtype: str, quick: bool = False) -> Case:
    """The case of that name; Muon gets the matrices of the set only."""
    shapes = {**SETS, "model": small_model}[set_name](quick)
    return Case(optimizer, set_name, dtype, matrices(shapes) if optimizer == "muon" else shapes)


def module(arrays: dict[str, mx.array]) -> nn.Module:
    """A tree of ``mlx.nn`` modules with these parameters, as a user's model would be."""

    def built(tree: Any) -> Any:
        if isinstance(tree, list):
            return [built(child) for child in tree]
        if not isinstance(tree, dict):
            return tree
        made = nn.Module()
        for name, child in tree.items():
            setattr(made, name, built(child))
        return made

    return built(tree_unflatten(list(arrays.items())))
