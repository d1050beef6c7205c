"""Convolutions and transposed convolutions over one, two and three dimensions.

The images stay in channels-last memory (see ``channels``), the weights stay in torch's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import cast, widened
from .._tensor.channels import to_first, to_last
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._op import Array
from .convolution_plan import forward_plan, planned, seen, transposed_plan
from .shaping import permute, squeeze, unsqueeze


def _turned(weight: mx.array) -> mx.array:
    """(out, in / groups, *kernel) as (out, *kernel, in / groups)."""
    return mx.transpose(widened(weight), to_last(weight.ndim))


def _to_weight(found: mx.array, dtype: mx.Dtype) -> mx.array:
    """(out, *kernel, in / groups) as (out, in / groups, *kernel)."""
    return cast(mx.transpose(found, to_first(found.ndim)), dtype)


def _to_bias(g: mx.array) -> mx.array:
    return (
        cast(mx.sum(widened(g), axis=list(range(g.ndim - 1))), g.dtype) if g.size else mx.zeros(g.shape[-1:], g.dtype)
    )


@op(
    grad={
        "input": lambda g, weight, how: cast(how.back(widened(g), _turned(weight)), g.dtype),
        "weight": lambda g, input, how: _to_weight(how.weigh(widened(input), widened(g)), g.dtype),
        "bias": _to_bias,
    },
    channels="last",
    name="convolution.maps",
    function=False,
    method=False,
)
def _convolved(input: Array, weight: Array, bias: Array | None, how: Any) -> mx.array:
    """The cross-correlation of (n, *sizes, in) with ``weight``, or the transposed one, plus bias; by ``Maps``."""
    out = how.forward(widened(input), _turned(weight))
    return cast(out if bias is None else out + widened(bias), input.dtype)


# The public functions -------------------------------------------------------------------------------------------------


def _convolution(n: int) -> Callable[..., Tensor]:
    """``conv{n}d``."""
    name = f"conv{n}d"

    def function(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> Tensor:
        how = planned(forward_plan, n, seen(name, input, weight, bias), stride, padding, dilation, groups)
        if input.ndim == n + 1:
            return squeeze(_convolved(unsqueeze(input, 0), weight, bias, how), 0)
        out: Tensor = _convolved(input, weight, bias, how)
        return out

    function.__doc__ = f"""The cross-correlation of ``input`` with ``weight`` over its last {n} sizes, plus ``bias``.

    out[b, o, x] = bias[o] + sum over c, k of input[b, c, stride * x + dilation * k - padding] * weight[o, c, k], for
    the channels c of the group of o. ``weight`` is ``(out, in / groups, *kernel)``; ``padding`` may be ``"same"`` or
    ``"valid"``; ``input`` may have no batch dimension.

    Raises:
        RuntimeError: shapes or dtypes that do not fit together, a kernel larger than the padded input.

    >>> import torchish_mlx as torch
    >>> x, w = torch.ones(1, 1, *[4] * {n}), torch.ones(2, 1, *[3] * {n})
    >>> torch.{name}(x, w, padding=1).shape
    torch.Size([1, 2{", 4" * n}])
    """
    function.__name__ = function.__qualname__ = name
    size = "(size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1"
    where = "torch nn.functional"
    declared: Any = composed(method=False, module=where, shape=f"``(n, out, *sizes)``, each {size}")(function)
    return declared


def _transposed(n: int) -> Callable[..., Tensor]:
    """``conv_transpose{n}d``."""
    name = f"conv_transpose{n}d"

    def function(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        dilation: int | Sequence[int] = 1,
    ) -> Tensor:
        of = seen(name, input, weight, bias)
        how = planned(transposed_plan, n, of, stride, padding, output_padding, groups, dilation)
        if input.ndim == n + 1:
            return squeeze(_convolved(unsqueeze(input, 0), weight, bias, how), 0)
        out: Tensor = _convolved(input, weight, bias, how)
        return out

    function.__doc__ = f"""The transposed convolution: what the gradient of ``conv{n}d`` is, plus ``bias``.

    ``weight`` is ``(in, out / groups, *kernel)``. ``output_padding`` makes each size of the result larger at its end,
    where ``stride`` leaves several sizes possible.

    Raises:
        RuntimeError: shapes or dtypes that do not fit together; an output padding that is not less than the stride
            or the dilation; a result without elements.

    >>> import torchish_mlx as torch
    >>> x, w = torch.ones(1, 1, *[4] * {n}), torch.ones(1, 2, *[3] * {n})
    >>> torch.{name}(x, w, stride=2).shape
    torch.Size([1, 2{", 9" * n}])
    """
    function.__name__ = function.__qualname__ = name
    size = "(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1"
    where = "torch nn.functional"
    declared: Any = composed(method=False, module=where, shape=f"``(n, out, *sizes)``, each {size}")(function)
    return declared


conv1d, conv2d, conv3d = map(_convolution, (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(_transposed, (1, 2, 3))


@composed(method=False, shape="``(l + 2 * pad - kernel + 1, n, out)``")
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """``conv1d`` of ``input`` (l, n, in), whose time is first, with ``weight`` (kernel, in, out), plus ``bias``.

    Raises:
        RuntimeError: shapes that do not fit together.
    """
    if input.ndim != 3:
        raise RuntimeError("Input must have 3 dims: time, batch, in_channel")
    if weight.ndim != 3:
        raise RuntimeError("Weight tensor must have 3 dims: kernel_width, in_channels, out_channels.")
    if bias.ndim != 1:
        raise RuntimeError("Bias must be 1-D")
    if input.shape[2] != weight.shape[1]:
        raise RuntimeError("Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    if weight.shape[2] != bias.shape[0]:
        raise RuntimeError("Bias size must equal dim 2 in the weight tensor (output channels).")
    made: Tensor = conv1d(permute(input, (1, 2, 0)), permute(weight, (2, 1, 0)), bias, 1, pad)
    return permute(made, (2, 0, 1))
