"""What puts each part of a run back, where one of them does not load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mlx.nn import Module

from .._tensor.tensor import Tensor
from ..bridge._copies import deep_copied
from ..bridge.parameters import named
from ..optim import Optimizer
from ..optim._state_dict import kept as _optimizer
from ..optim.lr_scheduler import LRScheduler
from ..optim.lr_scheduler._base import kept as _scheduler
from . import _native, _random
from ._parts import is_native


def kept(part: Any) -> Callable[[], None]:
    """A function that puts ``part`` back as it is now. Arrays are kept, not copied."""
    if isinstance(part, Module):
        return _module(part)
    if isinstance(part, Optimizer):
        return _optimizer(part)
    if isinstance(part, LRScheduler):
        return _scheduler(part)
    if is_native(part):
        return _native.kept(part)
    return _other(part)


def _module(model: Module) -> Callable[[], None]:
    held = [(tensor, tensor.array) for _, tensor in named(model)]

    def put_back() -> None:
        for tensor, array in held:
            tensor.array = array

    return put_back


def _other(part: Any) -> Callable[[], None]:
    return partial(part.load_state_dict, _moment(part.state_dict()))


def random_state() -> Callable[[], None]:
    """The same for the generators of random numbers."""
    return partial(_random.restore, _random.state())


def _moment(value: Any) -> Any:
    """A state dict apart from what it was taken from; it holds the same arrays."""
    if isinstance(value, Tensor):
        return Tensor(value.array)
    if isinstance(value, Mapping):
        return {key: _moment(child) for key, child in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_moment, value))
    return deep_copied(value)
