"""Whole files, small and of every kind, from which the mutations start.

A file is a dict of names and bytes: one entry, or an index with its shards.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn

import torchish_mlx as torch
from torchish_mlx import optim
from torchish_mlx.serialization import save, save_safetensors

DATA = Path(__file__).parents[1] / "data"
Files = dict[str, bytes]


class Mutation(NamedTuple):
    """Files of which the first is loaded; ``equal``: what loads must be the seed's object."""

    files: Files
    equal: bool


def trained() -> tuple[nn.Module, Any, Any]:
    """A model, an optimizer and a scheduler after a step."""
    mx.random.seed(0)
    model = nn.Linear(2, 2)
    optimizer = optim.AdamW(model, lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 3)
    torch.backward(model, lambda m, x: m(x).sum(), mx.ones((1, 2)))
    optimizer.step()
    scheduler.step()
    return model, optimizer, scheduler


def checkpoint() -> dict[str, Any]:
    """What a training script saves: states, views of one storage, plain values."""
    model, optimizer, scheduler = trained()
    base = torch.Tensor(mx.arange(12.0).reshape(3, 4))
    return {
        "model": torch.state_dict(model),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "views": [base, base.t(), base[1:, 0:2]],
        "half": torch.Tensor(mx.ones(3, dtype=mx.bfloat16)),
        "flags": torch.Tensor(mx.array([True, False])),
        "param": torch.Parameter(mx.arange(6.0)),
        "rest": (1, 2.5, None, "text", b"\x00\xff", 2**70, {1, 2}, OrderedDict(a=1), float("inf"), 1 + 2j),
    }


def _saved(write: Callable[[Any, Any], None], obj: Any) -> bytes:
    file = io.BytesIO()
    write(obj, file)
    return file.getvalue()


def _sharded() -> Files:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        save_safetensors({"a": {"x": mx.arange(8.0), "n": [1, None]}, "b": mx.ones((4, 2))}, path, max_shard_size=32)
        return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir(), key=lambda f: f.suffix)}


def _foreign() -> bytes:
    file = io.BytesIO()
    mx.save_safetensors(file, {"a": mx.arange(6.0).reshape(2, 3), "b": mx.array([1, 2], mx.int16)}, {"by": "me"})
    return file.getvalue()


def seeds() -> dict[str, Files]:
    """name -> files."""
    return {
        "pt": {"f": _saved(save, checkpoint())},
        "small": {"f": _saved(save, {"a": mx.array([1.0, 2.0]), "n": [1, "x"]})},
        "torch": {"f": (DATA / "torch_zip.pt").read_bytes()},
        "no crc": {"f": (DATA / "torch_without_crc.pt").read_bytes()},
        "legacy": {"f": (DATA / "torch_legacy.pt").read_bytes()},
        "legacy small": {"f": (DATA / "torch_legacy_small.pt").read_bytes()},
        "nested": {"f": _saved(save_safetensors, checkpoint())},
        "plain": {"f": _saved(save_safetensors, {"a": mx.arange(4.0), "b": mx.ones((2, 2))})},
        "foreign": {"f": _foreign()},
        "sharded": _sharded(),
    }


#: the seeds of which every byte that matters has a checksum
SUMMED = {"pt", "small", "torch", "nested", "plain", "sharded"}
