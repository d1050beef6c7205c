"""Dtypes that torch does not have a function for, with its errors: they are refused before MLX computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from .._core.promotion import FLOATS, INEXACT, NAMES

#: Function -> the kernel of torch that is not implemented.
_KERNELS = {
    "amax": "max_values_cpu",
    "amin": "min_values_cpu",
    "clamp_max": "minimum_cpu",
    "clamp_min": "maximum_cpu",
    "div.floor": "div_floor_cpu",
    "div.trunc": "div_trunc_cpu",
    "digamma": "digamma",
    "erfc": "erfc_vml_cpu",
    "lgamma": "lgamma_vml_cpu",
    "nanmedian": "median_cpu",
    "round": "round_vml_cpu",
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
    **dict.fromkeys(
        ("clamp", "hardtanh", "relu", "relu6"), (NotImplementedError, "clamp is not supported for complex types")
    ),
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
    "kl_div": (RuntimeError, "kl_div: Complex inputs not supported."),
    **{f"{n}.dim": (RuntimeError, f"{n}(): does not support complex input") for n in ("max", "min")},
    "nansum": (RuntimeError, "nansum on CPU does not support complex inputs"),
    **{n: (RuntimeError, f"{n} is not supported for complex tensors.") for n in ("deg2rad", "rad2deg")},
    **{n: (NotImplementedError, f"\"{kernel}\" not implemented for 'ComplexFloat'") for n, kernel in _KERNELS.items()},
}


#: The same for booleans.
_NO_BOOLEANS: dict[str, tuple[type[Exception], str]] = {
    **{n: (NotImplementedError, f"\"{n}_cpu\" not implemented for 'Bool'") for n in ("abs", "kthvalue")},
    **{n: (NotImplementedError, f"\"{n}\" not implemented for 'Bool'") for n in ("cross", "trace")},
    **dict.fromkeys(("median", "nanmedian"), (NotImplementedError, "\"median_cpu\" not implemented for 'Bool'")),
    "isin": (RuntimeError, "Unsupported input type encountered for isin(): Bool"),
    "topk": (RuntimeError, "topk does not support bool dtypes on CPU"),
}


def supported(name: str) -> Callable[..., None] | None:
    """A check that the arrays of a function are of dtypes that torch has it for; None where it has all."""
    refused = {mx.complex64: _WORDS.get(name), mx.bool_: _NO_BOOLEANS.get(name)}
    found = {dtype: error for dtype, error in refused.items() if error is not None}
    if not found:
        return None

    def check(*arrays: Any) -> None:
        for array in arrays:
            if isinstance(array, mx.array) and array.dtype in found:
                kind, words = found[array.dtype]
                raise kind(words)

    return check


def floating_only(kernel: str, dtype: mx.Dtype, complex_too: bool = False) -> None:
    """Refuse what holds no floating numbers, or no complex ones either; ``kernel`` is torch's name of its loop."""
    if dtype not in (INEXACT if complex_too else FLOATS):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{NAMES[dtype]}'")
