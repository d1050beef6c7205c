"""GradScaler: in a loss function, on a Tensor; what a left-out step leaves alone; who holds whom."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.cases import Net, assert_same, inputs, saved, squared_error
from torchish_mlx import amp, optim
from torchish_mlx.amp import GradScaler, OptState

SCALE = 2.0**12


def scaled(scaler: GradScaler) -> Any:
    """A loss function whose loss is scaled."""
    return lambda model, x: scaler.scale(squared_error(model, x))


def gradients(model: nn.Module) -> list[Any]:
    return [p.grad.array for p in torch.parameters(model)]


def one(value: Any = (1.0, 2.0), **kwargs: Any) -> tuple[torch.Parameter, optim.SGD, GradScaler]:
    p = torch.Parameter(mx.array(value))
    return p, optim.SGD([p], lr=0.1), GradScaler(init_scale=8.0, **kwargs)


# In a training loop ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("name", ["SGD", "AdamW", "Lion"])
def test_the_weights_are_those_without_a_scaler(name, clip):
    """By a power of two, bit for bit; the loss that backward returns is scaled."""
    models = [Net(), Net()]
    optimizers = [getattr(optim, name)(model, lr=0.01) for model in models]
    scaler = GradScaler(init_scale=SCALE)
    for i in range(5):
        losses = []
        for model, optimizer, loss_fn in zip(models, optimizers, (squared_error, scaled(scaler)), strict=True):
            optimizer.zero_grad()
            losses.append(torch.backward(model, loss_fn, inputs(i)))
        if clip:
            scaler.unscale_(optimizers[1])
            for model in models:
                torch.nn.utils.clip_grad_norm_(torch.parameters(model), 0.1)
        optimizers[0].step()
        scaler.step(optimizers[1])
        scaler.update()
        assert losses[1].item() == losses[0].item() * SCALE
    assert_same(*models)
    assert_same(*[optimizer.state for optimizer in optimizers])


def test_a_loss_on_the_tape():
    p, optimizer, scaler = one()
    loss = scaler.scale((p * p).sum())
    assert (loss.item(), loss.requires_grad) == (40.0, True)
    loss.backward()
    assert p.grad.tolist() == [16.0, 32.0]
    scaler.unscale_(optimizer)
    assert p.grad.tolist() == [2.0, 4.0]
    scaler.step(optimizer)
    np.testing.assert_allclose(p.tolist(), [0.8, 1.6], rtol=1e-7)


def test_small_gradients_in_float16_are_kept():
    """What it is for: a gradient below 6e-8 is 0 in float16."""

    def loss_fn(model: nn.Module, x: mx.array, scaler: GradScaler) -> mx.array:
        half = (x.astype(mx.float16) @ model.weight.astype(mx.float16).T).astype(mx.float32)
        return scaler.scale(1e-9 * half.sum())

    model, x = nn.Linear(3, 2, bias=False), mx.ones((1, 3))
    optimizer = optim.SGD(model, lr=0.1)
    torch.backward(model, loss_fn, x, GradScaler(enabled=False))
    assert mx.abs(gradients(model)[0]).max().item() == 0
    optimizer.zero_grad()
    scaler = GradScaler()
    torch.backward(model, loss_fn, x, scaler)
    scaler.unscale_(optimizer)
    np.testing.assert_allclose(gradients(model)[0].tolist(), [[1e-9] * 3] * 2, rtol=2**-10)


def test_accumulated_gradients_are_unscaled_once():
    model = Net()
    optimizer, scaler = optim.SGD(model, lr=0.1), GradScaler(init_scale=SCALE)
    for i in range(3):
        torch.backward(model, squared_error, inputs(i))
    wanted = saved(gradients(model))
    optimizer.zero_grad()
    for i in range(3):
        torch.backward(model, scaled(scaler), inputs(i))
    scaler.unscale_(optimizer)
    assert_same(gradients(model), wanted)


def test_a_gradient_that_two_parameters_share_is_unscaled_once():
    p, q = (torch.Parameter(mx.ones(2)) for _ in range(2))
    p.grad = q.grad = torch.tensor([8.0, 16.0])
    _, _, scaler = one()
    scaler.scale(torch.tensor(1.0))
    scaler.unscale_(optim.SGD([p, q], lr=0.1))
    assert p.grad is q.grad
    assert p.grad.tolist() == [1.0, 2.0]


def test_arguments_and_results_go_through():
    class Returning(optim.SGD):
        def step(self, first: Any = None, *, second: Any = None) -> Any:
            return first, second

    p, _, scaler = one()
    optimizer = Returning([p], lr=0.1)
    p.grad = mx.ones(2)
    scaler.scale(torch.tensor(1.0))
    assert scaler.step(optimizer, 3, second=4) == (3, 4)
    scaler.update()
    p.grad = mx.array([mx.inf, 0.0])
    assert scaler.step(optimizer, 3, second=4) is None
    assert GradScaler(enabled=False).step(optimizer, 3, second=4) == (3, 4)


# A step that is left out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [mx.inf, -mx.inf, mx.nan])
@pytest.mark.parametrize("unscaled", [False, True])
@pytest.mark.parametrize("name", ["SGD", "AdamW", "RAdam", "Adafactor", "Lion"])
def test_infinite_gradients_change_nothing_but_the_scale(name, unscaled, bad):
    model = Net()
    optimizer = getattr(optim, name)(model, lr=0.01)
    scaler = GradScaler(init_scale=SCALE)
    calls: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("pre"))
    optimizer.register_step_post_hook(lambda *_: calls.append("post"))
    for i in range(2):
        optimizer.zero_grad()
        torch.backward(model, scaled(scaler), inputs(i))
        scaler.step(optimizer)
        scaler.update()
    assert calls == ["pre", "post"] * 2
    before = saved([model.parameters(), optimizer.state])
    arrays = dict(tree_flatten([model.parameters(), optimizer.state]))

    optimizer.zero_grad()
    torch.backward(model, lambda m, x: scaler.scale(squared_error(m, x)) + bad * m.step.sum(), inputs(2))
    if unscaled:
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()

    assert calls == ["pre", "post"] * 2
    assert_same([model.parameters(), optimizer.state], before)
    after = dict(tree_flatten([model.parameters(), optimizer.state]))
    assert all(after[path] is array for path, array in arrays.items() if not path.startswith("0."))
    assert scaler.get_scale() == SCALE / 2

    optimizer.zero_grad()
    torch.backward(model, scaled(scaler), inputs(3))
    scaler.step(optimizer)
    assert calls == ["pre", "post"] * 3


def test_one_optimizer_is_left_out_and_another_steps():
    p, first, scaler = one(growth_interval=1)
    q = torch.Parameter(mx.array([1.0, 2.0]))
    second = optim.SGD([q], lr=0.1)
    scaler.scale((p * mx.array([mx.inf, 1.0])).sum() + q.sum()).backward()
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    assert p.tolist() == [1.0, 2.0]
    assert q.tolist() == pytest.approx([0.9, 1.9])
    assert scaler.get_scale() == 4.0


def test_growth():
    p, optimizer, scaler = one(growth_interval=3)
    scales = []
    for kind in (1.0, 1.0, mx.inf, 1.0, 1.0, 1.0, 1.0):
        scaler.scale(torch.tensor(1.0))
        p.grad = mx.array([kind, 1.0])
        scaler.step(optimizer)
        scaler.update()
        scales.append((scaler.get_scale(), scaler.state_dict()["_growth_tracker"]))
    assert scales == [(8, 1), (8, 2), (4, 0), (4, 1), (4, 2), (8, 0), (8, 1)]


# What is scaled ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (mx.array(3.0), mx.float32),
        (mx.array(3.0, mx.float16), mx.float32),  # 65536 is no number of float16
        (mx.array(3.0, mx.bfloat16), mx.float32),
        (mx.array([3.0, 4.0], mx.float16), mx.float16),
        (mx.array([3.0], mx.bfloat16), mx.bfloat16),
    ],
)
def test_arrays(array, dtype):
    result = GradScaler(init_scale=16.0).scale(array)
    assert isinstance(result, mx.array)
    assert result.dtype == dtype
    assert result.tolist() == (array.astype(mx.float32) * 16).tolist()


def test_nested():
    scaler = GradScaler(init_scale=2.0)
    a, b, lazy = scaler.scale([mx.array(1.0), (torch.tensor(2.0), [mx.array(3.0)]), iter([mx.array(4.0)])])
    assert (a.item(), b[0].item(), b[1][0].item()) == (2.0, 4.0, 6.0)
    assert (type(b), type(b[0]), type(b[1])) == (tuple, torch.Tensor, list)
    assert next(lazy).item() == 8.0


@pytest.mark.parametrize("value", [3.0, None, "loss", {"loss": mx.array(1.0)}, np.ones(2), [mx.array(1.0), 2.0]])
def test_anything_else_is_refused(value):
    with pytest.raises(ValueError, match="outputs must be a Tensor or an iterable of Tensors"):
        GradScaler().scale(value)


# Arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", [(), ("cuda",), ("cuda:0",), ("mps",), ("cpu",), ("xpu",)])
def test_every_device_that_a_ported_script_names(device):
    """Never switched off: torch's default, "cuda", would do nothing on a Mac without a word."""
    scaler = GradScaler(*device)
    assert scaler.is_enabled()
    assert scaler.scale(mx.array(1.0)).item() == 2.0**16


@pytest.mark.parametrize(("device", "error"), [("nowhere", RuntimeError), (2.0**16, TypeError), (None, TypeError)])
def test_other_devices_are_refused(device, error):
    with pytest.raises(error, match="device"):
        GradScaler(device)


@pytest.mark.parametrize("given", [4, 4.0, mx.array(4.0), mx.array([[4.0]], mx.float16), torch.tensor([4.0])])
def test_new_scale(given):
    _, _, scaler = one()
    scaler.scale(mx.array(1.0))
    scaler.update(given)
    assert scaler.get_scale() == 4.0
    assert scaler.scale(mx.array(1.0)).shape == ()


@pytest.mark.parametrize("given", ["4", True, mx.ones(2), torch.ones(1, requires_grad=True)])
def test_refused_new_scale(given):
    _, _, scaler = one()
    scaler.scale(mx.array(1.0))
    with pytest.raises(AssertionError, match="new_scale should be a float or a 1-element"):
        scaler.update(given)
    assert scaler.get_scale() == 8.0


@pytest.mark.parametrize("how", ["keyword", "position"])
def test_closures_are_refused(how):
    p, optimizer, scaler = one()
    p.grad = mx.ones(2)
    scaler.scale(mx.array(1.0))
    with pytest.raises(RuntimeError, match="Closure use is not currently supported if GradScaler is enabled"):
        scaler.step(optimizer, closure=lambda: 1.0) if how == "keyword" else scaler.step(optimizer, lambda: 1.0)
    assert p.tolist() == [1.0, 2.0]
    scaler.step(optimizer, None)
    assert p.tolist() != [1.0, 2.0]


def test_an_optimizer_without_groups_is_refused():
    scaler = GradScaler()
    scaler.scale(mx.array(1.0))
    with pytest.raises(TypeError, match=r"param_groups, not SGD: .* optim\.from_mlx"):
        scaler.step(mlx.optimizers.SGD(0.1))
    with pytest.raises(AssertionError, match=r"expected param to be torch\.Tensor, got array"):
        scaler.step(type("Odd", (), {"param_groups": [{"params": [mx.ones(1)]}]})())


def test_refused_loads_change_nothing():
    _, _, scaler = one(growth_interval=3)
    before = scaler.state_dict()
    for missing in before:
        with pytest.raises(KeyError, match=missing):
            scaler.load_state_dict({key: 5 for key in before if key != missing})
        assert scaler.state_dict() == before
    for name in before:
        for junk in ("large", None, [1.0], float("nan"), 10**400):
            with pytest.raises(TypeError, match=rf'state_dict\["{name}"\] is .*, expected a number: give what'):
                scaler.load_state_dict({**dict.fromkeys(before, 3), name: junk})
            assert scaler.state_dict() == before
    with pytest.raises(TypeError, match="a scaler's state dict is a dict, but got list"):
        scaler.load_state_dict([before])


def test_disabled():
    p, optimizer, _ = one()
    scaler = GradScaler(enabled=False)
    loss = mx.array(3.0)
    assert scaler.scale(loss) is loss
    assert scaler.scale("anything") == "anything"
    p.grad = mx.array([mx.inf, 1.0])
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == pytest.approx([-mx.inf, 1.9])
    assert (scaler.get_scale(), scaler.state_dict(), scaler.is_enabled(), scaler.state) == (1.0, {}, False, {})
    scaler.load_state_dict({"scale": 3.0})
    assert pickle.loads(pickle.dumps(scaler)).get_scale() == 1.0


def test_rows_of_float16_overflow_where_they_are_added():
    """For optimizers that unscale themselves: a row that occurs twice is checked as its sum, and left as it is."""
    p = torch.Parameter(mx.zeros((3, 1), mx.float16))
    optimizer, scaler = optim.SGD([p], lr=0.1), GradScaler()
    scaler.scale(mx.array(1.0))
    for rows, wanted in (([1, 1], 1.0), ([1, 2], 0.0)):
        p.grad = torch.optimizers.RowSparse(mx.array(rows), mx.array([[6e4], [6e4]], mx.float16), (3, 1))
        assert [check.item() for check in scaler._check_inf_per_device(optimizer).values()] == [wanted]
        assert p.grad.values.tolist() == mx.array([[6e4], [6e4]], mx.float16).tolist()
    with pytest.raises(ValueError, match=r"Attempting to unscale FP16 gradients\."):
        scaler.unscale_(optimizer)


# Who holds whom ----------------------------------------------------------------------------------------------------


def test_optimizers_are_not_kept_alive():
    p, optimizer, scaler = one()
    scaler.scale((p * p).sum()).backward()
    scaler.unscale_(optimizer)
    dead = weakref.ref(optimizer)
    gc.disable()
    try:
        del optimizer
        assert dead() is None  # no cycle either: nothing has looked for one
        gone = weakref.ref(scaler)
        del scaler
        assert gone() is None
    finally:
        gc.enable()


def test_the_id_of_a_dead_optimizer_means_nothing():
    """A new optimizer at its address is READY, and the check of the dead one still counts in update()."""
    p, _, scaler = one()
    for _ in range(20):
        scaler.scale(mx.array(1.0))
        first = optim.SGD([p], lr=0.1)
        p.grad = mx.array([mx.inf, 1.0])
        scaler.unscale_(first)
        held = dict(scaler._per_optimizer_states)
        second = optim.SGD([p], lr=0.1)
        # as if the second stood where the first did: an address can't be asked for
        scaler._per_optimizer_states = {id(second): held[id(first)]}
        del first
        p.grad = mx.array([8.0, 8.0])
        scaler.unscale_(second)
        assert scaler._state_of(second)["stage"] is OptState.UNSCALED
        assert p.grad.tolist() == pytest.approx([8.0 / scaler.get_scale()] * 2)
        before = scaler.get_scale()
        scaler.update()
        assert scaler.get_scale() == before / 2


def test_copies_and_pickles():
    p, optimizer, scaler = one(growth_interval=7)
    for i in range(3):
        scaler.scale((p * p).sum()).backward()
        if i == 1:
            scaler.step(optimizer)
            with pytest.raises(AssertionError, match="may only be pickled at the beginning"):
                pickle.dumps(scaler)
        else:
            scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    for new in (pickle.loads(pickle.dumps(scaler)), copy.deepcopy(scaler)):
        assert new.state_dict() == scaler.state_dict()
        assert new.state_dict()["_growth_tracker"] == 3
        new.scale(mx.array(1.0))
        new.update(2.0)
        assert (new.get_scale(), scaler.get_scale()) == (2.0, 8.0)


def test_names():
    assert torch.amp is amp
    assert amp.__all__ == ["GradScaler", "OptState", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
