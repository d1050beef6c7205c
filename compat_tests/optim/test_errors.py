"""Errors: all of torch's error inputs, and every numeric argument of every class out of its range."""

from __future__ import annotations

import inspect
import itertools
import math
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from torch.testing._internal.common_optimizers import ErrorOptimizerInput, OptimizerErrorEnum

import torchish_mlx
from compat_tests.bridge import outcome, to_ours
from torchish_mlx import optim
from torchish_mlx.optimizers import RowSparse
from torchish_mlx.parity.optimizer_cases import INFO

ROWS = [
    pytest.param(name, row, id=f"{name}-{i}-{row.optimizer_error_input.desc[:40]}")
    for name, info in INFO.items()
    for i, row in enumerate(info.optim_error_inputs_func(device="cpu", dtype=torch.float32))
]
#: Rows that MLX has no words for, by (optimizer, description), with the reason. MLX has complex64: there is none.
INEXPRESSIBLE: dict[tuple[str, str], str] = {}
#: What the rows' patterns leave open, and where our sentence goes on otherwise than torch's.
OTHER_WORDS = {
    "invalid param type": "torch names its own type: torch.FloatTensor",
    "does not support complex parameters": "ours names the parameter",
    "only support 2D parameters": "torch spells the shape torch.Size([...])",
}


def test_all_of_torchs_rows_are_here() -> None:
    assert len(ROWS) == 124
    assert not INEXPRESSIBLE


def raise_it(side: Any, row: ErrorOptimizerInput, params: Any, kwargs: dict[str, Any]) -> None:
    opt = side(params, **kwargs)
    if row.error_on == OptimizerErrorEnum.STEP_ERROR:
        opt.step()


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_torchs_error_inputs(name: str, row: ErrorOptimizerInput) -> None:
    given = row.optimizer_error_input
    params = given.params
    if params is None:
        params = [torch.nn.Parameter(torch.rand(2, 3)), torch.nn.Parameter(torch.rand(3, 2))]
    params, kwargs = to_ours([params, given.kwargs])
    if issubclass(row.error_type, Warning):
        with pytest.warns(row.error_type, match=row.error_regex):
            raise_it(getattr(optim, name), row, params, kwargs)
        return
    with pytest.raises(row.error_type, match=row.error_regex) as mine:
        raise_it(getattr(optim, name), row, params, kwargs)
    assert mine.type is row.error_type
    if given.desc in OTHER_WORDS:
        return
    theirs = given.params if given.params is not None else [torch.nn.Parameter(torch.rand(2, 3))]
    with pytest.raises(row.error_type) as torchs:
        raise_it(INFO[name].optim_cls, row, theirs, given.kwargs)
    assert str(mine.value) == str(torchs.value)


NUMBERS = (-1, -1.0, -0.5, -1e-30, -0.0, 0, 0.5, 1.0, 1, 1.1, 2, math.nan, math.inf, -math.inf)


def numeric_arguments() -> list[Any]:
    cases = []
    for name, info in INFO.items():
        for argument in list(inspect.signature(info.optim_cls.__init__).parameters.values())[2:]:
            default = argument.default
            if isinstance(default, tuple):
                one_fine = (*default, 0.5, 1.1)
                values: Any = [v for v in itertools.product((*NUMBERS, *default), repeat=2) if set(v) & set(one_fine)]
            elif isinstance(default, (int, float)) and not isinstance(default, bool):
                values = NUMBERS
            else:
                continue
            cases.append(pytest.param(name, argument.name, values, id=f"{name}-{argument.name}"))
    return cases


@pytest.mark.parametrize(("name", "argument", "values"), numeric_arguments())
def test_numbers_out_of_range(name: str, argument: str, values: Any) -> None:
    """The same numbers are refused, in the same words, and the same are taken; but nan, which torch takes at times."""
    theirs, ours = torch.nn.Parameter(torch.ones(2, 2)), torchish_mlx.Parameter(mx.ones((2, 2)))
    for value in values:
        kwargs = {argument: value}
        expected = outcome(lambda k=kwargs: INFO[name].optim_cls([theirs], **k))
        found = outcome(lambda k=kwargs: getattr(optim, name)([ours], **k))
        has_nan = math.nan in (value if isinstance(value, tuple) else (value,))
        if expected is None and has_nan and (name != "LBFGS" or argument == "lr"):  # nobody checks what LBFGS stops by
            assert found is not None
            assert found[0] == "ValueError"
        else:
            assert found == expected, kwargs


@pytest.mark.parametrize("name", INFO)
def test_a_tensor_out_of_range(name: str) -> None:
    """A learning rate may be a tensor; its value is checked all the same, and the message shows the tensor."""
    theirs, ours = torch.nn.Parameter(torch.ones(2, 2)), torchish_mlx.Parameter(mx.ones((2, 2)))
    for number in (-1.0, -0.5, 0.0, 0.25):
        for values in (number, [number]):
            expected = outcome(lambda v=values: INFO[name].optim_cls([theirs], lr=torch.tensor(v)))
            assert outcome(lambda v=values: getattr(optim, name)([ours], lr=torchish_mlx.tensor(v))) == expected


@pytest.mark.parametrize(
    "group",
    [
        "a string",
        [1.0],
        {"params": {1.0, 2.0}},
        {"params": [3.0]},
        {"params": [None]},
        {"lr": 0.1},
        {"params": [(1.0, 2.0, 3.0)]},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad"])
def test_groups_that_are_none(name: str, group: Any) -> None:
    """add_param_group refuses with torch's type, and its words, and changes nothing."""
    theirs = INFO[name].optim_cls([torch.nn.Parameter(torch.ones(2))])
    ours = getattr(optim, name)([torchish_mlx.Parameter(mx.ones(2))])
    before = len(ours.state[ours.param_groups[0]["params"][0]])
    expected = outcome(lambda: theirs.add_param_group(group))
    assert expected is not None
    assert outcome(lambda: ours.add_param_group(group)) == expected
    assert len(ours.param_groups) == 1
    assert len(ours.state[ours.param_groups[0]["params"][0]]) == before


@pytest.mark.parametrize(
    "given",
    [[], [{"params": []}], iter([]), "abc", None],
    ids=["list", "empty group", "iterator", "text", "None"],
)
def test_parameters_that_are_none(given: Any) -> None:
    expected = outcome(lambda: torch.optim.SGD(given))
    assert outcome(lambda: optim.SGD(given)) == expected


@pytest.mark.parametrize("given", [3, 0.1, torch.optim.SGD, len], ids=str)
def test_parameters_that_are_something_else(given: Any) -> None:
    """torch's type and words, and what to write."""
    expected, found = outcome(lambda: torch.optim.SGD(given)), outcome(lambda: optim.SGD(given))
    assert expected is not None
    assert found is not None
    assert found[0] == expected[0]
    assert found[1].startswith(f"{expected[1]}: ")


def test_a_computed_tensor_is_no_parameter() -> None:
    theirs = torch.nn.Parameter(torch.ones(2)) * 2
    ours = torchish_mlx.Parameter(mx.ones(2)) * 2
    expected = outcome(lambda: torch.optim.SGD([theirs]))
    assert expected == ("ValueError", "can't optimize a non-leaf Tensor")
    assert outcome(lambda: optim.SGD([ours])) == expected


def test_names_for_some_groups_only() -> None:
    def both(side: Any, parameter: Any, first: bool) -> Any:
        a, b = parameter(), parameter()
        opt = side.SGD([("a", a)] if first else [a])
        return outcome(lambda: opt.add_param_group({"params": [b] if first else [("b", b)]}))

    for first in (True, False):
        expected = both(torch.optim, lambda: torch.nn.Parameter(torch.ones(2)), first)
        assert expected is not None
        assert both(optim, lambda: torchish_mlx.Parameter(mx.ones(2)), first) == expected


TAKES_ROWS = ["SGD", "Adagrad", "SparseAdam"]


@pytest.mark.parametrize("name", [name for name in INFO if name not in ("LBFGS", "Muon")])
def test_sparse_gradients(name: str) -> None:
    """Who takes no sparse gradient in torch says so here, and changes nothing; who takes one has torch's numbers."""
    p, q = torch.nn.Parameter(torch.ones(3, 2)), torchish_mlx.Parameter(mx.ones((3, 2)))
    theirs, ours = INFO[name].optim_cls([p], lr=0.1), getattr(optim, name)([q], lr=0.1)
    for i in range(3):
        p.grad = torch.sparse_coo_tensor(torch.tensor([[i, i]]), torch.ones(2, 2), (3, 2), check_invariants=True)
        q.grad = RowSparse(mx.array([i, i]), mx.ones((2, 2)), (3, 2))
        with torch.sparse.check_sparse_tensor_invariants():  # else torch warns
            expected, found = outcome(theirs.step), outcome(ours.step)
        if name in TAKES_ROWS:
            assert expected is None
            assert found is None
        else:
            assert expected is not None
            assert found is not None
            assert found[0] == expected[0] == "RuntimeError"
            assert "does not support sparse gradients" in expected[1]
            assert "does not support sparse gradients" in found[1]
    np.testing.assert_allclose(np.array(q.array), p.detach().numpy(), rtol=2e-7)
    assert (p.sum() == 6) == (name not in TAKES_ROWS)
