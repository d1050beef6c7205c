"""Dtype objects next to torch's: what they say, what they equal, copies, promotion, and who accepts them."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.dtypes import MLX, NAMES, outcome
from tests.each import each

ALIASES = ("half", "float", "double", "cfloat", "short", "int", "long")
PAIRS = list(itertools.product(NAMES, NAMES))
#: What torch answers with and MLX has not.
ABSENT = ("torch.complex32", "torch.complex128")


@pytest.mark.parametrize("name", [*NAMES, *ALIASES])
def test_a_dtype_says_what_torchs_says(name):
    mine, theirs = getattr(tm, name), getattr(torch, name)
    for attribute in ("itemsize", "is_floating_point", "is_complex", "is_signed"):
        assert getattr(mine, attribute) == getattr(theirs, attribute), attribute
    assert (str(mine), repr(mine), f"{mine}") == (str(theirs), repr(theirs), f"{theirs}")
    assert str(mine.to_real()) == str(theirs.to_real())
    theirs_complex = outcome(theirs.to_complex)
    if theirs_complex in ABSENT:
        with pytest.raises(RuntimeError, match=f"MLX has no complex dtype with parts of {mine}: use complex64"):
            mine.to_complex()
    else:
        assert outcome(mine.to_complex) == theirs_complex


def test_an_alias_is_the_object_itself():
    for name in ALIASES:
        assert getattr(tm, name) is getattr(tm, str(getattr(torch, name)).removeprefix("torch."))


@each(("one", "other"), PAIRS)
def test_equal_to_mlxs_from_both_sides(one, other):
    mine, theirs = getattr(tm, one), MLX[other]
    same = one == other
    assert ((mine == theirs), (theirs == mine), (mine == getattr(tm, other))) == (same, same, same)
    assert ((mine != theirs), (theirs != mine), (mine != getattr(tm, other))) == (not same, not same, not same)
    assert (mine in frozenset({theirs}), theirs in {mine: 0}, mine in (theirs,)) == (same, same, same)
    if same:
        assert hash(mine) == hash(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_equal_to_nothing_else(name):
    mine = getattr(tm, name)
    assert mine != name
    assert mine != getattr(torch, name)
    assert mine is not None
    assert mine != None  # noqa: E711 - what == says
    assert mine != (float if name == "float64" else 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_the_object_itself(name):
    mine = getattr(tm, name)
    assert copy.copy(mine) is mine
    assert copy.deepcopy({"of": [mine]})["of"][0] is mine
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(mine, protocol)) is mine
    assert pickle.dumps(mine, 0) == b"c" + b"torchish_mlx\n" + f"{name}\np0\n.".encode()  # the public name


@pytest.mark.parametrize(
    "do",
    [
        lambda m: m.dtype(),
        lambda m: m.dtype("float32"),
        lambda m: type("D", (m.dtype,), {}),
    ],
)
def test_nobody_makes_another_one(do):
    assert outcome(lambda: do(tm)) == outcome(lambda: do(torch))


@pytest.mark.parametrize("name", ["x", "_mlx", "itemsize"])
def test_nothing_of_it_can_be_written(name):
    with pytest.raises(AttributeError, match=r"'torch\.dtype' object has no attribute"):
        setattr(tm.float32, name, 1)
    with pytest.raises(TypeError, match="'<' not supported"):
        _ = tm.float32 < tm.float64


@each(("one", "other"), PAIRS)
def test_two_dtypes_together(one, other):
    theirs = outcome(lambda: torch.promote_types(getattr(torch, one), getattr(torch, other)))
    if theirs in ABSENT:
        theirs = "torch.complex64"
    assert outcome(lambda: tm.promote_types(getattr(tm, one), getattr(tm, other))) == theirs
    assert outcome(lambda: tm.promote_types(MLX[one], getattr(tm, other))) == theirs
    assert tm.can_cast(getattr(tm, one), MLX[other]) == torch.can_cast(getattr(torch, one), getattr(torch, other))


@each(("one", "other"), PAIRS)
def test_two_tensors_and_a_number_together(one, other):
    for shapes in itertools.product(((), (1,)), repeat=2):
        answers = []
        for m in (tm, torch):
            x, y = (m.ones(shape, dtype=getattr(m, n)) for shape, n in zip(shapes, (one, other), strict=True))
            answers.append(outcome(lambda m=m, x=x, y=y: m.result_type(x, y)))
        assert answers[0] == ("torch.complex64" if answers[1] in ABSENT else answers[1]), shapes
    for number in (True, 1, 1.0, 1j):
        theirs = outcome(lambda n=number: torch.result_type(torch.ones(1, dtype=getattr(torch, one)), n))
        theirs = "torch.complex64" if theirs in ABSENT else theirs
        assert outcome(lambda n=number: tm.result_type(tm.ones(1, dtype=getattr(tm, one)), n)) == theirs


# -- who accepts them ------------------------------------------------------------------------------------------------

X = [[1.0, 2.0], [3.0, 4.0]]
#: A call with a dtype; all of these give a Tensor of it.
CALLS = {
    "tensor": lambda m, d: m.tensor(X, dtype=d),
    "as_tensor": lambda m, d: m.as_tensor(X, dtype=d),
    "as_tensor of a Tensor": lambda m, d: m.as_tensor(m.tensor(X), dtype=d),
    "zeros": lambda m, d: m.zeros(2, dtype=d),
    "ones": lambda m, d: m.ones(2, dtype=d),
    "empty": lambda m, d: m.empty(2, dtype=d),
    "full": lambda m, d: m.full((2,), 1, dtype=d),
    "scalar_tensor": lambda m, d: m.scalar_tensor(1, dtype=d),
    "zeros_like": lambda m, d: m.zeros_like(m.tensor(X), dtype=d),
    "ones_like": lambda m, d: m.ones_like(m.tensor(X), dtype=d),
    "empty_like": lambda m, d: m.empty_like(m.tensor(X), dtype=d),
    "full_like": lambda m, d: m.full_like(m.tensor(X), 1, dtype=d),
    "new_zeros": lambda m, d: m.tensor(X).new_zeros(2, dtype=d),
    "new_ones": lambda m, d: m.tensor(X).new_ones(2, dtype=d),
    "new_empty": lambda m, d: m.tensor(X).new_empty(2, dtype=d),
    "new_full": lambda m, d: m.tensor(X).new_full((2,), 1, dtype=d),
    "new_tensor": lambda m, d: m.tensor(X).new_tensor([1], dtype=d),
    "arange": lambda m, d: m.arange(3, dtype=d),
    "linspace": lambda m, d: m.linspace(0, 1, 3, dtype=d),
    "logspace": lambda m, d: m.logspace(0, 1, 3, dtype=d),
    "eye": lambda m, d: m.eye(2, dtype=d),
    "to": lambda m, d: m.tensor(X).to(d),
    "to(dtype=)": lambda m, d: m.tensor(X).to(dtype=d),
    "to(device, dtype)": lambda m, d: m.tensor(X).to("cpu", d),
    "type": lambda m, d: m.tensor(X).type(d),
    "view": lambda m, d: m.tensor(X).view(d),
    "sum": lambda m, d: m.tensor(X).sum(dtype=d),
    "sum(dim)": lambda m, d: m.sum(m.tensor(X), 0, dtype=d),
    "prod": lambda m, d: m.tensor(X).prod(dtype=d),
    "cumsum": lambda m, d: m.tensor(X).cumsum(0, dtype=d),
    "cumprod": lambda m, d: m.tensor(X).cumprod(0, dtype=d),
    "nansum": lambda m, d: m.tensor(X).nansum(dtype=d),
}
FLOATING = {
    "mean": lambda m, d: m.tensor(X).mean(dtype=d),
    "nanmean": lambda m, d: m.nanmean(m.tensor(X), dtype=d),
    "softmax": lambda m, d: m.tensor(X).softmax(0, d),
    "softmax(dtype=)": lambda m, d: m.softmax(m.tensor(X), 0, dtype=d),
    "log_softmax": lambda m, d: m.tensor(X).log_softmax(0, dtype=d),
    "norm": lambda m, d: m.norm(m.tensor(X), dtype=d),
}
INTEGERS = {
    "tril_indices": lambda m, d: m.tril_indices(2, 2, dtype=d),
    "triu_indices": lambda m, d: m.triu_indices(2, 2, dtype=d),
}
KINDS = [
    *((name, call, d) for name, call in (CALLS | FLOATING).items() for d in ("float32", "float64", "bfloat16")),
    *((name, call, d) for name, call in (CALLS | INTEGERS).items() for d in ("int32", "int64")),
]


@each(("name", "call", "dtype"), KINDS)
def test_torchs_objects_and_mlxs_are_accepted(name, call, dtype):
    if (name, dtype) == ("norm", "bfloat16"):
        assert outcome(lambda: call(tm, tm.bfloat16)) == outcome(lambda: call(torch, torch.bfloat16))
        return
    theirs = call(torch, getattr(torch, dtype))
    for given in (getattr(tm, dtype), MLX[dtype]):
        mine = call(tm, given)
        assert (type(mine.dtype), str(mine.dtype), str(mine.dtype)) == (tm.dtype, f"torch.{dtype}", str(theirs.dtype))
        if not name.startswith(("empty", "new_empty")):
            exact = {"rtol": 2**-7 if dtype == "bfloat16" else 1e-6, "atol": 0}
            np.testing.assert_allclose(np.array(mine.tolist()), np.array(theirs.tolist()), **exact)


@pytest.mark.parametrize("python", [float, int, bool])
def test_types_of_python_are_dtypes(python):
    for name, call in CALLS.items():
        theirs = outcome(lambda call=call: call(torch, python).dtype)
        if theirs.startswith("torch."):
            assert outcome(lambda call=call: call(tm, python).dtype) == theirs, name


def test_pythons_complex_is_refused_because_mlx_has_no_complex128():
    with pytest.raises(TypeError, match="complex is torch's complex128, which MLX has not: give complex64"):
        tm.zeros(2, dtype=complex)


#: Where torch's message is another one: it reads a str as a device or another kind of type, or names the place.
OTHER_WORDS = ("as_tensor of a Tensor", "norm", "softmax", "to", "to(device, dtype)", "type", "view")


@each("name", sorted(CALLS | FLOATING | INTEGERS))
@each("given", [(1,), "float32"])
def test_what_is_no_dtype_is_refused(name, given):
    call = (CALLS | FLOATING | INTEGERS)[name]
    theirs, mine = outcome(lambda: call(torch, given)), outcome(lambda: call(tm, given))
    if name in OTHER_WORDS:
        assert mine.partition(":")[0] in ("TypeError", "RuntimeError", "ValueError"), mine
    elif "invalid combination of arguments" in theirs:  # torch lists its overloads
        assert mine == f"TypeError: {name.partition('(')[0]}(): argument 'dtype' must be torch.dtype, not " + (
            type(given).__name__
        )
    else:
        assert mine == theirs


@pytest.mark.parametrize("name", NAMES)
def test_the_names_of_types(name):
    x, y = tm.ones(2, dtype=getattr(tm, name)), torch.ones(2, dtype=getattr(torch, name))
    assert x.type() == y.type()
    for m, t in ((tm, x), (torch, y)):
        assert t.type(y.type()) is t
        assert str(m.ones(3).type(y.type()).dtype) == f"torch.{name}"
    assert outcome(lambda: x.type(getattr(tm, name)) is x) == "True"


@pytest.mark.parametrize("given", ["f", "float32", "FloatTensor", float, int, 1, [1], "torch.Tensor"])
def test_what_is_no_name_of_a_type(given):
    assert outcome(lambda: tm.ones(1).type(given)) == outcome(lambda: torch.ones(1).type(given))


@pytest.mark.parametrize(
    "name", ["half", "bfloat16", "float", "double", "char", "short", "int", "long", "byte", "bool"]
)
def test_methods_of_a_dtypes_name(name):
    mine, theirs = getattr(tm.tensor([0, 1, 2]), name)(), getattr(torch.tensor([0, 1, 2]), name)()
    assert (str(mine.dtype), mine.tolist(), repr(mine)) == (str(theirs.dtype), theirs.tolist(), repr(theirs))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(0,), (), (2,)])
def test_a_tensor_prints_its_dtype(name, shape):
    assert repr(tm.zeros(shape, dtype=getattr(tm, name))) == repr(torch.zeros(shape, dtype=getattr(torch, name)))
