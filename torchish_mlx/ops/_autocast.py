"""Autocast: which functions compute in fewer bits while it is on, which in float32, and the casts before they do.

The three kinds of functions are those that torch registers for each type of device. A cast is an op, so that gradients
come back in the dtype of the Tensor that was cast. Writes in place and ``out=`` are computed as they are, as in torch.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import mlx.core as mx

from .._core.promotion import FLOATS
from .._tensor.tensor import Tensor

_LOSSES = (
    "mse_loss l1_loss smooth_l1_loss huber_loss nll_loss cross_entropy kl_div poisson_nll_loss cosine_embedding_loss "
    "hinge_embedding_loss margin_ranking_loss soft_margin_loss triplet_margin_loss multi_margin_loss "
    "multilabel_margin_loss binary_cross_entropy_with_logits"
)
_PRODUCTS = (
    "conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d linear matmul mm bmm addmm "
    "addbmm baddbmm prelu scaled_dot_product_attention einsum.pair chain_matmul"
)
_CELLS = "lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell"
_LAYERS = "lstm gru rnn_tanh rnn_relu"


def _table(lower: str, full: str, widest: str, kept: str = "", first: str = "") -> dict[str, str]:
    named = {"lower": lower, "full": full, "widest": widest, "kept": kept, "first": first}
    return {name: kind for kind, names in named.items() for name in names.split()}


_GPU = _table(
    f"{_PRODUCTS} addmv addr mv",
    f"{_LOSSES} acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow softplus softmax "
    "log_softmax layer_norm group_norm norm cosine_similarity cumprod cumsum dist pdist cdist prod renorm sum "
    "logsumexp arccos arcsin float_power",
    "addcdiv addcmul atan2 arctan2 bilinear cross dot index_put tensordot scatter_add",
)
#: Type of device -> name of a function -> what is done with its Tensors. ``kept``: they are not cast, nor is what the
#: function is made of here. ``first``: they are cast to the dtype of the first one, as torch's states of a GRU are,
#: which has its products in fewer bits and adds them to a state that it does not cast.
POLICIES: dict[str, dict[str, str]] = {
    "cpu": _table(
        f"{_PRODUCTS} lstm rnn_tanh rnn_relu rnn_tanh_cell rnn_relu_cell",
        f"{_LOSSES} binary_cross_entropy avg_pool3d max_pool3d adaptive_avg_pool3d adaptive_max_pool3d max_unpool2d "
        "max_unpool3d fractional_max_pool2d fractional_max_pool3d cdist prod quantile nanquantile trace pad",
        "cat concat concatenate stack index_copy",
        "bilinear",
        "gru gru_cell lstm_cell",
    ),
    "mps": {**_GPU, **_table("", "", "", first=f"{_CELLS} {_LAYERS}"), "lstm_cell": "lower", "batch_norm": "full"},
    "cuda": {
        **_GPU,
        **_table(f"{_CELLS} {_LAYERS}", "", ""),
        "vdot": "widest",
        "rms_norm": "full",
        "binary_cross_entropy": "refused",
    },
}
#: The dtype of each type of device until another one is set.
DTYPES: dict[str, mx.Dtype] = {"cpu": mx.bfloat16}
#: Holds an entry for each thread and type of device for which autocast is on: before that, no call looks further.
AUTOCAST: list[str] = []


class _State(threading.local):
    def __init__(self) -> None:
        self.enabled: set[str] = set()
        self.dtypes: dict[str, mx.Dtype] = {}
        self.inside = False
        self.cache = True


state = _State()


def dtype_for(device_type: str) -> mx.Dtype:
    """The dtype of fewer bits for a type of device."""
    return state.dtypes.get(device_type) or DTYPES.get(device_type, mx.float16)


def switch(device_type: str, on: bool) -> None:
    """Have autocast be on or off in this thread."""
    if on and device_type not in state.enabled:
        state.enabled.add(device_type)
        AUTOCAST.append(device_type)
    elif not on and device_type in state.enabled:
        state.enabled.remove(device_type)
        AUTOCAST.remove(device_type)


def uncast(call: Any, *args: Any, **kwargs: Any) -> Any:
    """``call`` as it is without autocast."""
    before, state.inside = state.inside, True
    try:
        return call(*args, **kwargs)
    finally:
        state.inside = before


def autocasted(name: str, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of ``call`` after the casts; NotImplemented where none is to be made."""
    if state.inside or not state.enabled:
        return NotImplemented
    if "out" in kwargs:
        return uncast(call, *args, **kwargs)
    found = {kind: POLICIES[kind][name] for kind in state.enabled if name in POLICIES.get(kind, ())}
    if not found or (name == "pad" and _mode(args, kwargs) == "constant"):
        return NotImplemented
    given = _floats((*args, *kwargs.values()))
    dtypes = {kind: _dtype(kind, how, given) for kind, how in found.items() if how != "kept"}
    for kind, _ in given:
        if found.get(kind) == "refused":
            raise RuntimeError(
                f"{name}() is not safe under autocast for {kind!r}: use binary_cross_entropy_with_logits() without the "
                "sigmoid before it, or leave autocast for the loss"
            )
    if "kept" not in found.values() and not any(k in dtypes and t.array.dtype != dtypes[k] for k, t in given):
        return NotImplemented
    return uncast(call, *[_cast(a, dtypes) for a in args], **{key: _cast(a, dtypes) for key, a in kwargs.items()})


def _mode(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The argument ``mode`` of ``pad``: what a constant fills, and what goes around, is not cast by torch."""
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
    return "constant" if mode == "circular" else str(mode)


def _floats(values: Any) -> list[tuple[str, Tensor]]:
    """The Tensors that may be cast, with the types of their devices: those of floats, but for float64."""
    found = []
    for value in values:
        if isinstance(value, Tensor):
            if value.array.dtype in FLOATS and value.array.dtype != mx.float64:
                found.append((value.device.type, value))
        elif isinstance(value, (list, tuple)):
            found += _floats(value)
    return found


def _dtype(kind: str, how: str, given: list[tuple[str, Tensor]]) -> mx.Dtype:
    if how == "widest" and all(t.array.dtype == dtype_for(kind) for of, t in given if of == kind):
        return dtype_for(kind)
    if how == "first":
        return next(t.array.dtype for of, t in given if of == kind)
    return dtype_for(kind) if how == "lower" else mx.float32


def _cast(value: Any, dtypes: dict[str, mx.Dtype]) -> Any:
    if isinstance(value, Tensor):
        found = _floats([value])
        dtype = dtypes.get(found[0][0]) if found else None
        return value if dtype is None or value.array.dtype == dtype else value.to(dtype)
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(each, dtypes) for each in value) if _floats(value) else value
    return value


def as_now() -> Callable[[], AbstractContextManager[None]]:
    """A function that gives a block with the autocast of now, for a computation that is made again later."""
    then = (set(state.enabled), dict(state.dtypes), state.inside)

    @contextlib.contextmanager
    def again() -> Iterator[None]:
        before = (set(state.enabled), dict(state.dtypes), state.inside)
        _become(*then)
        try:
            yield
        finally:
            _become(*before)

    return again


def _become(enabled: set[str], dtypes: dict[str, mx.Dtype], inside: bool) -> None:
    for kind in enabled | state.enabled:
        switch(kind, kind in enabled)
    state.dtypes, state.inside = dict(dtypes), inside
