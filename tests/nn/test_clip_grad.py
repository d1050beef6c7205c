"""Clipping of ``p.grad``: in place, lazily, for models and in compiled steps, and nothing half changed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as torch
from tests.cases import Net, assert_close, assert_same, gradients, inputs, squared_error
from torchish_mlx import optim, optimizers
from torchish_mlx.nn import utils
from torchish_mlx.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from torchish_mlx.optimizers import RowSparse

CLIPS: list[Callable[[Any], Any]] = [
    lambda params: clip_grad_norm_(params, 0.5),
    lambda params: clip_grad_value_(params, 0.1),
    lambda params: clip_grads_with_norm_(params, 0.5, torch.tensor(3.0)),
]


def with_gradients(*grads: Any) -> list[Any]:
    params = []
    for grad in grads:
        params.append(torch.Parameter(mx.zeros(grad.shape)))
        params[-1].grad = grad
    return params


def trained(step: int = 0) -> Net:
    """A model whose Parameters have gradients."""
    model = Net()
    torch.backward(model, squared_error, inputs(step))
    return model


def grads(model: nn.Module) -> dict[str, mx.array]:
    return {name: p.grad.array for name, p in torch.named_parameters(model) if p.grad is not None}


# In place -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", CLIPS)
def test_the_gradient_stays_the_same_tensor(clip):
    model = trained()
    before = {name: p.grad for name, p in torch.named_parameters(model)}
    expected = {
        0: lambda g: optimizers.clip_grad_norm(g, 0.5)[0],
        1: lambda g: optimizers.clip_grad_value(g, 0.1),
        2: lambda g: optimizers.scale_by_norm(g, 0.5, 3.0),
    }[CLIPS.index(clip)](grads(model))
    clip(torch.parameters(model))
    for name, p in torch.named_parameters(model):
        assert p.grad is before[name]
    assert_same(grads(model), expected)


def test_what_shares_the_gradient_sees_it():
    """``.data``, ``.detach()`` and views of a gradient, and a gradient that is a view of another tensor."""
    whole = torch.tensor([3.0, 4.0, 100.0])
    (p,) = with_gradients(whole[:2])
    seen = [p.grad.data, p.grad.detach(), p.grad.view(2, 1)]
    version = p.grad._storage.version
    clip_grad_norm_(p, 1.0)
    for tensor in seen:
        np.testing.assert_allclose(np.array(tensor.array).ravel(), [0.6, 0.8], rtol=1e-6)
    assert whole.tolist() == [*seen[1].tolist(), 100.0]
    assert p.grad._storage.version == version + 1


@pytest.mark.parametrize("given", ["model", "list", "parts", "generator", "single"])
def test_what_stands_for_parameters(given):
    model = nn.Sequential(nn.Linear(2, 2, bias=False)) if given == "single" else trained()
    if given == "single":
        torch.backward(model, lambda m, x: 9 * m(x).sum(), mx.ones((1, 2)))
    expected, norm = optimizers.clip_grad_norm(grads(model), 0.5)
    named = dict(torch.named_parameters(model))
    params: Any = {
        "model": model,
        "list": list(torch.parameters(model)),
        "parts": [model.layers[0], *[p for name, p in named.items() if not name.startswith("layers.0.")]],
        "generator": torch.parameters(model),
        "single": named.get("layers.0.weight"),
    }[given]
    total = clip_grad_norm_(params, 0.5)
    assert_close(grads(model), expected, 2)
    assert isinstance(total, torch.Tensor)
    assert total.shape == ()
    assert (total.dtype, total.requires_grad, total.grad_fn) == (mx.float32, False, None)
    assert total.item() == pytest.approx(norm.item(), rel=3e-7)


def test_parameters_without_gradients():
    """Frozen in the model, or not reached by a loss: left out."""
    model = Net()
    model.layers[0].freeze()
    torch.backward(model, squared_error, inputs())
    expected, norm = optimizers.clip_grad_norm(grads(model), 0.1)
    assert not any(name.startswith("layers.0") for name in expected)
    assert clip_grad_norm_(model, 0.1).item() == pytest.approx(norm.item(), rel=3e-7)
    assert_close(grads(model), expected, 2)
    assert clip_grad_norm_([torch.Parameter([1.0])], 1.0).item() == 0.0
    assert clip_grad_norm_([], 1.0).dtype == get_total_norm([]).dtype == mx.float32
    clip_grad_value_(Net(), 1.0)
    clip_grads_with_norm_([], 1.0, torch.tensor(1.0))


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_half_precision(dtype):
    params = with_gradients(mx.full((100,), 65024.0).astype(dtype), mx.ones((3,)))
    norm = clip_grad_norm_(params, 10.0)
    assert norm.dtype == mx.float32
    assert norm.item() == pytest.approx(650240, rel=1e-6)
    assert [p.grad.dtype for p in params] == [dtype, mx.float32]
    assert params[0].grad.float().mean().item() == pytest.approx(1, rel=4e-3)  # an ulp of bfloat16
    clip_grad_value_(params, 0.5)
    assert [p.grad.dtype for p in params] == [dtype, mx.float32]


def test_a_gradient_that_two_parameters_share():
    """Counted twice and scaled twice, as torch does."""
    p, q = with_gradients(mx.array([3.0]), mx.array([0.0]))
    q.grad = p.grad
    assert clip_grad_norm_([p, q], 4.5).item() == pytest.approx(3 * 2**0.5, rel=1e-6)
    assert p.grad.item() == 3.0
    norm = clip_grad_norm_([p, q], 1.5).item()
    assert p.grad.item() == pytest.approx(3 * (1.5 / norm) ** 2, rel=1e-5)


def test_rows():
    """The RowSparse stays the same object; then SparseAdam takes it."""
    grad = RowSparse(mx.array([2, 0, 2]), mx.array([[3.0], [0.0], [1.0]]), (3, 1))
    (p,) = with_gradients(grad)
    assert clip_grad_norm_(p, 1.0).item() == 4.0
    assert p.grad is grad
    np.testing.assert_allclose(np.array(grad.dense()), [[0.0], [0.0], [1.0]], rtol=1e-6)
    clip_grad_value_(p, 0.25)
    assert grad.dense().tolist() == [[0.0], [0.0], [0.25]]
    assert get_total_norm(grad).item() == 0.25
    optim.SparseAdam([p], lr=0.5).step()
    np.testing.assert_allclose(np.array(p.array), [[0.0], [0.0], [-0.5]], rtol=1e-5)


@pytest.mark.parametrize("foreach", [None, True, False])
def test_foreach(foreach):
    """Another implementation of the same numbers."""
    given = [mx.array([3.0, -4.0]), mx.array([[1.5]])]
    norms, after = [], []
    for more in ({}, {"foreach": foreach}):
        params = with_gradients(*given)
        norms += [get_total_norm([p.grad for p in params], 3, **more), clip_grad_norm_(params, 2.0, **more)]
        clip_grads_with_norm_(params, 1.0, torch.tensor(3.0), **more)
        clip_grad_value_(params, 0.4, **more)
        after.append([p.grad.array for p in params])
    assert_same(*after)
    assert [n.item() for n in norms[:2]] == [n.item() for n in norms[2:]]


# Laziness -----------------------------------------------------------------------------------------------------------


def test_in_a_compiled_step():
    """backward, two clips and a step, traced once; equal to the eager loop, and the norms come out."""
    results = []
    traces = []
    for wrap in (lambda f, **_: f, mx.compile):
        model = Net()
        optimizer = optim.SGD(model, lr=0.1, momentum=0.9)
        state = [model.state, optimizer.state]

        def step(x: mx.array, limit: mx.array, model: Any = model, optimizer: Any = optimizer) -> Any:
            traces.append(1)
            optimizer.zero_grad()
            loss = torch.backward(model, squared_error, x)
            norm = clip_grad_norm_(model, torch.Tensor(limit))
            clip_grad_value_(model, 0.2)
            optimizer.step()
            return loss.array, norm.array

        run = wrap(step, inputs=state, outputs=state)
        seen = [run(inputs(i), mx.array(0.5 - 0.1 * i)) for i in range(5)]
        results.append({"seen": seen, "model": model.parameters()})
    assert len(traces) == 5 + 2  # the second compiled one because the first step made the state
    limits = [0.5 - 0.1 * i for i in range(5)]
    assert all(n.item() > limit for (_, n), limit in zip(results[0]["seen"], limits, strict=True))
    assert_close(*results, 8)  # measured: 2


def test_the_check_in_a_compiled_step():
    model = Net()

    def step(x: mx.array) -> mx.array:
        torch.backward(model, squared_error, x)
        return clip_grad_norm_(model, 1.0, error_if_nonfinite=True).array

    with pytest.raises(RuntimeError, match="leave it out, return the norm"):
        mx.compile(step)(inputs())


def test_norms_that_are_kept_unread_hold_no_gradients():
    model = nn.Linear(64, 64)
    optimizer = optim.SGD(model, lr=1e-3)
    x = mx.random.normal((8, 64), key=mx.random.key(0))
    norms, sizes = [], []
    for _ in range(60):
        optimizer.zero_grad()
        torch.backward(model, lambda m, x: (m(x) ** 2).mean(), x)
        norms.append(clip_grad_norm_(model, 0.1))
        optimizer.step()
        mx.synchronize()
        sizes.append(mx.get_active_memory())
    assert sizes[-1] - sizes[10] < 64 * 64 * 4  # one gradient, over 49 steps


# Warnings -------------------------------------------------------------------------------------------------------------


def test_empty_generators_and_models():
    for empty in ((p for p in ()), torch.parameters(nn.ReLU()), nn.ReLU()):
        with pytest.warns(UserWarning, match="`parameters` is an empty generator, no gradient clipping") as seen:
            assert clip_grad_norm_(empty, 1.0).item() == 0.0
        assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip_grad_norm_([], 1.0)
        clip_grad_norm_(iter([]), 1.0)
        clip_grad_value_((p for p in ()), 1.0)
        clip_grad_norm_((p for p in [torch.Parameter([1.0])]), 1.0)


def test_the_deprecated_name():
    (p,) = with_gradients(mx.array([3.0, 4.0]))
    with pytest.warns(FutureWarning, match="in favor of `torch.nn.utils.clip_grad_norm_`") as seen:
        assert utils.clip_grad_norm(p, 1.0, 1, foreach=True).item() == 7.0
    assert seen[0].filename == __file__
    np.testing.assert_allclose(p.grad.tolist(), [3 / 7, 4 / 7], rtol=1e-6)


# Bad input ------------------------------------------------------------------------------------------------------------


def unchanged(call: Callable[[Any], Any], error: type[Exception], match: str, *values: Any) -> None:
    """``call`` raises, and the gradients are as they were."""
    params = with_gradients(*(values or (mx.array([3.0, -4.0]), mx.array([[math.inf]]))))
    before = [np.array(p.grad.array) for p in params]
    with pytest.raises(error, match=match):
        call(params)
    for p, value in zip(params, before, strict=True):
        np.testing.assert_array_equal(np.array(p.grad.array), value)


def test_nothing_is_half_changed():
    non_finite = "The total norm of order 2.0 for gradients from `parameters` is non-finite, so it cannot be clipped"
    unchanged(lambda ps: clip_grad_norm_(ps, 1.0, error_if_nonfinite=True), RuntimeError, non_finite)
    unchanged(lambda ps: clip_grad_norm_([*ps, 1.0], 1.0), AttributeError, "'float' object has no attribute 'grad'")
    unchanged(lambda ps: clip_grad_value_([*ps, ("w", ps[0])], 1.0), AttributeError, "'tuple' object")
    unchanged(lambda ps: clip_grad_norm_([*ps, mx.ones(2)], 1.0), TypeError, "an array, which has no gradients: pass")
    unchanged(lambda ps: clip_grad_norm_(ps, "one"), ValueError, "could not convert string to float: 'one'")
    unchanged(lambda ps: clip_grad_norm_(ps, 1.0, None), TypeError, "NoneType")
    unchanged(lambda ps: clip_grad_value_(ps, None), TypeError, "NoneType")
    unchanged(lambda ps: clip_grads_with_norm_(ps, 1.0, torch.ones(1)), RuntimeError, "expected to be 0 dim .* 1 dim")
    unchanged(lambda ps: clip_grads_with_norm_(ps, 1.0, "2"), TypeError, "total_norm is a Tensor, .* not a str")
    order = "cannot compute the inf norm on an empty tensor"
    unchanged(lambda ps: clip_grad_norm_(ps, 1.0, "inf"), RuntimeError, order, mx.array([3.0]), mx.zeros((0,)))
    unchanged(lambda ps: clip_grad_value_(ps, 1.0), NotImplementedError, "complex", mx.array([3.0]), mx.array([5j]))


@pytest.mark.parametrize("clip", CLIPS)
def test_trees_of_arrays(clip):
    model = trained()
    before = {name: np.array(g) for name, g in grads(model).items()}
    for tree, what in ((model.parameters(), "a dict"), (gradients(model, 0)["step"], "an array")):
        with pytest.raises(TypeError, match=rf"given as {what}, which has no gradients: pass the model itself"):
            clip(tree)
    with pytest.raises(TypeError, match="'NoneType' object is not iterable"):
        clip(None)
    for name, g in grads(model).items():
        np.testing.assert_array_equal(np.array(g), before[name])


def test_norms_of_what_is_no_gradient():
    with pytest.raises(RuntimeError, match=r"Expected a floating point or complex tensor as input\. Got Int"):
        get_total_norm([torch.ones(2), torch.Tensor(mx.array([1, 2], mx.int32))])
    with pytest.raises(TypeError, match="gradients are Tensors, but one is a NoneType"):
        get_total_norm([torch.ones(2), None])
    with pytest.raises(TypeError, match=r"not Net. .* \[p.grad for p in parameters\(model\)\]"):
        get_total_norm(Net())
    assert get_total_norm(torch.full((4,), 2.0)).item() == get_total_norm(mx.full((4,), 2.0)).item() == 4.0
