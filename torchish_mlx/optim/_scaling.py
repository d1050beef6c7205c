"""``grad_scale`` and ``found_inf`` of an optimizer, which ``GradScaler`` sets while one with ``fused=True`` steps.

Nothing here waits for the two numbers, which may be computed in the same compiled step: what the step computes and what
was there before are both at hand, and ``mx.where`` takes one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.sparse import RowSparse
from .._core.trace import traced, value
from .._docs import see
from .._tensor.conversion import array_of
from ..optimizers import Adafactor
from ..optimizers._core import Inputs, Results, Share
from ..optimizers._hyper import STRUCTURE, as_number
from ..optimizers._rule import HALF
from ._state import OptimizerState

_NAMES = ("grad_scale", "found_inf")


class Scaling(NamedTuple):
    """The factor of the gradients, and a number that is not 0 if one of them is infinite; None if it is not set."""

    scale: mx.array | None
    found: mx.array | None

    def unscaled(self, work: Sequence[Share]) -> Sequence[Share]:
        """The same work with gradients divided by the scale; those of half precision become float32."""
        if self.scale is None:
            return work
        return [share._replace(items=[(path, self._divided(g), p) for path, g, p in share.items]) for share in work]

    def _divided(self, gradient: Any) -> Any:
        assert self.scale is not None
        values = gradient.values if isinstance(gradient, RowSparse) else gradient
        values = (values.astype(mx.float32) if values.dtype in HALF else values) / self.scale
        return RowSparse(gradient.indices, values, gradient.shape) if isinstance(gradient, RowSparse) else values

    def leaves_out(self, state: OptimizerState, work: Sequence[Share]) -> bool:
        """Whether the step must do nothing. This is asked only before the step that makes SGD's momentum buffer.

        Raises RuntimeError where the answer can't be known, and zeros could not replace that buffer.
        """
        for rule, group, _, items, _ in work:
            if self.found is None or not rule.late or not as_number("momentum", group["momentum"]):
                continue
            if all(name in state.slots.get(path, ()) for name in rule.late for path, _, _ in items):
                continue
            number = value(self.found)
            if number is None and as_number("dampening", group["dampening"]):
                raise RuntimeError(
                    "the first step with momentum and dampening is compiled, and found_inf is not known yet: whether "
                    "the next step is the first one depends on it. Make the first step outside of the compiled function"
                )
            return bool(number)
        return False

    def kept(self, before: Inputs, results: Results) -> Results:
        """``results``, or what was there before where a gradient is infinite."""
        if self.found is None:
            return results
        arrays, _, _, old, old_slots = before
        clock, new, slots = results
        skip = self.found != 0

        def chosen(earlier: Any, later: Any) -> Any:
            return mx.where(skip, mx.zeros_like(later) if earlier is None else earlier, later)

        return (
            {name: chosen(arrays[name], array) for name, array in clock.items()},
            [chosen(a, b) for a, b in zip(old, new, strict=True)],
            [
                {name: chosen(a.get(name), array) for name, array in b.items()}
                for a, b in zip(old_slots, slots, strict=True)
            ],
        )

    def write_back(self, groups: Iterable[Mapping[str, Any]]) -> None:
        """Leave unscaled gradients in ``.grad``, as torch's fused kernels do; the scaled ones where one is infinite."""
        if self.scale is None:
            return
        found: dict[int, Any] = {id(p.grad): p.grad for group in groups for p in group["params"] if p.grad is not None}
        for gradient in found.values():
            rows = isinstance(gradient, RowSparse)
            scaled = gradient.values if rows else gradient.array
            new = (scaled.astype(mx.float32) / self.scale).astype(scaled.dtype)
            new = new if self.found is None else mx.where(self.found != 0, scaled, new)
            if rows:
                gradient.values = new
            else:
                gradient._storage.write(new)


def scaling_of(optimizer: Any) -> Scaling | None:
    """What is set on ``optimizer``; None where it is nothing, or where neither torch's nor this optimizer reads it.

    Raises:
        AssertionError: in torch's words, where a group is not ``fused``, or for Adafactor.
        TypeError, ValueError: a value that is no number of one element.
        RuntimeError: inside a compiled step, a number that is not computed there.
    """
    held, kind = vars(optimizer), type(optimizer)
    set_here = [name for name in _NAMES if name in held or hasattr(kind, name)]
    given = {name: v for name in set_here if (v := getattr(optimizer, name)) is not None}
    if not given or optimizer.rule is None:
        return None
    if optimizer.rule is Adafactor:
        raise AssertionError(
            f"Grad scaling should occur outside of optimizer.step(): Adafactor does not read {' and '.join(given)}. "
            "Divide the gradients before the step, and delete the attribute."
        )
    groups = [group for group in optimizer.param_groups if "fused" in group]
    if not groups:
        return None
    if not all(group["fused"] for group in groups):
        raise AssertionError(
            f"Expected grad_scale and found_inf to be None: {' and '.join(given)} is set, and only a step with "
            "fused=True reads it. Construct the optimizer with fused=True, or delete the attribute."
        )
    scaling = Scaling(*(_number(name, given[name]) if name in given else None for name in _NAMES))
    if any(traced(group.arrays[STRUCTURE]) for group in groups):
        for name, array in zip(_NAMES, scaling, strict=True):
            if array is not None and value(array) is not None:
                raise RuntimeError(
                    f"optimizer.{name} is a constant inside a compiled step, which would go on with this value when "
                    "another one is set: compute it inside the compiled function, or give it as an argument"
                    + see("a-scalers-step-in-a-compiled-step")
                )
    return scaling


def _number(name: str, given: Any) -> mx.array:
    array = mx.array(given) if isinstance(given, (bool, int, float)) else array_of(given)
    if array is None:
        raise TypeError(f"optimizer.{name} is a {type(given).__name__}: expected a Tensor or an array of one element")
    if array.size != 1:
        raise ValueError(f"optimizer.{name} has shape {tuple(array.shape)}: expected one element")
    return array.astype(mx.float32).reshape(())
