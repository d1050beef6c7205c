"""``torch.mps``: Apple's GPUs. Without one it answers as a build of torch without Metal does."""

from __future__ import annotations

from typing import Any as _Any
from typing import NoReturn as _NoReturn

import mlx.core as _mx

from ._core.device import accelerator as _accelerator
from ._core.device import device_count as _device_count
from ._inert import note as _note
from ._tensor.tensor import Tensor as _Tensor
from .random.generator import default_generator as _generator

__all__ = [
    "compile_shader",
    "current_allocated_memory",
    "device_count",
    "driver_allocated_memory",
    "empty_cache",
    "get_rng_state",
    "is_available",
    "manual_seed",
    "recommended_max_memory",
    "seed",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "synchronize",
]


def is_available() -> bool:
    """Whether MLX computes on an Apple GPU here.

    Source: ``torch.mps.is_available``.
    """
    return _accelerator() == "mps"


def _demand(what: str) -> None:
    if not is_available():
        raise RuntimeError(f"Cannot execute {what}() without MPS backend.")


def device_count() -> int:
    """1 where MLX computes on an Apple GPU, and 0 elsewhere.

    Source: ``torch.mps.device_count``.
    """
    return _device_count() if is_available() else 0


def synchronize() -> None:
    """Wait until the GPU has computed what was asked for.

    Raises:
        RuntimeError: there is no Apple GPU.

    Source: ``torch.mps.synchronize``.
    """
    _demand("deviceSynchronize")
    _mx.synchronize()


def empty_cache() -> None:
    """Give back the memory that no array is in.

    Raises:
        RuntimeError: there is no Apple GPU.

    Source: ``torch.mps.empty_cache``.
    """
    _demand("emptyCache")
    _mx.clear_cache()


def manual_seed(seed: int) -> None:
    """Set the seed of the default generator, which the GPU's numbers come from; nothing where there is no Apple GPU.

    Source: ``torch.mps.manual_seed``.
    """
    seed = int(seed)
    if is_available():
        _generator.manual_seed(seed)
    else:
        _note("torch.mps.manual_seed")


def seed() -> None:
    """Give the default generator a seed that nobody can know before.

    Raises:
        RuntimeError: there is no Apple GPU.

    Source: ``torch.mps.seed``.
    """
    _demand("getDefaultGenerator")
    _generator.seed()


def get_rng_state(device: _Any = "mps") -> _Tensor:  # noqa: ARG001 - there is one generator
    """The state of the default generator.

    Raises:
        RuntimeError: there is no Apple GPU.

    Source: ``torch.mps.get_rng_state``.
    """
    _demand("getDefaultGenerator")
    return _generator.get_state()


def set_rng_state(new_state: _Any, device: _Any = "mps") -> None:  # noqa: ARG001 - there is one generator
    """Have the default generator go on from a state.

    Raises:
        RuntimeError: there is no Apple GPU.

    Source: ``torch.mps.set_rng_state``.
    """
    _demand("getDefaultGenerator")
    _generator.set_state(new_state)


def current_allocated_memory() -> int:
    """The bytes of all arrays.

    Raises:
        RuntimeError: there is no Apple GPU.

    Source: ``torch.mps.current_allocated_memory``.
    """
    _demand("getCurrentAllocatedMemory")
    return _mx.get_active_memory()


def driver_allocated_memory() -> int:
    """The bytes of all arrays and of MLX's cache.

    Raises:
        RuntimeError: there is no Apple GPU.

    Source: ``torch.mps.driver_allocated_memory``.
    """
    _demand("getDriverAllocatedMemory")
    return _mx.get_active_memory() + _mx.get_cache_memory()


def recommended_max_memory() -> int:
    """The bytes that Metal recommends to use at most.

    Raises:
        RuntimeError: there is no Apple GPU.

    Source: ``torch.mps.recommended_max_memory``.
    """
    _demand("getRecommendedMaxMemory")
    return int(_mx.device_info()["max_recommended_working_set_size"])


def set_per_process_memory_fraction(fraction: float) -> None:
    """Have MLX use at most this part, from 0 to 2, of :func:`recommended_max_memory`.

    Raises:
        TypeError: no float.
        ValueError: it is outside.
        RuntimeError: there is no Apple GPU.

    Source: ``torch.mps.set_per_process_memory_fraction``.
    """
    if not isinstance(fraction, float):
        raise TypeError("Invalid type for fraction argument, must be `float`")
    if not 0 <= fraction <= 2:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~2")
    _demand("setMemoryFraction")
    _mx.set_memory_limit(int(fraction * recommended_max_memory()))


def compile_shader(source: str) -> _NoReturn:  # noqa: ARG001 - of any source
    """Refused: write kernels with ``mlx.core.fast.metal_kernel``.

    Raises:
        RuntimeError: there is no Apple GPU.
        NotImplementedError: there is one.

    Source: ``torch.mps.compile_shader``.
    """
    if not is_available():
        raise RuntimeError("MPS is not available")
    raise NotImplementedError("write a kernel with mlx.core.fast.metal_kernel")
