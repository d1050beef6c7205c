"""A group of one process: everything as without a group."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import pytest

import torchish_mlx as torch
from tests.cases import Net, assert_same, inputs, squared_error
from torchish_mlx import checkpoint, optim, optimizers
from torchish_mlx.nn import average_gradients_, utils

GROUP = mx.distributed.init()


def trained() -> tuple[nn.Module, optim.Optimizer]:
    model = Net()
    torch.backward(model, squared_error, inputs())
    return model, optim.AdamW(model)


def test_it_is_found_where_mlx_has_it_and_beside_clipping():
    assert average_gradients_ is utils.average_gradients_


def test_the_mean_of_one_is_the_gradient_itself():
    model, _ = trained()
    held = [(p, p.grad, p.grad.array) for p in torch.parameters(model)]
    average_gradients_(model)
    average_gradients_(torch.parameters(model), GROUP, all_reduce_size=0)
    for p, grad, array in held:
        assert p.grad is grad
        assert grad.array is array


@pytest.mark.parametrize("order", [2.0, 1.0, float("inf")])
def test_the_norm_of_one_is_the_norm(order):
    model, _ = trained()
    grads = [p.grad for p in torch.parameters(model)]
    arrays = [g.array for g in grads]
    norm = utils.get_total_norm(grads, order).item()
    assert utils.get_total_norm(grads, order, group=GROUP).item() == norm
    assert optimizers.get_total_norm(arrays, order, group=GROUP, sharded=lambda *_: False).item() == norm
    assert optimizers.clip_grad_norm(arrays, 1.0, order, group=GROUP)[1].item() == norm
    assert utils.clip_grad_norm_(model, 1.0, order, group=GROUP, sharded=[]).item() == norm


def test_a_checkpoint_of_one_is_that_of_no_group(tmp_path):
    model, optimizer = trained()
    one, other = tmp_path / "one" / "run.pt", tmp_path / "other" / "run.pt"
    for path, options in ((one, {}), (other, {"group": GROUP})):
        path.parent.mkdir()
        assert checkpoint.save(path, step=1, model=model, optimizer=optimizer, **options) == path
    assert one.read_bytes() == other.read_bytes()
    before = [model.parameters(), optimizer.state]
    for path, options in ((one, {"group": GROUP}), (other, {})):
        run = checkpoint.resume(path, model=model, optimizer=optimizer, **options)
        assert run.step == 1
        assert_same(before, [model.parameters(), optimizer.state])
    assert checkpoint.resume(tmp_path / "c.pt", model=model, missing_ok=True, group=GROUP) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: average_gradients_(Net(), "all"),
        lambda: utils.clip_grad_norm_(Net(), 1.0, group="all"),
        lambda: utils.get_total_norm([], group="all"),
        lambda: optimizers.get_total_norm([], group="all"),
        lambda: checkpoint.resume("none.pt", missing_ok=True, group="all"),
    ],
)
def test_what_is_no_group(call):
    with pytest.raises(TypeError, match=r"group is a str, expected what mx\.distributed\.init\(\)"):
        call()


def test_a_tree_is_sent_to_mlx():
    with pytest.raises(TypeError, match="the parameters are given as a dict"):
        average_gradients_({"weight": mx.ones(2)})
