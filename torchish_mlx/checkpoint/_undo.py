"""All or nothing: where one part of a run does not load, every part is put back as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from mlx.nn import Module

from .._tensor.tensor import Tensor
from ..bridge._copies import deep_copied
from ..bridge.parameters import named
from ..optim import Optimizer
from ..optim._state_dict import undone_on_error as _optimizer
from ..optim.lr_scheduler import LRScheduler
from ..optim.lr_scheduler._base import undone_on_error as _scheduler
from . import _native, _random
from ._parts import is_native


def undone_on_error(part: Any) -> AbstractContextManager[None]:
    """A context that puts ``part`` back where something raises. Arrays are kept, not copied."""
    if isinstance(part, Module):
        return _module(part)
    if isinstance(part, Optimizer):
        return _optimizer(part)
    if isinstance(part, LRScheduler):
        return _scheduler(part)
    if is_native(part):
        return _native.undone_on_error(part)
    return _other(part)


@contextmanager
def _module(model: Module) -> Iterator[None]:
    held = [(tensor, tensor.array) for _, tensor in named(model)]
    try:
        yield
    except BaseException:
        for tensor, array in held:
            tensor.array = array
        raise


@contextmanager
def _other(part: Any) -> Iterator[None]:
    before = _moment(part.state_dict())
    try:
        yield
    except BaseException:
        part.load_state_dict(before)
        raise


@contextmanager
def random_state() -> Iterator[None]:
    """The same for the generators of random numbers."""
    before = _random.state()
    try:
        yield
    except BaseException:
        _random.restore(before)
        raise


def _moment(value: Any) -> Any:
    """A state dict apart from what it was taken from; it holds the same arrays."""
    if isinstance(value, Tensor):
        return Tensor(value.array)
    if isinstance(value, Mapping):
        return {key: _moment(child) for key, child in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_moment, value))
    return deep_copied(value)
