"""``set_default_tensor_type``: the default dtype by the names of torch's old types of Tensors."""

from __future__ import annotations

import warnings
from typing import Any

from .device import accelerator, set_default_device
from .dtypes import bfloat16, dtype, float16, float32, float64, set_default_dtype
from .figures import MISSING

_FLOATING = {"Float": float32, "Double": float64, "Half": float16, "BFloat16": bfloat16}
_OTHERS = ("Byte", "Char", "Short", "Int", "Long", "Bool")
_INVALID = "only floating-point types are supported as the default type"


def set_default_tensor_type(t: Any) -> None:
    """Set the default dtype by a name such as ``"torch.DoubleTensor"``; with ``torch.cuda.``, the default device too.

    Raises:
        TypeError: no name of a floating type, or of a type that this machine does not have.
        AttributeError, ModuleNotFoundError: a name that is nothing in torch.

    Source: ``torch.set_default_tensor_type``.
    """
    name = t if isinstance(t, str) else getattr(t, "torch_name", None)
    if not isinstance(name, str):
        raise TypeError(f"invalid type object: {_INVALID}")
    module, _, kind = name.rpartition(".")
    if module.partition(".")[0] != "torch":
        raise ModuleNotFoundError(f"No module named {(module or name)!r}")
    of, cuda = kind.removesuffix("Tensor"), module == "torch.cuda"
    if not kind.endswith("Tensor") or of not in (*_FLOATING, *_OTHERS):
        raise AttributeError(f"module {module!r} has no attribute {kind!r}")
    if cuda and accelerator() != "cuda":
        raise TypeError(f"type {name} not available. {MISSING.format('CUDA')}.")
    if of not in _FLOATING:
        raise TypeError(_INVALID)
    warnings.warn(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
        "torch.set_default_device() as alternatives.",
        UserWarning,
        stacklevel=2,
    )
    found: dtype = _FLOATING[of]
    set_default_dtype(found)
    set_default_device("cuda" if cuda else None)
