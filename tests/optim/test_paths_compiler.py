"""Compiled steps and the C++ compiler: what happens where there is none, and that a small model does not need one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from tests.cases import assert_same
from tests.joining import STEPPING, Loop
from torchish_mlx.optimizers import _paths

pytestmark = pytest.mark.skipif(mx.default_device() != mx.Device(mx.cpu), reason="a GPU needs no C++ compiler")


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """No g++ is found; gives what was compiled all the same."""
    compiled: list[Any] = []
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(_paths, "_compiled", lambda groups: compiled.append(groups))
    _paths._can_compile.cache_clear()
    yield compiled
    _paths._can_compile.cache_clear()


def test_one_warning_for_all(without_compiler, monkeypatch):
    monkeypatch.setattr(_paths, "SMALL", 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in ("SGD", "Adam", "Lion", "Adam"):
            for fused in (True, None):
                loop, plain = Loop(STEPPING[name], None, fused=fused), Loop(STEPPING[name], False, fused=False)
                for i in range(3):
                    loop.step(i)
                    plain.step(i)
                assert_same(loop.held(), plain.held())
                assert loop.joined() > 1
    assert [w.category for w in caught] == [RuntimeWarning]
    assert "g++" in str(caught[0].message)
    assert "fused=False" in str(caught[0].message)
    assert without_compiler == []


@pytest.mark.parametrize("options", [{"fused": False}, {"foreach": False}, {"foreach": True}, {}], ids=str)
def test_no_warning_where_nothing_would_be_compiled(options, without_compiler, monkeypatch):
    """Asked for by an option, or (the last) because the model is small."""
    if options:
        monkeypatch.setattr(_paths, "SMALL", 1)
    loop = Loop(STEPPING["SGD"], options.get("foreach"), fused=options.get("fused"))
    loop.step(0)
    assert _paths._can_compile.cache_info().misses == 0


def run(code: str, folder: Path, path: str) -> str:
    """What a fresh process prints, with an empty kernel cache in ``folder``."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "TMPDIR": str(folder), "PATH": path, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_process_without_a_compiler(tmp_path):
    """All kinds of steps, and a user's own mx.compile, which MLX then runs as it is written."""
    printed = run(
        """
        import warnings
        import mlx.core as mx
        from tests.cases import assert_close
        from tests.joining import STEPPING, Loop, net
        from tests.optimizers.test_rules_compile import ULPS
        from torchish_mlx.optimizers import _paths

        _paths.SMALL = 1
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for name in ("SGD-momentum", "Adam", "NAdam", "Lion", "Muon"):
                shapes = [(4, 3), (3, 3), (2, 5)]
                loops = [Loop(STEPPING[name], None, shapes, fused=fused) for fused in (None, True)]
                plain = Loop(STEPPING[name], False, shapes, fused=False)
                for i in range(4):
                    for loop in (*loops, plain):
                        loop.step(i)
                for loop in loops:
                    assert_close(loop.held(), plain.held(), 0)
            loop, plain = (Loop(STEPPING["Adam"], foreach, model=net()) for foreach in (None, False))
            state = [loop.model.state, loop.optimizer.state]
            step = mx.compile(lambda g: loop.optimizer.update(loop.model, g), inputs=state, outputs=state)
            for _ in range(3):
                step(loop.model.parameters())
                plain.optimizer.update(plain.model, plain.model.parameters())
            assert_close(loop.held(), plain.held(), 2 * ULPS)
        print([(w.category.__name__, "g++" in str(w.message)) for w in caught])
        """,
        tmp_path,
        path=str(tmp_path),
    )
    assert printed.strip() == "[('RuntimeWarning', True)]"
    assert not list(tmp_path.rglob("*.so"))


FIRST_STEPS = """
import mlx.core as mx
import torchish_mlx as torch
from torchish_mlx import optim
from torchish_mlx.optimizers import _paths

for cls in {optimizers}:
    params = [torch.Parameter(mx.zeros((300, 300))) for _ in range(5)] + [torch.Parameter(mx.zeros((300, 300)))]
    optimizer = cls(params, lr=0.1, {options})
    for _ in range(2):
        for p in params:
            p.grad = mx.ones(p.shape)
        optimizer.step()
    mx.synchronize()
    print(params[0][0, 0].item())
"""


def test_a_small_model_compiles_nothing(tmp_path):
    """Under a million parameters: no kernel is built in the first steps, which is what a compiler takes seconds for."""
    every = "optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Lion, optim.Muon, optim.Adafactor, optim.NAdam"
    printed = run(FIRST_STEPS.format(optimizers=f"({every})", options=""), tmp_path, os.environ["PATH"])
    assert len(printed.split()) == 8
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".so", ".cpp")]


def test_what_a_compiled_step_leaves_there(tmp_path):
    """What the test above would see."""
    printed = run(FIRST_STEPS.format(optimizers="(optim.SGD,)", options="fused=True"), tmp_path, os.environ["PATH"])
    assert float(printed) == pytest.approx(-0.2)
    assert [path for path in tmp_path.rglob("*") if path.suffix == ".so"]


def test_a_compiler_that_fails(tmp_path):
    """One that is there and can't compile, or can't write: the same warning, with what it said."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "g++"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho out of disk; exit 1\n')
    program.chmod(0o755)
    code = """
        import warnings
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            {steps}
        print([w.category.__name__ for w in caught], "out of disk" in str(caught[0].message))
        """
    steps = textwrap.indent(FIRST_STEPS.format(optimizers="(optim.SGD, optim.Adam)", options="fused=True"), " " * 12)
    printed = run(code.format(steps=steps.strip()), tmp_path, f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    *weights, warned = printed.strip().splitlines()
    assert [float(w) for w in weights] == pytest.approx([-0.2, -0.2])
    assert warned == "['RuntimeWarning'] True"
