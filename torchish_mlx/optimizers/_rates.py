"""Learning rates that are functions of the step, as MLX's schedules are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn import Module

from .._core.messages import is_torchs
from .._core.trace import of_a_trace
from .._docs import see
from ._hyper import as_array

LR_STEP = "lr_step"  # the entry of a parameter group that counts the steps of its schedule


def is_schedule(value: Any) -> bool:
    """Whether ``value``, given as a learning rate, is a function of the step."""
    return callable(value) and not isinstance(value, (type, Module)) and not is_torchs(value)


def rate_at(schedule: Callable[[mx.array], Any], step: mx.array) -> mx.array:
    """``schedule(step)`` as a float32 array without dimensions.

    Raises:
        RuntimeError: the schedule reads the step as a number while it is traced.
        ValueError: it does not give one number.
    """
    try:
        value = schedule(step)
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        raise RuntimeError(
            "the schedule of the learning rate reads its step as a number (by if, int() or math.cos), which has none "
            "inside a compiled step: write it with operations of arrays, such as mx.where and mx.cos, or take one of "
            "torchish_mlx.optimizers.schedules" + see("a-schedule-as-lr")
        ) from error
    array = as_array(value)
    if array is None and isinstance(value, (int, float)):
        array = mx.array(value, mx.float32)
    if array is None or array.size != 1:
        given = repr(value) if array is None else f"an array of shape {tuple(array.shape)}"
        raise ValueError(f"a schedule gives one number, the learning rate, but it gave {given}")
    return array.astype(mx.float32).reshape(())


def first_rate(schedule: Callable[[mx.array], Any]) -> mx.array:
    """The rate of the first step."""
    return rate_at(schedule, mx.array(0, mx.uint64))
