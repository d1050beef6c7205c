"""Calls that must raise, on both sides: conversion of their arguments, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import mlx.core as mx
import torch

import torchish_mlx as tm
from compat_tests.ops.test_op_db import DTYPES
from torchish_mlx._tensor.views import Strided
from torchish_mlx.ops._view import show


class NeedsMore(Exception):
    """A value that MLX does not have."""


class Converter:
    """Torch's values as ours: what is one tensor, or shares its memory, is and does so here too."""

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.known: dict[int, Any] = {}
        self.kept: list[Any] = []  # an id is that of an object that is alive

    def __call__(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in self.known:
                self.kept.append(value)
                self.known[id(value)] = self._tensor(value)
            return self.known[id(value)]
        if isinstance(value, torch.dtype):
            if value not in DTYPES:
                raise NeedsMore(str(value)[6:])
            return DTYPES[value]
        if isinstance(value, torch.nn.PairwiseDistance):
            return lambda x, y: tm.pairwise_distance(x, y, value.norm, value.eps, value.keepdim)
        if callable(value) and hasattr(torch.nn.functional, getattr(value, "__name__", "")):
            return getattr(tm.nn.functional, value.__name__)
        if isinstance(value, dict):
            return {key: self(v) for key, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self(v) for v in value) if type(value) in (list, tuple) else tuple(map(self, value))
        return value

    def _tensor(self, value: torch.Tensor) -> Any:
        if value.dtype not in DTYPES:
            raise NeedsMore(str(value.dtype)[6:])
        if value.layout != torch.strided or value.device.type != "cpu":
            raise NeedsMore(str(value.layout if value.layout != torch.strided else value.device))
        with torch.no_grad():
            storage = value.untyped_storage()
            count = storage.nbytes() // value.element_size()
            flat = torch.as_strided(value.detach(), (count,), (1,), 0)
            base = self.memory.get(storage.data_ptr()) if count else None
            shape, whole = tuple(value.shape), value.is_contiguous() and value.numel() == count
            if base is None:
                array = mx.array(flat.float().numpy() if flat.dtype == torch.bfloat16 else flat.numpy())
                base = tm.Tensor(mx.reshape(array, shape if whole else (count,)).astype(DTYPES[value.dtype]))
                self.memory[storage.data_ptr()] = base
            if not value.numel():
                return tm.zeros(shape, dtype=DTYPES[value.dtype], requires_grad=value.requires_grad)
            made = tm.Tensor(base._storage)
            if not whole:
                step = Strided((count,), shape, value.stride(), value.storage_offset())
                flat = made.view((count,))
                made = show(flat, step, flat.array)
            elif shape != tuple(made.shape):
                made = made.view(shape)
            made = made.detach()
        return made.requires_grad_() if value.requires_grad else made


class Outcome(NamedTuple):
    """The result of a call, or its exception."""

    result: Any
    error: Exception | None


def outcome(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Outcome:
    try:
        return Outcome(function(*args, **kwargs), None)
    except Exception as error:  # whatever it is, it is compared
        return Outcome(None, error)


# Damage -----------------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """A call of torch's function, and what was done to its arguments."""

    args: list[Any]
    kwargs: dict[str, Any]
    damage: str
    method: str = ""


def _replaced(call: Call, key: Any, value: Any, damage: str) -> Call:
    """The call with another value at a place of its arguments, or under a keyword."""
    args, kwargs = [*call.args], dict(call.kwargs)
    if isinstance(key, int):
        args[key] = value
    else:
        kwargs[key] = value
    return Call(args, kwargs, f"{key}: {damage}")


def _of_tensor(call: Call, key: Any, t: torch.Tensor) -> Iterator[Call]:
    yield _replaced(call, key, "a string", "string for Tensor")
    yield _replaced(call, key, None, "None for Tensor")
    yield _replaced(call, key, [1.0, 2.0], "list for Tensor")
    yield _replaced(call, key, 2, "number for Tensor")
    for dtype in (torch.bool, torch.int64, torch.int32, torch.complex64, torch.float16):
        if dtype != t.dtype:
            yield _replaced(call, key, t.detach().to(dtype), str(dtype))
    yield _replaced(call, key, t.new_ones((*t.shape[:-1], 7)), "last size 7")
    yield _replaced(call, key, t.new_ones((7, *t.shape)), "a dimension more")
    yield _replaced(call, key, t.new_ones(()), "no dimension")
    yield _replaced(call, key, t.new_ones((0, *t.shape[1:])), "empty")


def _of_number(call: Call, key: Any, number: Any) -> Iterator[Call]:
    for value in (100, -100, -1, 0, 1.5, True, "x", None, [0], [0, 0], [0.5], 1j):
        if value is not number:
            yield _replaced(call, key, value, f"{value!r} for {type(number).__name__}")
    yield _replaced(call, key, torch.ones(2), f"Tensor for {type(number).__name__}")


def _of_tuple(call: Call, key: Any, numbers: Any) -> Iterator[Call]:
    for value in ((0, 0), (100,), (-7, -7), (0.5,), "x", None, 1.5, ("x",), (0, 1, 2, 3, 4, 5)):
        yield _replaced(call, key, value, f"{value!r} for {type(numbers).__name__}")


def _of_result(call: Call, result: Any) -> Iterator[Call]:
    outs = result if isinstance(result, tuple) else (result,)
    if not all(isinstance(o, torch.Tensor) for o in outs):
        return
    many = isinstance(result, tuple)
    for damage, make in {
        "bool": lambda o: torch.zeros(o.shape, dtype=torch.bool),
        "double": lambda o: torch.zeros(o.shape, dtype=torch.float64),
        "other shape": lambda o: torch.zeros((*o.shape, 3), dtype=o.dtype),
        "requires grad": lambda o: torch.zeros(o.shape, requires_grad=True),
        "expanded": lambda o: torch.zeros((), dtype=o.dtype).expand(o.shape),
        "a string": lambda o: "x",
    }.items():
        out = tuple(make(o) for o in outs) if many else make(outs[0])
        yield Call(call.args, {**call.kwargs, "out": out}, f"out: {damage}")


def damaged(call: Call, result: Any) -> Iterator[Call]:
    """Calls with one fault each, of one that torch takes with this result."""
    places = [*enumerate(call.args), *call.kwargs.items()]
    for key, value in places:
        if isinstance(value, torch.Tensor):
            yield from _of_tensor(call, key, value)
        elif isinstance(value, (bool, int, float)):
            yield from _of_number(call, key, value)
        elif isinstance(value, (tuple, list)) and all(isinstance(v, int) for v in value):
            yield from _of_tuple(call, key, value)
    yield Call(call.args, {**call.kwargs, "no_such_keyword": 1}, "an unknown keyword")
    yield Call([*call.args, 1, 2, 3], call.kwargs, "three arguments more")
    if len(call.args) > 1:
        yield Call(call.args[:-1], call.kwargs, "an argument less")
    yield Call([], call.kwargs, "no argument")
    yield from _of_result(call, result)


def written(call: Call, name: str) -> Iterator[Call]:
    """Calls of the in-place method that torch refuses."""
    first = call.args[0]
    if not isinstance(first, torch.Tensor) or name.endswith("__"):
        return
    if first.is_floating_point():
        leaf = first.detach().clone().requires_grad_()
        yield Call([leaf, *call.args[1:]], call.kwargs, "a leaf that requires grad", name + "_")
    if first.ndim:
        repeated = first.detach()[:1].expand(3, *first.shape[1:]) if first.shape[0] else first
        yield Call([repeated, *call.args[1:]], call.kwargs, "an expanded view", name + "_")
    yield Call([first.detach().to(torch.int64), *call.args[1:]], call.kwargs, "integers", name + "_")
    yield Call([first.detach().new_ones((1,)), *call.args[1:]], call.kwargs, "one element", name + "_")
