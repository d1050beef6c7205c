"""``torch.profiler``: blocks that measure nothing. Asking for what was measured raises."""

from __future__ import annotations

import enum as _enum
import functools as _functools
from collections.abc import Callable as _Callable
from collections.abc import Iterable as _Iterable
from typing import Any as _Any
from typing import NoReturn as _NoReturn

from ._inert import note as _note

__all__ = [
    "ProfilerAction",
    "ProfilerActivity",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


class ProfilerActivity(_enum.Enum):
    """What torch can measure.

    Source: ``torch.profiler.ProfilerActivity``.
    """

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(_enum.Enum):
    """What torch's profiler does in a step.

    Source: ``torch.profiler.ProfilerAction``.
    """

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3
    DEVICE_STOPPED = 4


def _refused(what: str) -> _NoReturn:
    raise NotImplementedError(
        f"{what}: nothing was measured. Use Python's cProfile, or mlx.core.metal.start_capture() on an Apple GPU"
    )


class profile:
    """A block that measures nothing. Its results, and a function that is to be called with them, are refused.

    Raises:
        NotImplementedError: ``on_trace_ready``, ``key_averages()``, ``events()`` and the exports.

    Source: ``torch.profiler.profile``.
    """

    def __init__(
        self,
        *,
        activities: _Iterable[ProfilerActivity] | None = None,  # noqa: ARG002 - and those below: what to measure
        schedule: _Callable[[int], ProfilerAction] | None = None,  # noqa: ARG002
        on_trace_ready: _Callable[..., _Any] | None = None,
        record_shapes: bool = False,  # noqa: ARG002
        profile_memory: bool = False,  # noqa: ARG002
        with_stack: bool = False,  # noqa: ARG002
        with_flops: bool = False,  # noqa: ARG002
        with_modules: bool = False,  # noqa: ARG002
        experimental_config: _Any = None,  # noqa: ARG002
        execution_trace_observer: _Any = None,  # noqa: ARG002
        acc_events: bool = False,  # noqa: ARG002
        use_cuda: bool | None = None,  # noqa: ARG002
        custom_trace_id_callback: _Any = None,  # noqa: ARG002
        post_processing_timeout_s: float | None = None,  # noqa: ARG002
    ) -> None:
        if on_trace_ready is not None:
            _refused("on_trace_ready")
        _note("torch.profiler.profile")
        self.step_num = 0

    def __enter__(self) -> profile:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def start(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""

    def step(self) -> None:
        """Count a step."""
        self.step_num += 1

    def key_averages(self, *_args: _Any, **_kwargs: _Any) -> _NoReturn:
        """Refused: nothing was measured."""
        _refused("profile.key_averages()")

    def events(self) -> _NoReturn:
        """Refused: nothing was measured."""
        _refused("profile.events()")

    def export_chrome_trace(self, path: str) -> _NoReturn:
        """Refused: nothing was measured."""
        _refused(f"profile.export_chrome_trace({path!r})")

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> _NoReturn:  # noqa: ARG002 - of nothing
        """Refused: nothing was measured."""
        _refused(f"profile.export_stacks({path!r})")


class record_function:
    """A block, or a decorator, that gives a name to what is measured; nothing is.

    Source: ``torch.profiler.record_function``.
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        _note("torch.profiler.record_function")
        self.name, self.args = name, args

    def __enter__(self) -> record_function:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, func: _Callable[..., _Any]) -> _Callable[..., _Any]:
        @_functools.wraps(func)
        def wrapped(*args: _Any, **kwargs: _Any) -> _Any:
            return func(*args, **kwargs)

        return wrapped


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> _Callable[[int], ProfilerAction]:
    """A function of the step: ``wait`` steps without measuring, ``warmup``, ``active`` ones; and again.

    Raises:
        AssertionError: negative numbers, or nothing active.

    Source: ``torch.profiler.schedule``.
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active < 1:
        raise AssertionError("Invalid profiler schedule arguments")

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:
            step += wait
        around = wait + warmup + active
        if repeat and step // around >= repeat:
            return ProfilerAction.NONE
        at = step % around
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < around - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def supported_activities() -> set[ProfilerActivity]:
    """An empty set: nothing is measured.

    Source: ``torch.profiler.supported_activities``.
    """
    return set()


def tensorboard_trace_handler(dir_name: str, worker_name: str | None = None, use_gzip: bool = False) -> _NoReturn:  # noqa: ARG001 - of nothing
    """Refused: nothing is measured.

    Raises:
        NotImplementedError: always.

    Source: ``torch.profiler.tensorboard_trace_handler``.
    """
    _refused(f"tensorboard_trace_handler({dir_name!r})")
