"""Lifting a pure function of arrays to Tensors: the call, its record on the tape, and its derivative."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ._promote import INEXACT, NAMES
from ._storage import Storage
from ._tape import AGAIN, Node, mode, unbroadcast
from .tensor import Tensor, wrap

#: Where a Tensor stood in a call: a position, a keyword, or (position, place in the list).
Place = Any
_RESULT = "result"
_NUMBERS = (bool, int, float, complex)
_WORDS = ("rounding_mode", "p")  # parameters that take a str


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
    """

    __slots__ = ("name", "fn", "needs", "derivative", "parameters", "_plans", "node_name")

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        needs: Mapping[str, str] | None = None,
        derivative: Callable[..., Any] | None = None,
    ) -> None:
        self.name = name
        self.fn = fn
        self.needs = needs
        self.derivative = derivative
        try:
            self.parameters = tuple(inspect.signature(fn).parameters)
        except ValueError:  # a function of MLX, which has no signature
            self.parameters = ("input", "other")
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


class OpNode(Node):
    """A recorded call of an Op."""

    __slots__ = ("recipe", "kept", "result")

    def __init__(
        self, recipe: Recipe, tensors: list[Tensor], arrays: list[mx.array], outs: list[Tensor], inplace: bool
    ) -> None:
        super().__init__(recipe.op.node_name, [tensors[i]._edge() for i in recipe.wants], len(outs))
        self.recipe = recipe
        #: (array, storage, version, edge) of each input that is kept; the first argument of an in-place
        #: call is overwritten by the call itself, and its old array is what counts
        self.kept: list[tuple[Any, ...]] | None = [
            (
                arrays[i],
                None if inplace and recipe.places[i] == 0 else tensors[i]._storage,
                tensors[i]._storage.version,
                tensors[i]._edge() if tensors[i].requires_grad else None,
            )
            for i in recipe.keep
        ]
        self.result: tuple[Any, ...] | None = None
        if recipe.keeps_result:
            self.keep_result(outs[0])

    def keep_result(self, out: Tensor) -> None:
        """The result now lies in ``out``; an in-place call moves it there."""
        self.result = (out._storage.read(), out._storage, out._storage.version)

    def release(self) -> None:
        if self.kept or self.result:
            self.kept = self.result = None

    def pull(self, grads: list[Any], create_graph: bool) -> Sequence[Any]:
        if self.kept is None:
            raise RuntimeError(AGAIN)
        saved = self.kept if self.result is None else [*self.kept, (*self.result, (self, 0))]
        for array, storage, version, _ in saved:
            if storage is not None and storage.version != version:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"[{NAMES[array.dtype]}Tensor {list(array.shape)}], which {self.name} of "
                    f"{self.recipe.op.name}() needs, is at version {storage.version}; expected version {version} "
                    "instead. Hint: do the operation in place before the Tensor is used, or not in place."
                )
        for i, gradient in enumerate(grads):
            if gradient is None:
                zeros = mx.zeros(*self.recipe.outputs[i])
                grads[i] = wrap(zeros) if create_graph else zeros
        if not create_graph:
            return self.recipe.backward(*grads, *[s[0] for s in saved])
        tensors = [*grads, *[Kept(s[0], s[3]) for s in saved]]
        out: list[Tensor] = call(Op(self.recipe.op.name + "_backward", self.recipe.backward), tensors, {})
        return out


class Kept(Tensor):
    """Stands for an input of a recorded call as it was then: its array, and where its gradient went."""

    def __init__(self, array: mx.array, edge: tuple[Any, int | None] | None) -> None:
        self._storage = Storage(array)
        self._to = edge
        self._requires_grad = edge is not None

    def _edge(self) -> tuple[Any, int | None]:
        assert self._to is not None
        return self._to


def call(op: Op, args: Sequence[Any], kwargs: dict[str, Any], inplace: bool = False) -> Any:
    """``op`` of Tensors, arrays, numbers and lists of these; recorded where a gradient is wanted."""
    tensors: list[Tensor] = []
    places: list[Place] = []
    arrays: list[mx.array] = []
    filled: list[Any] = list(args)
    for i, value in enumerate(args):
        if isinstance(value, Tensor):
            array = value._storage.read()
        elif isinstance(value, _NUMBERS):
            continue
        elif isinstance(value, mx.array):
            array, value = value, wrap(value)
        elif isinstance(value, (list, tuple)):
            if any(isinstance(v, (Tensor, mx.array)) for v in value):
                inner = list(value)
                for j, v in enumerate(inner):
                    if isinstance(v, mx.array):
                        v = wrap(v)
                    if isinstance(v, Tensor):
                        inner[j] = v._storage.read()
                        tensors.append(v)
                        places.append((i, j))
                        arrays.append(inner[j])
                filled[i] = inner
            continue
        elif isinstance(value, (np.generic, np.ndarray)):
            filled[i] = value = value.item() if isinstance(value, np.generic) else mx.array(value)
            if not isinstance(value, mx.array):
                continue
            array, value = value, wrap(value)
        else:
            continue
        tensors.append(value)
        places.append(i)
        filled[i] = array
        arrays.append(array)
    if kwargs:
        kwargs = dict(kwargs)
        for key, value in kwargs.items():
            if isinstance(value, mx.array):
                value = wrap(value)
            if isinstance(value, Tensor):
                kwargs[key] = value._storage.read()
                tensors.append(value)
                places.append(key)
                arrays.append(kwargs[key])
    if not tensors:
        if args and isinstance(args[0], (list, tuple)) and not args[0]:
            return op.fn(*args, **kwargs)  # refuses an empty list in its own words
        given = type(args[0]).__name__ if args else "nothing"
        raise TypeError(f"{op.name}(): argument {op.parameters[0]!r} (position 1) must be Tensor, not {given}")
    try:
        out = op.fn(*filled, **kwargs)
    except (ValueError, TypeError) as error:
        raise _explained(op, filled, kwargs, arrays, error) from None
    if isinstance(out, mx.array):
        result: Any = wrap(out)
        outs = [result]
    else:
        outs = [wrap(o) for o in out]
        result = type(out)(*outs) if hasattr(out, "_fields") else type(out)(outs)
    if mode.enabled:
        wants = tuple([i for i, t in enumerate(tensors) if t.requires_grad])
        if wants:
            record(op, filled, kwargs, tuple(places), wants, tensors, arrays, outs, inplace)
    return result


def record(
    op: Op,
    filled: list[Any],
    kwargs: dict[str, Any],
    places: tuple[Place, ...],
    wants: tuple[int, ...],
    tensors: list[Tensor],
    arrays: list[mx.array],
    outs: list[Tensor],
    inplace: bool = False,
) -> None:
    """Put a call on the tape; the only place that makes a Tensor with a ``grad_fn``."""
    floats = [i for i, o in enumerate(outs) if o._storage.read().dtype in INEXACT]
    if not floats:
        return
    for place in places:  # what is not kept must not be held
        if type(place) is int:
            filled[place] = None
        elif type(place) is str:
            kwargs[place] = None
        else:
            filled[place[0]][place[1]] = None
    recipe = Recipe(op, filled, kwargs, places, wants, arrays, [o._storage.read() for o in outs])
    node = OpNode(recipe, tensors, arrays, outs, inplace)
    for i in floats:
        out = outs[i]
        out._requires_grad, out._grad_fn, out._index = True, node, i


def _explained(
    op: Op, args: list[Any], kwargs: dict[str, Any], arrays: list[mx.array], error: ValueError | TypeError
) -> Exception:
    """Torch's error for one of MLX or of Python."""
    for name, value in [*zip(op.parameters, args, strict=False), *kwargs.items()]:
        if not isinstance(value, (mx.array, *_NUMBERS, list, tuple, type(None), mx.Dtype)) and name not in _WORDS:
            return TypeError(f"{op.name}(): argument {name!r} must be Tensor, not {type(value).__name__}")
    if isinstance(error, TypeError):
        return TypeError(f"{op.name}(): {error}")
    shapes = [a.shape for a in arrays]
    if "broadcast" in str(error) and len(shapes) > 1:
        a, b = shapes[0], shapes[1]
        for n in range(1, min(len(a), len(b)) + 1):
            if a[-n] != b[-n] and 1 not in (a[-n], b[-n]):
                return RuntimeError(
                    f"The size of tensor a ({a[-n]}) must match the size of tensor b ({b[-n]}) at non-singleton "
                    f"dimension {max(len(a), len(b)) - n}"
                )
    return RuntimeError(f"{op.name}(): {error}")
