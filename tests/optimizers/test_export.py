"""``mx.export_function`` of a training step: MLX's example of it, with rules and adapters in place of MLX's classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import pytest
from mlx.utils import tree_flatten, tree_unflatten

from tests.cases import RULES, assert_close, build, inputs, net, only_matrices, squared_error
from tests.optimizers.test_rules_compile import ULPS
from torchish_mlx import optim

SIDES: dict[str, Callable[[nn.Module], Any]] = {
    **{case: lambda _, case=case: build(case) for case in RULES if case != "SparseAdam"},
    "optim.AdamW": lambda model: optim.AdamW(model, 0.01),
    "optim.SGD": lambda model: optim.SGD(model, 0.01, momentum=0.9, dampening=0.1),
    "from_mlx of Lion": lambda model: optim.from_mlx(native.Lion)(model, 0.01),
}


@pytest.mark.parametrize("side", SIDES)
def test_an_exported_step_is_the_step(side, tmp_path):
    """Parameters and state go in as a flat list, and come out in the same order; the state is loaded at the end."""
    model = net(side) if side in RULES and only_matrices(side) else net("Adam")
    optimizer = SIDES[side](model)
    params = model.trainable_parameters()
    optimizer.init(params)
    leaves: Any = tree_flatten([params, optimizer.state])
    names, arrays = [path for path, _ in leaves], [array + 0 for _, array in leaves]

    def loss(params: Any, x: mx.array) -> mx.array:
        model.update(params)
        return squared_error(model, x)

    def step(*flat: mx.array) -> list[mx.array]:
        params, state = tree_unflatten(list(zip(names, flat[:-1], strict=True)))
        optimizer.state = state
        params = optimizer.apply_gradients(mx.grad(loss)(params, flat[-1]), params)
        after: Any = tree_flatten([params, optimizer.state])
        assert [path for path, _ in after] == names
        return [array for _, array in after]

    eager, exported = arrays, arrays
    for i in range(3):
        eager = step(*eager, inputs(i))
    mx.eval(eager)
    file = str(tmp_path / "step.mlxfn")
    mx.export_function(file, step, *arrays, inputs(0))
    imported = mx.import_function(file)
    for i in range(3):
        exported = imported(*exported, inputs(i))
    assert_close(dict(zip(names, exported, strict=True)), dict(zip(names, eager, strict=True)), ULPS)

    params, optimizer.state = tree_unflatten(list(zip(names, exported, strict=True)))
    model.update(params)
    optimizer.update(model, params)
    mx.eval(model.parameters(), optimizer.state)
