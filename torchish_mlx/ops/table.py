"""THE TABLE of ops: the only place that has to grow. A row is one pure function of arrays.

From a row come the function (``torchish_mlx.name``), the method (``tensor.name``), the in-place method
(``tensor.name_``), the record on the tape and the derivative of every order. ``needs`` says from which values the
derivative is computed, as torch's does: these are kept for backward, and an in-place write to one of them in
between is torch's error. Where ``derivative`` is given, it is torch's at a tie or a kink where MLX's differs, or
computed from the result; otherwise it is ``mx.vjp`` of the function.

To add an op, add a row here and one to the table of compat_tests/ops/test_ops.py, which fails until it is there, and
run ``python -m tests.table_stub``, which tells editors and type checkers of it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.promotion import cast, compare, compute, floating
from .._tensor.tensor import Tensor
from . import _linear as lin
from . import _math as m
from . import _reduce as r
from . import _shapes as s
from ._call import call
from ._inplace import run_inplace, write_out
from ._op import Op

BOTH = {"input": "input other", "other": "input other"}
CROSS = {"input": "other", "other": "input"}
ITSELF = {"input": "input"}
FROM_RESULT = {"input": "result"}
LINEAR: dict[str, str] = {}


@dataclass(frozen=True)
class Row:
    """One op: see the module's docstring.

    Attributes:
        fn: the function, with torch's parameters.
        needs, derivative: as for ``Op``.
        doc: what it computes, where the docstring of ``fn`` does not say it.
        shape: the shape of the result, where it is not the usual one of its parameters.
        inplace: whether there is ``name_``.
        method: whether there is a method; a function, where its arguments differ from the function's.
        function: whether there is a function.
        casts: the in-place form takes a result of any dtype.
        number_first: the keyword of the number in torch's old form ``add_(number, tensor)``.
        aliases: torch's other names.
    """

    fn: Callable[..., Any]
    needs: Mapping[str, str] | None = None
    derivative: Callable[..., Any] | None = None
    doc: str = ""
    shape: str = ""
    inplace: bool = False
    method: bool = True
    function: bool = True
    casts: bool = False
    number_first: str | None = None
    aliases: tuple[str, ...] = ()


def unary(doc: str, fn: Callable[[mx.array], mx.array], derivative: Callable[[mx.array, mx.array], mx.array]) -> Row:
    """A function of one tensor that makes floats, with its derivative from the gradient and the result."""
    return Row(lambda input: fn(floating(input)), FROM_RESULT, lambda g, y, _: derivative(g, y), doc, inplace=True)


def comparison(symbol: str, fn: Callable[..., mx.array], *aliases: str) -> Row:
    """A function of two tensors or numbers that makes booleans."""
    doc = f"Whether input {symbol} other, as booleans."
    return Row(lambda input, other: compare(fn, input, other), LINEAR, doc=doc, aliases=aliases)


def logical(doc: str, fn: Callable[..., mx.array]) -> Row:
    """A function of truth values."""
    return Row(lambda input, other: fn(cast(input, mx.bool_), cast(other, mx.bool_)), LINEAR, doc=doc)


def bitwise(doc: str, fn: Callable[..., mx.array]) -> Row:
    """A function of the bits of integers or of booleans."""
    return Row(lambda input, other: compare(fn, input, other), LINEAR, doc=doc, inplace=True)


TABLE: dict[str, Row] = {
    # arithmetic
    "add": Row(
        lambda input, other, *, alpha=1: m.scaled(mx.add, input, other, alpha),
        LINEAR,
        doc="input + alpha * other.",
        inplace=True,
        number_first="alpha",
    ),
    "sub": Row(
        lambda input, other, *, alpha=1: m.scaled(mx.subtract, input, other, alpha),
        LINEAR,
        doc="input - alpha * other.",
        inplace=True,
        number_first="alpha",
        aliases=("subtract",),
    ),
    "mul": Row(
        lambda input, other: compute(mx.multiply, input, other),
        CROSS,
        doc="input * other.",
        inplace=True,
        aliases=("multiply",),
    ),
    "div": Row(
        lambda input, other, *, rounding_mode=None: m.divide(input, other, rounding_mode),
        {"input": "other", "other": "input other"},
        m.divide_derivative,
        'input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; without it the '
        "quotient of integers is of floats.",
        inplace=True,
        aliases=("divide", "true_divide"),
    ),
    "pow": Row(m.pow, {"input": "input exponent", "exponent": "input exponent result"}, m.pow_derivative, inplace=True),
    "addcmul": Row(m.addcmul, {"tensor1": "tensor2", "tensor2": "tensor1"}, inplace=True, number_first="value"),
    "addcdiv": Row(m.addcdiv, {"tensor1": "tensor2", "tensor2": "tensor1 tensor2"}, inplace=True, number_first="value"),
    "lerp": Row(m.lerp, {"input": "weight", "end": "weight", "weight": "input end"}, inplace=True),
    # one tensor
    "neg": Row(lambda input: -input, LINEAR, doc="-input.", inplace=True, aliases=("negative",)),
    "abs": Row(
        lambda input: mx.abs(input),
        ITSELF,
        lambda g, _, input: g * mx.sign(input),
        "The absolute value.",
        inplace=True,
        aliases=("absolute",),
    ),
    "sign": Row(lambda input: mx.sign(input), LINEAR, doc="-1, 0 or 1, as the sign is.", inplace=True),
    "sgn": Row(
        lambda input: mx.sign(input), LINEAR, doc="As ``sign``; input / abs(input) of complex numbers.", inplace=True
    ),
    "square": Row(lambda input: input * input, ITSELF, doc="input * input.", inplace=True),
    "sqrt": unary("The square root, as floats.", mx.sqrt, lambda g, y: g / (2 * y)),
    "rsqrt": unary("1 / sqrt(input), as floats.", mx.rsqrt, lambda g, y: -0.5 * g * (y * y * y)),
    "reciprocal": unary("1 / input, as floats.", mx.reciprocal, lambda g, y: -g * (y * y)),
    "exp": unary("e to the power of input, as floats.", mx.exp, lambda g, y: g * y),
    "log": Row(lambda input: mx.log(floating(input)), ITSELF, doc="The natural logarithm, as floats.", inplace=True),
    "clamp": Row(
        m.clamp,
        {"input": "input min max", "min": "input min max", "max": "input min max"},
        m.clamp_derivative,
        inplace=True,
        aliases=("clip",),
    ),
    # two tensors
    "maximum": Row(
        lambda input, other: compare(mx.maximum, input, other),
        BOTH,
        m.maximum_derivative,
        "The larger of input and other; the gradient is halved where they are equal.",
    ),
    "minimum": Row(
        lambda input, other: compare(mx.minimum, input, other),
        BOTH,
        m.minimum_derivative,
        "The smaller of input and other; the gradient is halved where they are equal.",
    ),
    "eq": comparison("==", mx.equal),
    "ne": comparison("!=", mx.not_equal, "not_equal"),
    "lt": comparison("<", mx.less, "less"),
    "le": comparison("<=", mx.less_equal, "less_equal"),
    "gt": comparison(">", mx.greater, "greater"),
    "ge": comparison(">=", mx.greater_equal, "greater_equal"),
    "logical_and": logical("Whether both are true; a number is true where it is not 0.", mx.logical_and),
    "logical_or": logical("Whether one or both are true; a number is true where it is not 0.", mx.logical_or),
    "logical_xor": logical("Whether exactly one is true; a number is true where it is not 0.", mx.not_equal),
    "logical_not": Row(lambda input: mx.logical_not(input), LINEAR, doc="Whether it is false or 0."),
    "bitwise_and": bitwise("input & other, of integers or booleans.", mx.bitwise_and),
    "bitwise_or": bitwise("input | other, of integers or booleans.", mx.bitwise_or),
    "bitwise_xor": bitwise("input ^ other, of integers or booleans.", mx.bitwise_xor),
    "bitwise_not": Row(
        lambda input: mx.bitwise_invert(input), LINEAR, doc="~input, of integers or booleans.", inplace=True
    ),
    "isnan": Row(lambda input: mx.isnan(input), LINEAR, doc="Whether it is NaN, as booleans."),
    "isinf": Row(lambda input: mx.isinf(input), LINEAR, doc="Whether it is inf or -inf, as booleans."),
    "isfinite": Row(lambda input: mx.isfinite(input), LINEAR, doc="Whether it is not NaN, inf or -inf, as booleans."),
    "where": Row(m.where, {"input": "condition", "other": "condition"}, method=False),
    # linear algebra
    "matmul": Row(lin.matmul, CROSS, shape="(..., n, k) and (..., k, m) give (..., n, m)"),
    "mm": Row(lin.mm, {"input": "mat2", "mat2": "input"}, shape="(n, k) and (k, m) give (n, m)"),
    "bmm": Row(lin.bmm, {"input": "mat2", "mat2": "input"}, shape="(b, n, k) and (b, k, m) give (b, n, m)"),
    "mv": Row(lin.mv, {"input": "vec", "vec": "input"}, shape="(n, k) and (k,) give (n,)"),
    "dot": Row(lin.dot, {"input": "tensor", "tensor": "input"}, shape="(n,) and (n,) give ()"),
    "outer": Row(lin.outer, {"input": "vec2", "vec2": "input"}, shape="(n,) and (m,) give (n, m)"),
    "addmm": Row(
        lin.addmm,
        {"mat1": "mat2", "mat2": "mat1"},
        shape="(n, k) and (k, m) give (n, m), to which ``input`` broadcasts",
        inplace=True,
    ),
    # reductions
    "sum": Row(r.sum, LINEAR),
    "mean": Row(r.mean, LINEAR),
    "norm": Row(r.norm, {"input": "input result"}, r.norm_derivative),
    "var": Row(r.var, ITSELF),
    "std": Row(r.std, {"input": "input result"}, r.std_derivative),
    "amax": Row(r.amax, {"input": "input result"}, r.extreme_derivative),
    "amin": Row(r.amin, {"input": "input result"}, r.extreme_derivative),
    "argmax": Row(
        lambda input, dim=None, keepdim=False: r.arg(mx.argmax, input, dim, keepdim),
        LINEAR,
        doc="Where the largest element is along ``dim``, or among all elements in row-major order; int64.",
    ),
    "argmin": Row(
        lambda input, dim=None, keepdim=False: r.arg(mx.argmin, input, dim, keepdim),
        LINEAR,
        doc="Where the smallest element is along ``dim``, or among all elements in row-major order; int64.",
    ),
    "any": Row(
        lambda input, dim=None, keepdim=False: r.truth(mx.any, input, dim, keepdim, False),
        LINEAR,
        doc="Whether one element or more is true; booleans, and uint8 for uint8.",
    ),
    "all": Row(
        lambda input, dim=None, keepdim=False: r.truth(mx.all, input, dim, keepdim, True),
        LINEAR,
        doc="Whether every element is true; booleans, and uint8 for uint8.",
    ),
    # joining and choosing
    "cat": Row(
        lin.cat,
        LINEAR,
        shape="that of the tensors, with their sizes along ``dim`` added up",
        method=False,
        aliases=("concat", "concatenate"),
    ),
    "stack": Row(lin.stack, LINEAR, shape="that of a tensor, with a new dimension at ``dim``", method=False),
    "gather": Row(lin.gather, {"input": "index"}, shape="that of ``index``"),
    # writing
    "to": Row(lambda input, dtype: cast(input, dtype), LINEAR, method=False, function=False),
    "copy": Row(
        s.COPY.fn,
        LINEAR,
        doc="The elements of ``other``, in the dtype of ``input``.",
        shape="that of ``input``, to which ``other`` broadcasts",
        inplace=True,
        method=False,
        function=False,
        casts=True,
    ),
    "fill": Row(m.fill, LINEAR, shape="that of ``input``", inplace=True, method=False, casts=True),
    "zero": Row(lambda input: mx.zeros_like(input), LINEAR, doc="Zeros.", inplace=True, method=False, function=False),
}


class MaxResult(NamedTuple):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Tensor
    indices: Tensor


def _chosen(input: Tensor, index: Tensor, dim: int, keepdim: bool) -> MaxResult:
    values = FUNCTIONS["gather"](input, dim, index)
    if keepdim or not input.array.ndim:
        return MaxResult(values, index)
    return MaxResult(s.squeeze(values, dim), s.squeeze(index, dim))


def _extreme(name: str, both: str, of_all: str, index: str) -> Callable[..., Any]:
    """max or min, which torch gives three meanings."""

    def function(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None) -> Any:
        if other is not None or isinstance(dim, (Tensor, mx.array)):
            return FUNCTIONS[both](input, dim if other is None else other, out=out)
        if dim is None:
            if not input.array.size:
                raise RuntimeError(
                    f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction "
                    "dim with the 'dim' argument."
                )
            return FUNCTIONS[of_all](input, out=out)
        if input.array.ndim and not input.array.shape[r.axis(input.array.ndim, dim)]:
            raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
        result = _chosen(input, FUNCTIONS[index](input, dim, True), dim, keepdim)
        if out is not None:
            return write_out(name, result, out)
        return result

    function.__name__ = name
    function.__doc__ = f"The {name} of all elements; with ``dim`` a pair (values, indices); with a tensor, elementwise."
    return function


#: Torch's names that are made of other rows: no derivative of their own.
COMPOSED: dict[str, Callable[..., Any]] = {
    "max": _extreme("max", "maximum", "amax", "argmax"),
    "min": _extreme("min", "minimum", "amin", "argmin"),
    **s.VIEWS,
}
FUNCTIONS: dict[str, Callable[..., Any]] = dict(COMPOSED)
"""Every function by torch's name; ``torchish_mlx`` has each under it."""

_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}


def _arranged(row: Row, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments in torch's present form, given NumPy's names or torch's old form with the number first."""
    for theirs, ours in _NUMPY_NAMES.items():
        if theirs in kwargs and ours in op.parameters:
            kwargs[ours] = kwargs.pop(theirs)
    if row.number_first and len(args) > 2 and not isinstance(args[1], (Tensor, mx.array)):
        warnings.warn(
            f"{op.name}(input, number, tensor) is torch's old form: write {op.name}(input, tensor, "
            f"{row.number_first}=number)",
            UserWarning,
            stacklevel=4,
        )
        kwargs[row.number_first] = args[1]
        return (args[0], *args[2:])
    return args


def _function(name: str, row: Row, op: Op) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        if kwargs or row.number_first:
            out = kwargs.pop("out", None)
            args = _arranged(row, op, args, kwargs)
            if out is not None:
                return write_out(name, call(op, args, kwargs), out)
        return call(op, args, kwargs)

    return _dressed(function, name, row, name)


def _inplace(name: str, row: Row, op: Op) -> Callable[..., Any]:
    casts = row.casts

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs or row.number_first:
            args = _arranged(row, op, (self, *args), kwargs)[1:]
        return run_inplace(op, self, args, kwargs, casts)

    return _dressed(method, name + "_", row, f"Tensor.{name}_")


def _dressed(function: Callable[..., Any], name: str, row: Row, source: str) -> Callable[..., Any]:
    """``function`` with the name, the signature and the docstring of its row."""
    parameters = [p.replace(annotation=p.empty) for p in inspect.signature(row.fn).parameters.values()]  # of arrays
    what, shape = row.doc or inspect.getdoc(row.fn), row.shape or _usual_shape([p.name for p in parameters])
    if name.endswith("_"):
        what, shape = f"In place, returning the Tensor itself: {what}", "its own, which stays as it is"
    else:
        parameters.append(inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None))
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}\n\nShape: {shape}.\n\nSource: ``torch.{source}``."
    function.__annotations__ = {"return": "Tensor"}
    function.__signature__ = inspect.Signature(parameters, return_annotation="Tensor")  # type: ignore[attr-defined]
    return function


def _usual_shape(names: Sequence[str]) -> str:
    """The shape of a result, by the words that torch uses for parameters."""
    if "keepdim" in names:
        return (
            "that of ``input`` without the dimensions ``dim`` (all by default), or with size one there if ``keepdim``"
        )
    return "that of ``input``" if len(names) == 1 else "the common one to which the tensors broadcast"


def attach(name: str, function: Any) -> None:
    """Make ``function`` a method of Tensor; RuntimeError where there is one."""
    if name in Tensor.__dict__:
        raise RuntimeError(f"Tensor.{name} is there already")
    setattr(Tensor, name, function)


OPS: dict[str, Op] = {name: Op(name, row.fn, row.needs, row.derivative) for name, row in TABLE.items()}
for _name, _row in TABLE.items():
    _op = OPS[_name]
    for _alias in (_name, *_row.aliases):
        if _row.function:
            if _alias in FUNCTIONS:
                raise RuntimeError(f"two rows are named {_alias}")
            FUNCTIONS[_alias] = _function(_alias, _row, _op)
        if _row.method:
            attach(_alias, FUNCTIONS[_alias])
        if _row.inplace:
            attach(_alias + "_", _inplace(_alias, _row, _op))
for _name, _method in {**COMPOSED, **s.METHODS}.items():
    attach(_name, _method)
for _name, _method in s.PROPERTIES.items():
    attach(_name, property(_method))
