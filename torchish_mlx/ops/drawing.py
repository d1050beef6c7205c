"""New Tensors of random numbers: the numbers that torch draws on the CPU with the same seed."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .._core.device import CPU, check_placement, contiguous_format
from .._core.dtypes import DtypeLike, mlx_dtype
from .._core.promotion import COMPLEX, FLOATS, NAMES, category
from .._tensor.tensor import Tensor, wrap
from .._tensor.views import row_major
from ..random import _bounds, _choices, _counts, _draws, _normals
from ..random._order import in_order, memory_order
from ..random._rounding import DIGITS
from ..random.generator import chosen
from ._declare import composed, op
from ._numbers import Draw, drawn, integer, new, number, replaced, sizes
from ._op import Array
from ._out import write_out
from .arithmetic import add, mul
from .filling import probabilities, probability
from .ranges import dtype_of, made


def _uniforms(dtype: mx.Dtype) -> Draw:
    """Uniform numbers from 0 to 1 of a dtype, which is refused where it has none."""
    _bounds.refuse_uniform(0.0, 1.0, dtype)
    return _draws.uniform, 0.0, 1.0, dtype


def _normals_of(mean: float, std: float, dtype: mx.Dtype, contiguous: bool = True) -> Draw:
    """Normal numbers of a dtype, as torch draws them for a tensor that is contiguous or is not."""
    _bounds.refuse_normal(std, dtype)
    return _normals.normal, mean, std, dtype, contiguous


def _integers(low: int, high: int, dtype: mx.Dtype) -> Draw:
    """Integers from ``low`` up to ``high`` of a dtype, which is refused where it does not have them."""
    return _draws.between, *_bounds.integers(low, high, dtype), dtype


def rand(
    *sizes_: Any,
    size: Any = None,
    generator: Any = None,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers from 0 up to 1, which is left out: ``rand(2, 3)``.

    Args:
        *sizes_: the shape, as numbers or as a tuple.
        size: the same by name.
        generator: where the numbers come from; the default generator if None.
        out: a Tensor to write to.
        dtype: the default dtype unless said otherwise.
        device: a device that this machine has; it does not change the numbers.
        requires_grad: whether a gradient is wanted for the new Tensor.

    Raises:
        NotImplementedError: a dtype of integers.
        RuntimeError: a negative size, a draw inside a function that MLX compiles.

    Source: ``torch.rand``.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2, 2)
    tensor([[0.4963, 0.7682],
            [0.0885, 0.1320]])
    """
    shape, kind = sizes("rand", sizes_, size), dtype_of("rand", dtype, out)
    return new("rand", shape, None, kind, _uniforms(kind), generator, out, device, requires_grad)


def randn(
    *sizes_: Any,
    size: Any = None,
    generator: Any = None,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of mean 0 and variance 1; arguments and errors as for ``rand``.

    Source: ``torch.randn``.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randn(3)
    tensor([ 1.5410, -0.2934, -2.1788])
    """
    shape, kind = sizes("randn", sizes_, size), dtype_of("randn", dtype, out)
    return new("randn", shape, None, kind, _normals_of(0.0, 1.0, kind), generator, out, device, requires_grad)


def _low_and_high(name: str, args: tuple[Any, ...], low: Any, high: Any) -> tuple[int, int]:
    """The bounds of ``name(high)`` and ``name(low, high)``."""
    named = {"low": low, "high": high}
    given = dict(zip(("high",) if len(args) == 1 else ("low", "high"), args, strict=False))
    if len(args) > 2 or any(named[key] is not None for key in given) or (len(args) == 1 and low is not None):
        raise TypeError(f"{name}() takes high, or low and high, each once")
    given = {**{key: value for key, value in named.items() if value is not None}, **given}
    if "high" not in given:
        raise TypeError(f"{name}() received an invalid combination of arguments: 'high' is missing")
    return integer(name, "low", given.get("low", 0)), integer(name, "high", given["high"])


def randint(
    *args: Any,
    low: Any = None,
    high: Any = None,
    size: Any = None,
    generator: Any = None,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from ``low`` (0) up to ``high``, which is left out: ``randint(high, size)`` or ``(low, high, size)``.

    int64 unless ``dtype`` or ``out`` says otherwise; the other arguments are as for ``rand``.

    Raises:
        RuntimeError: ``low`` is not less than ``high``, or the dtype does not have them.
        ValueError: a bound that does not fit into 64 bits.

    Source: ``torch.randint``.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randint(10, (5,))
    tensor([4, 9, 3, 0, 3])
    """
    if size is None:
        if len(args) < 1 or isinstance(args[-1], (int, float)) or (isinstance(args[-1], Tensor) and not args[-1].ndim):
            raise TypeError("randint(): argument 'size' must be tuple of ints, and comes after 'high'")
        *args, size = args  # type: ignore[assignment]
    shape = sizes("randint", (), size)
    kind = dtype_of("randint", dtype, out, mx.int64)
    bounds = _low_and_high("randint", tuple(args), low, high)
    return new("randint", shape, None, kind, _integers(*bounds, kind), generator, out, device, requires_grad)


def randperm(
    n: Any,
    *,
    generator: Any = None,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers from 0 up to ``n``, which is left out, in random order; arguments as for ``rand``.

    Raises:
        RuntimeError: a negative ``n``, or one whose numbers the dtype does not have.

    Source: ``torch.randperm``.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randperm(5)
    tensor([4, 0, 1, 3, 2])
    """
    count, kind = integer("randperm", "n", n), dtype_of("randperm", dtype, out, mx.int64)
    if count < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {count}: [{count}]")
    _bounds.refuse_dtype("randperm", kind, _bounds.COMMON - {mx.bool_})
    if kind in DIGITS and count > 2 ** DIGITS[kind] + 1:
        raise RuntimeError(f"n cannot be greater than {2 ** DIGITS[kind] + 1} for {NAMES[kind]} type.")
    if kind not in DIGITS and count > _bounds.largest(kind) + 1:
        raise RuntimeError(f"value cannot be converted to type {mx.iinfo(kind).max} without overflow")
    draw: Draw = (_draws.permutation, kind)
    return new("randperm", (count,), (0,), kind, draw, generator, out, device, requires_grad)


def _like(name: str, input: Any, dtype: Any, memory_format: Any) -> tuple[Any, list[int], mx.Dtype]:
    """The shape of ``input``, its axes in the order of memory, and the dtype that is asked for or its own."""
    check_placement(memory_format=memory_format)
    if isinstance(input, (mx.array, np.ndarray)):
        input = wrap(mx.array(input))
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    strides = row_major(input.shape) if memory_format is contiguous_format else input._storage.strides()
    return input.shape, memory_order(input.shape, strides), mlx_dtype(dtype, name) or input.array.dtype


def _where(input: Any, device: Any) -> Any:
    """The device that is asked for, or that of ``input``."""
    return device if device is not None else input.device if isinstance(input, Tensor) else CPU


def rand_like(
    input: Tensor,
    *,
    generator: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """As ``rand``, of the shape and dtype of ``input``, and drawn in the order of its memory.

    Source: ``torch.rand_like``.

    >>> import torchish_mlx as torch
    >>> torch.rand_like(torch.ones(2), generator=torch.Generator().manual_seed(0))
    tensor([0.4963, 0.7682])
    """
    shape, order, kind = _like("rand_like", input, dtype, memory_format)
    draw = _uniforms(kind)
    return new("rand_like", shape, order, kind, draw, generator, None, _where(input, device), requires_grad)


def randn_like(
    input: Tensor,
    *,
    generator: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """As ``randn``, of the shape and dtype of ``input``, and drawn in the order of its memory.

    Source: ``torch.randn_like``.

    >>> import torchish_mlx as torch
    >>> torch.randn_like(torch.ones(2), generator=torch.Generator().manual_seed(0))
    tensor([ 1.5410, -0.2934])
    """
    shape, order, kind = _like("randn_like", input, dtype, memory_format)
    draw = _normals_of(0.0, 1.0, kind, in_order(shape, order))
    return new("randn_like", shape, order, kind, draw, generator, None, _where(input, device), requires_grad)


def uniforms_like(input: Tensor, low: float, high: float, generator: Any) -> Tensor:
    """What ``torch.empty_like(input).uniform_(low, high)`` is."""
    _bounds.refuse_uniform(low, high, input.array.dtype)
    shape, order, kind = _like("uniform_", input, None, None)
    return new("uniform_", shape, order, kind, (_draws.uniform, low, high, kind), generator)


def normals_like(input: Tensor, mean: float, std: float, generator: Any) -> Tensor:
    """What ``torch.empty_like(input).normal_(mean, std)`` is."""
    shape, order, kind = _like("normal_", input, None, None)
    return new("normal_", shape, order, kind, _normals_of(mean, std, kind, in_order(shape, order)), generator)


def randint_like(
    input: Tensor,
    *args: Any,
    low: Any = None,
    high: Any = None,
    generator: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """As ``randint``, of the shape and dtype of ``input``: ``randint_like(input, high)``, or ``low, high``.

    Source: ``torch.randint_like``.

    >>> import torchish_mlx as torch
    >>> torch.randint_like(torch.ones(5), 10, generator=torch.Generator().manual_seed(0))
    tensor([4., 9., 3., 0., 3.])
    """
    shape, order, kind = _like("randint_like", input, dtype, memory_format)
    draw = _integers(*_low_and_high("randint_like", args, low, high), kind)
    return new("randint_like", shape, order, kind, draw, generator, None, _where(input, device), requires_grad)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of a mean and a standard deviation: ``normal(0, 1, (2, 3))``, or with Tensors that broadcast.

    ``mean`` and ``std`` are numbers with a ``size``, or one or two Tensors without one: their gradients are 0, as in
    torch. The other arguments are as for ``rand``; ``dtype``, ``device`` and ``requires_grad`` with a ``size`` only.

    Raises:
        RuntimeError: a negative ``std``.

    Source: ``torch.normal``.

    >>> import torchish_mlx as torch
    >>> torch.normal(torch.tensor([0.0, 100.0]), 1.0, generator=torch.Generator().manual_seed(0))
    tensor([ 1.5410, 99.7066])
    """
    given = [x for x in (mean, std) if isinstance(x, (Tensor, mx.array))]
    if size is not None:
        kind, shape = dtype_of("normal", dtype, out), sizes("normal", (), size)
        draw = _normals_of(number("normal", "mean", mean), number("normal", "std", std), kind)
        return new("normal", shape, None, kind, draw, generator, out, device, requires_grad)
    if not given:
        raise TypeError("normal() of two numbers needs a size: normal(mean, std, size)")
    if dtype is not None or device is not None or requires_grad:
        raise TypeError("normal() takes dtype, device and requires_grad with a size only")
    center, spread = (Tensor(x) if isinstance(x, mx.array) else x for x in (mean, std))
    source = chosen("normal", generator)
    if out is None:
        return _normal_of(source, center, spread)
    return source.undoing(lambda: write_out("normal", _normal_of(source, center, spread, out.array.dtype), out))


def _normal_of(source: Any, mean: Any, std: Any, dtype: mx.Dtype | None = None) -> Tensor:
    """Torch's steps: the numbers, times a Tensor ``std``, plus a Tensor ``mean``, each rounded."""
    first = mean if isinstance(mean, Tensor) else std
    kind = dtype or first.array.dtype
    shape = add(first.detach(), std.detach() if isinstance(std, Tensor) else 0).shape  # refuses others; not computed
    if not isinstance(std, Tensor):
        draw = _normals_of(0.0, number("normal", "std", std), kind)
    else:
        low = std.array.size and bool((std.array < 0).any())
        if category(std.array.dtype) == COMPLEX:
            raise RuntimeError("normal expects standard deviation to be non-complex")
        if low:
            raise RuntimeError("normal expects all elements of std >= 0.0")
        draw = _normals_of(0.0, 1.0, kind)
    numbers = wrap(drawn(source, draw, kind, shape, range(len(shape))))
    if isinstance(std, Tensor):
        numbers = mul(numbers, std.detach())
    numbers = add(numbers, mean.detach() if isinstance(mean, Tensor) else mean).to(kind)
    for x in (mean, std):
        if isinstance(x, Tensor):
            numbers = replaced(x, numbers)
    return numbers


@op(random=True, grad={"input": lambda g: mx.zeros_like(g)}, name="bernoulli.p", function=False, method=False)
def _bernoulli(input: Array, p: Any, generator: Any) -> mx.array:
    """1 with a probability, else 0, in the order of the elements."""
    dtype = input.dtype
    draw: Draw = (_draws.bernoulli, p, dtype)
    if p is None:
        draw = (_draws.bernoulli_each, probabilities("bernoulli_tensor_cpu_p_", input).ravel(), dtype)
    return drawn(generator, draw, dtype, input.shape, range(input.ndim))


@composed(shape="that of ``input``")
def bernoulli(input: Tensor, p: Any = None, *, generator: Any = None, out: Any = None) -> Tensor:
    """1 with a probability, else 0: the probabilities are ``input``, or all are ``p``. The gradient is 0.

    Raises:
        RuntimeError: a probability that is not from 0 to 1.
        NotImplementedError: probabilities that are integers.

    >>> import torchish_mlx as torch
    >>> torch.bernoulli(torch.tensor([0.1, 0.5, 0.9]), generator=torch.Generator().manual_seed(1))
    tensor([0., 1., 1.])
    """
    source = chosen("bernoulli", generator)
    if p is None:
        _bounds.refuse_dtype("bernoulli_tensor_cpu_self_", input.array.dtype, _bounds.COMMON)
    elif isinstance(p, (Tensor, mx.array)):
        raise TypeError("bernoulli(): argument 'p' must be float; probabilities in a Tensor are the input")
    else:
        p = probability(p)
        _bounds.refuse_dtype("bernoulli_scalar_cpu_", input.array.dtype, _bounds.COMMON)
    if out is None:
        return _bernoulli(input, p, source)
    return source.undoing(
        lambda: write_out("bernoulli", _bernoulli(input, p, source).to(out.array.dtype), out, silently=True)
    )


def _rates(input: mx.array) -> np.ndarray:
    """The elements in float64, flat."""
    return np.array(input if input.dtype == mx.float64 else input.astype(mx.float32)).astype(np.float64).ravel()


@op(random=True, grad={"input": lambda g: mx.zeros_like(g)}, name="poisson.kernel", function=False, method=False)
def _poisson(input: Array, generator: Any) -> mx.array:
    """Poisson's numbers, in the order of the elements."""
    return drawn(generator, (_counts.poisson, _rates(input), input.dtype), input.dtype, input.shape, range(input.ndim))


@composed(method=False, shape="that of ``input``")
def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """How often something happens that happens ``input`` times on average. The gradient is 0.

    Numbers of one rate are made many at a time; with other rates for each, this is a loop in Python.

    Raises:
        RuntimeError: a negative rate.
        NotImplementedError: a dtype that is not floating.

    >>> import torchish_mlx as torch
    >>> torch.poisson(torch.tensor([3.0, 30.0]), generator=torch.Generator().manual_seed(0))
    tensor([ 6., 27.])
    """
    source = chosen("poisson", generator)
    _bounds.refuse_dtype("poisson_cpu", input.array.dtype, FLOATS)
    if not (_rates(input.array) >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return _poisson(input, source)


@composed(shape="that of ``input`` with ``num_samples`` in place of the last dimension")
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Any = None
) -> Tensor:
    """Places of ``input``, or of each of its rows, drawn in proportion to the scores there, as int64.

    Of quotients that are equal, which happens with scores in half precision, torch may choose another.

    Raises:
        RuntimeError: more samples than scores without ``replacement``; scores that are negative, infinite, NaN, or
            all 0.

    >>> import torchish_mlx as torch
    >>> torch.multinomial(torch.tensor([0.1, 0.7, 0.2]), 2, generator=torch.Generator().manual_seed(0))
    tensor([1, 2])
    """
    source, samples = chosen("multinomial", generator), integer("multinomial", "num_samples", num_samples)
    if not isinstance(replacement, bool):
        raise TypeError(f"multinomial(): argument 'replacement' must be bool, not {type(replacement).__name__}")
    if isinstance(out, Tensor) and out.array.dtype != mx.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {NAMES[out.array.dtype]}")
    dtype = input.dtype
    scores = _scores(input.array, samples, replacement)

    def choose() -> Tensor:
        rows = scores.reshape(-1, scores.shape[-1])
        found = np.zeros((0, samples), np.int64)
        if rows.size:
            found = source.draw(_choices.multinomial, rows, samples, replacement, dtype)
        return made("multinomial", mx.array(found.reshape(*scores.shape[:-1], samples)), out, None, False)

    return source.undoing(choose) if out is not None else choose()


def _scores(input: mx.array, samples: int, replacement: bool) -> np.ndarray:
    """The scores in NumPy, where they can be drawn from."""
    if input.dtype not in FLOATS:
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {NAMES[input.dtype]}")
    if input.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and samples > input.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if input.shape[-1] > 2**24:
        raise RuntimeError("number of categories cannot exceed 2^24")
    scores = np.array(input if input.dtype == mx.float64 else input.astype(mx.float32))
    if not scores.shape[-1]:
        raise RuntimeError("multinomial() of no scores: there is nothing to choose from")
    with np.errstate(all="ignore"):
        if not ((scores >= 0) & (scores < np.inf)).all():
            if replacement and samples > 1:
                raise RuntimeError("invalid multinomial distribution (encountering probability entry < 0)")
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (scores.sum(-1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    return scores
