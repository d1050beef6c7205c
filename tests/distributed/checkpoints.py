"""A program of two processes: a run that is saved and resumed, each process with its own random numbers."""

from __future__ import annotations

import random
import sys
import warnings
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.distributed.launched import main
from torchish_mlx import checkpoint, optim
from torchish_mlx.nn.utils import average_gradients_

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
Group = mx.distributed.Group


class Run:
    """A training with dropout and noise, which differ from process to process."""

    def __init__(self, group: Group) -> None:
        mx.random.seed(0)
        self.model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 3))
        self.optimizer = optim.AdamW(self.model, lr=0.01)
        self.scheduler = optim.lr_scheduler.ExponentialLR(self.optimizer, 0.9)
        self.parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        for seed in (mx.random.seed, random.seed, np.random.seed):
            seed(100 + group.rank())
        self.drawn: list[Any] = []

    def step(self) -> None:
        x = mx.random.normal((8, 4)) + random.random() + float(np.random.rand())
        self.drawn.append(x.tolist())
        self.optimizer.zero_grad()
        torch.backward(self.model, lambda model, x: mx.mean(model(x) ** 2), x)
        average_gradients_(self.model)
        self.optimizer.step()
        self.scheduler.step()

    def everything(self) -> list[Any]:
        trees = [self.model.parameters(), self.optimizer.state_dict()["state"]]
        flat: Any = [leaf for tree in trees for _, leaf in tree_flatten(tree)]
        return [leaf.tolist() if hasattr(leaf, "tolist") else leaf for leaf in flat]


def a_resumed_run(group: Group) -> None:
    whole = Run(group)
    for _ in range(6):
        whole.step()
    for path in (FOLDER / "steps", FOLDER / "run.pt", FOLDER / "run.safetensors"):
        first = Run(group)
        assert checkpoint.resume(path, **first.parts, missing_ok=True, group=group) is None
        for _ in range(3):
            first.step()
        file = checkpoint.save(path, step=3, **first.parts, group=group, extra={"of": group.rank()})
        assert file.is_file(), "save() returned before the file was there"
        second = Run(group)
        mx.random.normal((group.rank() + 1,))
        run = checkpoint.resume(path, **second.parts, group=group)
        assert (run.step, run.extra, run.path) == (3, {"of": 0}, file)
        for _ in range(3):
            second.step()
        assert first.drawn + second.drawn == whole.drawn, "other random numbers"
        assert second.everything() == whole.everything()
    both = mx.distributed.all_gather(mx.array(whole.drawn[3][0])[None], group=group)
    assert both[0].tolist() != both[1].tolist(), "both processes draw the same"


def only_one_file_is_written(group: Group) -> None:
    run = Run(group)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in (1, 2, 3):
            checkpoint.save(FOLDER / "kept", step=step, **run.parts, keep=2, group=group)
    assert sorted(file.name for file in (FOLDER / "kept").iterdir()) == ["step-00000002.pt", "step-00000003.pt"]


def another_number_of_processes(group: Group) -> None:
    """Of a file of two, one process without a group; of a file of one, two."""
    run = Run(group)
    before = run.everything()
    both, one = FOLDER / "both.pt", FOLDER / f"one-{group.rank()}.pt"
    checkpoint.save(both, step=1, **run.parts, group=group)
    checkpoint.save(one, step=1, **run.parts)
    run.step()
    after = run.everything()
    state = mx.random.state[0].tolist()
    with pytest.raises(ValueError, match=r"random state of each of 2 processes: let 2 processes .* group="):
        checkpoint.resume(both, **run.parts)
    with pytest.raises(ValueError, match=r"of 1 process\(es\), and the group has 2.*seed each one"):
        checkpoint.resume(one, **run.parts, group=group)
    assert run.everything() == after
    assert mx.random.state[0].tolist() == state
    checkpoint.resume(one, **run.parts)
    assert run.everything() == before
    run.step()
    checkpoint.resume(both, **run.parts, ignore=["random"])
    assert run.everything() == before
    run.step()
    checkpoint.resume(one, **run.parts, group=group, ignore=["random"])
    assert run.everything() == before


def all_or_none_goes_on(group: Group) -> None:
    run = Run(group)
    checkpoint.save(FOLDER / "common.pt", step=1, **run.parts, group=group)
    run.step()
    before, state = run.everything(), mx.random.state[0].tolist()
    first = group.rank() == 0
    other = optim.SGD(run.model, lr=0.1)
    with pytest.raises(ValueError, match="was saved from AdamW" if first else "process 0 of the group can't resume"):
        checkpoint.resume(FOLDER / "common.pt", **{**run.parts, **({"optimizer": other} if first else {})}, group=group)
    missing = FOLDER / ("common.pt" if first else "none.pt")
    for ok in (False, True):
        with pytest.raises(ValueError if first else FileNotFoundError, match="so none does" if first else "missing_ok"):
            checkpoint.resume(missing, **run.parts, group=group, missing_ok=ok)
    mine = FOLDER / f"of-{group.rank()}.pt"
    checkpoint.save(mine, step=5 + group.rank(), **run.parts)
    with pytest.raises(ValueError, match=r"different steps, \[5, 6\]"):
        checkpoint.resume(mine, **run.parts, group=group, ignore=["random"])
    with pytest.raises(ValueError, match=r"save different steps: \[0, 1\]"):
        checkpoint.save(FOLDER / "common.pt", step=group.rank(), **run.parts, group=group)
    with pytest.raises(FileNotFoundError if first else RuntimeError, match="No such file" if first else "process 0"):
        checkpoint.save(FOLDER / "no" / "folder" / "run.pt", step=1, **run.parts, group=group)
    assert run.everything() == before
    assert mx.random.state[0].tolist() == state
    with pytest.raises(TypeError, match="group is a str"):
        checkpoint.save(FOLDER / "common.pt", step=1, **run.parts, group="all")


if __name__ == "__main__":
    main(a_resumed_run, only_one_file_is_written, another_number_of_processes, all_or_none_goes_on)
