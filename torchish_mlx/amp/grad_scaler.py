"""``torch.amp.GradScaler``: losses scaled up before ``backward``, gradients scaled down before ``step``."""

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, overload

import mlx.core as mx
import numpy as np

from .._core.alone import Alone
from .._core.device import Device
from .._core.evaluation import arrays_in, schedule
from .._core.promotion import compute
from .._core.trace import value
from .._docs import see
from .._tensor.storage import storage_at
from .._tensor.tensor import Tensor
from ..optim import Optimizer
from ._gradients import gradients_of, moved, nonfinite, unscale
from ._numbers import array_of_scale, new_scale_of, number_in

__all__ = ["GradScaler", "OptState"]


class OptState(Enum):
    """What was done with an optimizer in this iteration: nothing, gradients unscaled, step made or left out."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Scales a loss so that small float16 gradients do not vanish, and finds the factor while training.

    ``scale(loss) = loss * s``; ``step(optimizer)`` divides the gradients by s, and steps unless one of them is infinite
    or NaN; ``update()`` sets s to s * backoff_factor after such a step, and to s * growth_factor after growth_interval
    good ones in a row. A step that is left out changes nothing: no parameter, state or count, and no hook is called.

    Args:
        device: "cuda" (torch's default), "mps", "gpu" or "cpu". They mean the same, because MLX's devices share
            their memory: the scaler works with each, where torch's switches itself off without CUDA.
        init_scale: s at the start; a power of two keeps the digits of every gradient.
        growth_factor: > 1.
        backoff_factor: < 1.
        growth_interval: the number of good steps in a row after which s grows.
        enabled: False makes ``step`` call ``optimizer.step`` and everything else do nothing.

    Raises:
        AssertionError: a factor out of its range.
        RuntimeError, TypeError: a device that MLX does not have.

    ``step`` waits for the check of the gradients, once; ``scale``, ``unscale_`` and ``update`` wait for nothing.
    Inside ``mx.compile`` a scale is a constant, unless ``scaler.state`` is among the captured ``inputs``.

    SGD, Adam, AdamW and Adagrad with ``fused=True`` divide the gradients and leave out the step by themselves, as in
    torch. ``step`` then waits for nothing, ``optimizer.step`` and its hooks are always called, and ``scale``,
    ``backward``, ``step`` and ``update`` may all be in one function under ``mx.compile``.

    Example:
        >>> import mlx.core as mx, mlx.nn as nn
        >>> import torchish_mlx
        >>> model, x = nn.Linear(2, 1), mx.ones((3, 2))
        >>> optimizer = torchish_mlx.optim.SGD(model, lr=0.1)
        >>> scaler = GradScaler(init_scale=8.0)
        >>> loss = torchish_mlx.backward(model, lambda m: scaler.scale(m(x).sum()))
        >>> scaler.unscale_(optimizer)  # only where the gradients are looked at or clipped
        >>> model_gradient = next(torchish_mlx.parameters(model)).grad
        >>> model_gradient
        tensor([[3., 3.]])
        >>> scaler.step(optimizer)
        >>> scaler.update()

    Source: ``torch.amp.GradScaler`` (torch 2.13); Micikevicius et al. 2018, "Mixed Precision Training".
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if not (isinstance(device, str) and device.partition(":")[0] == "cuda"):
            Device(device)
        if enabled and growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._device = device
        self._enabled = enabled
        self._init_scale = init_scale
        self._init_growth_tracker = 0
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._state: dict[str, mx.array] = {}
        self._scale: Tensor | None = None  # from the first call of scale() on, both are places in _state
        self._growth_tracker: Tensor | None = None
        self._given: mx.array | None = None  # the factor of the last scale(); None if it was being traced
        self._per_optimizer_states: dict[int, dict[str, Any]] = {}

    # Scaling a loss -------------------------------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, mx.array]:
        """The scale and the count of good steps, as a dict that is mutated and never replaced.

        It is for ``mx.compile(inputs=[model.state, scaler.state])`` of a function that calls :meth:`scale`.
        """
        if self._enabled and self._scale is None:
            self._lazy_init_scale_growth_tracker()
        return self._state

    def _lazy_init_scale_growth_tracker(self) -> None:
        self._state["scale"] = mx.array(self._init_scale, mx.float32)
        self._state["growth_tracker"] = mx.array(self._init_growth_tracker, mx.int32)
        self._scale, self._growth_tracker = (
            Tensor(storage_at(self._state, "scale")),
            Tensor(storage_at(self._state, "growth_tracker")),
        )

    def _check_scale_growth_tracker(self, funcname: str) -> tuple[Tensor, Tensor]:
        if self._scale is None or self._growth_tracker is None:
            raise AssertionError(
                f"Attempted {funcname} but _scale is None.  "
                "This may indicate your script did not use scaler.scale(loss or outputs) earlier in the iteration."
            )
        return self._scale, self._growth_tracker

    @overload
    def scale(self, outputs: Tensor) -> Tensor: ...

    @overload
    def scale(self, outputs: mx.array) -> mx.array: ...

    @overload
    def scale(self, outputs: Iterable[Any]) -> Iterable[Any]: ...

    def scale(self, outputs: Any) -> Any:
        """``outputs`` times the scale: a Tensor (then call ``.backward()``), or an array in a loss function.

        Args:
            outputs: a Tensor, an ``mx.array``, or lists, tuples and other iterables of these, nested in any way.
                A 0-d float16 loss becomes float32; a float16 array with dimensions stays float16.

        Returns:
            The same structure; an iterable that is neither a list nor a tuple gives an iterator.

        Raises ValueError for anything else.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._current()
        if isinstance(outputs, mx.array):
            return compute(mx.multiply, outputs, self._current().array)
        if isinstance(outputs, Iterable) and not isinstance(outputs, (str, bytes, dict, np.ndarray)):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _current(self) -> Tensor:
        """The scale, for a loss; remembers what it was, or that it is traced and may change without a new trace."""
        if self._scale is None:
            self._lazy_init_scale_growth_tracker()
        assert self._scale is not None
        self._given = self._scale.array if schedule(self._scale.array) else None
        return self._scale

    def _check_given(self) -> None:
        """Refuse gradients of a loss that had an earlier scale, as of a compiled function that has it as a constant."""
        assert self._scale is not None
        if self._given is None or self._given is self._scale.array:
            return
        now = value(self._scale.array)
        if now is not None and self._given.item() != now:
            raise RuntimeError(
                f"scale() was last called when the scale was {self._given.item()}, and it is {now} now: the "
                "gradients would be unscaled by another factor than the loss was scaled by. Call scale() in every "
                "iteration; in a function under mx.compile, where the scale is a constant otherwise, capture it: "
                "mx.compile(..., inputs=[model.state, scaler.state])." + see("a-scale-that-became-a-constant")
            )

    # Unscaling and stepping -----------------------------------------------------------------------------------------

    def _state_of(self, optimizer: Any) -> dict[str, Any]:
        """What this iteration has done with ``optimizer``."""
        states, key = self._per_optimizer_states, id(optimizer)
        held = states.get(key)
        if held is not None and held["optimizer"]() is not optimizer:
            # the entry is of an optimizer that was deleted, whose id another one has now: its check still counts
            states[-1 - len(states)] = states.pop(key)
            held = None
        if held is None:
            held = states[key] = {
                "stage": OptState.READY,
                "found_inf_per_device": {},
                "optimizer": weakref.ref(optimizer),
            }
        return held

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, in place: to clip them or to look at them.

        Call it once an iteration, when all gradients have been accumulated; ``step`` does it where it was not called.

        Raises:
            AssertionError: scale() was never called.
            RuntimeError: called already, or after step(); scale() was not called after the scale had changed; or inside
                a function under ``mx.compile``.
            ValueError: float16 gradients.

        Nothing is changed where it raises.
        """
        if not self._enabled:
            return
        scale, _ = self._check_scale_growth_tracker("unscale_")
        state = self._state_of(optimizer)
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        gradients = gradients_of(optimizer, allow_fp16=False)
        with Alone("unscale_()", optimizer, lambda: [p for g in optimizer.param_groups for p in g["params"]]):
            state["found_inf_per_device"] = self._inf_checks(optimizer, gradients)
            unscale(gradients, mx.reciprocal(scale.array))
            schedule(arrays_in(gradients))
        state["stage"] = OptState.UNSCALED

    def _inf_checks(self, optimizer: Any, gradients: list[Any]) -> dict[Device, Tensor]:
        """Whether the gradients hold anything infinite, as torch keeps it; empty without gradients.

        Inside a compiled function it is not known yet, and only an optimizer that leaves out a step by itself goes on.
        """
        self._check_given()
        if not gradients:
            return {}
        found = nonfinite(gradients)
        if not schedule(found):
            if not getattr(optimizer, "_step_supports_amp_scaling", False):
                raise RuntimeError(
                    "GradScaler decides in Python whether to step, by the values of the gradients, which are not known "
                    "inside a function under mx.compile. Compile the function that gives the loss and the gradients, "
                    "and call unscale_(), step() and update() outside it; or construct the optimizer with fused=True, "
                    "and call them inside." + see("a-scalers-step-in-a-compiled-step")
                )
            if self._scale is not None and schedule(self._scale.array):
                raise RuntimeError(
                    "the scale is a constant inside a function under mx.compile: capture it, by mx.compile(..., "
                    "inputs=[model.state, optimizer.state, scaler.state], outputs=[the same])."
                    + see("a-scale-that-became-a-constant")
                )
            self._state_of(optimizer)["traced"] = True
        check = Tensor(found)
        return {check.device: check}

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """``unscale_(optimizer)`` unless that was done, then ``optimizer.step(...)`` if every gradient is finite.

        Args:
            optimizer: its step is left out where a gradient is infinite or NaN.
            *args: for ``optimizer.step``.
            **kwargs: for ``optimizer.step`` too.

        Returns what ``optimizer.step`` returns, None where it was left out.

        Raises:
            AssertionError: scale() was never called, or no parameter has a gradient.
            RuntimeError: a closure, called twice before update(), and what :meth:`unscale_` raises.

        It waits for the gradients, once; with a ``fused`` optimizer it waits for nothing.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or (args and _closure(optimizer, args)):
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        scale, tracker = self._check_scale_growth_tracker("step")
        state = self._state_of(optimizer)
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            return self._step_of_its_own(optimizer, state, args, kwargs)
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        checks = [check.array for check in state["found_inf_per_device"].values()]
        if not checks:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        mx.eval(checks, scale.array, tracker.array)
        result = None if any(check.item() for check in checks) else optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def _step_of_its_own(self, optimizer: Any, state: dict[str, Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Leave unscaling and skipping to an optimizer that says it does both: ``_step_supports_amp_scaling``.

        Its ``step`` takes ``grad_scaler``, as torch's older contract has it, or finds ``self.grad_scale`` and
        ``self.found_inf``, Tensors, while it runs.
        """
        if "grad_scaler" in inspect.signature(optimizer.step).parameters:
            warnings.warn(
                "GradScaler is going to stop passing itself as a keyword argument to the passed "
                "optimizer. In the near future GradScaler registers `grad_scale: Tensor` and "
                "`found_inf: Tensor` to the passed optimizer and let the optimizer use them directly.",
                FutureWarning,
                stacklevel=3,
            )
            result = optimizer.step(*args, **{**kwargs, "grad_scaler": self})
            state["stage"] = OptState.STEPPED
            return result
        if state["stage"] is OptState.READY:
            self._check_inf_per_device(optimizer)
        assert self._scale is not None
        checks = [check.array for check in state["found_inf_per_device"].values()]
        given = getattr(optimizer, "grad_scale", None)
        if state["stage"] is not OptState.UNSCALED:
            given = Tensor(
                self._scale.array if given is None else compute(mx.multiply, self._scale.array, array_of_scale(given))
            )
        optimizer.grad_scale = given
        optimizer.found_inf = Tensor(mx.stack(checks).sum() if checks else mx.array(0.0))
        try:
            result = optimizer.step(*args, **kwargs)
        finally:
            del optimizer.grad_scale, optimizer.found_inf
        state["stage"] = OptState.STEPPED
        return result

    def _check_inf_per_device(self, optimizer: Optimizer) -> dict[Device, Tensor]:
        """Look for infinite gradients without unscaling; for optimizers that do that themselves."""
        self._check_scale_growth_tracker("_check_inf_per_device")
        checks = self._inf_checks(optimizer, gradients_of(optimizer, allow_fp16=True))
        self._state_of(optimizer)["found_inf_per_device"] = checks
        return checks

    def _found_inf_per_device(self, optimizer: Optimizer) -> dict[Device, Tensor]:
        return self._state_of(optimizer)["found_inf_per_device"]

    def update(self, new_scale: float | Tensor | mx.array | None = None) -> None:
        """Set the scale for the next iteration, after the steps of all optimizers.

        Args:
            new_scale: a number, or a Tensor or array of one element, which is copied. By default the scale backs off if
                any optimizer had infinite gradients, and grows after ``growth_interval`` iterations without.

        Raises AssertionError where no gradients were checked, and for a ``new_scale`` of another kind.
        """
        if not self._enabled:
            return
        scale, tracker = self._check_scale_growth_tracker("update")
        if new_scale is not None:
            scale.array = new_scale_of(new_scale)
        else:
            states = self._per_optimizer_states.values()
            checks = [check.array for state in states for check in state["found_inf_per_device"].values()]
            if not checks:
                raise AssertionError("No inf checks were recorded prior to update.")
            if any("traced" in state for state in states) and schedule(scale.array):
                raise RuntimeError(
                    "step() was inside a function under mx.compile, and update() is outside of it: what step() found "
                    "is not known here. Call update() in that function, too." + see("a-scalers-step-in-a-compiled-step")
                )
            scale.array, tracker.array = moved(
                scale.array,
                tracker.array,
                mx.stack(checks).sum(),
                self._growth_factor,
                self._backoff_factor,
                self._growth_interval,
            )
        schedule(scale.array, tracker.array)
        self._per_optimizer_states = {}

    # Reading and writing the numbers --------------------------------------------------------------------------------

    def _get_scale_async(self) -> Tensor | None:
        return self._scale

    def get_scale(self) -> float:
        """The scale, 1.0 if disabled; waits for it."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """The factor by which the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set the factor by which the scale grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """The factor by which the scale backs off."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set the factor by which the scale backs off."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps in a row the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set after how many good steps in a row the scale grows."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else self._growth_tracker.item()

    def is_enabled(self) -> bool:
        """Whether anything is scaled."""
        return self._enabled

    # Saving and loading ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """torch's five numbers, under torch's names; empty if disabled. Call it after :meth:`update`."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` gave, torch's or this package's; does nothing if disabled.

        Raises RuntimeError for the empty dict of a disabled scaler, KeyError for a missing number, TypeError for what
        is no number; nothing is changed.
        """
        if not self._enabled:
            return
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"a scaler's state dict is a dict, but got {type(state_dict).__name__}: give what scaler.state_dict() "
                "returned"
            )
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        names = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")
        scale, growth, backoff, interval, tracker = (number_in(state_dict, name) for name in names)
        arrays = mx.array(scale, mx.float32), mx.array(tracker, mx.int32)
        self._init_scale, self._init_growth_tracker = scale, tracker
        self._growth_factor, self._backoff_factor, self._growth_interval = growth, backoff, interval
        if self._scale is not None and self._growth_tracker is not None:
            self._scale.array, self._growth_tracker.array = arrays

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning "
                    "of an iteration, or at the end after scaler.update()."
                )
            state.update(_init_scale=self.get_scale(), _init_growth_tracker=self._get_growth_tracker())
            state.update(_state={}, _scale=None, _growth_tracker=None, _given=None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def _closure(optimizer: Any, args: tuple[Any, ...]) -> bool:
    """Whether a closure is among the positional arguments: it would compute gradients that nobody unscales."""
    given = inspect.signature(optimizer.step).bind_partial(*args).arguments
    return given.get("closure") is not None
