"""The kernels of other processors: torch without its vector kernels, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

import torchish_mlx as tm
from torchish_mlx.random import _normals

CODE = """
import sys, torch
torch.manual_seed(4)
x = torch.randn(100_003)
assert torch.backends.cpu.get_cpu_capability() == "DEFAULT"
sys.stdout.buffer.write(x.numpy().tobytes() + torch.get_rng_state().numpy().tobytes())
"""


def test_normals_of_the_libm(monkeypatch):
    """Its float functions are those of float64 rounded, but for a percent and a half of the results: 3 ulps at most."""
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "ATEN_CPU_CAPABILITY": "default"},
        capture_output=True,
        timeout=120,
        check=True,
    )
    wanted = np.frombuffer(run.stdout[: 4 * 100_003], np.float32)
    monkeypatch.setattr(_normals, "VECTOR_KERNELS", False)
    tm.manual_seed(4)
    got = np.array(tm.randn(100_003).array)
    assert np.array(tm.get_rng_state().array).tobytes() == run.stdout[4 * 100_003 :]
    assert (got == wanted).mean() > 0.98
    ulps = np.abs(got.view(np.int32).astype(np.int64) - wanted.view(np.int32))
    assert ulps.max() <= 3
