"""The program of docs/distributed.md in two processes: the weights of one process, to 1e-6."""

from __future__ import annotations

import numpy as np
import pytest

import torchish_mlx
from tests.distributed.launched import launched
from tests.documented import ROOT, blocks

PAGE = ROOT / "docs" / "distributed.md"
PROGRAM = blocks("docs/distributed.md", PAGE.read_text(encoding="utf-8"))[0]


@pytest.mark.long
def test_two_processes_give_the_weights_of_one(tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    monkeypatch.chdir(one)
    PROGRAM.run()
    monkeypatch.chdir(two)
    (two / "train.py").write_text(PROGRAM.code, encoding="utf-8")
    printed = launched(two / "train.py")
    assert float(printed) < 0.1
    files = [folder / "run" / "step-00000200.pt" for folder in (one, two)]
    alone, both = (torchish_mlx.load(file) for file in files)
    assert len(both["random"]["ranks"]) == 2
    for name, weights in alone["model"].items():
        np.testing.assert_allclose(both["model"][name].numpy(), weights.numpy(), atol=1e-6, err_msg=name)
