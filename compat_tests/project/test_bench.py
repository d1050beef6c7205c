"""`make bench` beside torch: its contestants do the same work, and each has a row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from benchmarks.steps import on_mlx, sides
from benchmarks.steps.sets import case

ROOT = Path(__file__).resolve().parents[2]


def values(contestant):
    if hasattr(contestant, "model"):
        arrays = dict(tree_flatten(contestant.model.parameters()))
        return {name: np.array(arrays[name].astype(mx.float32)) for name in contestant.case.shapes}
    return {n: p.detach().numpy() for n, p in zip(contestant.case.shapes, contestant.params, strict=True)}


@pytest.mark.parametrize("optimizer", on_mlx.OPTIMIZERS)
def test_all_sides_compute_the_same(optimizer):
    """After two turns, to 0.1 % of the way that the parameters went; MLX's own classes where their formula is torch's.

    Muon goes by bfloat16, in which two products of matrices agree to a percent.
    """
    given = case(optimizer, "gpt", "float32", True)
    same = [path for path in sides.paths(True) if not path.startswith("mlx") or optimizer in ("sgd", "lion")]
    named = sides.contestants(given, tuple(same))
    assert {on_mlx.OURS, on_mlx.IN_COMPILE, "torch loop"} <= named.keys()
    for contestant in named.values():
        for turn in range(2):
            contestant.give(turn)
            contestant.call()
            contestant.end()
            contestant.drop()
    start = {name: np.array(a) for name, a in given.arrays(1, 0.02).items()}
    wanted = values(named["torch loop"])
    for path, contestant in named.items():
        for name, found in values(contestant).items():
            way = np.linalg.norm(wanted[name] - start[name])
            off = np.linalg.norm(found - wanted[name]) / way
            assert off < (0.03 if optimizer == "muon" else 1e-3), (path, name, off)


@pytest.mark.long
def test_torch_has_its_rows(tmp_path):
    options = ["--optimizer", "adamw", "lion", "--set", "small", "--dtype", "bfloat16"]
    parts = ["--rounds", "2", "--only", "steps", "clip", "schedulers"]
    run = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "optimizers.py"), "--quick", *options, *parts],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"},  # beside other tests
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    results = json.loads((tmp_path / "out" / "bench" / "optimizers.json").read_text())
    assert not [note for note in results["notes"] if "left out" in note]
    assert results["run"]["torch threads"] == os.cpu_count()
    found = [(row["optimizer"], row["path"]) for row in results["steps"] if row["path"] in sides.TORCH]
    assert found == [("adamw", path) for path in sides.TORCH] + [("lion", "torch loop")]
    assert all(row["total"]["n"] == 2 and row["host"] is None for row in results["steps"] if row["path"] in sides.TORCH)
    assert [row["path"] for row in results["clip"]][-1] == "torch clip_grad_norm_"
    assert [row["path"] for row in results["schedulers"]] == ["ours", "torch"] * 4
    (ratio,) = [row for row in results["bars"] if row["what"] == "step() / torch foreach, total"]
    assert ratio["at most"] == 1.0
