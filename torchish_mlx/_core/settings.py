"""Torch's settings of the whole process: threads, determinism, warnings. They can be set and read back."""

from __future__ import annotations

import os
import warnings
from typing import Any

from .._inert import note
from .device import accelerator

_MODES = ("default", "warn", "error")


class _Settings:
    """The values. Torch's threads are as many as OMP_NUM_THREADS says, or as the cores that the process may use."""

    def __init__(self) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        asked = os.environ.get("OMP_NUM_THREADS", "")
        self.threads, self.interop = int(asked) if asked.isdecimal() and int(asked) else cores, cores
        self.interop_set = False
        self.deterministic = self.warn_only = False
        self.warn_always = False


_now = _Settings()


def _checked(value: Any, kind: type, setter: str) -> None:
    if type(value) is not kind:
        article = "an" if kind is int else "a"
        raise RuntimeError(f"{setter} expects {article} {kind.__name__}, but got {type(value).__name__}")


def get_num_threads() -> int:
    """How many threads torch would compute with, until it is set: as OMP_NUM_THREADS says, or one for each core.

    Source: ``torch.get_num_threads``.
    """
    return _now.threads


def set_num_threads(num: int) -> None:
    """Keep the number for :func:`get_num_threads`. It has no effect here: MLX chooses its threads.

    Raises:
        RuntimeError: no positive int.

    Source: ``torch.set_num_threads``.
    """
    _checked(num, int, "set_num_threads")
    if num < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    note("torch.set_num_threads")
    _now.threads = num


def get_num_interop_threads() -> int:
    """How many operations torch would compute at the same time.

    Source: ``torch.get_num_interop_threads``.
    """
    return _now.interop


def set_num_interop_threads(num: int) -> None:
    """Keep the number for :func:`get_num_interop_threads`. It has no effect here: MLX chooses its threads.

    Raises:
        RuntimeError: no positive int, or a second call, as in torch.

    Source: ``torch.set_num_interop_threads``.
    """
    _checked(num, int, "set_num_interop_threads")
    if num < 1:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    if _now.interop_set:
        raise RuntimeError(
            "Error: cannot set number of interop threads after parallel work has started or "
            "set_num_interop_threads called"
        )
    note("torch.set_num_interop_threads")
    _now.interop, _now.interop_set = num, True


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Demand the same bits in every run. MLX's kernels for the CPU give them without it.

    On a GPU sums at indices (``index_add``, ``scatter_add``, gradients of embeddings) may differ in their last bits
    from run to run, and nothing can change that: a warning says so.

    Raises:
        TypeError: an argument that is no bool.

    Source: ``torch.use_deterministic_algorithms``.
    """
    for value, which in ((mode, "'mode' (position 1)"), (warn_only, "'warn_only'")):
        if type(value) is not bool:
            raise TypeError(
                f"_set_deterministic_algorithms(): argument {which} must be bool, not {type(value).__name__}"
            )
    note("torch.use_deterministic_algorithms")
    if mode and accelerator() is not None:
        warnings.warn(
            "use_deterministic_algorithms(True): MLX has no such setting, and on a GPU sums at indices (index_add, "
            "scatter_add, gradients of embeddings) may differ in their last bits from run to run",
            stacklevel=2,
        )
    _now.deterministic, _now.warn_only = mode, warn_only


def are_deterministic_algorithms_enabled() -> bool:
    """Whether :func:`use_deterministic_algorithms` was called with True last.

    Source: ``torch.are_deterministic_algorithms_enabled``.
    """
    return _now.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether :func:`use_deterministic_algorithms` was called with ``warn_only=True`` last.

    Source: ``torch.is_deterministic_algorithms_warn_only_enabled``.
    """
    return _now.warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """:func:`use_deterministic_algorithms` by a number or a word: ``"default"``, ``"warn"`` or ``"error"``.

    Raises:
        TypeError: neither a string nor an int.
        RuntimeError: another string or number.

    Source: ``torch.set_deterministic_debug_mode``.
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _MODES:
            raise RuntimeError(
                f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}"
            )
        debug_mode = _MODES.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    note("torch.set_deterministic_debug_mode")
    use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: :func:`use_deterministic_algorithms` is off, warns, or is on.

    Source: ``torch.get_deterministic_debug_mode``.
    """
    return (1 if _now.warn_only else 2) if _now.deterministic else 0


def set_flush_denormal(mode: bool) -> bool:
    """False: MLX can't be told to take the smallest numbers for zero, and torch says so by False too.

    Raises:
        RuntimeError: no bool.

    Source: ``torch.set_flush_denormal``.
    """
    _checked(mode, bool, "flush_denormal")
    return False


def set_warn_always(b: bool, /) -> None:
    """Keep the value for :func:`is_warn_always_enabled`. It has no effect here: Python's filters decide.

    Raises:
        RuntimeError: no bool.

    Source: ``torch.set_warn_always``.
    """
    _checked(b, bool, "setWarnOnlyOnce")
    note("torch.set_warn_always")
    _now.warn_always = b


def is_warn_always_enabled() -> bool:
    """What :func:`set_warn_always` was given; False before.

    Source: ``torch.is_warn_always_enabled``.
    """
    return _now.warn_always
