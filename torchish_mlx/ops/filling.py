"""Random numbers in place: methods of Tensor that fill it with torch's numbers, in the order of its memory."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .._core.promotion import FLOATS
from .._tensor.tensor import Tensor
from ..random import _bounds, _draws, _normals
from ..random._order import in_memory, memory_order
from ._declare import attach
from ._numbers import fill, integer, number
from .shaping import expand


def _named(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments ``from`` and ``to``, which can't be parameters in Python."""
    if not args and not kwargs:
        return {}
    if len(args) > 2:
        raise TypeError(f"{name}() takes from 0 to 2 positional arguments but {len(args)} were given")
    given: dict[str, Any] = dict(zip(("from", "to"), args, strict=False))
    for key, value in kwargs.items():
        if key not in ("from", "to") or key in given:
            raise TypeError(f"{name}() got an unexpected keyword argument {key!r}")
        given[key] = value
    return given


def _uniform_(self: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Uniform numbers from ``from`` (0) up to ``to`` (1), which is left out: ``uniform_(from, to)``.

    Raises:
        RuntimeError: ``from`` is larger than ``to``, or the dtype does not have them.
        NotImplementedError: integers.

    Source: ``torch.Tensor.uniform_``.

    >>> import torchish_mlx as torch
    >>> torch.zeros(3).uniform_(1, 2, generator=torch.Generator().manual_seed(0))
    tensor([1.4963, 1.7682, 1.0885])
    """
    given = _named("uniform_", args, kwargs)
    low, high = number("uniform_", "from", given.get("from", 0.0)), number("uniform_", "to", given.get("to", 1.0))
    dtype = self.array.dtype
    _bounds.refuse_uniform(low, high, dtype)
    return fill("uniform_", self, generator, _draws.uniform, low, high, dtype)


def _random_(self: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Integers from ``from`` (0) up to ``to``, which is left out: ``random_(to)``, ``random_(from, to)``.

    Without bounds, and up to ``to=None``, they go to the largest integer that the dtype can hold with all below it.

    Raises:
        RuntimeError: ``from`` is not less than ``to``, or the dtype does not have them.

    Source: ``torch.Tensor.random_``.

    >>> import torchish_mlx as torch
    >>> torch.zeros(5).random_(10, generator=torch.Generator().manual_seed(0))
    tensor([4., 9., 3., 0., 3.])
    """
    given = _named("random_", args, kwargs)
    dtype = self.array.dtype
    if "from" in given and "to" not in given and args:
        given = {"to": given["from"]}
    if not given:
        _bounds.refuse_dtype("random_kernel_cpu", dtype, _bounds.COMMON)
        return fill("random_", self, generator, _draws.any_of, dtype)
    low = integer("random_", "from", given.get("from", 0))
    if given.get("to") is None:
        span = _bounds.integers_from(low, dtype)
    else:
        span = _bounds.integers(low, integer("random_", "to", given["to"]), dtype)
    if span is None:
        return fill("random_", self, generator, _draws.any_long, dtype)
    return fill("random_", self, generator, _draws.between, *span, dtype)


def _normal_(self: Tensor, mean: float = 0, std: float = 1, *, generator: Any = None) -> Tensor:
    """Normal numbers of a mean and a standard deviation.

    Raises:
        RuntimeError: a negative ``std``.
        NotImplementedError: integers.

    Source: ``torch.Tensor.normal_``.

    >>> import torchish_mlx as torch
    >>> torch.zeros(3).normal_(generator=torch.Generator().manual_seed(0))
    tensor([ 1.5410, -0.2934, -2.1788])
    """
    dtype, mean, std = self.array.dtype, number("normal_", "mean", mean), number("normal_", "std", std)
    _bounds.refuse_normal(std, dtype)
    return fill("normal_", self, generator, _normals.normal, mean, std, dtype, self.is_contiguous())


def probabilities(kernel: str, p: mx.array) -> np.ndarray:
    """Probabilities in NumPy, halves in float32; refused where one is not from 0 to 1."""
    _bounds.refuse_dtype(kernel, p.dtype, FLOATS)
    values = np.array(p if p.dtype == mx.float64 else p.astype(mx.float32))
    if not ((values >= 0) & (values <= 1)).all():
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    return values


def probability(p: Any) -> float:
    """One probability, from 0 to 1."""
    p = number("bernoulli_", "p", p)
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    return p


def _bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """1 with probability ``p``, else 0; ``p`` may be a Tensor of floats that broadcasts to this one.

    Raises:
        RuntimeError: a probability that is not from 0 to 1.
        NotImplementedError: complex numbers; probabilities that are integers.

    Source: ``torch.Tensor.bernoulli_``.

    >>> import torchish_mlx as torch
    >>> torch.zeros(5).bernoulli_(0.5, generator=torch.Generator().manual_seed(0))
    tensor([0., 0., 1., 0., 0.])
    """
    dtype = self.array.dtype
    if isinstance(p, (Tensor, mx.array)):
        each = p if isinstance(p, Tensor) else Tensor(p)
        _bounds.refuse_dtype("bernoulli_tensor_cpu_self_", dtype, _bounds.COMMON)
        spread = expand(each, self.shape)
        values = probabilities("bernoulli_tensor_cpu_p_", spread.array)
        flat = in_memory(values, memory_order(self.shape, self.stride()))
        return fill("bernoulli_", self, generator, _draws.bernoulli_each, flat, dtype, by=spread)
    chance = probability(p)
    _bounds.refuse_dtype("bernoulli_scalar_cpu_", dtype, _bounds.COMMON)
    return fill("bernoulli_", self, generator, _draws.bernoulli, chance, dtype)


def _exponential_(self: Tensor, lambd: float = 1, *, generator: Any = None) -> Tensor:
    """Exponential numbers of rate ``lambd``: their mean is 1 / lambd.

    Raises:
        RuntimeError: ``lambd`` is not above 0; a dtype that is not floating.

    Source: ``torch.Tensor.exponential_``.

    >>> import torchish_mlx as torch
    >>> torch.zeros(3).exponential_(generator=torch.Generator().manual_seed(0))
    tensor([3.5083, 1.2304, 0.6150])
    """
    dtype, rate = self.array.dtype, number("exponential_", "lambd", lambd)
    _bounds.refuse_continuous("Exponential", dtype)
    if not rate > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
    return fill("exponential_", self, generator, _draws.exponential, rate, dtype)


def _geometric_(self: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """How many trials of probability ``p`` it takes until one succeeds.

    Raises:
        RuntimeError: ``p`` is not above 0 and below 1.
        NotImplementedError: truth values and complex numbers.

    Source: ``torch.Tensor.geometric_``.

    >>> import torchish_mlx as torch
    >>> torch.zeros(3).geometric_(0.5, generator=torch.Generator().manual_seed(0))
    tensor([1., 1., 2.])
    """
    dtype, chance = self.array.dtype, number("geometric_", "p", p)
    if not 0 < chance < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={chance:g}")
    _bounds.refuse_dtype("geometric_cpu", dtype, _bounds.COMMON - {mx.bool_})
    return fill("geometric_", self, generator, _draws.geometric, chance, dtype)


def _cauchy_(self: Tensor, median: float = 0, sigma: float = 1, *, generator: Any = None) -> Tensor:
    """Numbers of Cauchy's distribution: median + sigma * tan(pi * (u - 1/2)) of a uniform u.

    Raises:
        RuntimeError: ``sigma`` is not above 0; a dtype that is not floating.

    Source: ``torch.Tensor.cauchy_``.

    >>> import torchish_mlx as torch
    >>> torch.zeros(3).cauchy_(generator=torch.Generator().manual_seed(0))
    tensor([10.5977,  0.7648, -0.1283])
    """
    dtype, middle, width = self.array.dtype, number("cauchy_", "median", median), number("cauchy_", "sigma", sigma)
    if not width > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={width:g}")
    _bounds.refuse_continuous("Cauchy", dtype)
    return fill("cauchy_", self, generator, _draws.cauchy, middle, width, dtype)


def _log_normal_(self: Tensor, mean: float = 1, std: float = 2, *, generator: Any = None) -> Tensor:
    """e to the power of normal numbers of a mean and a standard deviation.

    Raises:
        RuntimeError: ``std`` is not above 0.
        NotImplementedError: a dtype that is not floating.

    Source: ``torch.Tensor.log_normal_``.

    >>> import torchish_mlx as torch
    >>> torch.zeros(3).log_normal_(0, 0.5, generator=torch.Generator().manual_seed(0))
    tensor([2.1608, 0.8635, 0.3364])
    """
    dtype, middle, width = self.array.dtype, number("log_normal_", "mean", mean), number("log_normal_", "std", std)
    if not width > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={width:g}")
    _bounds.refuse_dtype("log_normal_cpu", dtype, FLOATS)
    return fill("log_normal_", self, generator, _normals.log_normal, middle, width, dtype)


for _method in (_uniform_, _random_, _normal_, _bernoulli_, _exponential_, _geometric_, _cauchy_, _log_normal_):
    _method.__name__ = _method.__qualname__ = _method.__name__[1:]
    attach(_method.__name__, _method)
