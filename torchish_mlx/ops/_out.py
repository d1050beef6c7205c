"""``out=``: which functions of torch take it, of which dtype it has to be, and the write."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import mlx.core as mx

from .._core.promotion import IN_C, INEXACT, NAMES, category
from .._tensor.modes import mode
from .._tensor.storage import Storage, View
from .._tensor.tensor import Tensor
from .._tensor.written import note
from ._view import refuse_overlap

#: Functions that take no ``out`` in torch, and none here.
WITHOUT = frozenset(
    (
        *("bincount", "cdist", "celu", "diag_embed", "embedding", "fill", "index_fill", "index_put", "isclose"),
        *("isfinite", "isinf", "isnan", "isreal", "masked_fill", "masked_scatter", "pdist", "relu", "roll", "selu"),
        *("trace", "unique", "unique_consecutive", "elu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu"),
        *("mish", "relu6", "silu", "softsign"),
    )
)


#: What is said of an ``out`` of another dtype, to the functions that say it.
_WORDS = (
    (
        "Expected out tensor to have dtype {c_wanted}, but got {c_given} instead",
        "addbmm addmm addmv aminmax argmax argmin argsort avg_pool2d avg_pool3d baddbmm bmm bucketize cross diag "
        "gather heaviside histc index_add index_copy inner isin isneginf isposinf kthvalue linear log_softmax max "
        "median min mm mode msort mv nan_to_num nanmedian nanquantile nonzero norm quantile renorm scatter "
        "scatter_add scatter_reduce searchsorted signbit slice_scatter softmax sort take take_along_dim tensordot "
        "topk tril triu",
    ),
    (
        "Found dtype {given} but expected {wanted}",
        "abs absolute bitwise_not ceil frac floor neg negative round sign sgn trunc fix gelu hardshrink lerp "
        "softplus softshrink",
    ),
    ("expected scalar_type {wanted} but found {given}", "cummax cummin diff logcumsumexp logsigmoid"),
    ("result dtype {given} does not match input dtype {wanted}", "dot vdot matmul"),
    (
        "Expected the dtype for input and out to match, but got {wanted} for input's dtype and {given} for out's "
        "dtype.",
        "amax amin",
    ),
    (
        "{name}(): self and result must have the same scalar type, but got {wanted} and {given}",
        "index_select masked_select",
    ),
    (
        "the output given to {name} has dtype {given} but the operation's result requires dtype {wanted}",
        "float_power",
    ),
    ("{name} only supports bool tensor for result, got: {given}", "all any"),
)
#: Functions whose result is not cast: ``out`` has its dtype, or is refused in these words.
EXACT = {name: words for words, names in _WORDS for name in names.split()}
#: Functions of which only the form with a pair of results is in EXACT.
EXACT_PAIRS = frozenset(("max", "min"))
#: Functions that write in place only where the Tensor has the dtype of the result, or refuse it in these words.
EXACT_IN_PLACE = {
    "float_power": "the base given to float_power_ has dtype {given} but the operation's result requires dtype "
    "{wanted}",
}
#: Functions without a derivative that refuse an ``out`` which requires one, although their results are integers.
UNDERIVED = frozenset(
    ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm")
)
#: Functions that refuse an ``out`` of a lower kind with a TypeError.
JOINED = frozenset(("cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack", "column_stack"))
#: Functions that compute in the dtype of ``out``, whatever it is.
FREE = frozenset(("cumsum", "cumprod"))
#: Functions that read their arguments while they write: ``out`` shares no memory with them.
APART = frozenset(
    (
        *("cat", "concat", "concatenate", "cross", "gather", "index_add", "index_copy", "index_select", "kthvalue"),
        *("masked_select", "scatter", "scatter_add", "scatter_reduce", "take", "take_along_dim"),
    )
)


def _memory(tensor: Tensor) -> Storage:
    storage: Any = tensor._storage
    while hasattr(storage, "base"):
        storage = storage.base
    found: Storage = storage
    return found


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _tensors(value)
        elif isinstance(value, Tensor):
            yield value


def _check(name: str, result: Tensor, out: Any, given: Iterable[Any], pair: bool) -> None:
    """Refuse an ``out`` that cannot take the result."""
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if mode.enabled and (
        result.requires_grad or (out.requires_grad and (result.dtype in INEXACT or name in UNDERIVED))
    ):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )
    array, mine = result._storage.read(), out._storage.read()
    if array.dtype != mine.dtype:
        words = None if name in EXACT_PAIRS and not pair else EXACT.get(name)
        if words is not None:
            wanted, had = array.dtype, mine.dtype
            names = {"wanted": NAMES[wanted], "given": NAMES[had], "c_wanted": IN_C[wanted], "c_given": IN_C[had]}
            raise RuntimeError(words.format(name=name, **names))
        lower = category(array.dtype) > category(mine.dtype)
        if lower and name in JOINED:
            raise TypeError(f"torch.cat(): input types can't be cast to the desired output type {NAMES[mine.dtype]}")
        if lower and name not in FREE:
            raise RuntimeError(
                f"result type {NAMES[array.dtype]} can't be cast to the desired output type {NAMES[mine.dtype]}"
            )
    refuse_overlap(mine.shape, out._storage.strides())
    if name in APART and any(_memory(t) is _memory(out) for t in _tensors(given)):
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
            "memory location. Please clone() the tensor before performing the operation."
        )
    if array.shape != mine.shape and isinstance(out._storage, View):
        raise RuntimeError(
            f"{name}(): out has shape {list(mine.shape)}, the result has shape {list(array.shape)}, and out is a view "
            "of another Tensor, whose memory has a fixed size: give an out of the result's shape"
        )


def _write(out: Tensor, array: mx.array, silently: bool) -> None:
    """Put ``array`` into ``out``, with a warning where it has elements and another shape.

    A resized ``out`` gets memory of its own: views of it go on showing what was there, because MLX's memory has a fixed
    size. The place in a module, which is where a Parameter has its values, takes the array.
    """
    storage, had = out._storage, out._storage.read()
    if array.shape != had.shape:
        if had.size and not silently:
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(had.shape)}, which does not "
                f"match the required output shape {list(array.shape)}. This behavior is deprecated, and in a future "
                "PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse "
                "an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
                UserWarning,
                stacklevel=4,
            )
        if not storage.places:
            storage.version += 1
            out._storage = storage = Storage(had)
    storage.array = array.astype(had.dtype)
    note(storage)


def write_out(name: str, result: Any, out: Any, given: Iterable[Any] = (), silently: bool = False) -> Any:
    """``out=`` of a function: put the result there, in the dtype of ``out`` and the shape of the result.

    ``given`` are the arguments. Several results are written after each ``out`` was looked at. An ``out`` of another
    shape is resized, ``silently`` or with torch's warning.
    """
    several = isinstance(result, tuple)
    if several and (not isinstance(out, (tuple, list)) or len(out) != len(result)):
        raise TypeError(f"{name}(): argument 'out' must be tuple of {len(result)} Tensors, not {type(out).__name__}")
    results: Any = result if several else (result,)
    outs: Any = tuple(out) if several else (out,)
    for r, o in zip(results, outs, strict=True):
        _check(name, r, o, given, several)
    for r, o in zip(results, outs, strict=True):
        _write(o, r._storage.read(), silently)
    if not several:
        return out
    return type(result)(*outs) if hasattr(result, "_fields") else outs
