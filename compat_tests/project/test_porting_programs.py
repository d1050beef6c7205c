"""The script on docs/porting.md with its imports swapped has torch's losses, and its checkpoint is torch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.porting_page import programs

pytest.importorskip("sklearn", reason="the examples extra is not installed")


def test_the_swapped_script_is_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = dict[str, Any]()
    for which in ("torch", "run"):
        folder = tmp_path / which
        folder.mkdir()
        monkeypatch.chdir(folder)
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(programs()[which], which, "exec"), namespace)
        found[which] = namespace["losses"], torch.load(folder / "digits.pt", weights_only=True)
    (ours, mine), (losses, theirs) = found["run"], found["torch"]
    assert len(losses) == 45
    np.testing.assert_allclose(ours, losses, rtol=0, atol=1e-5)  # measured: 1e-6
    assert losses[-1] < 0.3 * losses[0]
    assert list(mine["model"]) == list(theirs["model"])
    for name, weight in theirs["model"].items():
        torch.testing.assert_close(mine["model"][name], weight, rtol=0, atol=1e-4)
    assert mine["optimizer"]["param_groups"] == theirs["optimizer"]["param_groups"]
    assert mine["scheduler"].keys() == theirs["scheduler"].keys()
