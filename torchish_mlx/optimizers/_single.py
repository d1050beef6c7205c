"""Rules whose classes write ``init_single`` or ``apply_single``, as MLX's documentation has subclasses do."""

from __future__ import annotations

from typing import Any

import mlx.core as mx


class Single:
    """An optimizer with such methods, in the role of a rule: a step asks it for the slots and the new value of each
    parameter, and it calls the methods. Everything else comes from the optimizer's class.
    """

    late = ()  # all slots are those that init_single makes

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer

    def __getattr__(self, name: str) -> Any:
        return getattr(type(self._optimizer), name)

    def slots(self, h: Any, p: mx.array) -> dict[str, mx.array]:  # noqa: ARG002 - init_single reads the options itself
        made: dict[str, mx.array] = {}
        self._optimizer.init_single(p, made)
        return made

    early_slots = slots

    def apply(self, h: Any, g: Any, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        self._optimizer._now = h, k  # for a call of super().apply_single(...)
        try:
            return self._optimizer.apply_single(g, p, s)
        finally:
            self._optimizer._now = None


def refuse_single(rule: type[Any], what: str) -> None:
    """Raise TypeError for such a class where only class methods are called."""
    if rule._by_single:
        raise TypeError(
            f"{rule.__name__} writes init_single or apply_single, which {what} does not call: its options are those of "
            "a parameter group. Write slots(h, p) and formula(h, g, p, s, k) in their place, or use the class by its "
            "own update()"
        )
