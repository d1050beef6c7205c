"""``nn.utils.clip_grad``: numbers, warnings, errors and signatures equal to torch's.

Norms here are float32 whatever the gradients' dtype; torch's have the gradients' dtype, where a float16 norm overflows
beyond 65504. So for half-precision gradients torch is asked for the norm of the same values in float64, and for what it
makes of the gradients where its own norm is finite.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import utils as theirs

import torchish_mlx
from compat_tests.bridge import TORCH_DTYPES, outcome, to_ours
from compat_tests.sides import values
from compat_tests.two_sides import OURS, THEIRS, Side
from tests.each import each
from tests.marks import examples
from torchish_mlx.nn import utils as ours
from torchish_mlx.parity.clip_cases import DTYPES, INF, ORDERS, SHAPES, exact, same_gradients, same_norm, tensors

NAMES = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def pairs(grads: Sequence[torch.Tensor | None]) -> tuple[list[Any], list[Any]]:
    """Parameters of both sides with these gradients."""
    params = []
    for grad in grads:
        params.append(torch.nn.Parameter(torch.zeros(()) if grad is None else torch.zeros_like(grad)))
        params[-1].grad = None if grad is None else grad.clone()
    return to_ours(params), params


# Signatures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    """torch's arguments, and then keywords for several machines."""
    mine, other = (list(inspect.signature(getattr(side, name)).parameters.values()) for side in (ours, theirs))
    assert [(a.name, a.kind, a.default) for a in mine[: len(other)]] == [(a.name, a.kind, a.default) for a in other]
    more = mine[len(other) :]
    assert {a.name for a in more} <= {"group", "sharded"}
    assert all(a.kind is a.KEYWORD_ONLY and a.default is None for a in more)


def test_names() -> None:
    assert {*NAMES, "average_gradients_"} <= set(ours.__all__)
    assert torchish_mlx.nn.utils is ours
    assert torchish_mlx.nn.utils.clip_grad.clip_grad_norm_ is ours.clip_grad_norm_


# Numbers --------------------------------------------------------------------------------------------------------------


@each("dtype", DTYPES)
@each("order", ORDERS)
@pytest.mark.parametrize("shapes", [SHAPES, *[[shape] for shape in SHAPES], [(), (), (3,)], [(2, 2)] * 5], ids=repr)
def test_parity(shapes: Any, order: float, dtype: torch.dtype) -> None:
    """All shapes at once and alone, a third of the norm, and more than the norm; the norm of an empty one raises."""
    grads = tensors(shapes, dtype)
    empty = any(not g.numel() for g in grads)
    if empty and (math.isinf(order) or order < 0):
        for foreach in (True, False):
            mine, others = pairs(grads)
            assert outcome(lambda p=mine, f=foreach: ours.clip_grad_norm_(p, 1.0, order, foreach=f)) is not None
            raised = outcome(lambda p=others, f=foreach: theirs.clip_grad_norm_(p, 1.0, order, foreach=f))
            assert raised is not None
        text = f"linalg.vector_norm cannot compute the {order:g} norm on an empty tensor because the operation does"
        assert raised[1].startswith(text)
        assert outcome(lambda: ours.get_total_norm(to_ours(grads), order)) == raised
        same_gradients(*pairs(grads))
        return
    same_norm(ours.get_total_norm(to_ours(grads), order), exact(grads, order), order)
    norm = theirs.get_total_norm(grads, order).item()
    for limit in (norm / 3, norm * 2, norm, 1e-3):
        mine, others = pairs(grads)
        kept = [p.grad for p in mine]
        same_norm(ours.clip_grad_norm_(mine, limit, order), exact(grads, order), order)
        theirs.clip_grad_norm_(others, limit, order)
        same_gradients(mine, others)
        assert all(p.grad is g for p, g in zip(mine, kept, strict=True))


@pytest.mark.parametrize("scale", [1e30, 1e-30, 1e25, 1e-25])
@pytest.mark.parametrize("order", ORDERS)
def test_float32_beyond_the_range_of_its_squares(order: float, scale: float) -> None:
    """torch gives inf or 0 for orders whose powers leave float32; here the norm is that of float64."""
    grads = tensors([(5,), (2, 3)], torch.float32, scale)
    same_norm(ours.get_total_norm(to_ours(grads), order), exact(grads, order), order)


@pytest.mark.parametrize("value", [65504.0, 65000.0, 6e-8, 1.2e-7])
@pytest.mark.parametrize("order", ORDERS)
def test_float16_at_the_ends_of_its_range(order: float, value: float) -> None:
    """Where torch's float16 norm is inf it clips to 0; here the norm and the gradients are those of float32."""
    grads = [torch.full((100,), value, dtype=torch.float16), -torch.full((3, 3), value, dtype=torch.float16)]
    expected = exact(grads, order)
    same_norm(ours.get_total_norm(to_ours(grads), order), expected, order)
    for limit in (expected / 3, 1.0, expected * 4):
        mine, _ = pairs(grads)
        _, single = pairs([g.float() for g in grads])
        same_norm(ours.clip_grad_norm_(mine, limit, order), expected, order)
        theirs.clip_grad_norm_(single, limit, order)
        for p, q in zip(mine, single, strict=True):
            rounded = q.grad.half().double().numpy()
            assert np.isfinite(values(p.grad)).all()
            unit = np.maximum(np.abs(rounded) * 2.0**-10, 2.0**-24)  # one place, where a product lies between two
            np.testing.assert_array_less(np.abs(values(p.grad) - rounded), 1.01 * unit)
    if order == 2 and value > 1:
        _, half = pairs(grads)
        assert theirs.clip_grad_norm_(half, 1.0).item() == INF
        assert not half[0].grad.any()


def test_mixed_dtypes() -> None:
    """Each gradient keeps its dtype. torch rounds the norm of each in its dtype; against its float64."""
    grads = [*tensors([(4,), (2, 2)], torch.float32), *tensors([(3,)], torch.float16), *tensors([()], torch.bfloat16)]
    for order in ORDERS:
        mine, _ = pairs(grads)
        _, others = pairs([g.double() for g in grads])
        same_norm(ours.clip_grad_norm_(mine, 0.5, order), exact(grads, order), order)
        theirs.clip_grad_norm_(others, 0.5, order)
        _, rounded = pairs([q.grad.to(g.dtype) for q, g in zip(others, grads, strict=True)])
        same_gradients(mine, rounded)


def test_float64() -> None:
    _, others = pairs(tensors([(4,), (3, 2)], torch.float64))
    with mx.stream(mx.cpu):
        mine = [torchish_mlx.Parameter(mx.zeros(q.shape, mx.float64)) for q in others]
        for p, q in zip(mine, others, strict=True):
            p.grad = mx.array(q.grad.numpy(), mx.float64)
        norm = ours.clip_grad_norm_(mine, 0.7, 3)
        assert norm.item() == pytest.approx(theirs.clip_grad_norm_(others, 0.7, 3).item(), rel=1e-15)
        assert norm.dtype == mx.float64
        for p, q in zip(mine, others, strict=True):
            np.testing.assert_allclose(values(p.grad), values(q.grad), rtol=1e-14)


@each("foreach", [None, True, False])
@each("limit", [0.0, INF, -1.0, math.nan, 1, "2"])
@each("grad", [[1.0, 2.0], [INF, 1.0], [-INF, 1.0], [math.nan, 1.0], [0.0, 0.0], [-0.0, 1e-7]])
def test_limits_and_what_is_not_finite(grad: list[float], limit: Any, foreach: bool | None) -> None:
    """What torch makes of zero, infinite and negative norms, bit for bit where it is exact (0, inf, nan, signs)."""
    mine, others = pairs([torch.tensor(grad), torch.tensor(0.5)])
    a = ours.clip_grad_norm_(mine, limit, foreach=foreach).item()
    b = theirs.clip_grad_norm_(others, limit, foreach=foreach).item()
    np.testing.assert_allclose(a, b, rtol=5e-7)
    same_gradients(mine, others)
    for p, q in zip(mine, others, strict=True):
        numbers = ~np.isnan(values(q.grad))
        np.testing.assert_array_equal(np.signbit(values(p.grad))[numbers], np.signbit(values(q.grad))[numbers])
    mine, others = pairs([torch.tensor(grad), torch.tensor(0.5)])
    ours.clip_grad_value_(mine, limit, foreach=foreach)
    theirs.clip_grad_value_(others, limit, foreach=foreach)
    same_gradients(mine, others)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bound", [0.1, 0.3, 1.0, 70000.0, 1e-9, INF])
def test_values(bound: float, dtype: torch.dtype) -> None:
    """Bit for bit: the bound rounded to the gradient's dtype, in float16 1e-9 to 0. (torch refuses 70000 there.)"""
    mine, others = pairs([*tensors(SHAPES, dtype), torch.tensor([6e-8, -60000.0], dtype=dtype)])
    ours.clip_grad_value_(mine, bound)
    theirs.clip_grad_value_(others, INF if bound == 70000.0 else bound)
    for p, q in zip(mine, others, strict=True):
        np.testing.assert_array_equal(values(p.grad), values(q.grad))


def test_with_a_norm_of_ones_own() -> None:
    for dtype in DTYPES:
        for norm in (0.0, 0.3, 5.0, 1e30, INF, math.nan):
            mine, others = pairs(tensors(SHAPES, dtype))
            ours.clip_grads_with_norm_(mine, 0.7, torchish_mlx.tensor(norm))
            theirs.clip_grads_with_norm_(others, 0.7, torch.tensor(norm))
            same_gradients(mine, others)


@settings(max_examples=examples(300), deadline=None)
@example([((), torch.float16, 65504.0), ((), torch.float16, 6e-8)], 2, 1.0, 0)
@example([((3,), torch.float32, 1.0), None], 0.5, 1e-6, 1)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.tuples(
                st.sampled_from([(), (1,), (7,), (3, 5), (70, 71), (2, 1, 3, 2)]),
                st.sampled_from(DTYPES),
                st.sampled_from([1e-4, 1e-2, 1.0, 30.0, 1e3]),
            ),
        ),
        max_size=6,
    ),
    st.one_of(st.sampled_from(ORDERS), st.floats(0.4, 6).map(lambda x: round(x, 2))),
    st.floats(1e-6, 1e6),
    st.integers(0, 1000),
)
def test_any_list(specs: list[Any], order: float, limit: float, seed: int) -> None:
    """Norms of lists of shapes, dtypes and scales, and what is clipped, against torch in float64."""
    grads = [None if s is None else tensors([s[0]], s[1], s[2], seed + i)[0] for i, s in enumerate(specs)]
    grads = [g if g is None else g.clamp(-65504, 65504) for g in grads]
    mine, _ = pairs(grads)
    _, others = pairs([g if g is None else g.double() for g in grads])
    norm = ours.clip_grad_norm_(mine, limit, order)
    expected = theirs.clip_grad_norm_(others, limit, order).item()
    assert norm.item() == pytest.approx(expected, rel=2e-6, abs=1e-44)  # measured: 7.8e-7
    for p, q in zip(mine, others, strict=True):
        if q.grad is None:
            assert p.grad is None
            continue
        dtype = TORCH_DTYPES[p.grad.dtype]
        a, b = values(p.grad), q.grad.numpy()
        unit = {torch.float32: 3e-6, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}[dtype]
        least = 2.0**-25 if dtype == torch.float16 else 1e-44
        np.testing.assert_allclose(a, b, rtol=1.01 * unit, atol=1.01 * least)


# Which parameters -----------------------------------------------------------------------------------------------------


def lists(side: Side) -> list[Any]:
    """Calls of clip_grad_norm_, as (what is passed, its parameters)."""
    none = side.parameter([1.0])
    made = []
    for _ in range(4):
        p, q = side.parameter([1.0, 2.0]), side.parameter(3.0)
        p.grad, q.grad = side.tensor([3.0, 1.0]), side.tensor(-2.0)
        made.append([p, none, q])
    return [
        ([], []),
        ([none], [none]),
        (made[0], made[0]),
        ((p for p in made[1]), made[1]),
        (made[2][0], made[2]),
        ([*made[3], made[3][0]], made[3]),
        (iter(()), []),
    ]


@pytest.mark.parametrize("foreach", [None, True, False])
@pytest.mark.parametrize("which", range(7))
def test_what_is_passed(which: int, foreach: bool | None) -> None:
    """Empty lists, no gradients, generators, one tensor, one parameter twice (scaled twice)."""
    results = []
    for side, utils in ((OURS, ours), (THEIRS, theirs)):
        given, params = lists(side)[which]
        norm = utils.clip_grad_norm_(given, 1.0, 3, foreach=foreach).item()
        results.append((norm, [None if p.grad is None else np.array(p.grad.tolist()) for p in params]))
    (a, mine), (b, others) = results
    assert a == pytest.approx(b, rel=5e-7)
    for g, h in zip(mine, others, strict=True):
        assert (g is None) == (h is None)
        np.testing.assert_allclose(0 if g is None else g, 0 if h is None else h, rtol=1e-6)


def test_total_norm_of_what_is_passed() -> None:
    for make in (
        lambda t: [],
        lambda t: t([3.0, 4.0]),
        lambda t: [t(3.0), t([4.0])],
        lambda t: (t(x) for x in (1.0, 2.0)),
        lambda t: iter(()),
    ):
        for order in (1, 2, "inf"):
            a = ours.get_total_norm(make(torchish_mlx.tensor), order)
            b = theirs.get_total_norm(make(torch.tensor), order)
            assert a.item() == pytest.approx(b.item(), rel=5e-7)
            assert tuple(a.shape) == tuple(b.shape)


# Warnings and errors ------------------------------------------------------------------------------------------------


def warned(call: Any) -> list[tuple[type[Warning], str, str]]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    return [(w.category, str(w.message), w.filename) for w in seen]


def test_warnings() -> None:
    calls = [
        lambda side, utils: utils.clip_grad_norm_((p for p in ()), 1.0),
        lambda side, utils: utils.clip_grad_norm_([], 1.0),
        lambda side, utils: utils.clip_grad_norm_(iter(()), 1.0),
        lambda side, utils: utils.clip_grads_with_norm_((p for p in ()), 1.0, side.tensor(1.0)),
        lambda side, utils: utils.get_total_norm(t for t in ()),
        lambda side, utils: utils.clip_grad_norm([side.parameter([1.0])], 1.0),
        lambda side, utils: utils.clip_grad_norm([], max_norm=1.0, norm_type=1, error_if_nonfinite=True, foreach=None),
    ]
    counts = []
    for call in calls:
        mine = warned(lambda c=call: c(OURS, ours))
        assert mine == warned(lambda c=call: c(THEIRS, theirs))
        assert all(filename == __file__ for *_, filename in mine)
        counts.append(len(mine))
    assert counts == [1, 0, 0, 0, 0, 1, 1]


def with_gradient(side: Side, value: Any = (1.0, math.nan)) -> Any:
    p = side.parameter([1.0, 2.0])
    p.grad = side.tensor(list(value))
    return p


REFUSED = {
    "nan": lambda side, utils, p: utils.clip_grad_norm_(p, 1.0, 2, True),
    "nan, order inf": lambda side, utils, p: utils.clip_grad_norm_([p], 1.0, "inf", error_if_nonfinite=True),
    "total": lambda side, utils, p: utils.get_total_norm([p.grad], 3.5, True),
    "total, inf": lambda side, utils, p: utils.get_total_norm([side.tensor([1.0, INF])], 1, True),
    "a number": lambda side, utils, p: utils.clip_grad_norm_([p, 1.0], 1.0),
    "named": lambda side, utils, p: utils.clip_grad_norm_([p, ("weight", p)], 1.0),
    "None": lambda side, utils, p: utils.clip_grad_norm_(None, 1.0),
    "no number": lambda side, utils, p: utils.clip_grad_norm_([p], "x"),
    "no limit": lambda side, utils, p: utils.clip_grad_norm_([p], None),
    "no order": lambda side, utils, p: utils.clip_grad_norm_([p], 1.0, None),
    "no word": lambda side, utils, p: utils.get_total_norm([p.grad], "fro"),
    "no bound": lambda side, utils, p: utils.clip_grad_value_([p], None),
    "integers": lambda side, utils, p: utils.get_total_norm([side.tensor([1, 2])]),
    "norm of two": lambda side, utils, p: utils.clip_grads_with_norm_([p], 1.0, side.tensor([1.0, 2.0])),
    "norm of one": lambda side, utils, p: utils.clip_grads_with_norm_([p], 1.0, side.tensor([1.0])),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    """Type and text are torch's, and the gradient is as it was."""
    seen = []
    for side, utils in ((OURS, ours), (THEIRS, theirs)):
        p = with_gradient(side)
        seen.append(outcome(lambda s=side, u=utils, p=p: REFUSED[what](s, u, p)))
        np.testing.assert_array_equal(p.grad.tolist(), [1.0, math.nan])
    assert seen[0] is not None
    assert seen[0] == seen[1]


def test_complex_gradients() -> None:
    """They have a norm, and no bound."""
    grad = torch.tensor([3 + 4j, -2j])
    p, q = torchish_mlx.Parameter(mx.zeros(2, mx.complex64)), torch.nn.Parameter(torch.zeros_like(grad))
    p.grad, q.grad = mx.array(grad.numpy()), grad.clone()
    norms = [utils.clip_grad_norm_(one, 1.0).item() for utils, one in ((ours, p), (theirs, q))]
    assert norms[0] == pytest.approx(norms[1], rel=5e-7)
    np.testing.assert_allclose(np.array(p.grad.array), q.grad.numpy(), rtol=1e-6)
    refused = [outcome(lambda u=u, one=one: u.clip_grad_value_(one, 1.0)) for u, one in ((ours, p), (theirs, q))]
    assert refused[0] == refused[1] == ("NotImplementedError", "clamp is not supported for complex types")


def test_where_torch_differs() -> None:
    """What is allowed here on purpose: no gradients for clip_grad_value_, and a clipped gradient of rows."""
    assert outcome(lambda: theirs.clip_grad_value_([], 1.0)) is not None
    ours.clip_grad_value_([], 1.0)
    p, q = torchish_mlx.Parameter(mx.zeros((3, 1))), torch.nn.Parameter(torch.zeros(3, 1))
    p.grad = torchish_mlx.sparse_coo_tensor([[2, 2]], [[1.0], [3.0]], (3, 1))
    q.grad = torch.sparse_coo_tensor(
        torch.tensor([[2, 2]]), torch.tensor([[1.0], [3.0]]), (3, 1), check_invariants=True
    )
    assert outcome(lambda: theirs.clip_grad_norm_(q, 1.0)) is not None
    assert ours.clip_grad_norm_(p, 1.0).item() == 4.0


# Training -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", ["norm", "value", "both"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training(clip: str, momentum: float) -> None:
    """60 steps of SGD with clipped gradients over both tapes: the same parameters."""

    def run(side: Side, utils: Any) -> tuple[list[Any], list[float]]:
        rng = np.random.default_rng(0)
        x, y = (side.tensor(rng.standard_normal(shape).astype("f4").tolist()) for shape in ((16, 4), (16, 3)))
        w = side.parameter((0.5 * rng.standard_normal((4, 3))).tolist())
        b = side.parameter([0.1, 0.0, -0.1])
        optimizer = side.optim.SGD([w, b], lr=0.1, momentum=momentum)
        norms = []
        for step in range(60):
            optimizer.zero_grad()
            (((x @ w + b) - y * (1 + step % 5)) ** 2).mean().backward()
            if clip != "value":
                norms.append(utils.clip_grad_norm_([w, b], 0.4, (2, 1, INF, 3)[step % 4]).item())
            if clip != "norm":
                utils.clip_grad_value_([w, b], 0.1)
            optimizer.step()
        return [w.tolist(), b.tolist()], norms

    (mine, norms), (others, expected) = run(OURS, ours), run(THEIRS, theirs)
    assert not norms or sum(n > 0.4 for n in norms) > 20
    np.testing.assert_allclose(norms, expected, rtol=4e-6)  # measured: 8.9e-7
    for a, b in zip(mine, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)  # measured: 1.2e-7
