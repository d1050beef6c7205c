"""``torch.amp.autocast``: functions such as products compute in fewer bits, and losses in float32."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx

from .._core.device import Device, accelerator
from .._core.dtypes import OF_MLX, mlx_dtype
from .._inert import note
from .._tensor.tensor import Tensor
from ..ops._autocast import POLICIES, dtype_for, state, switch

__all__ = [
    "autocast",
    "clear_autocast_cache",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_dtype",
    "is_autocast_available",
    "is_autocast_cache_enabled",
    "is_autocast_enabled",
    "set_autocast_cache_enabled",
    "set_autocast_dtype",
    "set_autocast_enabled",
]
_HALVES = (mx.bfloat16, mx.float16)
_DISABLED = (
    "In {0} autocast, but the target dtype is not supported. Disabling autocast.\n"
    "{0} Autocast only supports dtypes of torch.bfloat16, torch.float16 currently."
)


class autocast:
    """A block, or a decorator, in which products compute in ``dtype``, and losses and the like in float32.

    Which functions these are torch says for each type of device; the others compute in the dtypes that they are given.
    Tensors of other devices than ``device_type`` are not cast. Parameters stay as they are, and their gradients have
    their dtype.

    Args:
        device_type: ``"cpu"``, ``"mps"``, ``"cuda"``: the device of the Tensors, which is a label here.
        dtype: ``bfloat16`` or ``float16``; by default :func:`get_autocast_dtype`.
        enabled: False has nothing be cast in the block.
        cache_enabled: torch keeps a weight that was cast for the next use in the block. Here it is cast each time,
            which gives the same values.

    Raises:
        ValueError: ``device_type`` is no string.
        RuntimeError: a string that is no type of device.

    Source: ``torch.autocast``.

    >>> import torchish_mlx as torch
    >>> x = torch.ones(2, 2)
    >>> with torch.autocast("cpu"):
    ...     print((x @ x).dtype, (x + x).dtype)
    torch.bfloat16 torch.float32
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device = Device(device_type).type
        self.fast_dtype = dtype_for(self.device) if dtype is None else mlx_dtype(dtype, "autocast")
        if cache_enabled is not None:
            note("torch.autocast.cache_enabled")
        self.cache_enabled = state.cache if cache_enabled is None else cache_enabled
        if enabled and self.device == "cuda" and accelerator() != "cuda":
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
            enabled = False
        elif enabled and self.fast_dtype not in _HALVES:
            warnings.warn(_DISABLED.format(self.device.upper()), stacklevel=2)
            enabled = False
        self.enabled = enabled
        self._before: list[tuple[bool, mx.Dtype, bool]] = []

    def __enter__(self) -> autocast:
        self._before.append((self.device in state.enabled, dtype_for(self.device), state.cache))
        state.dtypes[self.device], state.cache = self.fast_dtype, self.cache_enabled
        switch(self.device, self.enabled)
        return self

    def __exit__(self, *_: object) -> None:
        on, state.dtypes[self.device], state.cache = self._before.pop()
        switch(self.device, on)

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return decorated


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows this type of device.

    Source: ``torch.amp.is_autocast_available``.
    """
    return Device(device_type).type in POLICIES


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on in this thread.

    Source: ``torch.is_autocast_enabled``.
    """
    return Device(device_type).type in state.enabled


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Have autocast be on or off in this thread, for a type of device; with one argument for ``cuda``.

    Source: ``torch.set_autocast_enabled``.
    """
    if enabled is None:
        device_type, enabled = "cuda", device_type
    if type(enabled) is not bool:
        raise TypeError(f"enabled must be a bool (got {type(enabled).__name__})")
    switch(Device(device_type).type, enabled)


def get_autocast_dtype(device_type: str) -> Any:
    """The dtype of fewer bits: bfloat16 on the CPU and float16 elsewhere, until it is set.

    Source: ``torch.get_autocast_dtype``.
    """
    return OF_MLX[dtype_for(Device(device_type).type)]


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Set the dtype of fewer bits in this thread.

    Source: ``torch.set_autocast_dtype``.
    """
    state.dtypes[Device(device_type).type] = mlx_dtype(dtype, "set_autocast_dtype")


def is_autocast_cache_enabled() -> bool:
    """What :func:`set_autocast_cache_enabled` or a block was given; True before.

    Source: ``torch.is_autocast_cache_enabled``.
    """
    return state.cache


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Keep the value. It has no effect here: a Tensor is cast each time, which gives the same values.

    Source: ``torch.set_autocast_cache_enabled``.
    """
    note("torch.autocast.cache_enabled")
    state.cache = enabled


def clear_autocast_cache() -> None:
    """Nothing: no Tensor that was cast is kept.

    Source: ``torch.clear_autocast_cache``.
    """
    note("torch.clear_autocast_cache")


def _cast(value: Any, device_type: str, dtype: mx.Dtype) -> Any:
    if isinstance(value, Tensor):
        wanted = value.is_floating_point() and value.device.type == device_type and value.array.dtype != mx.float64
        return value.to(dtype) if wanted else value
    if isinstance(value, dict):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        made = [_cast(each, device_type, dtype) for each in value]
        return made if type(value) is list else tuple(made)
    return value


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """A decorator for ``forward`` of a ``Function``: its backward runs under the same autocast.

    Args:
        fwd: the function.
        device_type: the type of device.
        cast_inputs: while autocast is on, cast the floating Tensors to this dtype, and run without autocast.

    Raises:
        ValueError: ``device_type`` is no string.

    Source: ``torch.amp.custom_fwd``.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        args[0]._dtype = dtype_for(device_type)
        on = is_autocast_enabled(device_type)
        args[0]._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(*args, **kwargs)
        dtype = mlx_dtype(cast_inputs, "custom_fwd")
        with autocast(device_type=device_type, enabled=False):
            return fwd(*_cast(args, device_type, dtype), **_cast(kwargs, device_type, dtype))

    return decorated


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """A decorator for ``backward`` of a ``Function``: it runs under the autocast of ``forward``.

    Raises:
        ValueError: ``device_type`` is no string.

    Source: ``torch.amp.custom_bwd``.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with autocast(device_type=device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)

    return decorated
