"""Sentences for arguments that were mixed up: torch's with MLX's, one with another, or what is no number at all."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx.nn import Module

from .._core.messages import is_torchs, what
from .._docs import see

_SAME = {  # what an option is called elsewhere
    "wd": "weight_decay",
    "epsilon": "eps",
    "beta": "betas",
    "beta1": "betas",
    "beta2": "betas",
    "b1": "betas",
    "b2": "betas",
    "beta_1": "betas",
    "beta_2": "betas",
}


def holds_parameters(value: Any) -> bool:
    """Whether ``value`` is a model, a tree or a generator of parameters, or a method of a model that gives them."""
    if inspect.ismethod(value):
        return holds_parameters(value.__self__)
    if isinstance(value, (list, tuple)) and value:
        return (
            hasattr(value[0], "requires_grad_") or isinstance(value[0], (mx.array, tuple)) or holds_parameters(value[0])
        )
    return isinstance(value, (Module, dict, Iterator)) or (is_torchs(value) and not hasattr(value, "__float__"))


def no_number(name: str, value: Any) -> str:
    """Why ``value`` can't be the number ``name``, in words; "" where it can."""
    if holds_parameters(value):
        return (
            f"{name} is {what(value)}, where a number is wanted: the parameters come first, optim.AdamW(model, lr=1e-3)"
        )
    if hasattr(value, "get_last_lr"):
        return (
            f"{name} is a scheduler, where a number is wanted: construct the optimizer with a number, and then the "
            "scheduler over it"
        )
    number = isinstance(value, mx.array) or hasattr(value, "__float__") or hasattr(value, "__mlx_array__")
    if not isinstance(value, type) and (number or callable(value)):  # Hyper speaks of schedules
        return ""
    if isinstance(value, str):
        return f"{name} is {what(value)}, where a number is wanted: give float({value!r})"
    return f"{name} is {what(value)}, where a number is wanted"


def unexpected(name: str, error: TypeError, accepted: Sequence[str], given: Iterable[str]) -> str:
    """``error``, of a call of ``name`` with arguments that it does not take, and what to do.

    ``accepted`` are the names that it takes, and ``given`` those that it was given.
    """
    sentences: list[str] = []
    for wrong in given:
        if wrong in accepted:
            continue
        near = difflib.get_close_matches(wrong, accepted, n=1, cutoff=0.75)
        if wrong == "learning_rate" and "lr" in accepted:
            sentences.append("in torchish_mlx.optim the learning rate is called lr, as in torch")
        elif wrong == "lr" and "learning_rate" in accepted:
            sentences.append("in torchish_mlx.optimizers the learning rate is called learning_rate, as in MLX")
        elif wrong == "params" and "params" not in accepted:
            sentences.append(takes_no_parameters(name))
        elif wrong == "momentum" and "betas" in accepted:
            sentences.append("what is called momentum elsewhere is the first of betas here, betas=(0.9, 0.999)")
        elif _SAME.get(wrong) in accepted:
            sentences.append(f"it is called {_SAME[wrong]} here")
        elif near:
            sentences.append(f"{near[0]} may be meant")
    advice = f": {'; '.join(sentences)}" if sentences else ""
    return f"{error}{advice}. {name} takes {', '.join(accepted)}" + see("arguments-that-are-mixed-up")


def takes_no_parameters(name: str) -> str:
    """What to write where a rule was given parameters."""
    return (
        "the classes of torchish_mlx.optimizers take no parameters: construct "
        f"optimizers.{name}(learning_rate=1e-3) and call its update(model, gradients), or use "
        f"optim.{name}(model, lr=1e-3), which has torch's arguments"
    )


def refuse_parameters(name: str, rate: Any) -> None:
    """Raise TypeError where a rule is given a model or parameters as its first argument."""
    if holds_parameters(rate):
        raise TypeError(
            f"learning_rate is {what(rate)}, where a number or a schedule is wanted; {takes_no_parameters(name)}"
            + see("arguments-that-are-mixed-up")
        )


def check_update(model: Any, gradients: Any) -> None:
    """Raise TypeError where the arguments of ``update(model, gradients)`` are swapped, or the loss is among them."""
    if isinstance(gradients, Module):
        raise TypeError(
            "update() takes the model first and then its gradients, but gradients is "
            f"{what(gradients)} and model is {what(model)}: update(model, gradients)"
        )
    if isinstance(gradients, (tuple, list)) and len(gradients) == 2 and isinstance(model, Module):
        loss, tree = gradients
        if isinstance(loss, mx.array) and loss.ndim == 0 and isinstance(tree, dict):
            raise TypeError(
                "gradients is a pair of a number and a tree, which nn.value_and_grad gives: take it apart, "
                "loss, gradients = nn.value_and_grad(model, loss_fn)(model, x), and call update(model, gradients)"
            )
