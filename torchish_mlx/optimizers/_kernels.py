"""Where one kernel ends and the next begins, in a step that is traced by ``mx.compile``.

It makes one kernel of as much as it can. On a GPU that is best. On the CPU it is not, as measured with mlx 0.32
(docs/performance.md), and kernels are kept apart: one with several outputs never writes into the memory of its inputs,
since each output holds them; and one that takes a root is not vectorized, since C++'s ``sqrt`` may set errno.

``h`` is what a formula sees of a group; ``h.traced`` and ``h.apart`` say which of this applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import mlx.core as mx
from mlx.utils import tree_map

from ._hyper import Hypers

T = TypeVar("T")
WORTHWHILE = 2**13  # elements of a parameter: for fewer, several kernels cost more than they save


def cut(h: Hypers, x: mx.array) -> mx.array:
    """``x`` itself. Where kernels are kept apart, one kernel ends here, and ``x`` is in row-major order."""
    return mx.contiguous(x) if h.apart else x


def computed_once(h: Any, k: T) -> T:
    """``k``, numbers or arrays that are much smaller than the parameter, computed in a kernel of their own.

    ``mx.compile`` would move them into the kernel of the parameter, and compute them for each element. It ends a kernel
    where a shape changes. So the shape is changed and changed back, which every transformation of MLX and
    ``mx.export_function`` can handle.
    """
    if not h.traced:
        return k
    kept: T = tree_map(lambda x: x.reshape(1, *x.shape).reshape(x.shape) if isinstance(x, mx.array) else x, k)
    return kept


def after(h: Any, before: Sequence[mx.array], g: Any) -> Any:
    """``g`` itself. Where kernels are kept apart, what uses it waits until the last of ``before`` is computed.

    MLX evaluates breadth first: without this it runs the first kernel of every parameter, and then the second of every
    one. Then the caches hold nothing of use, and there is one more array in memory for each parameter.
    """
    return mx.depends(g, before[-1]) if h.apart and before and isinstance(g, mx.array) else g


def root(h: Hypers, x: mx.array) -> mx.array:
    """The square root of x >= 0.

    Where kernels are kept apart it comes from arithmetic that C++ compilers vectorize, to 1.1 ulp (2e-20 below 1e-38;
    nan for inf): halving the exponent of x as an integer gives 1 / sqrt(x) to 4 % (Lomont 2003, "Fast inverse square
    root"), a step of Halley's method 1e-4, and one of Newton's the rest.
    """
    if not h.apart or x.dtype != mx.float32:
        return mx.sqrt(x)
    y = (0x5F3759DF - (x.view(mx.uint32) >> 1)).view(mx.float32)
    t = x * y
    e = t * y
    c = 1.875 - e * (1.25 - 0.375 * e)
    s = t * c
    return cut(h, s + 0.5 * (y * c) * (x - s * s))
