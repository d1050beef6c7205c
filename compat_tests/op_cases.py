"""The calls with which compat_tests/ops/test_ops.py runs every row of the table of ops, on torch and here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Arg:
    """A tensor argument: random numbers of a kind in a shape, or given values."""

    shape: tuple[int, ...] = ()
    kind: str = "real"
    values: Any = None

    def make(self, rng: np.random.Generator) -> np.ndarray:
        if self.values is not None:
            return np.asarray(self.values)
        if self.kind == "int":
            return rng.integers(-4, 5, self.shape)
        if self.kind == "bool":
            return rng.integers(0, 2, self.shape).astype(bool)
        x = np.asarray(rng.uniform(0.5, 2.0, self.shape))  # away from kinks, which have a test of their own
        if self.kind == "positive":
            return x
        return x * np.where(rng.integers(0, 2, self.shape), 1.0, -1.0)

    @property
    def floating(self) -> bool:
        return self.kind in ("real", "positive") and (self.values is None or np.asarray(self.values).dtype.kind == "f")


@dataclass(frozen=True)
class Case:
    """One call: positional arguments, of which the first is the tensor of the method, and keywords."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    second: bool = True  # whether torch has a derivative of the derivative

    def __str__(self) -> str:
        def show(a: Any) -> str:
            if isinstance(a, Arg):
                return f"{a.kind[0] if a.values is None else 'v'}{list(a.shape) if a.values is None else ''}"
            return "[" + ",".join(map(show, a)) + "]" if isinstance(a, (list, tuple)) else repr(a)

        return ",".join([*map(show, self.args), *(f"{k}={show(v)}" for k, v in self.kwargs.items())])


def X(*shape: int) -> Arg:
    return Arg(shape)


def P(*shape: int) -> Arg:
    return Arg(shape, "positive")


def N(*shape: int) -> Arg:
    return Arg(shape, "int")


def B(*shape: int) -> Arg:
    return Arg(shape, "bool")


def V(*values: Any) -> Arg:
    return Arg(values=np.array(values))


def case(*args: Any, **kwargs: Any) -> Case:
    return Case(args, kwargs)


SHAPES: list[tuple[int, ...]] = [(), (0,), (5,), (3, 4), (2, 1, 3, 2)]
PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()),
    ((5,), ()),
    ((), (5,)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((2, 1, 3, 2), (3, 1)),
    ((0, 3), (3,)),
    ((0,), ()),
]


def unary(kind: str = "real") -> list[Case]:
    return [case(Arg(s, kind)) for s in SHAPES]


def binary(kind: str = "real", other: str = "real") -> list[Case]:
    return [case(Arg(a, kind), Arg(b, other)) for a, b in PAIRS]


def numbers(*values: Any) -> list[Case]:
    return [case(X(3, 4), v) for v in values]


REDUCED: list[Case] = [
    *unary(),
    case(X(3, 4), 1),
    case(X(3, 4), (0, -1)),
    case(X(3, 4), dim=0, keepdim=True),
    case(X(2, 1, 3, 2), (1, 3)),
    case(X(0, 3), 0),
    case(X(), 0),
]
FILLED: list[Case] = [c for c in REDUCED if 0 not in c.args[0].shape]
FLAGS: list[Case] = [case(a) for a in (B(), B(0), B(5), N(3, 4), X(3))] + [
    case(B(3, 4), 1),
    case(N(2, 1, 3, 2), dim=-1, keepdim=True),
]
COMPARED: list[Case] = [*binary(), case(N(3, 4), N(4)), case(N(5), 1.5), case(N(5), N(5)), *numbers(1, 0.5)]
TRUTHS: list[Case] = [*binary("bool", "bool"), case(N(5), N(5)), case(X(5), B(5))]
BITS: list[Case] = [case(B(3, 4), B(4)), case(N(5), N(5)), case(N(5), 3), case(B(), B()), case(N(2, 1, 3, 2), N(3, 1))]

CASES: dict[str, list[Case]] = {
    "add": [
        *binary(),
        *numbers(2, 0.3),
        case(X(3, 4), X(4), alpha=0.3),
        case(N(4), N(4), alpha=2),
        case(X(3, 4), N(4)),
    ],
    "sub": [*binary(), *numbers(2, 0.3), case(X(3, 4), X(4), alpha=0.3), case(N(4), 2)],
    "mul": [*binary(), *numbers(2, 0.3), case(N(4), 3), case(X(3, 4), B(4))],
    "div": [
        *binary(),
        *numbers(2, 0.3),
        case(N(4), V(1, 2, -3, 4)),
        case(N(4), 2),
        *[
            case(a, b, rounding_mode=mode)
            for mode in ("floor", "trunc")
            for a, b in ((X(3, 4), X(4)), (X(5), 0.3), (V(7, -7, 7, -7, 6, -6), V(2, 2, -2, -2, -3, -3)))
        ],
    ],
    "pow": [
        *binary("positive"),
        *numbers(0, 1, 2, 3, -1, -2),
        *[case(P(3, 4), e) for e in (0.5, -0.5, 1.7, -2.3, 4)],
        case(N(4), 2),
    ],
    "addcmul": [
        case(X(3, 4), X(3, 1), X(4), value=0.3),
        *[case(X(*s), X(*s), X(*s)) for s in SHAPES],
        case(N(4), N(4), N(4), value=2),
    ],
    "addcdiv": [case(X(3, 4), X(3, 1), X(4), value=0.3), *[case(X(*s), X(*s), X(*s)) for s in SHAPES]],
    "lerp": [
        *[case(X(*s), X(*s), w) for s in SHAPES for w in (0.1, 0.9)],
        case(X(3, 4), X(4), V(0.1, 0.4, 0.6, 0.9)),
    ],
    "neg": [*unary(), case(N(5))],
    "abs": [*unary(), case(N(5))],
    "sign": [*unary(), case(N(5))],
    "sgn": [*unary(), case(N(5))],
    "square": [*unary(), case(N(5))],
    **{name: [*unary("positive"), case(V(1, 4))] for name in ("sqrt", "rsqrt", "log")},
    **{name: [*unary(), case(V(1, 4))] for name in ("reciprocal", "exp")},
    "clamp": [
        *[case(X(*s), -1.0, 1.0) for s in SHAPES],
        case(X(3, 4), min=0.0),
        case(X(3, 4), max=0.3),
        case(X(3, 4), X(4), X(3, 1)),
        case(X(3, 4), max=X(4)),
        case(N(5), -1, 2),
        case(N(5), 0.5),
    ],
    "maximum": [*binary(), case(N(5), N(5)), case(N(5), X(5))],
    "minimum": [*binary(), case(N(5), N(5)), case(N(5), X(5))],
    **{name: [*unary(), case(V(0, 1, 2))] for name in ("exp2", "expm1", "erfc", "relu")},
    **{name: [*unary(), case(V(0, 1))] for name in ("sin", "cos", "tan", "atan", "sinh", "cosh", "tanh", "asinh")},
    **{name: [*unary("positive"), case(V(1, 4))] for name in ("log2", "log10", "log1p")},
    **{
        name: [case(V(-0.4, 0.1, 0.3)), case(V([0.2], [-0.3])), case(X(0)), case(V(-0.9, 0.95)), case(V(0.0))]
        for name in ("asin", "acos", "atanh", "erfinv")
    },
    "erf": unary(),
    "sigmoid": unary(),
    "sinc": [*unary(), case(V(0, 1))],
    "acosh": [case(V(1.5, 3.0, 2.0)), case(X(0)), case(V(1.1, 9.0)), case(V(1.01))],
    "logit": [case(V(0.2, 0.5, 0.9)), case(V(-0.5, 0.1, 0.5, 1.5), 0.2), case(V(0.3, 0.8), eps=1e-3), case(X(0))],
    **dict.fromkeys(("logaddexp", "logaddexp2", "atan2", "hypot"), binary()),
    "float_power": [*binary("positive"), *numbers(2, 0.5, -1), case(N(5), 3), case(V(0.0, 1.0, -2.0), V(0, 2, 3))],
    "ldexp": [*binary("positive", "int"), *binary(), case(X(5), V(-140, -3, 0, 30, 140))],
    "xlogy": [*binary("positive", "positive"), case(X(3, 4), 2), case(N(5), V(1, 2, 3, 4, 5))],
    **{name: [*unary(), case(N(5))] for name in ("deg2rad", "rad2deg")},
    **{name: [*unary(), case(N(5))] for name in ("floor", "ceil", "trunc", "positive")},
    "round": [*unary(), case(N(5)), case(X(3, 4), decimals=1), case(V(123.0, -567.0), decimals=-2)],
    "frac": unary(),
    **{
        name: [*binary(), *numbers(0.3), case(V(7, -7, 6), V(2, -3, -3)), case(N(5), 3)]
        for name in ("remainder", "fmod")
    },
    "floor_divide": [case(V(7, -7, 6), V(2, -3, -3)), case(N(5), 3), case(N(5), -2), case(N(0), 2)],
    **{
        name: [*[case(X(*s), 0.3) for s in SHAPES], case(X(3, 4), X(4)), case(X(3, 4), X(3, 1)), case(N(5), 1)]
        for name in ("clamp_min", "clamp_max")
    },
    **{name: [*binary(), case(N(5), N(5)), case(N(5), X(5))] for name in ("fmax", "fmin")},
    "nan_to_num": [*unary(), case(N(5)), case(V(1.0, np.nan, np.inf, -np.inf), 0.5, 2.0, -3.0)],
    **{  # away from the zeros of both and from 1, where torch's own digamma is 4 ulps off
        name: [case(V(0.7)), case(V([-0.3, -1.2, -2.3], [0.1, 7.0, 30.0])), case(X(0)), case(V(2, 3, 5))]
        for name in ("lgamma", "digamma")
    },
    "nextafter": [*binary(), case(V(0.0, -0.0, 1.0, 2.0, -1.0), V(1.0, -1.0, 1.0, 1.0, 3.0))],
    "copysign": [*binary(), *numbers(-2.0), case(N(5), N(5))],
    "heaviside": [case(N(5), N(5)), case(N(3, 4), N(4))],
    **{
        name: [*unary(), case(N(5)), case(V(-np.inf, -0.0, np.inf))]
        for name in ("isposinf", "isneginf", "isreal", "signbit")
    },
    "isclose": [*binary(), case(N(5), N(5)), case(X(3, 4), X(4), 0.5, 0.5), case(V(np.nan), V(np.nan), equal_nan=True)],
    **{
        name: [case(N(3, 4), N(4)), case(N(5), 2), case(N(5), N(5))]
        for name in ("bitwise_left_shift", "bitwise_right_shift")
    },
    **{name: [case(N(3, 4), N(4)), case(N(5), N(5)), case(V(12, -18, 0), V(8, 27, 5))] for name in ("gcd", "lcm")},
    "rsub": [*binary(), *numbers(2, 0.3), case(N(4), N(4), alpha=2)],
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), COMPARED),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), TRUTHS),
    "logical_not": [*unary("bool"), case(N(5)), case(X(5))],
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), BITS),
    "bitwise_not": [case(B(5)), case(N(3, 4)), case(B())],
    **{
        name: [*unary(), case(N(3)), case(V(1.0, float("nan"), float("inf"), -float("inf")))]
        for name in ("isnan", "isinf", "isfinite")
    },
    "where": [
        *[case(B(*s), X(*s), X(*s)) for s in SHAPES],
        case(B(3, 1), X(4), X(3, 4)),
        case(B(5), X(5), 0.0),
        case(B(5), 1, X(5)),
        case(B(5), X(5), N(5)),
    ],
    "matmul": [
        case(X(3, 4), X(4, 2)),
        case(X(4), X(4)),
        case(X(3, 4), X(4)),
        case(X(3), X(3, 4)),
        case(X(2, 3, 4), X(4, 2)),
        case(X(2, 1, 3, 4), X(5, 4, 2)),
        case(X(0, 4), X(4, 2)),
        case(X(3, 0), X(0, 2)),
    ],
    "mm": [case(X(3, 4), X(4, 2)), case(X(0, 4), X(4, 2)), case(X(3, 0), X(0, 2))],
    "bmm": [case(X(2, 3, 4), X(2, 4, 2)), case(X(0, 3, 4), X(0, 4, 2))],
    "mv": [case(X(3, 4), X(4)), case(X(0, 4), X(4))],
    "dot": [case(X(5), X(5)), case(X(0), X(0))],
    "outer": [case(X(5), X(3)), case(X(0), X(3))],
    "addmm": [
        case(X(3, 2), X(3, 4), X(4, 2)),
        case(X(3, 2), X(3, 4), X(4, 2), beta=0.3, alpha=0.7),
        case(X(2), X(3, 4), X(4, 2)),
    ],
    "addmv": [case(X(3), X(3, 4), X(4)), case(X(), X(3, 4), X(4), beta=0.3, alpha=0.7)],
    "addr": [case(X(3, 4), X(3), X(4)), case(X(3, 4), X(3), X(4), beta=0.3, alpha=0.7)],
    "baddbmm": [
        case(X(2, 3, 2), X(2, 3, 4), X(2, 4, 2)),
        case(X(3, 2), X(2, 3, 4), X(2, 4, 2), beta=0.3, alpha=0.7),
    ],
    "addbmm": [
        case(X(3, 2), X(2, 3, 4), X(2, 4, 2)),
        case(P(3, 2), P(2, 3, 4), P(2, 4, 2), beta=0.3, alpha=0.7),
    ],
    "trace": [case(X(3, 4)), case(N(3, 3)), case(X(0, 2))],
    "cross": [case(X(3, 4), X(3, 4)), case(X(2, 3), X(2, 3), 1)],
    "vander": [  # of integers, because torch has no gradient of more than two columns
        *(case(N(4)), case(N(4), 2), case(N(3), 0), case(N(3), N=5, increasing=True), case(N(0), 3), case(N(0))),
        *(case(B(3)), case(B(3), 1)),
    ],
    "chain_matmul": [case(X(3, 2), X(2, 4), X(4, 1)), case(X(3, 2))],
    "celu": [*unary(), case(X(3, 4), 0.7)],
    "selu": unary(),
    "hardshrink": [*unary(), case(X(3, 4), 0.7)],
    "threshold": [case(X(3, 4), 0.1, -2.0), case(N(3, 4), 1, 5)],
    "prelu": [case(X(3, 4), X(4)), case(X(3, 4), X(1)), case(X(2, 3, 2), X(3)), case(X(), X())],
    "layer_norm": [case(X(2, 3, 4), (3, 4), X(3, 4), X(3, 4))],
    "group_norm": [case(X(2, 4, 3), 2, X(4), X(4))],
    "batch_norm": [case(X(4, 3, 2), X(3), X(3), None, None, True, 0.1, 0.1, True)],
    "instance_norm": [case(X(3, 2, 4), X(2), X(2), None, None, True, 0.1, 0.1, True)],
    "rms_norm": [case(X(2, 3, 4), (3, 4), X(3, 4), 0.1)],
    "embedding": [
        case(X(4, 3), V(1, 1, 3)),
        case(X(4, 3), V([1, 0], [3, 1]), 1),
        Case((X(4, 3), V(2, 2), -1, True), second=False),
    ],
    "cosine_similarity": [case(X(3, 4), X(3, 4)), case(X(3, 4), X(4), dim=-1), case(X(3, 2, 4), X(3, 1, 4), 0)],
    "pairwise_distance": [case(X(3, 4), X(3, 4)), case(X(3, 4), X(4), p=1.0, keepdim=True)],
    "sum": [*REDUCED, case(N(3, 4)), case(B(5)), case(B(3, 4), 1)],
    "mean": REDUCED,
    "norm": [
        *[
            case(*c.args[:1], **dict(zip(["dim"], c.args[1:], strict=False)), **c.kwargs)
            for c in REDUCED
            if c.args[0].shape != (0, 3)
        ],
        *[case(X(3, 4), p) for p in (1, 2, 3, 1.5, 0.5, float("inf"), -float("inf"))],
        *[case(X(3, 4), p, 1) for p in (1, 2, 3, float("inf"))],
        case(X(2, 1, 3, 2), 2, (1, 3), keepdim=True),
    ],
    "var": [
        case(X(5)),
        case(X(3, 4), 1),
        case(X(3, 4), 0, False),
        case(X(3, 4), dim=(0, 1), correction=2),
        case(X(3, 4), False),
        case(X(2, 1, 3, 2), (2, 3), keepdim=True),
    ],
    "std": [
        case(X(5)),
        case(X(3, 4), 1),
        case(X(3, 4), 0, False),
        case(X(3, 4), dim=(0, 1), correction=2),
        case(X(3, 4), False),
        case(X(2, 1, 3, 2), (2, 3), keepdim=True),
    ],
    "amax": FILLED,
    "amin": FILLED,
    "argmax": [
        case(X()),
        case(X(5)),
        case(X(3, 4)),
        case(X(3, 4), 1),
        case(X(3, 4), dim=0, keepdim=True),
        case(V(1, 3, 3)),
    ],
    "argmin": [
        case(X()),
        case(X(5)),
        case(X(3, 4)),
        case(X(3, 4), 1),
        case(X(3, 4), dim=0, keepdim=True),
        case(V(3, 1, 1)),
    ],
    "any": FLAGS,
    "all": FLAGS,
    "cat": [
        case([X(5), X(3)]),
        case([X(3, 4), X(3, 2)], 1),
        case([X(3, 4), X(0), X(2, 4)], dim=0),
        case([X(2, 1, 3, 2), X(2, 1, 1, 2)], -2),
        case([X(3), N(2)]),
    ],
    "stack": [case([X(), X()]), case([X(3, 4), X(3, 4)], 1), case([X(0), X(0)]), case([X(3), N(3)], -1)],
    "gather": [
        case(X(3, 4), 1, V([0, 0], [1, 3], [2, 2])),
        case(X(5), 0, V(4, 4, 0)),
        case(X(3, 4), -2, V([2, 0, 0, 1])),
    ],
    "max": [
        *FILLED[:4],
        case(X(3, 4), 1),
        case(X(3, 4), 0, True),
        case(X(2, 1, 3, 2), dim=-2),
        case(X(), 0),
        *binary(),
    ],
    "min": [
        *FILLED[:4],
        case(X(3, 4), 1),
        case(X(3, 4), 0, True),
        case(X(2, 1, 3, 2), dim=-2),
        case(X(), 0),
        *binary(),
    ],
    "reshape": [
        case(X(3, 4), (2, 6)),
        case(X(3, 4), (-1,)),
        case(X(), (1, 1)),
        case(X(0, 3), (3, 0)),
        case(X(0), (0, 5)),
    ],
    "flatten": [*unary(), case(X(2, 1, 3, 2), 1, 2)],
    "permute": [case(X(3, 4), (1, 0)), case(X(2, 1, 3, 2), (3, 0, -2, 1)), case(X(), ())],
    "transpose": [case(X(3, 4), 0, 1), case(X(2, 1, 3, 2), -1, 1), case(X(), 0, -1)],
    "t": [case(X()), case(X(5)), case(X(3, 4))],
    "unsqueeze": [case(X(), 0), case(X(3, 4), 1), case(X(3, 4), -1), case(X(0), 0)],
    "squeeze": [*unary(), case(X(2, 1, 3, 2), 1), case(X(2, 1, 3, 2), 0), case(X(1, 3, 1), (0, -1))],
    "narrow": [case(X(5), 0, 1, 3), case(X(3, 4), -1, -2, 2), case(X(3, 4), 0, 1, 0)],
    "select": [case(X(5), 0, 2), case(X(3, 4), 1, -1)],
    "clone": unary(),
    # methods only
    "view": [case(X(3, 4), 2, 6), case(X(3, 4), (-1,)), case(X(), 1, 1), case(X(0, 3), 3, 0)],
    "view_as": [case(X(3, 4), X(2, 6))],
    "reshape_as": [case(X(3, 4), X(2, 6))],
    "expand": [case(X(3, 1), 3, 4), case(X(), 5), case(X(4), 2, -1), case(X(1, 3, 1), (2, 3, 5))],
    "expand_as": [case(X(3, 1), X(3, 4))],
    "contiguous": unary(),
    "__getitem__": [
        case(X(5), 2),
        case(X(5), slice(1, 4)),
        case(X(5), slice(None, None, 2)),
        case(X(3, 4), (slice(None), -1)),
        case(X(3, 4), (Ellipsis, 0)),
        case(X(3, 4), None),
        case(X(2, 1, 3, 2), (1, Ellipsis, None, slice(0, 1))),
        case(X(3, 4), V(2, 0, 0)),
        case(X(3, 4), (slice(1, None), [0, 0, 2])),
        case(X(3, 4), ([0, 2], [1, 1])),
        case(X(), Ellipsis),
    ],
    "masked_fill": [case(X(3, 4), B(3, 4), 2.5), case(X(3, 4), B(4), X()), case(N(5), B(5), 2), case(X(), B(), 1.0)],
    "masked_scatter": [case(X(3, 4), V([True, False, True, True]), X(3, 4)), case(X(5), V(*[False] * 5), X(5))],
    "index_select": [case(X(3, 4), 1, V(2, 0, 2)), case(X(5), 0, V(4)), case(X(3, 4), -2, V(1, 1))],
    "index_add": [case(X(3, 4), 1, V(2, 0, 2), X(3, 3)), case(X(5), 0, V(4, 4), X(2), alpha=2)],
    "index_copy": [case(X(3, 4), 1, V(2, 0), X(3, 2)), case(X(5), 0, V(4, 1), X(2))],
    "index_fill": [case(X(3, 4), 1, V(2, 0, 2), 1.5), case(X(5), 0, V(4, 1), X())],
    "index_put": [
        case(X(3, 4), (V(0, 2), V(1, 1)), X(2)),
        case(X(3, 4), (V(0, 0), V(1, 1)), X(2), True),
        case(X(3, 4), (V(0, 2),), X(4)),
    ],
    "scatter": [
        case(X(3, 4), 1, V([0, 1], [1, 3], [2, 0]), X(3, 2)),
        case(X(5), 0, V(4, 1, 0), X(3)),
        case(X(3, 4), -2, V([2, 0, 0, 1]), 1.5),
    ],
    "scatter_reduce": [
        case(X(3, 4), 1, V([0, 0], [1, 3], [2, 2]), X(3, 2), r, include_self=self)
        for r in ("sum", "prod", "mean", "amax", "amin")
        for self in (True, False)
    ],
    "scatter_add": [case(X(3, 4), 1, V([0, 0], [1, 3], [2, 2]), X(3, 2)), case(X(5), 0, V(4, 4, 0), X(3))],
    "take": [case(X(3, 4), V([0, 11], [-1, 11])), case(X(5), V(2))],
    "roll": [case(X(5), 2), case(X(3, 4), -1, 1), case(X(3, 4), (1, 2), (0, 1)), case(X(3, 4), 5)],
    **{name: [case(X(3, 4), 0, 1), case(X(2, 1, 3, 2), -1, 1)] for name in ("moveaxis", "swapaxes", "swapdims")},
    "row_stack": [case([X(3), X(3)]), case([X(2, 3), X(3)])],
    "tril": [case(X(3, 4)), case(X(2, 3, 3), 1), case(N(3, 4), -1)],
    "triu": [case(X(3, 4)), case(X(2, 3, 3), 1), case(N(3, 4), -1)],
    "diag_embed": [case(X(5)), case(X(3, 4), 1), case(X(3, 4), -1, 0, 2)],
    "type_as": [case(X(5), N(5)), case(N(5), X(5)), case(X(5), X(2))],
    **{name: [case(X(5)), case(N(5))] for name in ("float", "half", "bfloat16", "long", "int", "bool", "double")},
}
#: In-place forms that have no function: their calls.
CASES |= {
    "cumsum": [case(X(3, 4), 1), case(X(5), 0), case(X(), 0)],
    "cumprod": [case(X(3, 4), 1), case(X(5), 0)],
    "cummax": [case(X(3, 4), 1)],
    "cummin": [case(X(3, 4), 0)],
    "logcumsumexp": [case(X(3, 4), 1)],
    "softmax": [case(X(3, 4), 1), case(X(), 0)],
    "log_softmax": [case(X(3, 4), -1)],
    "logsumexp": [case(X(3, 4), 1), case(X(2, 1, 3), (0, 2), True)],
    "sort": [case(V(0.5, -1.0, 2.0, 1.5)), case(V([1.0, 3.0, 2.0]), 0, True)],
    "argsort": [case(V(0.5, -1.0, 2.0, 1.5))],
    "topk": [case(V(0.5, -1.0, 2.0, 1.5), 2)],
    "kthvalue": [case(V(0.5, -1.0, 2.0, 1.5), 2)],
    "mode": [case(V(0.5, -1.0, 0.5, 1.5))],
    "searchsorted": [case(V(-1.0, 0.5, 2.0), V(0.5, 3.0))],
    "bucketize": [case(V(0.5, 3.0), V(-1.0, 0.5, 2.0))],
    "isin": [case(V(0.5, 3.0), V(-1.0, 0.5, 2.0))],
    "prod": [case(X(3, 4)), case(X(3, 4), 1, True)],
    "nansum": [case(X(3, 4)), case(X(3, 4), 1, True)],
    "aminmax": [case(N(3, 4)), case(N(3, 4), dim=1, keepdim=True)],
    "renorm": [case(X(3, 4), 2, 0, 1.0)],
    "bincount": [case(V(0, 2, 2))],
    "histc": [case(V(0.5, -1.0, 2.0, 1.5), 4)],
    "unique": [case(V(2, 0, 2))],
    "unique_consecutive": [case(V(2, 2, 0))],
}

WRITES: dict[str, list[Case]] = {
    **{name: [case(N(5))] for name in ("acosh", "asinh", "atanh")},  # torch has no gradients of acosh_ and its like
    "copy": [case(X(3, 4), X(4)), case(X(3, 4), N(3, 1)), case(N(5), X(5)), case(X(), X(1)), case(X(0), X(0))],
    "fill": [case(X(3, 4), 2), case(X(5), X()), case(N(5), 2.7), case(X(), 1.5), case(X(0), 1)],
    "zero": [case(Arg(s)) for s in SHAPES] + [case(N(5)), case(B(3))],
}
#: Of functions that torch has in float32 and float64 only.
WHOLE: dict[str, list[Case]] = {
    "cdist": [Case((X(4, 3), X(2, 3)), second=False), Case((X(4, 3), X(2, 3), 1.5), second=False)],
    "pdist": [Case((X(4, 3),), second=False), Case((X(4, 3), 1.5), second=False)],
    "conv_tbc": [
        Case((X(5, 2, 3), X(3, 3, 4), X(4)), second=False),
        Case((X(5, 2, 3), X(2, 3, 4), X(4), 1), second=False),
    ],
}

#: Methods whose call is spelled out: what the table's row "to" is behind.
MADE_OF = {"to": ("type_as", "float", "half")}
