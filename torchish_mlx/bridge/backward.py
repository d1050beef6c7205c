"""``backward``: loss and gradients of an ``mlx.nn`` model in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from .._core.alone import Alone
from .._core.evaluation import schedule, schedule_given
from .._core.messages import is_torchs, what
from .._core.trace import eager
from .._docs import see
from .._tensor.conversion import array_of
from .._tensor.parameter import Parameter
from .._tensor.storage import Storage
from .._tensor.tensor import Tensor
from .parameters import named, parameters


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
        args: for ``loss_fn``, which gets arrays of MLX for the Tensors, NumPy arrays and CPU tensors of other libraries
            among them, also within dicts, lists and tuples. The dtype stays, but NumPy's float64 becomes float32.
        kwargs: for ``loss_fn`` too, with the same replacements as in ``args``.

    Returns:
        The loss as a Tensor without a graph; or ``(loss, *others)`` if ``loss_fn`` gave a tuple.

    >>> import mlx.core as mx, mlx.nn as nn
    >>> from torchish_mlx import parameters
    >>> model = nn.Linear(2, 1)
    >>> loss = backward(model, lambda m, x: m(x).sum(), mx.ones((3, 2)))
    >>> next(parameters(model)).grad
    tensor([[3., 3.]])
    """
    _check_call(module, loss_fn)
    with Alone("backward()", module, lambda: parameters(module)):
        return _backward(module, loss_fn, args, kwargs)


def _backward(module: nn.Module, loss_fn: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    trained, held = _sorted(module)
    if not trained:
        raise RuntimeError(
            "element 0 of tensors does not require grad and does not have a grad_fn: nothing in the module is trainable"
            + see("nothing-to-train")
        )
    args = tuple(_as_arrays(a) for a in args)
    kwargs = {k: _as_arrays(a) for k, a in kwargs.items()}
    given = [p.array for p in trained]
    storages: list[Any] = [p._storage for p in trained]
    traced: list[mx.array] = []
    several = False

    def run(arrays: list[mx.array]) -> Any:
        nonlocal several, traced
        traced = list(arrays)
        for storage, array in zip(storages, arrays, strict=True):
            storage.lend(array)
        out = loss_fn(module, *args, **kwargs)
        several = isinstance(out, (tuple, list))
        loss, *others = out if several else (out,)
        return (_scalar(loss), *[o.array if isinstance(o, Tensor) else o for o in others])

    try:
        # MLX fills the list with the arrays it traces, and leaves them there after an exception: a copy for it
        with eager():
            (loss, *others), gradients = mx.value_and_grad(run)(list(given))
    finally:
        for storage, before, during in zip(storages, given, traced, strict=False):
            storage.take_back(during, before)
    # a loop that evaluates its parameters only must evaluate the loss and the running statistics too
    written = [now for place, before in held if (now := place.read()) is not before]
    gradients[0] = mx.depends(gradients[0], [loss, *written])
    added = any(p._grad is not None for p in trained)
    schedule_given("arrays of the model or of the batch", gradients)
    for parameter, gradient in zip(trained, gradients, strict=True):
        parameter._accumulate(gradient)
    if added:
        schedule([p.grad.array for p in trained])
    for parameter in trained:
        parameter._accumulated()
    return (Tensor(loss), *others) if several else Tensor(loss)


def _check_call(module: Any, loss_fn: Any) -> None:
    """Raise TypeError where the model or the loss function is something else."""
    if not isinstance(module, nn.Module):
        kind = "a module of torch, which is written with mlx.nn here" if is_torchs(module) else type(module).__name__
        raise TypeError(
            f"backward() takes an mlx.nn.Module and a loss function, not {kind}; for a Tensor that was computed with "
            "this package's operations call loss.backward()" + see("a-loss-that-is-an-array")
        )
    if not callable(loss_fn):
        raise TypeError(
            f"backward() takes a loss function after the model, backward(model, loss_fn, x, y), but loss_fn is "
            f"{what(loss_fn)}. It computes the loss itself, from loss_fn(model, x, y)" + see("a-loss-that-is-an-array")
        )


def _as_arrays(value: Any) -> Any:
    """``value`` with arrays of MLX in place of Tensors, NumPy arrays and other libraries' tensors."""
    if isinstance(value, mx.array):
        return value
    if isinstance(value, np.ndarray):
        return array_of(value) if value.dtype.kind in "biufc" else value
    if type(value) in (list, tuple):
        new = [_as_arrays(v) for v in value]
        return value if all(a is b for a, b in zip(new, value, strict=True)) else type(value)(new)
    if type(value) is dict:
        named = {key: _as_arrays(v) for key, v in value.items()}
        return value if all(named[key] is v for key, v in value.items()) else named
    array = None if isinstance(value, nn.Module) else array_of(value)
    return value if array is None else array


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
