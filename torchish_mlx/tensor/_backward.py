"""``backward``: loss and gradients of an ``mlx.nn`` model in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from .._docs import see
from ..optimizers._alone import Alone
from ..optimizers._evaluate import schedule, schedule_given
from ._storage import Storage
from .parameter import Parameter, named, parameters
from .tensor import Tensor


def backward(module: nn.Module, loss_fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Value and gradient of ``loss_fn(module, *args, **kwargs)``; adds the gradients into ``p.grad``.

    It is torch's ``loss = loss_fn(...); loss.backward()`` for an ``mlx.nn`` model: over every Parameter with
    ``requires_grad``, summed with the gradients that are there. A Parameter that the loss does not use gets zeros,
    where torch leaves None.

    The gradients are scheduled for evaluation, and not waited for, so that any thread can use them, and k
    micro-batches in a row hold one sum, and the activations of one of them at a time. Where the call is traced, as in a
    compiled step, nothing is evaluated.

    Args:
        module: the model; ``loss_fn`` gets it first.
        loss_fn: gives the loss, a scalar array or Tensor, or a tuple ``(loss, *others)``.
        args: for ``loss_fn``; Tensors among them are handed over as arrays.
        kwargs: likewise.

    Returns:
        The loss as a Tensor without a graph; or ``(loss, *others)`` if ``loss_fn`` gave a tuple.

    >>> import mlx.core as mx, mlx.nn as nn
    >>> from torchish_mlx import parameters
    >>> model = nn.Linear(2, 1)
    >>> loss = backward(model, lambda m, x: m(x).sum(), mx.ones((3, 2)))
    >>> next(parameters(model)).grad
    tensor([[3., 3.]])
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"backward() takes an mlx.nn.Module and a loss function, not {type(module).__name__}; for a Tensor that "
            "was computed with this package's operations call loss.backward()" + see("a-loss-that-is-an-array")
        )
    with Alone("backward()", module, lambda: parameters(module)):
        return _backward(module, loss_fn, args, kwargs)


def _backward(module: nn.Module, loss_fn: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    trained, held = _sorted(module)
    if not trained:
        raise RuntimeError(
            "element 0 of tensors does not require grad and does not have a grad_fn: nothing in the module is trainable"
            + see("nothing-to-train")
        )
    args = tuple(a.array if isinstance(a, Tensor) else a for a in args)
    kwargs = {k: a.array if isinstance(a, Tensor) else a for k, a in kwargs.items()}
    given = [p.array for p in trained]
    traced: list[mx.array] = []
    several = False

    def run(arrays: list[mx.array]) -> Any:
        nonlocal several, traced
        traced = list(arrays)
        for parameter, array in zip(trained, arrays, strict=True):
            parameter._storage.write(array)
        out = loss_fn(module, *args, **kwargs)
        several = isinstance(out, (tuple, list))
        loss, *others = out if several else (out,)
        return (_scalar(loss), *[o.array if isinstance(o, Tensor) else o for o in others])

    try:
        # MLX fills the list with the arrays it traces, and leaves them there after an exception: a copy for it
        (loss, *others), gradients = mx.value_and_grad(run)(list(given))
    finally:
        for parameter, before, during in zip(trained, given, traced, strict=False):
            if parameter.array is during:  # unless the forward pass wrote another
                parameter._storage.write(before)
    # a loop that evaluates its parameters only must evaluate the loss and the running statistics too
    written = [now for place, before in held if (now := place.read()) is not before]
    gradients[0] = mx.depends(gradients[0], [loss, *written])
    added = any(p._grad is not None for p in trained)
    schedule_given("arrays of the model or of the batch", gradients)
    for parameter, gradient in zip(trained, gradients, strict=True):
        parameter._accumulate(gradient)
    if added:
        schedule([p.grad.array for p in trained])
    return (Tensor(loss), *others) if several else Tensor(loss)


def _sorted(module: nn.Module) -> tuple[list[Parameter], list[tuple[Storage, mx.array]]]:
    """The Parameters to train, and what else there is, which a forward pass may write as BatchNorm does."""
    trained: list[Parameter] = []
    held: list[tuple[Storage, mx.array]] = []
    for path, tensor in named(module):
        if isinstance(tensor, Parameter) and tensor.requires_grad:
            tensor.path = path
            trained.append(tensor)
        else:
            held.append((tensor._storage, tensor.array))
    return trained, held


def _scalar(loss: Any) -> mx.array:
    """The loss as an array without dimensions."""
    if isinstance(loss, Tensor):
        loss = loss.array
    if not isinstance(loss, mx.array):
        raise TypeError(f"the loss function gave a {type(loss).__name__}: a scalar mx.array or Tensor is a loss")
    if loss.size != 1:
        raise RuntimeError(
            f"grad can be implicitly created only for scalar outputs: the loss has the shape {list(loss.shape)}"
            + see("a-loss-that-is-no-scalar")
        )
    return mx.reshape(loss, ())
