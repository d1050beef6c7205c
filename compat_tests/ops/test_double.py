"""Elementwise functions, and what is made of exponentials, in float64: value and both derivatives, next to torch.

An error is in units of the last place of the largest result, because a small one may be a difference of large ones.
LIMITS says what was measured where it is more than usual.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from torchish_mlx.testing._ulps import distances, unit

Call = Callable[[Any, Any], Any]

ANY, INSIDE, POSITIVE, ABOVE = (-6.0, 6.0), (-0.99, 0.99), (0.1, 6.0), (1.1, 6.0)
NAMES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        ("exp", "exp2", "expm1", "sigmoid", "sinh", "cosh", "tanh", "erf", "erfc", "sin", "cos", "tan"), ANY
    ),
    **dict.fromkeys(("asinh", "atan", "square", "reciprocal"), ANY),
    **dict.fromkeys(("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "lgamma", "digamma"), POSITIVE),
    **dict.fromkeys(("asin", "acos", "atanh", "erfinv"), INSIDE),
    "acosh": ABOVE,
    "sinc": ABOVE,  # near 0 the derivative is a difference of two large numbers, in torch too
}
GATES = ("elu", "selu", "celu", "silu", "mish", "gelu", "softplus", "logsigmoid", "tanhshrink", "softsign")
CALLS: dict[str, tuple[Call, tuple[float, float]]] = {
    **{name: (lambda T, x, name=name: getattr(T, name)(x), domain) for name, domain in NAMES.items()},
    **{name: (lambda T, x, name=name: getattr(T.nn.functional, name)(x), ANY) for name in GATES},
    "gelu by tanh": (lambda T, x: T.nn.functional.gelu(x, approximate="tanh"), ANY),
    "glu": (lambda T, x: T.nn.functional.glu(x, 1), ANY),
    **{
        name: (lambda T, x, name=name: getattr(T, name)(x, 1), ANY)
        for name in ("softmax", "log_softmax", "logsumexp", "logcumsumexp")
    },
    "logaddexp": (lambda T, x: T.logaddexp(x, x.flip(1) * 0.5), ANY),
    "logit": (lambda T, x: T.logit(x * 0.5 + 0.5), INSIDE),
    "attention": (lambda T, x: T.nn.functional.scaled_dot_product_attention(x, x.flip(0), x + 1), ANY),
}
#: (value, first derivative, second derivative). Measured: 2, 4, 7.5, and where it was more, what is next to the name.
USUAL = (3.0, 6.0, 12.0)
LIMITS: dict[str, tuple[float, float, float]] = {
    "lgamma": (3, 6, 2.5e5),  # 1.2e5: torch's trigamma is right to 1e-9 only, this one to 15 ulps
    "digamma": (3, 3e5, 2e5),  # 1.5e5 and 8.7e4, for the same reason
    "mish": (3, 34, 340),  # 17 and 169: there is a difference of large numbers in its derivative
    "softplus": (3, 6, 21),  # 10.5
    "gelu by tanh": (3, 17, 12),  # 8.7: in torch, which is 9 from the true number
    "softmax": (3, 14, 22),  # 7 and 11
    "logsumexp": (3, 7, 24),  # 12
    "logcumsumexp": (4, 6, 112),  # 56
    "attention": (30, 40, 100),  # 15, 20 and 49: what is rounded in a score of 50 is in its exponential 50 times
}


def found(T: Any, call: Call, x: Any) -> list[np.ndarray]:
    """The result, and what ``backward`` gives of it and of the sum of the squares of its derivative."""
    out = call(T, x)
    weights = T.tensor(np.random.default_rng(1).uniform(0.5, 1.5, tuple(out.shape)).tolist(), dtype=T.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of a cycle of the tensor and its gradient, which is taken apart here
        (out * weights).sum().backward(create_graph=True)
    first = x.grad
    x.grad = None
    if first.requires_grad:
        (first * first).sum().backward()
    return [np.array(t.detach().tolist(), np.float64) for t in (out, first, x.grad) if t is not None]


def off(mine: np.ndarray, theirs: np.ndarray) -> float:
    return float(distances(mine, theirs, unit(np.abs(theirs).max(), "float64")).max())


@pytest.mark.parametrize("name", CALLS)
def test_double(name: str) -> None:
    call, (low, high) = CALLS[name]
    given = np.random.default_rng(0).uniform(low, high, (64, 8))
    theirs = found(torch, call, torch.tensor(given, requires_grad=True))
    mine = found(tm, call, tm.Tensor(mx.array(given, mx.float64), requires_grad=True))
    assert len(mine) == len(theirs)
    measured = [off(m, t) for m, t in zip(mine, theirs, strict=True)]
    limits = LIMITS.get(name, USUAL)
    assert all(m <= limit for m, limit in zip(measured, limits, strict=False)), f"{name}: {measured} ulps"


@pytest.mark.parametrize("name", ["softplus", "silu", "mish", "logsigmoid", "elu", "gelu"])
def test_derivatives_at_zero(name: str) -> None:
    """A derivative that is taken through the size of a number is wrong at 0: these are not."""
    results = []
    for T in (torch, tm):
        given = [0.0, -0.0]
        x = torch.tensor(given, dtype=torch.float64) if T is torch else tm.tensor(given, dtype=tm.float64)
        results.append(found(T, lambda T, x: getattr(T.nn.functional, name)(x), x.requires_grad_()))
    for mine, theirs in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-15, atol=0)


def test_the_whole_range() -> None:
    """Numbers that are too large, too small or none, and those that are subnormal."""
    given = [0.0, -0.0, np.inf, -np.inf, np.nan, 709.78, 709.79, -708.4, -740.0, -745.0, -746.0, 1e300, -1e300]
    for name in ("exp", "sigmoid", "tanh", "erf", "erfc", "expm1", "sin", "cos"):
        values = given[:-2] if name in ("sin", "cos") else given
        if name == "sigmoid":  # torch's is 0 where e^-x is infinite
            values = [v for v in given if not -1000 < v < -709]
        theirs = getattr(torch, name)(torch.tensor(values, dtype=torch.float64)).numpy()
        mine = np.array(getattr(tm, name)(tm.tensor(values, dtype=tm.float64)).array)
        np.testing.assert_allclose(mine, theirs, rtol=1e-15, atol=1e-323, err_msg=name)
        np.testing.assert_array_equal(np.signbit(mine[:2]), np.signbit(theirs[:2]))
