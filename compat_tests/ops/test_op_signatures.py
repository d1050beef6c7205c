"""Arguments of functions and of methods of Tensor: whatever one of torch's overloads takes is taken here.

Most of torch's functions are built in and have no signature in Python, but torch comes with type stubs that say the
names, the order, the kinds and the defaults of each overload's parameters. What differs is in DEPARTURES.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import torchish_mlx
from tests.each import check_each
from tests.table_stub import attached
from torchish_mlx.ops import creation, ranges, types
from torchish_mlx.ops.functions import FUNCTIONS

STUBS = Path(torch.__file__).parent / "_C"
#: The functions that the registry does not have, by their module.
UNREGISTERED = {
    creation: "as_tensor empty empty_like full full_like ones ones_like scalar_tensor tensor zeros zeros_like",
    ranges: "arange eye linspace logspace range tril_indices triu_indices",
    types: "can_cast is_complex is_floating_point is_nonzero is_same_size numel promote_types",
}
#: (name or *, parameter) -> why a parameter of torch is not taken here, or not as it is there.
DEPARTURES = {
    ("*", "layout"): "MLX has dense arrays only",
    ("*", "pin_memory"): "MLX's memory is shared by all devices",
    ("*", "names"): "named tensors, which torch calls experimental",
    ("*", "non_blocking"): "nothing is copied between devices",
    ("gather", "sparse_grad"): "gradients of rows come from RowSparse alone",
    ("mm", "out_dtype"): "MLX multiplies in the dtype of its arrays",
    ("bmm", "out_dtype"): "MLX multiplies in the dtype of its arrays",
    ("addmm", "out_dtype"): "MLX multiplies in the dtype of its arrays",
    ("baddbmm", "out_dtype"): "MLX multiplies in the dtype of its arrays",
    ("tensordot", "out"): "by name only",
    ("arange", "end"): "taken in the place of start where it is alone, or by name",
    ("norm", "out"): "by name only",
    ("norm", "dtype"): "by name only",
    ("tensor", "dtype"): "by name only, as in torch, whose stub says otherwise",
    ("tensor", "device"): "by name only, as in torch, whose stub says otherwise",
    ("tensor", "requires_grad"): "by name only, as in torch, whose stub says otherwise",
    ("new_tensor", "dtype"): "by name only, as in torch, whose stub says otherwise",
    ("new_tensor", "device"): "by name only, as in torch, whose stub says otherwise",
    ("new_tensor", "requires_grad"): "by name only, as in torch, whose stub says otherwise",
    ("cpu", "memory_format"): "a Tensor has one layout",
    **{
        (
            f"conv{n}d",
            "padding",
        ): "the default 0 is 'valid' in torch's form with a word"
        for n in (1, 2, 3)
    },
    ("contiguous", "memory_format"): "None, the default, is torch's default",
    ("expand", "implicit"): "torch's own, not documented",
    ("max", "other"): "taken in the place of dim, or by name",
    ("min", "other"): "taken in the place of dim, or by name",
    ("repeat_interleave", "repeats"): "alone it is taken in the place of input, or by name",
    ("scatter", "value"): "taken in the place of src, or by name",
    ("tensor_split", "indices"): "taken in the place of sections, or by name",
    ("tensor_split", "sections"): "taken in the place of indices, or by name",
    ("tensor_split", "tensor_indices_or_sections"): "taken in the place of sections, or by name",
    ("std", "unbiased"): "taken in the place of dim where it is a bool, or by name",
    ("var", "unbiased"): "taken in the place of dim where it is a bool, or by name",
    ("std_mean", "unbiased"): "taken in the place of dim where it is a bool, or by name",
    ("var_mean", "unbiased"): "taken in the place of dim where it is a bool, or by name",
    ("isin", "elements"): "where it is a number, torch calls it element; a number is not taken by name",
    ("isin", "element"): "a number is taken in the place of elements, not by name",
    ("isin", "test_elements"): "where it is a number, torch calls it test_element; a number is not taken by name",
    ("isin", "test_element"): "a number is taken in the place of test_elements, not by name",
    ("view", "dtype"): "taken in the place of the sizes, not by name",
}
#: Whole overloads that are not taken.
OVERLOADS = {
    ("where", ("condition",)): "the shape of its result depends on values, which MLX does not have",
}
#: Torch's old forms have the number by position and before the tensor; it warns of them, and so does this package.
NUMBERS = {"alpha", "beta", "value"}
#: Where torch has one sequence, this package takes it or its numbers as arguments: no name to give it by.
SEQUENCES = {("permute", "dims"), ("reshape", "shape"), ("view", "size"), ("expand", "size")} | {
    (name, "size") for name in ("zeros", "ones", "empty", "new_zeros", "new_ones", "new_empty")
}


class Parameter(NamedTuple):
    name: str
    kind: str  # "positional", "*", "keyword"
    default: str | None


Definitions = dict[str, list[ast.FunctionDef]]


def overloads(definitions: Definitions, name: str) -> list[list[Parameter]]:
    """The parameters of each of the definitions of ``name``."""
    found = []
    for node in definitions.get(name, ()):
        a = node.args
        positional = [*a.posonlyargs, *a.args]
        defaults = [None] * (len(positional) - len(a.defaults)) + [ast.unparse(d) for d in a.defaults]
        found.append(
            [Parameter(p.arg, "positional", d) for p, d in zip(positional, defaults, strict=True)]
            + [Parameter(p.arg, "*", None) for p in [a.vararg] if p]
            + [
                Parameter(p.arg, "keyword", None if d is None else ast.unparse(d))
                for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)
            ]
        )
    return found


def parsed(file: str) -> list[ast.stmt]:
    return ast.parse((STUBS / file).read_text(encoding="utf-8")).body


def by_name(body: list[ast.stmt]) -> Definitions:
    found: Definitions = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node)
    return found


TORCH_FUNCTIONS = by_name(parsed("_VariableFunctions.pyi"))
TORCH_METHODS = by_name(
    next(node.body for node in parsed("__init__.pyi") if isinstance(node, ast.ClassDef) and node.name == "TensorBase")
)
CASES: dict[str, tuple[Callable[..., Any], list[list[Parameter]]]] = {
    **{name: (f, overloads(TORCH_FUNCTIONS, name)) for name, f in FUNCTIONS.items()},
    **{
        name: (getattr(module, name), overloads(TORCH_FUNCTIONS, name))
        for module, names in UNREGISTERED.items()
        for name in names.split()
    },
    **{
        f"Tensor.{name}": (f, overloads(TORCH_METHODS, name))
        for name, f in attached().items()
        if not isinstance(f, property) and not name.startswith("__")
    },
}
#: These are written in Python and have a signature: torch.norm(input, p, dim, keepdim, out, dtype).
IN_PYTHON: dict[str, Callable[..., Any]] = {
    "cdist": torch.cdist,
    "chain_matmul": torch.chain_matmul,
    "norm": torch.norm,
    "tensordot": torch.tensordot,
    "Tensor.norm": torch.Tensor.norm,
}
IN_PYTHON |= {
    prefix + name: getattr(torch.Tensor, name)
    for prefix in ("", "Tensor.")
    for name in ("unique", "unique_consecutive")
}
IN_PYTHON |= {
    name: getattr(torch, name)
    for name in (
        "split",
        "atleast_1d",
        "atleast_2d",
        "atleast_3d",
        "block_diag",
        "broadcast_tensors",
        "meshgrid",
        "cartesian_prod",
    )
}


def taken(function: Callable[..., Any], overload: list[Parameter], name: str) -> list[str]:
    """What of an overload the function does not take as torch does, given in order and given by name."""
    own = list(inspect.signature(function).parameters.values())
    method, bare = name.startswith("Tensor."), name.removeprefix("Tensor.")
    by_name = {p.name: p for p in own}
    rest = [p for p in own if p.kind is p.VAR_POSITIONAL]
    positional = [p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
    wrong = []
    # torch's stub calls some inputs "self"
    overload = [p._replace(name=own[i].name) if p.name == "self" else p for i, p in enumerate(overload)]
    for i, p in enumerate(overload):
        if (method and i == 0) or (bare, p.name) in DEPARTURES or ("*", p.name) in DEPARTURES:
            continue
        if p.kind == "*" or (bare, p.name) in SEQUENCES:
            wrong += [] if rest or (i < len(positional)) else [f"*{p.name}"]
            continue
        mine = by_name.get(p.name)
        if mine is None:
            wrong += [] if any(q.kind is q.VAR_KEYWORD for q in own) else [p.name]
        elif p.kind == "positional" and not rest and (i >= len(positional) or positional[i].name != p.name):
            wrong.append(f"{p.name} as argument {i}")
        elif p.default not in (None, "None") and mine.default is not mine.empty and repr(mine.default) != p.default:
            wrong.append(f"{p.name} = {mine.default!r}, in torch {p.default}")
    required = {p.name for p in own if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    given = {p.name for p in overload} | ({own[0].name} if method else set())
    return wrong + [f"{missing} is required" for missing in required - given if (bare, missing) not in DEPARTURES]


def bare(name: str) -> str:
    return name.removeprefix("Tensor.").removesuffix("_")


@pytest.mark.parametrize("name", dict.fromkeys(map(bare, CASES)))
def test_every_overload_of_torch_is_taken(name: str) -> None:
    """Of the function, the method and the in-place method."""
    check_each(check_overloads, [(case,) for case in CASES if bare(case) == name])


def check_overloads(name: str) -> None:
    function, theirs = CASES[name]
    if name in IN_PYTHON:
        theirs = [
            [Parameter(p.name, "keyword" if p.kind is p.KEYWORD_ONLY else "positional", None) for p in parameters]
            for parameters in [inspect.signature(IN_PYTHON[name]).parameters.values()]
        ]
    assert theirs, "torch has no such function"
    theirs = [o for o in theirs if (name, tuple(p.name for p in o)) not in OVERLOADS and not old(name, o)]
    assert [taken(function, overload, name) for overload in theirs] == [[] for _ in theirs]


def old(name: str, overload: list[Parameter]) -> bool:
    """Whether an overload is one of torch's old forms."""
    positional = {p.name for p in overload if p.kind == "positional"}
    return bool(positional & NUMBERS) and not name.rstrip("_").endswith("fill")


def test_the_departures_are_such() -> None:
    """Each is a parameter that torch has, and that is not taken here by this name."""
    for (name, parameter), reason in DEPARTURES.items():
        cases = CASES if name == "*" else [case for case in CASES if case.removeprefix("Tensor.") == name]
        having = [
            case
            for case in cases
            if case in IN_PYTHON or any(parameter in {p.name for p in overload} for overload in CASES[case][1])
        ]
        assert having, (name, parameter)
        if not any(words in reason for words in ("by name", "default")):
            assert all(parameter not in inspect.signature(CASES[case][0]).parameters for case in having), name


def test_the_measure_can_fail() -> None:
    (overload,) = overloads(TORCH_FUNCTIONS, "lerp")[:1]
    assert taken(lambda input, end, weight, *, out=None: 0, overload, "lerp") == []
    assert taken(lambda input, weight, end, *, out=None: 0, overload, "lerp") == [
        "end as argument 1",
        "weight as argument 2",
    ]
    assert taken(lambda input, end, weight: 0, overload, "lerp") in ([], ["out"])
    assert taken(lambda input, end, weight, more, *, out=None: 0, overload, "lerp") == ["more is required"]
    assert taken(lambda x, end, weight, *, out=None: 0, overload, "lerp") == ["input", "x is required"]


#: Of files: nothing is pickled by Python, and nothing is executed.
FILES = {"save": ["pickle_module", "pickle_protocol", "_use_new_zipfile_serialization", "_disable_byteorder_record"]}
FILES["load"] = ["pickle_module", "mmap", "pickle_load_args"]


@pytest.mark.parametrize("name", ["save", "load"])
def test_files(name: str) -> None:
    """The names, order and kinds are torch's, without those that are of pickle alone."""
    ours, theirs = ([*inspect.signature(getattr(side, name)).parameters.values()] for side in (torchish_mlx, torch))
    assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs if p.name not in FILES[name]]
    assert {p.name for p in theirs} >= set(FILES[name])


def test_the_second_argument_of_load_is_map_location(tmp_path: Path) -> None:
    torchish_mlx.save({"x": torchish_mlx.ones(2)}, tmp_path / "x.pt")
    assert torchish_mlx.load(tmp_path / "x.pt", "cpu")["x"].tolist() == [1, 1]


def test_copy_takes_its_argument_by_torchs_name() -> None:
    x = torchish_mlx.zeros(2)
    assert x.copy_(other=torchish_mlx.ones(2)) is x
    assert x.tolist() == [1, 1]
