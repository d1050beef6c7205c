"""Every row of the table of ops against torch: values, dtypes, derivatives of both orders, what backward needs.

The calls are in op_cases.py. Tolerances are in units of the last place of the largest number compared
(float32: 2^-23, bfloat16: 2^-7), which is how a sum of rounded terms errs; next to each is what was measured.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

from compat_tests.op_cases import CASES, MADE_OF, WHOLE, WRITES, Case
from compat_tests.sides import SIDES, Exact, Side, build, largest, near, values
from tests.each import check_each
from torchish_mlx.ops._declare import REGISTRY, Entry
from torchish_mlx.ops.functions import FUNCTIONS

#: Without other names of the same function, and without the ops behind a function (``max.dim``).
TABLE: dict[str, Entry] = {
    name: entry
    for name, entry in REGISTRY.items()
    if "." not in name and (entry.op is None or entry.op.name == name) and name not in ("divide", "true_divide")
}
#: The modules of functions that draw random numbers: compat_tests/random/ has their calls.
DRAWING = ("ops.dropout", "ops.drawing")
#: compat_tests/ops/test_images.py has the calls of this one.
APART = {"max_pool1d_with_indices"}


def function(name: str, side: Side, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return getattr(side.library, name)(*args, **kwargs)


def method(name: str, side: Side, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if name == "__getitem__":
        return args[0][args[1]]
    return getattr(args[0], name)(*args[1:], **kwargs)


def how_to_call(name: str) -> Callable[..., Any]:
    return function if name in FUNCTIONS else method


def first(out: Any) -> Any:
    return out[0] if isinstance(out, tuple) else out


def sum_of(side: Side, terms: list[Any]) -> Any:
    total = None
    for term in terms:
        total = term if total is None else total + term
    return total


def derived(
    name: str, case: Case, dtype: torch.dtype, call: Callable[..., Any], side: Side
) -> tuple[Any, list[Any], list[Any]]:
    """What the call gives, and the first and second derivatives of a weighted sum of it, for each leaf."""
    leaves: list[Any] = []
    args, kwargs = build(case, dtype, side, leaves)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = call(name, side, args, kwargs)
        out = first(result)
        grads: list[Any] = []
        seconds: list[Any] = []
        if out.requires_grad and out.dtype in DERIVED:
            weights = np.random.default_rng(1).uniform(0.5, 1.5, tuple(out.shape))
            w = side.leaf(weights, torch.float32, False).to(out.dtype)
            (out * w + out * out * out * w).sum().backward(create_graph=case.second)
            grads = [leaf.grad for leaf in leaves]
            live = [g for g in grads if g is not None and g.requires_grad]
            if case.second and live:
                for leaf in leaves:
                    leaf.grad = None
                sum_of(side, [(g * g).sum() for g in live]).backward()
                seconds = [leaf.grad for leaf in leaves]
    return result, grads, seconds


#: The dtypes of the results whose derivatives are compared.
DERIVED = (torch.float32, torch.bfloat16, mx.float32, mx.bfloat16, torch.float64, mx.float64)


def check_call(name: str, case: Case, dtype: torch.dtype, call: Callable[..., Any]) -> None:
    """Value, first and second derivative of one call.

    A derivative that is further from torch's than the limit must be as near as that to torch's in float64: some are
    differences of large numbers, in which torch loses digits too, or which it rounds between the steps.
    """
    (theirs, tg, ts), (mine, mg, ms) = [derived(name, case, dtype, call, side) for side in SIDES]
    if isinstance(theirs, tuple):
        assert len(mine) == len(theirs)
        near(mine[1], theirs[1], dtype, 0, f"{name} indices", 0.0)
    near(first(mine), first(theirs), dtype, 0, f"{name} value", largest([first(theirs)]))
    assert first(mine).requires_grad == first(theirs).requires_grad
    assert (first(mine).grad_fn is None) == (first(theirs).grad_fn is None)
    assert len(mg) == len(tg)
    for order, ours, given in ((1, mg, tg), (2, ms, ts)):
        scale = largest([t for t in given if t is not None])
        for i, (m, t) in enumerate(zip(ours, given or [None] * len(ours), strict=True)):
            if t is None:  # torch knows that the derivative is zero everywhere, and stops there
                assert m is None or not values(m).any(), f"{name}: gradient {m} of order {order}, torch None"
                continue
            try:
                near(m, t, dtype, order, f"{name}({case}) derivative {order}", scale)
            except AssertionError:
                exact = derived(name, case, dtype, call, Exact(torch))[order][i].to(t.dtype)
                near(m, exact, dtype, order, f"{name}({case}) derivative {order}, in float64", scale)


DTYPES = (torch.float32, torch.bfloat16)


def test_every_row_has_a_case() -> None:
    there = {*CASES, *WRITES, *WHOLE, *MADE_OF, *(entry.name.removeprefix("nn.functional.") for entry in op_db)}
    elsewhere = {name for name in TABLE if FUNCTIONS.get(name, function).__module__.endswith(DRAWING)} | APART
    recurrent = {f"{kind}{cell}" for kind in ("lstm", "gru", "rnn_tanh", "rnn_relu") for cell in ("", "_cell")}
    assert {*TABLE} - there - elsewhere - recurrent == set()  # test_rnn.py has the last
    assert APART <= {*TABLE}
    assert all(MADE_OF[name] for name in MADE_OF)


@pytest.mark.parametrize("name", CASES)
def test_function(name: str) -> None:
    call = how_to_call(name)
    check_each(lambda case, dtype: check_call(name, case, dtype, call), itertools.product(CASES[name], DTYPES))


EVERY = {**CASES, **WRITES, **WHOLE}
INPLACE = {name: row for name, row in TABLE.items() if row.inplace is not None}


def may_be_written(name: str, case: Case) -> bool:
    """Whether torch takes the case in place: the result fits into the first argument."""
    leaves: list[Any] = []
    args, kwargs = build(case, torch.float32, SIDES[0], leaves)
    try:
        method(name + "_", SIDES[0], [args[0] * 1 if args[0].is_floating_point() else args[0], *args[1:]], kwargs)
    except RuntimeError:
        return False
    return True


def in_place(name: str, side: Side, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = args[0] * 1 if args[0].requires_grad else args[0]
    view = given.view(-1)
    out = method(name + "_", side, [given, *args[1:]], kwargs)
    assert out is given
    np.testing.assert_array_equal(values(view), values(given).reshape(-1))
    return out


IN_PLACE_CASES = {name: WRITES.get(name) or CASES[name] for name in INPLACE}


def check_in_place(name: str, case: Case, dtype: torch.dtype) -> None:
    if may_be_written(name, case):
        check_call(name, case, dtype, in_place)
        return
    for side in SIDES:
        args, kwargs = build(case, dtype, side, [])
        given = args[0] * 1 if args[0].requires_grad else args[0]
        before = values(given)
        with pytest.raises(
            RuntimeError,
            match=r"result type|Bad in-place call|doesn't match the broadcast shape|must match the|the base given",
        ):
            method(name + "_", side, [given, *args[1:]], kwargs)
        np.testing.assert_array_equal(values(given), before)


@pytest.mark.parametrize("name", IN_PLACE_CASES)
def test_in_place(name: str) -> None:
    """The in-place form: the same tensor, its views and its gradients as torch's, and torch's refusals."""
    cases = itertools.product(IN_PLACE_CASES[name], DTYPES)
    check_each(lambda case, dtype: check_in_place(name, case, dtype), cases)


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row.is_method and row.is_function and row.op])
def test_method_is_the_function(name: str) -> None:
    case = CASES[name][0]
    args, kwargs = build(case, torch.float32, SIDES[1], [])
    np.testing.assert_array_equal(
        values(first(method(name, SIDES[1], args, kwargs))), values(first(function(name, SIDES[1], args, kwargs)))
    )


#: Torch has no ``out=`` there; that of its softmax takes what requires grad, and breaks the tape without a word.
WITHOUT_OUT = {"fill", "isnan", "isinf", "isfinite", "square", "isreal", "isclose", "relu", "trace", "celu", "selu"}
WITHOUT_OUT |= {"cdist", "pdist", "embedding", "unique", "unique_consecutive", "bincount", "argsort"}
WITHOUT_OUT |= {"softmax", "log_softmax"}
WITHOUT_OUT |= {"masked_fill", "masked_scatter", "index_fill", "roll", "diag_embed"}


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row.is_function and row.op])
def test_out(name: str) -> None:
    """``out=`` receives the result in its own dtype, and refuses what requires grad."""
    case = EVERY[name][-1]
    results = []
    for side in SIDES:
        leaves: list[Any] = []
        args, kwargs = build(case, torch.float32, side, leaves)
        plain = function(name, side, args, kwargs)
        if name in WITHOUT_OUT or isinstance(plain, tuple):
            return
        out = side.leaf(np.zeros(tuple(plain.shape)), torch.float64, False).to(plain.dtype)
        with side.library.no_grad():
            assert function(name, side, args, {**kwargs, "out": out}) is out
        results.append(values(out))
        if plain.requires_grad:
            with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
                function(name, side, args, {**kwargs, "out": out})
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6, atol=1e-7)


# -- what backward needs -----------------------------------------------------------------------------------------


def tampering(name: str, case: Case, side: Side, which: int, call: Callable[..., Any]) -> list[str]:
    """What happens when the tensor ``which`` (-1: the result) is overwritten before backward, and on a second one."""
    leaves: list[Any] = []
    args, kwargs = build(case, torch.float32, side, leaves)

    def used(a: Any) -> Any:
        if isinstance(a, list):
            return [used(x) for x in a]
        return a + 0 if getattr(a, "requires_grad", False) else a

    args, kwargs = [used(a) for a in args], {k: used(v) for k, v in kwargs.items()}
    flat = [x for a in [*args, *kwargs.values()] for x in (a if isinstance(a, list) else [a]) if hasattr(x, "grad_fn")]
    out = first(call(name, side, args, kwargs))
    if not out.requires_grad or which >= len(flat):
        return ["nothing"]
    with side.library.no_grad():
        target = out if which < 0 else flat[which]
        target.copy_(target * 1)
    said = []
    for _ in range(2):
        try:
            out.sum().backward()
            said.append("fine")
        except RuntimeError as error:
            said.append(
                "inplace"
                if "inplace operation" in str(error)
                else "again"
                if "second time" in str(error)
                else str(error)
            )
    return said


#: Where this package and torch differ about an overwritten tensor, and why.
NEEDS_APART = {
    ("matmul", "inplace", "fine"): "torch keeps a copy of what it broadcasts over the batch",
    ("sgn", "fine", "inplace"): "torch keeps the input for complex numbers; the derivative of a real sign is zero",
    ("cummax", "fine", "inplace"): "torch keeps the input for its shape",
    ("cummin", "fine", "inplace"): "torch keeps the input for its shape",
    ("index_add", "fine", "inplace"): "torch keeps the source for its shape",
    ("index_copy", "fine", "inplace"): "torch keeps the source for its shape",
    ("take", "fine", "inplace"): "torch keeps the input for its shape",
    ("gather", "fine", "inplace"): "torch keeps the input for its shape; max(dim) is made of gather and must not",
}


@pytest.mark.filterwarnings("ignore:Using torch.cross without:UserWarning")  # torch warns once in a process
@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row.is_function and row.op])
def test_needs(name: str) -> None:
    """Overwriting a tensor between forward and backward is an error exactly where it is one in torch."""
    which = {"the result": -1, "the first": 0, "the second": 1, "the third": 2}
    for case, (overwritten, i) in itertools.product(EVERY[name], which.items()):
        theirs = tampering(name, case, SIDES[0], i, function)
        mine = tampering(name, case, SIDES[1], i, function)
        if (name, mine[0], theirs[0]) in NEEDS_APART:
            continue
        what = f"{name}({case}), {overwritten} overwritten: {mine}, torch {theirs}"
        assert mine[0] == theirs[0], what
        # torch keeps numbers as tensors, and so refuses a second backward that needs nothing else
        assert mine[1:] in (theirs[1:], ["fine"]), what
