"""Sentences for what was given as ``params``, as an optimizer, or under a name that is not taken."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterable
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.nn import Module

from .._core.messages import is_torchs, what
from .._docs import see
from .._tensor.tensor import Tensor
from ..optimizers._mixups import unexpected

_TORCHS = (
    "torchish_mlx trains mlx.nn modules and its own Parameters. Write the model with mlx.nn and load torch's weights "
    "by torchish_mlx.load_state_dict(model, torchish_mlx.load('model.pt')); of single tensors make "
    "torchish_mlx.Parameter(tensor.detach().numpy())"
)


def typename(value: Any) -> str:
    """The name of the type of ``value``, with its module."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def refuse_params(params: Any) -> None:
    """Raise TypeError for what is no iterable of parameters: in torch's words, and with what to write instead."""
    if isinstance(params, (Tensor, mx.array)):
        raise TypeError(
            "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
            f"{typename(params)}"
        )
    owner = params.__self__ if inspect.ismethod(params) else params
    if is_torchs(owner):
        advice = _TORCHS
    elif isinstance(params, (bool, int, float)):
        advice = f"the parameters come first, optim.AdamW(model, lr={params!r})"
    elif isinstance(params, type):
        advice = "it is a class; give an instance of it"
    elif inspect.ismethod(params) and isinstance(owner, Module):
        advice = "give the model itself, optim.AdamW(model)"
    elif hasattr(params, "apply_gradients"):
        advice = "it is an optimizer, and an optimizer is made of a model or of parameters"
    elif callable(params) and not isinstance(params, Iterable):
        advice = "call it, or give the model itself, optim.AdamW(model)"
    else:
        return
    torchs = f"'{type(params).__name__}' object is not iterable"
    raise TypeError(f"{torchs}: {advice}" + see("arguments-that-are-mixed-up"))


def refuse_param(param: Any) -> None:
    """Raise TypeError for a member of ``params`` that is no Tensor."""
    advice = ""
    if is_torchs(param):
        advice = f": {_TORCHS}" + see("arguments-that-are-mixed-up")
    elif isinstance(param, (np.ndarray, np.generic)):
        advice = ": make it a torchish_mlx.Parameter(array)"
    raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {typename(param)}{advice}")


def nothing_given(params: Any) -> str:
    """torch's words for an empty list of parameters, and the reason where it is a generator."""
    read = ": a generator gives its parameters once, and this one was read before. Make a list of it"
    return "optimizer got an empty parameter list" + (read if isinstance(params, Generator) else "")


def check_closure(closure: Any) -> None:
    """Raise TypeError for gradients or a loss where ``step`` takes a function."""
    if callable(closure):
        return
    raise TypeError(
        f"closure is {what(closure)}, where step() takes a function that computes the loss and returns it, or nothing. "
        "step() reads the gradients from p.grad, which backward() writes; a tree of gradients goes to "
        "optimizer.update(model, gradients)" + see("arguments-that-are-mixed-up")
    )


def explained(init: Callable[..., None]) -> Callable[..., None]:
    """``__init__`` with an error that says, for an argument which it does not take, what that is called here."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError as error:
            if fits(signature, (self, *args), kwargs):
                raise
            accepted = [name for name in signature.parameters if name != "self"]
            raise TypeError(unexpected(type(self).__name__, error, accepted, kwargs)) from None

    return call


def fits(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call has the arguments that a function takes."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def no_optimizer(value: Any) -> str:
    """What to do about ``value``, which was given to a scheduler as its optimizer."""
    if isinstance(value, Module):
        return ": it is a model. Make an optimizer of it, and give that: optim.AdamW(model, lr=1e-3)"
    if is_torchs(value):
        return ": it is torch's. Take the class of that name from torchish_mlx.optim, over an mlx.nn model"
    if isinstance(value, type):
        return f": it is a class. Construct it, {value.__name__}(model, lr=1e-3), and give the instance"
    if isinstance(value, (int, float)) or callable(value):
        return f": it is {what(value)}. The optimizer comes first, as in StepLR(optimizer, step_size=10)"
    return ""
