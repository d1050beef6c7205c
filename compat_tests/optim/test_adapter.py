"""What scripts do with an optimizer besides stepping: tensors as numbers, closures, zero_grad, ``state[p]``."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

import torchish_mlx
from compat_tests.bridge import difference, outcome, to_array
from compat_tests.two_sides import OURS, THEIRS, TOLERANCE, Side, on_both, push
from torchish_mlx import optim
from torchish_mlx.parity.optimizer_cases import INFO

TENSOR_LR = [name for name in INFO if name not in ("LBFGS", "Muon", "SparseAdam")]
LATE = ("Rprop", "ASGD")  # which reads lr in its first step only, and which reads it for the step after


@pytest.mark.parametrize("name", TENSOR_LR)
def test_a_tensor_lr_changed_in_place(name: str) -> None:
    """The step sees every in-place change of a tensor given as lr, in all groups that share it."""

    def scenario(side: Side) -> Any:
        lr, a, b, c = side.tensor(0.1), *(side.parameter([1.0, -2.0, 3.0]) for _ in range(3))
        opt = getattr(side.optim, name)([{"params": [a]}, {"params": [b]}, {"params": [c], "lr": 0.03}], lr=lr)
        seen = []
        for factor in (1.0, 0.5, 2.0, 0.1):
            lr.mul_(factor)
            push(a, b, c)
            opt.step()
            seen += [a.detach().clone(), c.detach().clone(), lr.clone()]
            assert a.tolist() == b.tolist()
        assert opt.param_groups[0]["lr"] is lr
        assert opt.param_groups[1]["lr"] is lr
        lr.fill_(0.0)
        opt.param_groups[0]["lr"] = 0.2
        before = b.tolist()
        push(a, b, c)
        opt.step()
        assert (b.tolist() == before) == (name not in LATE)
        return seen, [a, b, c], opt.defaults["lr"]

    on_both(scenario)


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "Adagrad"])
def test_a_tensor_lr_in_a_compiled_step(name: str) -> None:
    """Captured once; two groups share the tensor; every in-place change reaches both without a new trace."""
    model = {"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)}
    torchs = [torch.nn.Parameter(torch.tensor(np.array(m.weight))) for m in model.values()]
    lr, torchs_lr = torchish_mlx.tensor(0.1), torch.tensor(0.1)
    opt = getattr(optim, name)([{"params": m} for m in model.values()], lr=lr)
    other = INFO[name].optim_cls([{"params": [p]} for p in torchs], lr=torchs_lr)
    traces = []
    captured = [*(m.state for m in model.values()), opt.state]

    def step(gradients: list[mx.array]) -> None:
        traces.append(1)
        for group, g in zip(opt.param_groups, gradients, strict=True):
            group["params"][0].grad = g
        opt.step()

    compiled = mx.compile(step, inputs=captured, outputs=captured)
    rng = np.random.default_rng(0)
    for factor in (1.0, 0.5, 2.0, 0.25, 3.0):
        lr.mul_(factor)
        torchs_lr.mul_(factor)
        gradients = [rng.standard_normal((2, 2)).astype("f4") for _ in torchs]
        compiled([mx.array(g) for g in gradients])
        mx.eval(captured)
        for p, g in zip(torchs, gradients, strict=True):
            p.grad = torch.tensor(g)
        other.step()
        found = [group["params"][0] for group in opt.param_groups]
        assert difference(found, torchs) <= TOLERANCE
        assert difference(opt.state_dict(), other.state_dict()) <= TOLERANCE
    assert len(traces) == (1 if name in ("SGD", "Adagrad") else 2)  # others make their state in the first step


@pytest.mark.parametrize("name", [name for name in INFO if name not in ("LBFGS", "Muon", "SparseAdam")])
def test_an_array_as_lr(name: str) -> None:
    """An mx.array stands as lr as a tensor does."""
    p, q = OURS.parameter([1.0, -2.0]), THEIRS.parameter([1.0, -2.0])
    ours, theirs = getattr(optim, name)([p], lr=mx.array(0.05)), INFO[name].optim_cls([q], lr=0.05)
    for _ in range(3):
        push(p, q)
        ours.step()
        theirs.step()
    ours.param_groups[0]["lr"] = mx.array(0.2)
    theirs.param_groups[0]["lr"] = 0.2
    push(p, q)
    ours.step()
    theirs.step()
    assert difference(p, q) <= TOLERANCE


def test_tensor_betas() -> None:
    """Both betas may be tensors, and changed in place. (torch takes ``1 - beta`` of them in float32, and so here.)"""

    def scenario(side: Side) -> Any:
        betas = side.tensor(0.9), side.tensor(0.99)
        p = side.parameter([1.0, -2.0])
        opt = side.optim.Adam([p], lr=0.1, betas=betas, **({"capturable": False} if side is THEIRS else {}))
        for i in range(4):
            betas[0].fill_(0.9 - 0.1 * i)
            push(p)
            opt.step()
        return p, opt.state[p]["exp_avg"], opt.state[p]["exp_avg_sq"]

    assert difference(scenario(OURS), scenario(THEIRS)) <= 1e-5  # 1 - 0.99 in float32 is 1e-6 off, by rounding of 0.99


def test_numbers_given_to_groups() -> None:
    """Assigned, updated, set by default and popped, as scripts do it; reading gives what was written."""

    def scenario(side: Side) -> Any:
        p = side.parameter([1.0, -2.0])
        opt = side.optim.AdamW([p], lr=0.1)
        group, seen = opt.param_groups[0], []
        for change in (
            lambda: group.update(lr=0.05, weight_decay=0.3),
            lambda: group.__setitem__("betas", (0.8, 0.95)),
            lambda: group.setdefault("initial_lr", 0.7),
            lambda: group.setdefault("lr", 5.0),
            lambda: group.__setitem__("maximize", True),
            lambda: group.pop("initial_lr"),
            lambda: group.__setitem__("amsgrad", False),
            lambda: group.__ior__({"lr": 1}),
            lambda: group.__setitem__("eps", 0.5),
        ):
            change()
            push(p)
            opt.step()
            seen += [p.detach().clone(), {k: v for k, v in group.items() if k != "params"}]
        return seen

    on_both(scenario)


# Closures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in INFO if name not in ("SparseAdam", "Muon")])
def test_closure(name: str) -> None:
    """Called once (LBFGS: as often as torch's), with gradients on also where they are off around it; returned."""

    def scenario(side: Side) -> Any:
        p = side.parameter([1.0, -2.0])
        opt, modes = getattr(side.optim, name)([p], lr=0.1), []

        def closure() -> Any:
            modes.append(side.library.is_grad_enabled())
            opt.zero_grad()
            loss = ((p - 3) ** 2).sum()
            loss.backward()
            return loss

        losses = [opt.step(closure).detach()]
        with side.library.no_grad():
            losses.append(opt.step(closure).detach())
            modes.append(side.library.is_grad_enabled())
        return losses, modes, p

    losses, modes, _ = on_both(scenario)
    assert modes.count(False) == 1
    assert losses[1].item() <= losses[0].item()


@pytest.mark.parametrize("value", [None, 3, 2.5, "text"], ids=repr)
def test_what_a_closure_returns(value: Any) -> None:
    """Whatever it is, it is returned as it is."""

    def scenario(side: Side) -> Any:
        p = side.parameter([1.0])
        push(p)
        opt = side.optim.SGD([p], lr=0.1)
        return opt.step(lambda: value), opt.step(), opt.step(closure=None), p

    on_both(scenario)


def test_lbfgs_needs_a_closure() -> None:
    assert outcome(lambda: optim.LBFGS([OURS.parameter([1.0])]).step()) is not None
    assert outcome(lambda: torch.optim.LBFGS([THEIRS.parameter([1.0])]).step())[0] == "TypeError"  # type: ignore[index]
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([OURS.parameter([1.0])]).step()


def test_a_step_leaves_no_graph() -> None:
    """A parameter stays a leaf without a graph, its gradient is not touched, and the mode is as before."""

    def scenario(side: Side) -> Any:
        p = side.parameter([1.0, -2.0])
        (p * p).sum().backward()
        opt = side.optim.Adam([p], lr=0.1)
        opt.step()
        return p.is_leaf, p.requires_grad, p.grad_fn, p.grad, side.library.is_grad_enabled(), p

    on_both(scenario)


# zero_grad ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), (True,), (False,)], ids=repr)
def test_zero_grad(arguments: tuple[bool, ...]) -> None:
    """Gradients of all groups are None, or zero; one that is None stays so; a step after it does what torch's does."""

    def scenario(side: Side) -> Any:
        a, b, c = (side.parameter([1.0, -2.0]) for _ in range(3))
        opt = side.optim.SGD([{"params": [a]}, {"params": [b, c]}], lr=0.1, momentum=0.9)
        push(a, b)
        held = a.grad
        opt.step()
        opt.zero_grad(*arguments)
        after = a.grad, b.grad, c.grad
        opt.step()
        return after, held if not arguments or arguments[0] else a.grad, a, b, c

    on_both(scenario)


def test_gradients_add_up() -> None:
    """backward() adds; zero_grad between; the accumulated gradient is what the step takes."""

    def scenario(side: Side) -> Any:
        p = side.parameter([1.0, -2.0])
        opt, seen = side.optim.SGD([p], lr=0.1), []
        for i in range(4):
            (p * p * (i + 1)).sum().backward()
            if i % 2:
                seen.append(p.grad.clone())
                opt.step()
                opt.zero_grad(set_to_none=i == 1)
        return seen, p

    on_both(scenario)


# Options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "option", "values"),
    [
        ("SGD", "nesterov", (True, False, True)),
        ("SGD", "maximize", (False, True, False)),
        ("SGD", "momentum", (0.9, 0.0, 0.5)),
        ("SGD", "dampening", (0.0, 0.5, 0.1)),
        ("Adam", "maximize", (True, False, True)),
        ("Adam", "decoupled_weight_decay", (False, True, False)),
        ("NAdam", "decoupled_weight_decay", (True, False, True)),
        ("RAdam", "decoupled_weight_decay", (False, True, False)),
        ("Adagrad", "lr_decay", (0.0, 0.1, 0.5)),
        ("Rprop", "etas", ((0.5, 1.2), (0.4, 1.5), (0.5, 1.1))),
        ("ASGD", "t0", (1, 2, 3)),
        ("Adafactor", "d", (1.0, 1.5, 3.0)),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_options_that_change_between_steps(name: str, option: str, values: Any, compiled: bool) -> None:
    """A flag or a number written into the group takes effect in the next step, compiled steps included."""
    kwargs: dict[str, Any] = {"lr": 0.05, option: values[0]}
    if name == "SGD":
        kwargs.setdefault("momentum", 0.9)
    if option == "decoupled_weight_decay":
        kwargs["weight_decay"] = 0.1
    model, rng = nn.Linear(3, 2, bias=False), np.random.default_rng(0)
    torchs = torch.nn.Parameter(torch.tensor(np.array(model.weight)))
    opt, other = getattr(optim, name)(model, **kwargs), INFO[name].optim_cls([torchs], **kwargs)
    captured = [model.state, opt.state]

    def step(g: mx.array) -> None:
        opt.update(model, {"weight": g})

    call = mx.compile(step, inputs=captured, outputs=captured) if compiled else step
    for value in values:
        opt.param_groups[0][option] = other.param_groups[0][option] = value
        for _ in range(2):
            g = rng.standard_normal((2, 3)).astype("f4")
            call(mx.array(g))
            mx.eval(captured)
            torchs.grad = torch.tensor(g)
            other.step()
            assert difference(torchish_mlx.Tensor(model.weight), torchs) <= TOLERANCE
    assert difference(opt.state_dict(), other.state_dict()) <= TOLERANCE


def test_parameters_of_many_kinds() -> None:
    """A generator, a tuple, a list of a model's parameters, dicts with a single tensor: as torch takes them."""

    def scenario(side: Side) -> Any:
        a, b = side.parameter([1.0]), side.parameter([2.0])
        seen = []
        for given in (iter([a, b]), (a, b), [a, b], [{"params": a}, {"params": b}], ({"params": (p,)} for p in (a, b))):
            opt = side.optim.SGD(given, lr=0.1)
            push(a, b)
            opt.step()
            seen.append([len(group["params"]) for group in opt.param_groups])
            assert all(isinstance(group["params"], list) for group in opt.param_groups)
        return seen, a, b

    on_both(scenario)


def test_an_assigned_array_is_what_is_trained() -> None:
    """What is written into the model between steps is what the next step starts from."""
    model, torchs = nn.Linear(2, 1), torch.nn.Linear(2, 1)
    opt, other = optim.Adam(model, lr=0.1), torch.optim.Adam(torchs.parameters(), lr=0.1)
    for value in (1.0, -1.0, 0.5):
        with torch.no_grad():
            torchs.weight.fill_(value)
        model.weight = mx.full((1, 2), value)
        model.bias = to_array(torchs.bias)
        for p, q in zip(torchish_mlx.parameters(model), torchs.parameters(), strict=True):
            q.grad = torch.ones_like(q)
            p.grad = mx.ones(q.shape)
        opt.step()
        other.step()
        assert difference([torchish_mlx.Tensor(model.weight)], [torchs.weight]) <= TOLERANCE
