"""An op: a pure function of arrays, what its derivative needs, and the derivative itself. No Tensors here."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT
from .._tensor.tape import unbroadcast

#: Where a Tensor was in a call: a position, a keyword, or (position, place in the list).
Place = Any
_RESULT = "result"


class Op:
    """A pure function of arrays, numbers and lists of arrays, with what its derivative needs.

    Args:
        name: torch's name.
        fn: the function; its parameters are torch's, by name and order.
        needs: for each parameter, the parameters (or ``"result"``) whose values its derivative is computed
            from, as torch's does: these are kept for backward, and overwriting one of them in between is an
            error. None: all of them; an empty dict: none, as for a linear function.
        derivative: ``(gradient, result, *arguments) -> gradients``, one for each parameter in order, or only
            the first's; left out, the derivative is ``mx.vjp`` of ``fn``. What is not needed is zeros there.
        parameters: the names of the parameters, where ``fn`` does not say them.
    """

    __slots__ = ("name", "fn", "needs", "derivative", "parameters", "_plans", "node_name")

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        needs: Mapping[str, str] | None = None,
        derivative: Callable[..., Any] | None = None,
        parameters: tuple[str, ...] | None = None,
    ) -> None:
        self.name = name
        self.fn = fn
        self.needs = needs
        self.derivative = derivative
        self.parameters = parameters or tuple(inspect.signature(fn).parameters)
        self.node_name = "".join(part.capitalize() for part in name.split("_")) + "Backward0"
        self._plans: dict[Any, tuple[tuple[int, ...], bool]] = {}

    def plan(self, places: tuple[Place, ...], wants: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
        """Which of the Tensors at ``places`` to keep for the gradients of ``wants``, and whether the result."""
        key = (places, wants)
        found = self._plans.get(key)
        if found is None:
            names = [self._parameter(place) for place in places]
            if self.needs is None:
                found = (tuple(range(len(places))), False)
            else:
                needed = {n for i in wants for n in self.needs.get(names[i], "").split()}
                found = (tuple(i for i, n in enumerate(names) if n in needed), _RESULT in needed)
            self._plans[key] = found
        return found

    def _parameter(self, place: Place) -> str:
        if isinstance(place, str):
            return place
        return self.parameters[min(place[0] if isinstance(place, tuple) else place, len(self.parameters) - 1)]

    def position(self, place: Place) -> int:
        """Which parameter a Tensor at ``place`` is."""
        return self.parameters.index(place) if isinstance(place, str) else place


class Recipe:
    """The part of a recorded call that holds no Tensor: the function, its other arguments, the shapes."""

    __slots__ = ("op", "args", "kwargs", "places", "wants", "keep", "like", "outputs", "keeps_result")

    def __init__(
        self,
        op: Op,
        args: list[Any],
        kwargs: dict[str, Any],
        places: tuple[Place, ...],
        wants: tuple[int, ...],
        arrays: list[mx.array],
        outputs: list[mx.array],
    ) -> None:
        self.op, self.args, self.kwargs, self.places, self.wants = op, args, kwargs, places, wants
        self.keep, self.keeps_result = op.plan(places, wants)
        self.like = [(a.shape, a.dtype) for a in arrays]
        self.outputs = [(a.shape, a.dtype) for a in outputs]

    def _filled(self, arrays: Sequence[mx.array]) -> tuple[list[Any], dict[str, Any]]:
        args, kwargs = list(self.args), self.kwargs
        copied: set[int] = set()
        for place, array in zip(self.places, arrays, strict=True):
            if type(place) is int:
                args[place] = array
            elif type(place) is str:
                if kwargs is self.kwargs:
                    kwargs = dict(kwargs)
                kwargs[place] = array
            else:
                position, index = place
                if position not in copied:
                    copied.add(position)
                    args[position] = list(args[position])
                args[position][index] = array
        return args, kwargs

    def backward(self, *arrays: mx.array) -> list[mx.array]:
        """The gradients of ``wants``: a pure function of the gradients of the outputs, what is kept, and the result."""
        given = len(self.outputs)
        grads = arrays[:given]
        if not any(g.size for g in grads) or not any(math.prod(self.like[i][0]) for i in self.wants):
            # nothing to send back; and MLX's own derivatives would reduce arrays without elements, see _math.fold
            return [mx.zeros(*self.like[i]) for i in self.wants]
        inputs: list[mx.array] = [mx.zeros(shape, dtype) for shape, dtype in self.like]
        for i, array in zip(self.keep, arrays[given:], strict=False):
            inputs[i] = array
        if self.op.derivative is not None:
            return self._by_formula(grads, inputs, arrays[-1] if self.keeps_result else None)
        floats = [i for i, (_, dtype) in enumerate(self.outputs) if dtype in INEXACT]

        def outputs(*wanted: mx.array) -> list[mx.array]:
            now = list(inputs)
            for i, array in zip(self.wants, wanted, strict=True):
                now[i] = array
            args, kwargs = self._filled(now)
            out = self.op.fn(*args, **kwargs)
            if isinstance(out, mx.array):
                return [out]
            # mx.vjp counts only one cotangent of an array that is returned twice (add's gradient is one array for
            # both inputs), so no two outputs may be the same
            return [out[i] if i == floats[0] else out[i] * 1 for i in floats]

        return mx.vjp(outputs, [inputs[i] for i in self.wants], [grads[i] for i in floats])[1]

    def _by_formula(self, grads: Sequence[mx.array], inputs: list[mx.array], result: mx.array | None) -> list[mx.array]:
        args, kwargs = self._filled(inputs)
        assert self.op.derivative is not None
        found = self.op.derivative(grads[0], result, *args, **kwargs)
        if isinstance(found, mx.array):
            found = (found,)
        out = []
        for i in self.wants:
            out.append(unbroadcast(found[self.op.position(self.places[i])], *self.like[i]))
        return out
