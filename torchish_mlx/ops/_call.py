"""Calling an op on Tensors: lifting their arrays, recording the call, and what backward makes of the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.promotion import INEXACT, NAMES
from .._tensor.storage import Storage
from .._tensor.tape import AGAIN, Node, mode
from .._tensor.tensor import Tensor, wrap
from ._op import Op, Place, Recipe

_NUMBERS = (bool, int, float, complex)
_WORDS = ("rounding_mode", "p")  # parameters that take a str


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
        """Note that the result is now in ``out``; an in-place call moves it there."""
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
        again = Op(self.recipe.op.name + "_backward", self.recipe.backward, parameters=("arrays",))
        out: list[Tensor] = call(again, tensors, {})
        return out


class Kept(Tensor):
    """Represents an input of a recorded call as it was then: its array, and where its gradient went."""

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
    if tensors[0]._origin is not None:
        for made in outs:
            if made._storage.read().shape == arrays[0].shape:
                made._origin = tensors[0]._origin
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
