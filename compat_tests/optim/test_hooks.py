"""Hooks: the same order, the same arguments and the same effect of what they return, as torch's."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
import torch
import torch.optim.optimizer as torchs_module

import torchish_mlx
from compat_tests.bridge import outcome
from torchish_mlx import optim

Events = list[Any]


def ours() -> tuple[Any, Any, Any]:
    """(optimizer, its parameter, the functions that register global hooks)."""
    p = torchish_mlx.Parameter(mx.array([1.0, 2.0]))
    p.grad = mx.array([0.5, 0.5])
    return optim.SGD([p], lr=0.1, momentum=0.9), p, optim


def theirs() -> tuple[Any, Any, Any]:
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    p.grad = torch.tensor([0.5, 0.5])
    return torch.optim.SGD([p], lr=0.1, momentum=0.9), p, torchs_module


def told(value: Any, names: dict[int, str]) -> Any:
    """A value in words that both sides share."""
    if id(value) in names:
        return names[id(value)]
    if isinstance(value, dict):
        return {str(key): told(v, names) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(told(v, names) for v in value)]
    if isinstance(value, (torch.Tensor, torchish_mlx.Tensor)):
        return "tensor"
    return value if isinstance(value, (int, float, str, type(None))) else type(value).__name__


def on_both(scenario: Callable[[Any, Any, Any, Callable[..., Any]], Any]) -> Events:
    """Run ``scenario(optimizer, parameter, globals, recorder)`` on both sides: the same events, which are returned."""
    found = []
    for side in (ours, theirs):
        opt, p, module = side()
        names, events = {id(opt): "optimizer", id(p): "parameter"}, []

        def recorder(
            name: str, result: Any = None, opt: Any = opt, names: Any = names, events: Any = events
        ) -> Callable[..., Any]:
            """A hook that writes down its name, its arguments and the step that the optimizer has made by then."""

            def hook(*args: Any, **kwargs: Any) -> Any:
                moved = opt.param_groups[0]["params"][0].tolist() != [1.0, 2.0]
                events.append([name, told(args, names), told(kwargs, names), moved])
                return result(*args) if callable(result) else result

            return hook

        with ExitStack() as stack:
            wrapped = Globals(module, stack)
            events.append(["result", told(scenario(opt, p, wrapped, recorder), names)])
        events.append(["parameter", [round(x, 6) for x in p.tolist()]])
        found.append(events)
    assert found[0] == found[1]
    return found[0]


class Globals:
    """Registering hooks of every optimizer, for one scenario."""

    def __init__(self, module: Any, stack: ExitStack) -> None:
        self.module, self.stack = module, stack

    def pre(self, hook: Any) -> Any:
        return self.stack.enter_context(self.module.register_optimizer_step_pre_hook(hook))

    def post(self, hook: Any) -> Any:
        return self.stack.enter_context(self.module.register_optimizer_step_post_hook(hook))


def test_step() -> None:
    """Global pre, own pre, the step, own post, global post; each in the order of registering, with equal arguments."""

    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        opt.register_step_post_hook(record("post 1"))
        opt.register_step_pre_hook(record("pre 1"))
        everyone.post(record("global post 1"))
        everyone.pre(record("global pre 1"))
        opt.register_step_pre_hook(record("pre 2"))
        opt.register_step_post_hook(record("post 2"))
        everyone.pre(record("global pre 2"))
        everyone.post(record("global post 2"))
        opt.step()
        opt.step(None)
        return opt.step(closure=lambda: 5.0)

    events = on_both(scenario)
    order = ["global pre 1", "global pre 2", "pre 1", "pre 2", "post 1", "post 2", "global post 1", "global post 2"]
    assert [event[0] for event in events[:8]] == order
    assert len(events) == 26


def test_step_pre_hook_replaces_the_arguments() -> None:
    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        opt.register_step_pre_hook(record("first", lambda o, args, kwargs: (args, {"closure": lambda: 7.0})))
        opt.register_step_pre_hook(record("second"))
        opt.register_step_post_hook(record("post"))
        return opt.step()

    assert ["result", 7.0] in on_both(scenario)


@pytest.mark.parametrize("result", [5, "ab", (1, 2, 3), [1, 2], {}], ids=repr)
def test_step_pre_hook_that_returns_something_else(result: Any) -> None:
    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        opt.register_step_pre_hook(record("pre", result))
        error = outcome(opt.step)
        assert error is not None
        return error[0], error[1].partition(">")[2].partition("at 0x")[0]

    assert ["tuple", "RuntimeError"] == on_both(scenario)[1][1][:2]


def test_post_hook_of_step_is_not_called_after_an_error() -> None:
    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        def closure() -> float:
            raise KeyError("in the closure")

        opt.register_step_pre_hook(record("pre"))
        opt.register_step_post_hook(record("post"))
        everyone.post(record("global post"))
        return outcome(lambda: opt.step(closure))

    assert [event[0] for event in on_both(scenario)] == ["pre", "result", "parameter"]


def test_removing() -> None:
    """By ``remove()``, twice, and by leaving a ``with`` block."""

    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        handles = [opt.register_step_pre_hook(record(f"pre {i}")) for i in range(3)]
        handles[1].remove()
        handles[1].remove()
        with opt.register_step_post_hook(record("post in with")):
            opt.step()
        everyone.pre(record("global")).remove()
        opt.step()

    assert [event[0] for event in on_both(scenario)[:5]] == ["pre 0", "pre 2", "post in with", "pre 0", "pre 2"]


def test_state_dict() -> None:
    """Pre hooks get the optimizer, post hooks the state dict, which they may replace; ``prepend`` puts one first."""

    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        opt.step()
        opt.register_state_dict_pre_hook(record("pre 1"))
        opt.register_state_dict_pre_hook(record("pre 2"), prepend=True)
        opt.register_state_dict_post_hook(record("post 1", lambda o, d: {**d, "by": "post 1"}))
        opt.register_state_dict_post_hook(record("post 2", lambda o, d: d["param_groups"][0].update(seen=list(d))))
        opt.register_state_dict_post_hook(record("post 3"), prepend=True)
        opt.register_state_dict_pre_hook(record("removed")).remove()
        return opt.state_dict()

    assert [event[0] for event in on_both(scenario)[:5]] == ["pre 2", "pre 1", "post 3", "post 1", "post 2"]


def test_load_state_dict() -> None:
    """Pre hooks get a shallow copy, which they may change or replace; post hooks see the loaded state."""

    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        opt.step()
        saved = copy.deepcopy(opt.state_dict())
        opt.step()

        def replace(o: Any, d: dict[str, Any]) -> dict[str, Any]:
            return {**d, "param_groups": [{**group, "lr": 0.25} for group in d["param_groups"]]}

        opt.register_load_state_dict_pre_hook(record("pre 1", replace))
        opt.register_load_state_dict_pre_hook(record("pre 2", lambda o, d: d.pop("added") and None))
        opt.register_load_state_dict_pre_hook(record("pre 0", lambda o, d: d.update(added=1)), prepend=True)
        opt.register_load_state_dict_post_hook(record("post 1"))
        opt.register_load_state_dict_post_hook(
            record("post 0", lambda o: seen.append(o.param_groups[0]["lr"])), prepend=True
        )
        seen: list[Any] = []
        opt.load_state_dict(saved)
        return seen, list(saved), opt.param_groups[0]["lr"]

    assert [event[0] for event in on_both(scenario)[:5]] == ["pre 0", "pre 1", "pre 2", "post 0", "post 1"]


def test_a_pre_hook_adapts_another_layout() -> None:
    """torch's own example: a state dict matched by the names of the parameters, which stand in another order."""

    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        module = torchish_mlx if isinstance(p, torchish_mlx.Tensor) else torch
        make = (
            (lambda v: torchish_mlx.Parameter(mx.array(v)))
            if module is torchish_mlx
            else (lambda v: torch.nn.Parameter(torch.tensor(v)))
        )
        a, b = make([1.0]), make([2.0, 3.0])
        first = module.optim.SGD([("a", a), ("b", b)], lr=0.1, momentum=0.9)
        (a.sum() + b.sum()).backward()
        first.step()
        saved = copy.deepcopy(first.state_dict())
        second = module.optim.SGD([("b", b), ("a", a)], lr=0.1, momentum=0.9)

        def by_name(o: Any, d: dict[str, Any]) -> dict[str, Any]:
            d = copy.deepcopy(d)
            number = dict(zip(d["param_groups"][0]["param_names"], d["param_groups"][0]["params"], strict=True))
            d["state"] = {i: d["state"][number[name]] for i, name in enumerate(o.param_groups[0]["param_names"])}
            d["param_groups"][0]["param_names"] = o.param_groups[0]["param_names"]
            return d

        second.register_load_state_dict_pre_hook(by_name)
        second.load_state_dict(saved)
        return {name: second.state[q]["momentum_buffer"].tolist() for name, q in (("a", a), ("b", b))}

    assert on_both(scenario)[0][1] == {"a": ["list", 1.0], "b": ["list", 1.0, 1.0]}


def test_copies_leave_hooks_behind() -> None:
    """torch's copies and pickles of an optimizer have no hooks."""

    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        opt.register_step_pre_hook(record("pre"))
        opt.register_state_dict_pre_hook(record("state_dict pre"))
        for new in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
            new.step()
            new.state_dict()

    assert [event[0] for event in on_both(scenario)] == ["result", "parameter"]


def test_a_subclass() -> None:
    """A user's step() that calls the one that it overrides, and a subclass that inherits it: hooked as in torch."""

    def scenario(opt: Any, p: Any, everyone: Globals, record: Any) -> Any:
        base = type(opt)

        class Noisy(base):  # type: ignore[misc,valid-type]
            def step(self, closure: Any = None) -> Any:
                record("in Noisy")()
                return super().step(closure)

        class Louder(Noisy):
            pass

        results = []
        for cls in (Noisy, Louder):
            new = cls([p], lr=0.1)
            new.register_step_pre_hook(lambda o, a, k: record("pre")(len(a), k))
            new.register_step_post_hook(lambda o, a, k: record("post")(len(a), k))
            results.append(new.step(lambda: 3.0))
        return results

    on_both(scenario)


@pytest.mark.parametrize("door", ["update", "apply_gradients"])
def test_mlx_doors(door: str) -> None:
    """``update`` and ``apply_gradients`` are MLX's, and call no hooks of step()."""
    model = nn.Linear(2, 1)
    opt, calls = optim.SGD(model, lr=0.1), []
    opt.register_step_pre_hook(lambda *a: calls.append("pre"))
    opt.register_step_post_hook(lambda *a: calls.append("post"))
    before, gradients = model.weight.tolist(), {"weight": mx.ones((1, 2)), "bias": mx.ones(1)}
    if door == "update":
        opt.update(model, gradients)
    else:
        model.update(opt.apply_gradients(gradients, model.parameters()))
    assert model.weight.tolist() != before
    assert calls == []
    opt.step()
    assert calls == ["pre", "post"]
