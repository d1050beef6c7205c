"""The operators of Python on Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .._tensor.tensor import Tensor
from . import bits as _bits  # noqa: F401 - the registry has what these files declare once they are imported
from . import rounding as _rounding  # noqa: F401
from ._declare import REGISTRY, attach
from .arithmetic import true_divide

_OPERANDS = (Tensor, mx.array, bool, int, float, complex, np.generic, np.ndarray)


def _operator(function: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    @functools.wraps(function)
    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    return method


for _symbol, _name in {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "mod": "remainder",
    "floordiv": "floor_divide",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}.items():
    _function = true_divide if _name == "div" else REGISTRY[_name].function
    attach(f"__{_symbol}__", _operator(_function))
    attach(f"__r{_symbol}__", _operator(_function, reflected=True))
    if REGISTRY[_name].inplace is not None:
        attach(f"__i{_symbol}__", _operator(REGISTRY[_name].inplace))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Tensor, f"__{_name}__", _operator(REGISTRY[_name].function))
for _symbol, _name in {"neg": "neg", "abs": "abs", "invert": "bitwise_not"}.items():
    attach(f"__{_symbol}__", REGISTRY[_name].function)
attach("__pos__", lambda self: self)
# torch multiplies the reciprocal by a number, which rounds twice
setattr(Tensor, "__rtruediv__", _operator(lambda self, other: REGISTRY["reciprocal"].function(self) * other))  # noqa: B010
