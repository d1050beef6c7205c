"""Dtypes that torch does not have a function for, with its errors: they are refused before MLX computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES

#: Function -> the kernel of torch that is not implemented.
_KERNELS = {
    "amax": "max_values_cpu",
    "amin": "min_values_cpu",
    "aminmax": "aminmax_cpu",
    "bucketize": "searchsorted_out_cpu",
    "clamp_max": "minimum_cpu",
    "clamp_min": "maximum_cpu",
    "div.floor": "div_floor_cpu",
    "div.trunc": "div_trunc_cpu",
    "digamma": "digamma",
    "erfc": "erfc_vml_cpu",
    "lgamma": "lgamma_vml_cpu",
    "log_softmax": "log_softmax_lastdim_kernel_impl",
    "max.dim": "max_cpu",
    "min.dim": "min_cpu",
    "nanmedian": "median_cpu",
    "round": "round_vml_cpu",
    "searchsorted": "searchsorted_out_cpu",
    "softmax": "softmax_lastdim_kernel_impl",
    **dict.fromkeys(("unique", "unique_consecutive"), "unique"),
    **{
        name: f"{name}_cpu"
        for name in (
            *("copysign", "cummax", "cummin", "ge", "gt", "hardshrink", "hypot", "kthvalue", "le", "logaddexp2"),
            *("logit", "lt", "median", "mode", "threshold", "xlogy"),
        )
    },
}
_WORDS: dict[str, tuple[type[Exception], str]] = {
    **{n: (NotImplementedError, f"{n} is not supported for complex inputs") for n in ("ceil", "floor", "trunc")},
    **dict.fromkeys(("clamp", "relu"), (NotImplementedError, "clamp is not supported for complex types")),
    "sign": (
        NotImplementedError,
        "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.",
    ),
    "signbit": (NotImplementedError, "signbit is not implemented for complex tensors."),
    **{n: (RuntimeError, f"{n}(): does not support complex input") for n in ("argmax", "argmin")},
    **dict.fromkeys(("sort", "argsort", "msort"), (RuntimeError, " Sort does not support complex dtypes on CPU")),
    "topk": (RuntimeError, " topk does not support complex dtypes on CPU"),
    **{n: (RuntimeError, f"{n} not implemented for complex tensors.") for n in ("fmax", "fmin", "maximum", "minimum")},
    "isin": (RuntimeError, "Unsupported input type encountered for isin(): ComplexFloat"),
    **{n: (RuntimeError, f"{n} does not support complex inputs.") for n in ("isneginf", "isposinf")},
    "nansum": (RuntimeError, "nansum on CPU does not support complex inputs"),
    **{n: (RuntimeError, f"{n} is not supported for complex tensors.") for n in ("deg2rad", "rad2deg")},
    **{n: (NotImplementedError, f"\"{kernel}\" not implemented for 'ComplexFloat'") for n, kernel in _KERNELS.items()},
}


def real_only(name: str) -> Callable[..., None] | None:
    """A check of the arrays of a function that torch does not have for complex numbers; None for other functions."""
    if name not in _WORDS:
        return None
    kind, words = _WORDS[name]

    def check(*arrays: Any) -> None:
        for array in arrays:
            if isinstance(array, mx.array) and array.dtype == mx.complex64:
                raise kind(words)

    return check


def refuse_integers(kernel: str, dtype: mx.Dtype) -> None:
    """Refuse what holds no floating numbers; ``kernel`` is torch's name of its loop."""
    if dtype not in INEXACT:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{NAMES[dtype]}'")
