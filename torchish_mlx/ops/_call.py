"""Calling an op: the path of most calls, the short way on channels-last memory, and the general path."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.device import LABELLED
from .._core.dtypes import mlx_dtype
from .._core.promotion import INEXACT, NAMES
from .._tensor.channels import ChannelsLast, to_last
from .._tensor.labels import carried
from .._tensor.modes import mode
from .._tensor.storage import Storage
from .._tensor.tensor import Tensor
from ..random.generator import Generator
from ._arguments import as_tensor, refused, taken, tensors
from ._autocast import AUTOCAST, autocasted
from ._channels import NoOrder, images_of, in_memory_order, with_dim_in_memory
from ._op import WANTED, Op
from ._out import WITHOUT, write_out
from ._record import FLOAT32, NEW, finished, record
from ._recorded import ARRAY

ARRAYS: Any = (mx.array, np.ndarray, np.generic)
#: What MLX says of dtypes that it does not compute in.
_UNSUPPORTED = ("not supported", "Not supported", "Only allowed on")
#: Types of arguments that are no arrays: the loop over the arguments need not look closer at them.
_PLAIN = frozenset((int, float, bool, complex, type(None), str, tuple, list, mx.Dtype, Generator))


def _lifted(op: Op, function: Any, args: tuple[Any, ...]) -> Any:
    """A call with arguments that are taken in another type: arrays as Tensors, numbers of NumPy. Others are refused."""
    given = [_taken(op, i, a) for i, a in enumerate(args)]
    if not any(isinstance(a, Tensor) for a in given):
        kind = type(args[0]).__name__ if args else "nothing"
        raise TypeError(f"{op.name}(): argument {op.names[0]!r} (position 1) must be Tensor, not {kind}")
    if any(type(a) is complex for a in given):
        return _explained(op, tuple(given))
    if all(a is b for a, b in zip(args, given, strict=True)):
        wrong = next((i for i, a in enumerate(args) if type(a) not in _PLAIN and not isinstance(a, Tensor)), 0)
        raise TypeError(
            f"{op.name}(): argument {op.names[wrong]!r} (position {wrong + 1}) must not be a "
            f"{type(args[wrong]).__name__}"
        )
    n = max(op.tails)  # the others are keywords
    return function(*given[:n], **dict(zip(op.names[n:], given[n:], strict=True)))


def _taken(op: Op, i: int, value: Any) -> Any:
    """An argument in a type that the op takes; TypeError for others."""
    kind = op.kinds[i]
    if op.names[i] == "dtype":
        return mlx_dtype(value, op.name)
    if kind is None:
        return value.item() if isinstance(value, np.generic) else as_tensor(value)
    found = taken(value, kind)
    if found is NotImplemented:
        raise refused(op.name, op.names[i], i, kind, value)
    return found


def _general(op: Op, args: tuple[Any, ...]) -> Any:
    """A call with lists of Tensors, or with images in channels-last memory.

    What is refused in the order of the memory is refused again in torch's, so that the message names torch's
    dimensions.
    """
    ndim = images_of(op, args) if op.channels else 0
    if ndim and op.channels != "last":
        try:
            return _in_order(op, args, ndim)
        except (NoOrder, ValueError, TypeError, IndexError, RuntimeError):
            ndim = 0
    return _in_order(op, args, ndim)


def _in_order(op: Op, args: tuple[Any, ...], ndim: int) -> Any:
    """A call whose images, if they have ``ndim`` dimensions, are in channels-last memory order, or in torch's for 0."""
    arrays, key, usual = [*args], 0, True
    edges: list[Any] = [()] * op.arity
    for i, a in enumerate(args):
        if isinstance(a, Tensor):
            wanted = a._requires_grad and mode.enabled
            if ndim:
                array, edge = in_memory_order(op, i, a, ndim, wanted)
            else:
                array, edge = a._read(), a._to() if wanted else None
            arrays[i], edges[i] = array, (edge,)
            if not array.dtype == FLOAT32:  # noqa: SIM201 - as in the usual path
                usual = False
        elif i in op.lists:
            wanted = mode.enabled and any(t._requires_grad for t in a)
            if ndim:
                read = [in_memory_order(op, i, t, ndim, t._requires_grad and wanted) for t in a]
            else:
                read = [(t._read(), t._to() if t._requires_grad and wanted else None) for t in a]
            arrays[i] = [array for array, _ in read]
            edges[i] = [edge for _, edge in read]
        else:
            usual = usual and type(a) is not complex
            continue
        key += (1 << i | 1 << i + WANTED) if wanted else 1 << i
    if ndim and op.channels == "dim":
        with_dim_in_memory(op, arrays, ndim)
    dtype = None
    if usual or op.promote is None:
        out = op.usual(*arrays)
    else:
        out, dtype = op.promoted(arrays)
    if key >> WANTED and (type(out) is not ARRAY or out.dtype in INEXACT):
        return record(op, key, args, arrays, out, dtype, edges, ndim)
    return finished(op, out, ndim)


def public(op: Op) -> Callable[..., Any]:
    """The function that users call. Its body is the path for Tensors and numbers; everything else is elsewhere."""
    fn, tails, promoting, lists = op.usual, op.tails, op.promote is not None, bool(op.lists)
    ordered, weighted, turned = bool(op.channels), op.channels == "last", op.channels == "dim"
    plain = [1 << i for i in range(op.arity)]
    wanting = [1 << i | 1 << i + WANTED for i in range(op.arity)]
    accepted = [(_PLAIN if kind is None else kind.types) - {complex} for kind in op.kinds]
    #: of each argument that is a Tensor always, or never, and of those that always are
    known = sum(1 << i for i, k in enumerate(op.kinds) if k is not None and not (k.tensor and k.types))
    always = sum(1 << i for i, k in enumerate(op.kinds) if k is not None and k.tensor and not k.types)
    outs = op.name not in WITHOUT
    least, wholly = 1 << WANTED, not op.casts  # a result that is cast may be of integers

    def on_images(args: tuple[Any, ...]) -> Any:
        """A call that works on channels-last memory: here where nothing is to be promoted or to be refused."""
        arrays, key, ndim = [*args], 0, 0
        for i, t in enumerate(args):
            if isinstance(t, Tensor):
                storage, last = t._storage, None
                if type(storage) is ChannelsLast and not (weighted and i):
                    last = storage.last
                    if last is None or (ndim and last.ndim != ndim):
                        return _explained(op, args)
                    ndim = last.ndim
                elif ordered and not (weighted or (turned and i)):
                    return _explained(op, args)
                else:  # images in torch's order, or weights
                    last = storage._array
                    if last is None or t._base is not None:
                        last = t._read()
                    if not i:
                        ndim = last.ndim
                        last = mx.transpose(last, to_last(ndim))
                if promoting and not last.dtype == FLOAT32:  # noqa: SIM201
                    return _explained(op, args)
                arrays[i] = last
                key += wanting[i] if t._requires_grad else plain[i]
            elif type(t) not in accepted[i]:
                return _explained(op, args)
        if (key ^ always) & known or not key:
            return _explained(op, args)
        if turned:
            with_dim_in_memory(op, arrays, ndim)
        try:
            out = fn(*arrays)
        except ValueError:
            return _explained(op, args)  # refuses it in torch's order
        if key >= least and mode.enabled and (wholly or type(out) is not ARRAY or out.dtype in INEXACT):
            made = record(op, key, args, arrays, out, None, None, ndim)
        else:
            made = finished(op, out, ndim)
        return carried(made, args) if LABELLED else made

    def function(*args: Any, **kwargs: Any) -> Any:
        if AUTOCAST:
            made = autocasted(op.name, function, args, kwargs)
            if made is not NotImplemented:
                return made
        if kwargs:
            if outs and "out" in kwargs:
                out = kwargs.pop("out")
                result = function(*args, **kwargs)
                return result if out is None else write_out(op.name, result, out, (*args, *kwargs.values()))
            args = op.bind(args, kwargs)
        else:
            tail = tails.get(len(args))
            if tail is None:
                return _old_form(op, function, args)
            if tail:
                args += tail
        if weighted:
            return on_images(args)
        if lists:
            return _explained(op, args)
        arrays, key, usual, dtype, origin = [*args], 0, True, None, None
        for i, t in enumerate(args):
            if isinstance(t, Tensor):
                array = t._storage._array
                if array is None or t._base is not None:
                    if ordered and type(t._storage) is ChannelsLast:
                        return on_images(args)
                    array = t._read()
                arrays[i] = array
                if not key:
                    origin = t._origin
                key += wanting[i] if t._requires_grad else plain[i]
                if promoting and not array.dtype == FLOAT32:  # noqa: SIM201 - MLX's == takes 60 ns, and != 100
                    usual = False
            elif type(t) not in accepted[i]:
                return _lifted(op, function, args)
        if (key ^ always) & known or not key:
            return _lifted(op, function, args)
        try:
            if usual:
                out = fn(*arrays)
            else:
                out, dtype = op.promoted(arrays)
        except (ValueError, TypeError, KeyError) as error:
            raise _in_torchs_words(op, args, arrays, error) from None
        if key >= least and mode.enabled and ((wholly and usual) or type(out) is not ARRAY or out.dtype in INEXACT):
            made = record(op, key, args, arrays, out, dtype)
        elif type(out) is ARRAY:
            made = NEW(Tensor)
            made._storage = Storage(out)
        else:
            made = finished(op, out)
        if origin is not None and isinstance(made, Tensor) and made._storage.read().shape == _shape_of(args):
            made._origin = origin
        return carried(made, args) if LABELLED else made

    return function


def _shape_of(args: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of the first Tensor."""
    return next(t._storage.read().shape for t in args if isinstance(t, Tensor))


def _fit(op: Op, args: tuple[Any, ...]) -> bool:
    """Whether every argument is of a type that the op takes as it is."""
    for (types, tensor), a in zip(op.accepts, args, strict=True):
        if isinstance(a, Tensor):
            if not tensor:
                return False
        elif isinstance(a, ARRAYS) if types is None else type(a) not in types:
            return False
    return True


def _explained(op: Op, args: tuple[Any, ...]) -> Any:
    if op.lists or not _fit(op, args):
        args = tuple(
            [tensors(op.name, i, a, op.names[i]) if i in op.lists else _taken(op, i, a) for i, a in enumerate(args)]
        )
        if not all(args[i] for i in op.lists):
            return op.fn(*args)  # refuses an empty list in its own words
    try:
        made = _general(op, args)
        return carried(made, args) if LABELLED else made
    except ValueError as error:
        raise _in_torchs_words(op, args, [], error) from None


def _in_torchs_words(op: Op, args: tuple[Any, ...], arrays: list[Any], error: Exception) -> Exception:
    """Torch's error for one of MLX or of Python."""
    if "dtype" in op.names and args:
        mlx_dtype(args[op.names.index("dtype")], op.name)
    if isinstance(error, TypeError):
        return TypeError(f"{op.name}(): {error}")
    if not str(error).startswith("["):  # as MLX's begin
        return error
    if any(words in str(error) for words in _UNSUPPORTED):
        dtype = next((NAMES[x.dtype] for x in arrays if isinstance(x, mx.array) and x.dtype != FLOAT32), "Float")
        return NotImplementedError(f"\"{op.name}_cpu\" not implemented for '{dtype}'")
    a, b = ([x.shape for x in arrays if isinstance(x, mx.array)] + [(), ()])[:2]
    for n in range(1, min(len(a), len(b)) + 1):
        if "broadcast" in str(error) and a[-n] != b[-n] and 1 not in (a[-n], b[-n]):
            return RuntimeError(
                f"The size of tensor a ({a[-n]}) must match the size of tensor b ({b[-n]}) at non-singleton dimension "
                f"{max(len(a), len(b)) - n}"
            )
    return RuntimeError(f"{op.name}(): {error}")


def _old_form(op: Op, function: Any, args: tuple[Any, ...]) -> Any:
    """A call with too many arguments by position: torch's old form has the number before the last tensors."""
    keyword = op.number_first
    if not keyword or len(args) != max(op.tails) + 1 or isinstance(args[1], (Tensor, *ARRAYS)):
        raise op.miscounted(len(args))
    warnings.warn(
        f"{op.name}(input, number, tensor) is torch's old form: write {op.name}(input, tensor, {keyword}=number)",
        UserWarning,
        stacklevel=3,
    )
    return function(args[0], *args[2:], **{keyword: args[1]})
