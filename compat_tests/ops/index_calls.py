"""Random calls of every function that takes indices, next to torch: a program, so that a crash is seen as one.

    python -m compat_tests.ops.index_calls FIRST COUNT

Half of the indices are wrong: below the first element, behind the last one, or far away. Where torch raises, ours must
raise the same type, and where it does not the values must be equal. In a traced step the values of indices are not
known: there the call must come back, whatever it gives. The process ends with status 0 and prints how many it made.
"""

from __future__ import annotations

import contextlib
import random
import sys
import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx as tm

REFUSALS = (IndexError, RuntimeError, TypeError, ValueError)
FAR = (10**9, -(10**9), 2**40, 2**31 - 1, -(2**31))

#: Torch has several kernels for these, which it chooses by shape, and which raise IndexError or RuntimeError.
OF_TWO_KINDS = {"index_select", "index_add"}

Call = Callable[[Any, Any, Any, Any, int], Any]
#: Name -> the call of (library, x, index, values of the index's shape, dim).
CALLS: dict[str, Call] = {
    "gather": lambda t, x, i, _, dim: t.gather(x, dim, i),
    "take": lambda t, x, i, _, dim: t.take(x, i),
    "take_along_dim": lambda t, x, i, _, dim: t.take_along_dim(x, i, dim),
    "index_select": lambda t, x, i, _, dim: t.index_select(x, dim, i.reshape(-1)),
    "scatter": lambda t, x, i, v, dim: t.scatter(x, dim, i, v),
    "scatter_add": lambda t, x, i, v, dim: t.scatter_add(x, dim, i, v),
    "scatter_": lambda t, x, i, v, dim: (x * 1).scatter_(dim, i, 2.0),
    "index_add": lambda t, x, i, v, dim: t.index_add(x, dim, i[:1, 0], x.narrow(dim, 0, 1)),
    "index_copy": lambda t, x, i, v, dim: t.index_copy(x, dim, i[:1, 0], x.narrow(dim, 0, 1)),
    "index_fill": lambda t, x, i, v, dim: t.index_fill(x, dim, i[:, 0], 5.0),
    "index_put": lambda t, x, i, v, dim: t.index_put(x, (i,), x[0]),
    "index_put added": lambda t, x, i, v, dim: (x * 1).index_put_((i[:, :1],), x[0], accumulate=True),
    "read": lambda t, x, i, v, dim: x[i],
    "read two": lambda t, x, i, v, dim: x[i, i],
    "read int": lambda t, x, i, v, dim: x[int(i[0, 0])],
    "write": lambda t, x, i, v, dim: written(x * 1, i),
    "write int": lambda t, x, i, v, dim: written(x * 1, int(i[0, 0])),
    "select": lambda t, x, i, v, dim: t.select(x, dim, int(i[0, 0])),
    "narrow": lambda t, x, i, v, dim: t.narrow(x, dim, int(i[0, 0]), 1),
    "embedding": lambda t, x, i, v, dim: t.nn.functional.embedding(i, x),
    "nll_loss": lambda t, x, i, v, dim: t.nn.functional.nll_loss(x, i[:1, 0].expand(x.shape[0])),
    "cross_entropy": lambda t, x, i, v, dim: t.nn.functional.cross_entropy(x, i[:1, 0].expand(x.shape[0])),
}


def written(x: Any, index: Any) -> Any:
    """``x`` after a write."""
    x[index] = 3.0
    return x


def made(library: Any, seed: int) -> tuple[str, Any, Any, Any, int]:
    """The arguments of a call, the same in both libraries."""
    rng = random.Random(seed)
    name = rng.choice(list(CALLS))
    rows, columns = rng.randint(1, 5), rng.randint(1, 5)
    dim = rng.choice((0, 1, -1))
    size = columns if dim else rows
    if name == "take":
        size = rows * columns
    wrong = rng.random() < 0.5
    count = (rng.randint(1, min(rows, 3)), rng.randint(1, min(columns, 3)))
    index = np.array([[rng.randrange(size) for _ in range(count[1])] for _ in range(count[0])], np.int64)
    if wrong:
        index[rng.randrange(count[0]), rng.randrange(count[1])] = rng.choice((size, -size - 1, -1, *FAR))
    x = library.tensor(np.arange(1.0, rows * columns + 1, dtype=np.float32).reshape(rows, columns))
    values = library.tensor(np.full(count, 0.5, np.float32))
    return name, x.requires_grad_(), library.tensor(index), values, dim


def outcome(library: Any, seed: int) -> Any:
    """The value and the gradient of a call, or the type of what it raises."""
    name, x, index, values, dim = made(library, seed)
    try:
        out = CALLS[name](library, x, index, values, dim)
        (out * out).sum().backward()
    except REFUSALS as error:
        return "IndexError" if name in OF_TWO_KINDS else type(error).__name__
    return np.array(out.detach().tolist()), np.array(x.grad.tolist())


def traced(seed: int) -> None:
    """The same call in a step that MLX traces, where nobody can look at the indices."""
    name, x, index, values, dim = made(tm, seed)

    def step(x: mx.array, index: mx.array) -> mx.array:
        return CALLS[name](tm, tm.Tensor(x), tm.Tensor(index), values, dim).array

    with contextlib.suppress(*REFUSALS):  # the int of a traced array, for one
        mx.eval(mx.grad(lambda a: step(a, index.array).sum())(x.array))


def main(first: int, count: int) -> None:
    """Make ``count`` calls, and end with status 1 at the first difference."""
    warnings.simplefilter("ignore")
    for seed in range(first, first + count):
        theirs, mine = outcome(torch, seed), outcome(tm, seed)
        same = (
            theirs == mine
            if isinstance(theirs, str) or isinstance(mine, str)
            else all(a.shape == b.shape and np.allclose(a, b) for a, b in zip(theirs, mine, strict=True))
        )
        if not same:
            name, x, index, _, dim = made(torch, seed)
            sys.exit(f"seed {seed}: {name} of {tuple(x.shape)} at {index.tolist()}, dim {dim}: {theirs}, here {mine}")
        traced(seed)
    sys.stdout.write(f"{count} calls\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
