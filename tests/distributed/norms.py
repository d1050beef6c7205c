"""A program of two processes: norms and clipping of a model that is cut in two, against the whole model."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.nn.layers.distributed import fully_shard, shard_inplace
from mlx.utils import tree_flatten, tree_map

import torchish_mlx as torch
from tests.distributed.launched import main
from torchish_mlx import optim, optimizers
from torchish_mlx.nn import utils
from torchish_mlx.optimizers import RowSparse

X = mx.random.normal((16, 4), key=mx.random.key(1))
ORDERS = [2.0, 1.0, math.inf, -math.inf, 0.0, 3.0, 0.5, -2.0]
Group = mx.distributed.Group


def net() -> nn.Module:
    mx.random.seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6), nn.LayerNorm(6), nn.Linear(6, 3))


def cut(model: nn.Module, group: Group) -> nn.Module:
    """The first two layers in two parts; the bias of the second one, and the others, are whole in both processes."""
    first, second = model.layers[0], model.layers[2]
    model.layers[0] = nn.AllToShardedLinear.from_linear(first, group=group)
    model.layers[2] = nn.ShardedToAllLinear.from_linear(second, group=group)
    return model


def loss(model: nn.Module, x: mx.array) -> mx.array:
    return mx.sum((model(x) - mx.sin(x[:, :3])) ** 2)


def with_gradients(model: nn.Module, scale: float = 1.0) -> nn.Module:
    torch.backward(model, lambda m, x: loss(m, x) * scale, X)
    return model


def parts_of(whole: nn.Module, group: Group) -> dict[str, mx.array]:
    """The gradients of the whole model, cut as the model is."""
    rank, cut = group.rank(), {}
    for name, p in torch.named_parameters(whole):
        grad = p.grad.array
        if name.startswith("layers.0"):
            grad = mx.split(grad, 2, axis=0)[rank]
        elif name == "layers.2.weight":
            grad = mx.split(grad, 2, axis=1)[rank]
        cut[name] = grad
    return cut


def norms_of_parameters(group: Group) -> None:
    for scale in (1.0, 1e-30, 1e25):
        whole, model = with_gradients(net(), scale), with_gradients(cut(net(), group), scale)
        for order in ORDERS:
            wanted = utils.get_total_norm([p.grad for p in torch.parameters(whole)], order).item()
            for given in (model, torch.parameters(model), [model.layers[0], *model.layers[2:]]):
                got = utils.clip_grad_norm_(given, math.inf, order, group=group).item()
                assert got == pytest.approx(wanted, rel=1e-5), (order, scale)
            tree = {name: p.grad.array for name, p in torch.named_parameters(model)}
            got = optimizers.get_total_norm(tree, order, group=group, sharded=model).item()
            assert got == pytest.approx(wanted, rel=1e-5), (order, scale)


def clipping(group: Group) -> None:
    whole, model = with_gradients(net()), with_gradients(cut(net(), group))
    tree = {name: p.grad.array for name, p in torch.named_parameters(model)}
    norm = utils.clip_grad_norm_(whole, 0.5)
    assert utils.clip_grad_norm_(model, 0.5, group=group).item() == pytest.approx(norm.item(), rel=1e-6)
    by_tree, other = optimizers.clip_grad_norm(tree, 0.5, group=group, sharded=model)
    assert other.item() == pytest.approx(norm.item(), rel=1e-6)
    wanted = parts_of(whole, group)
    for name, p in torch.named_parameters(model):
        np.testing.assert_allclose(p.grad.numpy(), wanted[name], rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(by_tree[name], wanted[name], rtol=1e-4, atol=1e-7)
    everyones = mx.distributed.all_gather(other[None], group=group)
    assert everyones[0].item() == everyones[1].item(), "the norms differ in a bit"


def what_is_whole_counts_once(group: Group) -> None:
    model = with_gradients(net())
    norm = utils.get_total_norm([p.grad for p in torch.parameters(model)]).item()
    assert utils.clip_grad_norm_(model, math.inf, group=group).item() == pytest.approx(norm, rel=1e-6)
    alone = torch.Parameter(mx.zeros(2))
    alone.grad = mx.array([3.0, 4.0])
    assert utils.clip_grad_norm_(alone, math.inf, group=group).item() == 5.0


def what_the_user_says(group: Group) -> None:
    """shard_inplace leaves no trace; a Parameter of one's own neither; and a function says it of a tree."""
    norm = utils.get_total_norm([p.grad for p in torch.parameters(with_gradients(net()))]).item()
    model = net()
    shard_inplace(model.layers[0], "all-to-sharded", group=group)
    whole = with_gradients(net())
    for name, grad in parts_of(whole, group).items():
        if name.startswith("layers.0"):
            torch.locate(model, name).grad = grad
        else:
            torch.locate(model, name).grad = torch.locate(whole, name).grad
    for sharded in (model.layers[0], [model.layers[0]], list(torch.parameters(model.layers[0]))):
        got = utils.clip_grad_norm_(model, math.inf, group=group, sharded=sharded)
        assert got.item() == pytest.approx(norm, rel=1e-6)
    tree = {name: p.grad.array for name, p in torch.named_parameters(model)}
    got = optimizers.get_total_norm(tree, group=group, sharded=lambda name, g: name.startswith("layers.0") and g.ndim)
    assert got.item() == pytest.approx(norm, rel=1e-6)

    part = mx.array([3.0, 0.0]) if group.rank() == 0 else mx.array([4.0])
    assert optimizers.get_total_norm([part], group=group).item() == pytest.approx(5.0)
    assert utils.get_total_norm([torch.tensor(part)], group=group).item() == pytest.approx(5.0)
    rows = RowSparse(mx.array([0, 0]), mx.array([[1.0], [2.0]]) * (1 + group.rank() / 3), (2, 1))
    assert optimizers.get_total_norm([rows], group=group).item() == pytest.approx(5.0)


def a_process_without_gradients(group: Group) -> None:
    for order, wanted in ((2.0, 5.0), (1.0, 7.0), (math.inf, 4.0), (-math.inf, 3.0), (-1.0, 12 / 7)):
        given = [mx.array([3.0, 4.0])] if group.rank() == 1 else []
        assert optimizers.get_total_norm(given, order, group=group).item() == pytest.approx(wanted)
    assert optimizers.get_total_norm([], group=group).item() == 0.0


def what_is_not_finite(group: Group) -> None:
    for bad in (math.inf, math.nan):
        grad = mx.array([bad if group.rank() == 1 else 1.0])
        for order in (2.0, 1.0, math.inf, 3.0):
            total = optimizers.get_total_norm([grad], order, group=group).item()
            assert total == bad or (math.isnan(bad) and math.isnan(total))
            with pytest.raises(RuntimeError, match="non-finite"):
                optimizers.get_total_norm([grad], order, error_if_nonfinite=True, group=group)


def wide_numbers_and_traces(group: Group) -> None:
    part = mx.array([3e200 if group.rank() == 0 else 4e200], mx.float64)
    with mx.stream(mx.cpu):
        assert optimizers.get_total_norm([part], group=group).item() == pytest.approx(5e200)
    compiled = mx.compile(lambda g: optimizers.clip_grad_norm([g], 1.0, group=group))
    (clipped,), norm = compiled(mx.array([3.0 if group.rank() == 0 else 4.0]))
    assert norm.item() == pytest.approx(5.0)
    assert clipped.item() == pytest.approx([0.6, 0.8][group.rank()], rel=1e-5)


def what_is_refused(group: Group) -> None:
    for call in (
        lambda **options: optimizers.get_total_norm([mx.ones(1)], **options),
        lambda **options: optimizers.clip_grad_norm([mx.ones(1)], 1.0, **options),
        lambda **options: utils.clip_grad_norm_(net(), 1.0, **options),
    ):
        with pytest.raises(TypeError, match=r"group is a int, expected what mx\.distributed\.init"):
            call(group=2)
        with pytest.raises(ValueError, match="no group= is given"):
            call(sharded=net())
    with pytest.raises(TypeError, match="sharded is a list, expected a model"):
        optimizers.get_total_norm([mx.ones(1)], group=group, sharded=["a"])


def a_model_that_is_cut_by_fully_shard(group: Group) -> None:
    """The ring has no sum_scatter, by which such a layer gets its gradients: they are written here."""
    whole, model = with_gradients(net()), net()
    model.layers[0] = fully_shard(model.layers[0], group=group)
    for name, grad in parts_of(whole, group).items():
        place = name.replace("layers.0.", "layers.0.module.")
        torch.locate(model, place).grad = torch.locate(whole, name).grad if "layers.2" in name else grad
    wanted = utils.get_total_norm([p.grad for p in torch.parameters(whole)]).item()
    assert utils.clip_grad_norm_(model, math.inf, group=group).item() == pytest.approx(wanted, rel=1e-5)
    tree: Any = {name: p.grad.array for name, p in torch.named_parameters(model)}
    assert optimizers.get_total_norm(tree, group=group, sharded=model).item() == pytest.approx(wanted, rel=1e-5)


def a_training_of_a_model_in_two_parts(group: Group) -> None:
    """Clipped by the norm of the whole in every step: the weights of the whole model."""
    whole, model = net(), cut(net(), group)
    for each, options in ((whole, {}), (model, {"group": group})):
        optimizer = optim.AdamW(each, lr=0.01)
        for _ in range(20):
            optimizer.zero_grad()
            torch.backward(each, loss, X)
            utils.clip_grad_norm_(each, 0.5, **options)
            optimizer.step()
    expected: Any = dict(tree_flatten(cut(whole, group).parameters()))
    for name, array in tree_flatten(model.parameters()):
        np.testing.assert_allclose(array, expected[name], atol=1e-6, err_msg=name)
    assert tree_map(lambda a: a.shape, model.parameters())


if __name__ == "__main__":
    main(
        norms_of_parameters,
        clipping,
        what_is_whole_counts_once,
        what_the_user_says,
        a_process_without_gradients,
        what_is_not_finite,
        wide_numbers_and_traces,
        what_is_refused,
        a_model_that_is_cut_by_fully_shard,
        a_training_of_a_model_in_two_parts,
    )
