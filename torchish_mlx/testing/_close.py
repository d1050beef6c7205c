"""``assert_close``: nests of arrays from any library, equal within some ulps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ._ulps import PRECISIONS, as_numpy, common_dtype, dtype_name
from ._ulps import ulps as ulps_of


def assert_close(
    actual: Any,
    expected: Any,
    *,
    ulps: float = 4,
    scale: str = "element",
    check_dtype: bool = True,
    equal_nan: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise AssertionError where ``actual`` is more than some units in the last place (ulps) off ``expected``.

    Structure, shapes and dtypes are compared first. The message names the entry, its worst element, both values, the
    error, and how many elements are off.

    Args:
        actual: an ``mx.array``, a Tensor, a NumPy array, a number, or another library's tensor, such as torch's; or
            dicts, lists and tuples of these. What is no number (a str, None) has to be equal.
        expected: the same. Its dtype says what an ulp is; a Python number has the dtype of the array on the other side.
        ulps: how many are allowed, 0 or more. Integers and booleans have to be equal.
        scale: "element" measures each element by its own ulp, "tensor" all by the ulp of the largest; see :func:`ulps`.
        check_dtype: whether arrays must be of the same dtype, by name: float32 of MLX and of torch are the same.
        equal_nan: whether nan equals nan.
        msg: a message instead of this function's, or a function from this to that.

    Raises:
        AssertionError: they are not close.
        ValueError: a negative ``ulps``, another ``scale``.
        TypeError: complex numbers, and what is neither array nor number on one side only.

    >>> import mlx.core as mx
    >>> import numpy as np
    >>> assert_close({"w": mx.sqrt(mx.array([2.0]))}, {"w": np.sqrt(np.array([2.0], "f4"))})
    >>> assert_close(mx.array([1.0, 2.0]), mx.array([1.0, 2.1]))
    Traceback (most recent call last):
    ...
    AssertionError: the values are not close: 1 of 2 elements is off by more than 4 ulps of float32
    worst: at (1,), actual 2.0, expected 2.1: 4.19e+05 ulps

    Source: ``torch.testing.assert_close``, which takes absolute and relative tolerances.
    """
    if not ulps >= 0:
        raise ValueError(f"ulps is a number of 0 or more, not {ulps!r}")
    pairs = list(_pairs(actual, expected, "", msg))
    for a, b, where in pairs:
        _check_kind(a, b, where, check_dtype, msg)
    for a, b, where in pairs:
        if not _is_number(b):
            if a != b:
                _fail(f"{_named(where)} not equal: actual {a!r}, expected {b!r}", msg)
            continue
        errors = ulps_of(a, b, scale=scale, equal_nan=equal_nan)
        dtype = common_dtype(a, b)
        allowed = ulps if dtype in PRECISIONS else 0
        off = int(np.sum(errors > allowed))
        if off:
            limit = f"off by more than {ulps:g} ulps of {dtype}" if allowed else "not equal"
            _fail(
                f"{_named(where)} not close: {off} of {errors.size} elements {'is' if off == 1 else 'are'} {limit}\n"
                f"{worst(a, b, errors)}",
                msg,
            )


def worst(actual: Any, expected: Any, errors: np.ndarray) -> str:
    """The largest of ``errors`` in words: where, both values, how many ulps."""
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(errors)), errors.shape))
    a, b = (shortest(value, index) for value in (actual, expected))
    return f"worst: at {index}, actual {a}, expected {b}: {errors[index]:.3g} ulps"


def shortest(value: Any, index: tuple[int, ...]) -> str:
    """An element, written as its dtype prints it."""
    number = as_numpy(value)[index]
    dtype = dtype_name(value)
    return str({"float32": np.float32, "float16": np.float16, "bfloat16": np.float32}.get(dtype or "", float)(number))


def _pairs(actual: Any, expected: Any, where: str, msg: Any) -> Iterator[tuple[Any, Any, str]]:
    """The leaves of both, and what each is called."""
    if isinstance(actual, Mapping) or isinstance(expected, Mapping):
        if not (isinstance(actual, Mapping) and isinstance(expected, Mapping)):
            _fail(f"{_named(where)} of different kinds: {_kind(actual)} and {_kind(expected)}", msg)
        missing = [key for key in expected if key not in actual]
        unexpected = [key for key in actual if key not in expected]
        if missing or unexpected:
            _fail(
                f"{_named(where)} dicts with different keys: only actual has {unexpected}, only expected has {missing}",
                msg,
            )
        for key in expected:
            yield from _pairs(actual[key], expected[key], f"{where}[{key!r}]", msg)
    elif _is_list(actual) and _is_list(expected):
        if len(actual) != len(expected):
            _fail(f"{_named(where)} of different lengths: {len(actual)} and {len(expected)}", msg)
        for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
            yield from _pairs(a, b, f"{where}[{i}]", msg)
    else:
        yield actual, expected, where


def _check_kind(a: Any, b: Any, where: str, check_dtype: bool, msg: Any) -> None:
    """Whether two leaves are comparable: both numbers or both not, of one shape and dtype."""
    if _is_number(a) != _is_number(b):
        _fail(f"{_named(where)} of different kinds: {_kind(a)} and {_kind(b)}", msg)
    if not _is_number(b):
        return
    shapes = [list(as_numpy(x).shape) for x in (a, b)]
    if shapes[0] != shapes[1]:
        _fail(f"{_named(where)} of different shapes: actual {shapes[0]}, expected {shapes[1]}", msg)
    dtypes = dtype_name(a), dtype_name(b)
    if check_dtype and None not in dtypes and dtypes[0] != dtypes[1]:
        _fail(
            f"{_named(where)} of different dtypes: actual {dtypes[0]}, expected {dtypes[1]}; check_dtype=False "
            "compares the numbers alone",
            msg,
        )


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and not hasattr(value, "dtype")


def _is_number(value: Any) -> bool:
    return hasattr(value, "dtype") or isinstance(value, (int, float, complex)) or _is_list(value)


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _named(where: str) -> str:
    return f"the values at {where} are" if where else "the values are"


def _fail(text: str, msg: str | Callable[[str], str] | None) -> None:
    raise AssertionError(text if msg is None else msg(text) if callable(msg) else msg)
