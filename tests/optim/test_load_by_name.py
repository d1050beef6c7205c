"""``optimizer.load_state_dict(..., strict=True | False)`` matches by name, in any order and grouping."""

from __future__ import annotations

import copy
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchish_mlx as torch
from tests.cases import RULES, assert_same, gradients, net
from tests.loading import lone, named, train
from tests.marks import examples, mostly_long
from torchish_mlx import optim


@st.composite
def regroupings(draw: Any, names: Any) -> Any:
    """The names, odd and even ones apart, in another order and other groups."""
    groups = []
    for k in range(2):
        half = draw(st.permutations([name for i, name in enumerate(names) if i % 2 == k]))
        cuts = sorted(draw(st.sets(st.integers(1, len(half) - 1)))) if len(half) > 1 else []
        groups += [half[a:b] for a, b in zip([0, *cuts], [*cuts, len(half)], strict=True)]
    return draw(st.permutations(groups))


@pytest.mark.parametrize("strict", mostly_long([True, False], lambda strict: strict))
@pytest.mark.parametrize("case", RULES)
@settings(max_examples=examples(10))
@given(data=st.data())
def test_any_order_and_grouping_goes_on_the_same(case, strict, data):
    model, other = net(case), net(case)
    split = data.draw(regroupings([name for name, _ in torch.named_parameters(model)]))
    source, target = named(case, model), named(case, other, split, lr=0.5)
    train(source, model, range(3))
    if data.draw(st.booleans()):
        train(target, other, range(2), skip=False)
    other.update(model.parameters())
    report = target.load_state_dict(copy.deepcopy(source.state_dict()), strict=strict)
    assert repr(report) == "<All keys matched successfully>"
    assert [group["param_names"] for group in target.param_groups] == [list(names) for names in split]
    for p, q in zip(torch.parameters(model), torch.parameters(other), strict=True):
        assert repr(dict(source.state.get(p, {}))) == repr(dict(target.state.get(q, {})))
    for optimizer, its in ((source, model), (target, other)):
        train(optimizer, its, range(3, 5))
    assert_same(model.parameters(), other.parameters())


def test_by_order_nothing_is_returned():
    _, optimizer = lone()
    assert optimizer.load_state_dict(optimizer.state_dict()) is None


def test_paths_in_a_module_are_names():
    model, source = lone()
    target = optim.AdamW(model, lr=0.3)
    target.load_state_dict(source.state_dict(), strict=True)
    assert target.param_groups[0]["lr"] == 0.1
    assert "param_names" not in target.param_groups[0]
    assert all(int(target.state[p]["step"].item()) == 2 for p in torch.parameters(model))


def test_a_parameter_that_never_stepped_is_not_missing():
    _, source = lone()
    state_dict = copy.deepcopy(source.state_dict())
    del state_dict["state"][1]
    _, target = lone()
    assert target.load_state_dict(state_dict, strict=True) == ([], [], {})
    assert [len(target.state.get(p, ())) for p in target.param_groups[0]["params"]] == [3, 0, 3, 3]


# -- a compiled step -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"strict": False}, {"strict": True, "keep_state_dtype": True}])
@pytest.mark.parametrize("case", ["SGD-momentum", "Adam-amsgrad", "Muon"])
def test_a_compiled_step_sees_what_was_loaded(case, options):
    model, other = net(case), net(case)
    model.set_dtype(mx.bfloat16)
    other.set_dtype(mx.bfloat16)
    source, target = named(case, model), named(case, other, lr=0.5)
    train(source, model, range(2))
    state_dict = copy.deepcopy(source.state_dict())
    for entries in state_dict["state"].values():
        entries.update({k: v.to(mx.float32) + 1e-4 for k, v in entries.items() if k != "step" and v.ndim})
    state = [other.state, target.state]
    traces = []

    def step(grads: Any) -> None:
        traces.append(1)
        target.update(other, grads)

    compiled = mx.compile(step, inputs=state, outputs=state)
    for i in range(2):
        compiled(gradients(other, i))
    reference = named(case, model, lr=0.5)
    reference.load_state_dict(state_dict, **options)
    target.load_state_dict(state_dict, **options)
    other.update(model.parameters())
    dtype = mx.float32 if "keep_state_dtype" in options else mx.bfloat16
    before = len(traces)
    for i in range(2, 5):
        compiled(gradients(other, i))
        reference.update(model, gradients(model, i))
    assert len(traces) <= before + 1
    for name, p in torch.named_parameters(other):
        slots = [v for k, v in target.state[p].items() if v.ndim]
        assert slots
        assert {v.dtype for v in slots} == {dtype}
        twin = dict(torch.named_parameters(model))[name]
        np.testing.assert_allclose(np.array(p.array.astype(mx.float32)), np.array(twin.array.astype(mx.float32)), 0.02)
        for k, v in target.state[p].items():
            wanted = reference.state[twin][k].to(mx.float32)
            np.testing.assert_allclose(np.array(v.to(mx.float32).array), np.array(wanted.array), 0.02, 1e-5)


# -- optimizers without a rule, and several in one -------------------------------------------------------------------


def quadratic(optimizer: Any) -> Any:
    params = [p for group in optimizer.param_groups for p in group["params"]]

    def closure() -> Any:
        optimizer.zero_grad()
        loss = sum((((p - 3) ** 2).sum() for p in params), torch.zeros(()))
        loss.backward()
        return loss

    return closure


def test_lbfgs_loads_in_its_order_only():
    def make(*names: str, sizes: Any = (2, 2)) -> Any:
        pairs = [(name, torch.Parameter(mx.arange(n) * 0.5)) for name, n in zip(names, sizes, strict=True)]
        return optim.LBFGS(pairs, lr=0.1, max_iter=3)

    source, same = make("a", "b"), make("a", "b")
    source.step(quadratic(source))
    assert same.load_state_dict(source.state_dict(), strict=True) == ([], [], {})
    for p, q in zip(source._params, same._params, strict=True):
        q.array = p.array
    assert source.step(quadratic(source)).item() == same.step(quadratic(same)).item()
    turned = make("b", "a")
    with pytest.raises(ValueError, match=r"one vector of all parameters, in the order \['a', 'b'\]; expected \['b', "):
        turned.load_state_dict(source.state_dict(), strict=True)
    assert list(turned.load_state_dict(source.state_dict(), strict=False).mismatched_keys) == ["a"]
    assert len(turned.state.get(turned._params[0], ())) == 0
    for strict in (None, True):
        with pytest.raises(ValueError, match=r'"prev_flat_grad"\] has 4 elements, expected a tensor of the 5 elements'):
            make("a", "b", sizes=(2, 3)).load_state_dict(source.state_dict(), strict=strict)
        for history in ([torch.zeros(3)], torch.zeros(4)):
            spoiled = copy.deepcopy(source.state_dict())
            spoiled["state"][0]["old_dirs"] = history
            with pytest.raises(
                ValueError, match=r'state\[0\]\["old_dirs"\](\[0\] has 3 elements| is a Tensor), expected'
            ):
                same.load_state_dict(spoiled, strict=strict)


class Heavy(optim.Optimizer):
    """As a user of torch writes one."""

    def __init__(self, params: Any, lr: float = 0.1, drag: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "drag": drag})

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["v"], state["n"] = torch.zeros_like(p), 0
                state["n"] += 1
                state["v"].mul_(group["drag"]).add_(p.grad)
                p.data.add_(state["v"], alpha=-group["lr"])


def test_an_optimizer_that_a_user_wrote():
    def make(names: str, **options: Any) -> Any:
        pairs = [(name, torch.Parameter(mx.array([float(ord(name))]))) for name in names]
        return dict(pairs), Heavy(pairs, **options)

    ours, source = make("abc", lr=0.25)
    theirs, target = make("cab")
    for _ in range(2):
        quadratic(source)()
        source.step()
    for name, p in ours.items():
        theirs[name].array = p.array
    assert target.load_state_dict(source.state_dict(), strict=True) == ([], [], {})
    assert target.param_groups[0]["lr"] == 0.25
    for optimizer in (source, target):
        quadratic(optimizer)()
        optimizer.step()
    assert [p.item() for p in ours.values()] == [theirs[name].item() for name in ours]
    bad = source.state_dict()
    del bad["param_groups"][0]["drag"]
    assert target.load_state_dict(bad, strict=False).missing_keys == ['param_groups[0]["drag"]']


def test_multi_optimizer():
    def make(reverse: bool) -> Any:
        model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
        pairs = list(torch.named_parameters(model))
        kinds = [native.Adam(0.1), native.SGD(0.2, momentum=0.5)]
        return model, optim.MultiOptimizer(pairs[::-1] if reverse else pairs, kinds, [lambda path, a: a.ndim == 2])

    (model, source), (other, target) = make(False), make(True)
    for i in range(3):
        source.update(model, gradients(model, i))
    other.update(model.parameters())
    assert target.load_state_dict(source.state_dict(), strict=True) == ([], [], {})
    source.update(model, gradients(model, 4))
    target.update(other, gradients(model, 4))
    assert_same(model.parameters(), other.parameters())
