"""``einsum``: an equation is read here, and worked out as sums, views and products of two Tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.promotion import NAMES, cast, result_type
from .._tensor.tensor import Tensor
from ._declare import op
from ._op import Array
from .indexing import getitem
from .matmul import product
from .reduction import sum as sum_over
from .shaping import permute, reshape

Labels = tuple[Any, ...]  # a letter for each dimension; numbers for those of an ellipsis


class Equation(NamedTuple):
    """What an equation says of the dimensions of each operand, and of the result."""

    operands: list[Labels]
    output: Labels


def _letters(text: str, before: int, what: str) -> list[str]:
    """The letters of a term, with "..." as one of them."""
    found, i = list[str](), 0
    while i < len(text):
        letter = text[i]
        if letter == ".":
            if "..." in found:
                raise RuntimeError(f"einsum(): found '.' for {what} for which an ellipsis was already found")
            if text[i : i + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' for {what} that is not part of any ellipsis")
            letter, i = "...", i + 2
        elif letter != " " and not (letter.isascii() and letter.isalpha()):
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {before + i} in the equation string, subscripts must be "
                "in [a-zA-Z]"
            )
        if letter != " ":
            found.append(letter)
        i += 1
    return found


def _counted(letters: list[str], ndim: int, k: int) -> int:
    """How many dimensions the ellipsis of an operand means; RuntimeError where the letters do not fit."""
    named = len(letters) - ("..." in letters)
    if "..." in letters:
        if named > ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) is more than the number of dimensions "
                f"({ndim}) for operand {k}"
            )
    elif named != ndim:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) does not match the number of dimensions "
            f"({ndim}) for operand {k} and no ellipsis was given"
        )
    return ndim - named


def _read(equation: str, ndims: Sequence[int]) -> Equation:
    """The labels of an equation; an ellipsis is numbered so that the last of its dimensions agree."""
    left, arrow, right = equation.partition("->")
    texts = left.split(",")
    if len(texts) != len(ndims):
        which = "fewer" if len(ndims) < len(texts) else "more"
        raise RuntimeError(f"einsum(): {which} operands were provided than specified in the equation")
    terms, before = [], 0
    for k, text in enumerate(texts):
        terms.append(_letters(text, before, f"operand {k}"))
        before += len(text) + 1
    counts = [_counted(term, ndim, k) for k, (term, ndim) in enumerate(zip(terms, ndims, strict=True))]
    most = max(n if "..." in term else 0 for term, n in zip(terms, counts, strict=True))

    def labels(term: list[str], count: int) -> Labels:
        dots = range(most - count, most)
        return tuple(label for letter in term for label in (dots if letter == "..." else (letter,)))

    operands = [labels(term, n) for term, n in zip(terms, counts, strict=True)]
    if arrow:
        return Equation(operands, _output(labels(_letters(right, before + 1, "output"), most), operands))
    every = [label for found in operands for label in found]
    once = sorted(label for label in every if isinstance(label, str) and every.count(label) == 1)
    return Equation(operands, (*range(most), *once))


def _output(output: Labels, operands: list[Labels]) -> Labels:
    for label in output:
        if output.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        if not any(label in labels for labels in operands):
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
    return output


def _check_sizes(operands: list[Labels], shapes: Sequence[Sequence[int]]) -> None:
    """Refuse a letter of several sizes; a size of one is repeated."""
    seen: dict[Any, int] = {}
    for k, (labels, shape) in enumerate(zip(operands, shapes, strict=True)):
        own: dict[Any, int] = {}
        for label, n in zip(labels, shape, strict=True):
            if own.setdefault(label, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {k} but the sizes don't match, {n} != "
                    f"{own[label]}"
                )
            if seen.get(label, 1) != 1 and n not in (1, seen[label]):
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {n} for operand {k} which does not broadcast with "
                    f"previously seen size {seen[label]}"
                )
            seen[label] = n if seen.get(label, 1) == 1 else seen[label]


def _diagonals(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """Each letter once: the diagonal of the dimensions that have the same."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            a = labels.index(label)
            b = labels.index(label, a + 1)
            rest = [d for d in range(x.ndim) if d not in (a, b)]
            n = x.shape[a]
            x = reshape(permute(x, (*rest, a, b)), (*[x.shape[d] for d in rest], n * n))
            x = getitem(x, (..., slice(None, None, n + 1)))
            labels = (*[labels[d] for d in rest], label)
    return x, labels


def _summed(x: Tensor, labels: Labels, kept: set[Any]) -> tuple[Tensor, Labels]:
    """``x`` summed over the dimensions whose letters are not in ``kept``."""
    gone = [d for d, label in enumerate(labels) if label not in kept]
    if not gone:
        return x, labels
    return sum_over(x, gone), tuple(label for label in labels if label in kept)


def _contracted(a: mx.array, left: Labels, b: mx.array, right: Labels, output: Labels) -> mx.array:
    """The product of two arrays, summed over the letters of both that ``output`` does not have."""
    sizes: dict[Any, int] = {}
    for labels, shape in ((left, a.shape), (right, b.shape)):
        for label, n in zip(labels, shape, strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    both = [label for label in left if label in right and label in output]
    summed = [label for label in left if label in right and label not in output]
    first = [label for label in left if label not in right]
    second = [label for label in right if label not in left]

    def arranged(x: mx.array, labels: Labels, *groups: list[Any]) -> mx.array:
        order = [label for group in groups for label in group]
        x = mx.transpose(x, [labels.index(label) for label in order]) if order else x
        x = mx.broadcast_to(x, [sizes[label] for label in order])
        return mx.reshape(x, [math.prod(sizes[label] for label in group) for group in groups])

    if summed:
        if a.dtype != b.dtype:
            raise RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {NAMES[a.dtype]} != {NAMES[b.dtype]}"
            )
        out = product(arranged(a, left, both, first, summed), arranged(b, right, both, summed, second))
    else:
        dtype = result_type(a, b)
        one, other = arranged(a, left, both, first, []), arranged(b, right, both, [], second)
        out = cast(one, dtype) * cast(other, dtype)
    order = both + first + second
    out = mx.reshape(out, [sizes[label] for label in order])
    return mx.transpose(out, [order.index(label) for label in output]) if order else out


def _fitted(g: mx.array, shape: Sequence[int]) -> mx.array:
    """A gradient in the shape of its operand, which had a size of one where the other had more, or the reverse."""
    repeated = [d for d, n in enumerate(shape) if n == 1 and g.shape[d] != 1]
    return mx.broadcast_to(mx.sum(g, axis=repeated, keepdims=True) if repeated else g, shape)


@op(
    grad={
        "input": lambda g, other, input_shape, left, right, output: _fitted(
            _contracted(g, output, other, right, left), input_shape
        ),
        "other": lambda g, input, other_shape, left, right, output: _fitted(
            _contracted(g, output, input, left, right), other_shape
        ),
    },
    name="einsum.pair",
    function=False,
    method=False,
    node="ViewBackward0",
)
def _pair(input: Array, other: Array, left: Any, right: Any, output: Any) -> mx.array:
    """The product of two operands, summed over the letters of both that are needed no more."""
    return _contracted(input, left, other, right, output)


def _listed(args: Sequence[Any]) -> tuple[str, list[Any]]:
    """The equation that operands mean when a list of numbers follows each of them."""

    def letters(numbers: Sequence[Any]) -> str:
        found = ""
        for n in numbers:
            if n is not Ellipsis and not 0 <= n < 52:
                raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
            found += "..." if n is Ellipsis else chr(ord("A") + n) if n < 26 else chr(ord("a") + n - 26)
        return found

    equation = ",".join(letters(numbers) for numbers in args[1::2])
    if len(args) % 2:
        equation += "->" + letters(args[-1])
    return equation, list(args[: len(args) // 2 * 2 : 2])


def einsum(*args: Any) -> Tensor:
    """The sum of products that an equation names: a letter for each dimension of each operand, and of the result.

    ``einsum("ij,jk->ik", a, b)`` is the product of two matrices. Instead of an equation, each operand may be followed
    by a list of numbers.

    Source: ``torch.einsum``.

    >>> import torchish_mlx as tm
    >>> tm.einsum("i,i->", tm.ones(3), tm.ones(3))
    tensor(3.)
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    equation, given = (args[0], list(args[1:])) if not isinstance(args[0], (Tensor, mx.array)) else _listed(args)
    if not isinstance(equation, str):
        raise TypeError(f"einsum(): argument 'equation' (position 1) must be str, not {type(equation).__name__}")
    if len(given) == 1 and isinstance(given[0], (list, tuple)):
        given = list(given[0])
    tensors = [t if isinstance(t, Tensor) else Tensor(t) for t in given]
    labels, output = _read(equation, [t.ndim for t in tensors])
    _check_sizes(labels, [t.shape for t in tensors])
    operands = [_diagonals(t, of) for t, of in zip(tensors, labels, strict=True)]
    x, left = operands[0]
    for k, (other, right) in enumerate(operands[1:], 2):
        later = set(output).union(*[of for _, of in operands[k:]])
        x, left = _summed(x, left, later | set(right))
        other, right = _summed(other, right, later | set(left))
        out = tuple(label for label in dict.fromkeys((*left, *right)) if label in later)
        x, left = _pair(x, other, left, right, out), out
    x, left = _summed(x, left, set(output))
    order = [left.index(label) for label in output]
    result: Tensor = permute(x, order) if order != sorted(order) else x
    return result
