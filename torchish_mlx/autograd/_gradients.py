"""``grad`` and ``backward``: gradients of several results, of all leaves or of what is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from .._tensor.tensor import Tensor, send, shown
from ..ops.creation import zeros_like


def _listed(function: str, inputs: Any) -> list[Tensor]:
    """The Tensors that ``inputs`` are: one, several, or the values of a dict."""
    if isinstance(inputs, Tensor):
        inputs = [inputs]
    elif type(inputs) is dict:
        inputs = list(inputs.values())
    elif isinstance(inputs, Mapping):
        raise TypeError(
            f"`inputs` argument to `{function}()` must be a dict, not {type(inputs).__name__}. Other Mapping types are "
            "not supported."
        )
    given = list(inputs)
    if not given:
        raise RuntimeError(f"`inputs` argument to `{function}()` cannot be empty.")
    return given


def _outputs(given: Any) -> list[Tensor]:
    return [given] if isinstance(given, Tensor) else list(given)


def _gradients(given: Any, count: int) -> list[Any]:
    """One gradient for each output; None is 1."""
    if given is None:
        return [None] * count
    found = [given] if isinstance(given, Tensor) else list(given)
    if len(found) != count:
        raise RuntimeError(f"got {count} tensors and {len(found)} gradients")
    return found


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the sum of the derivatives of ``tensors`` with respect to every leaf into the leaf's ``grad``.

    Args:
        tensors: a Tensor, or several.
        grad_tensors: the gradient of each, of its shape; may be left out, or None, for a Tensor of one element.
        retain_graph: keep what the recorded calls saved, for another backward; ``create_graph`` if None.
        create_graph: record the backward pass, so that the gradients can be differentiated again.
        grad_variables: torch's old name of ``grad_tensors``.
        inputs: a Tensor, several, or a dict of them, which alone get a gradient; every leaf if None.

    Raises:
        RuntimeError: a Tensor that no gradient is wanted for, or of several elements without a gradient; shapes that
            differ; a graph whose values were freed.

    Source: ``torch.autograd.backward``.

    >>> import torchish_mlx as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> torch.autograd.backward([x.sum(), (x * x).sum()])
    >>> x.grad
    tensor([3., 5.])
    """
    if grad_variables is not None:
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2)
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only "
                "use `grad_tensors`."
            )
        grad_tensors = grad_variables
    into = None if inputs is None else _listed("backward", inputs)
    outputs = _outputs(tensors)
    found = send(outputs, _gradients(grad_tensors, len(outputs)), retain_graph, create_graph, into)
    for tensor, gradient in zip(into or (), found, strict=True):
        if gradient is not None:
            tensor._accumulate(gradient)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """The sum of the derivatives of ``outputs`` with respect to ``inputs``; no ``grad`` changes.

    Args:
        outputs: a Tensor, or several.
        inputs: a Tensor, several, or a dict of them: also results of recorded calls.
        grad_outputs: the gradient of each output, of its shape; may be left out for a Tensor of one element.
        retain_graph: keep what the recorded calls saved; ``create_graph`` if None.
        create_graph: record the backward pass, so that the gradients can be differentiated again.
        only_inputs: ignored by torch, with a warning if it is False.
        allow_unused: None in place of the gradient of an input that the outputs do not depend on; an error otherwise.
        is_grads_batched: not supported; call ``grad`` for each gradient.
        materialize_grads: zeros in place of None.

    Returns:
        A tuple of Tensors in the order of ``inputs``, or a dict if they are one.

    Raises:
        RuntimeError: an input that requires no grad, or that was not used.
        NotImplementedError: ``is_grads_batched``.

    Source: ``torch.autograd.grad``.

    >>> import torchish_mlx as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> (first,) = torch.autograd.grad(x**3, x, create_graph=True)
    >>> torch.autograd.grad(first, x)
    (tensor(18.),)
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    allowed = materialize_grads if allow_unused is None else allow_unused
    wanted, given = _listed("grad", inputs), _outputs(outputs)
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for "
            "other parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    if is_grads_batched:
        raise NotImplementedError("is_grads_batched is not supported: call grad() for each of the gradients, in a loop")
    found = send(given, _gradients(grad_outputs, len(given)), retain_graph, create_graph, wanted)
    unused = [i for i, gradient in enumerate(found) if gradient is None]
    if unused and not allowed:
        raise RuntimeError(
            f"The differentiated Tensor at index {unused[0]} appears to not have been used in the graph. Set "
            "allow_unused=True if this is the desired behavior."
        )
    made = [_shown(tensor, gradient) for tensor, gradient in zip(wanted, found, strict=True)]
    if materialize_grads:
        made = [
            zeros_like(tensor, requires_grad=create_graph) if gradient is None else gradient
            for tensor, gradient in zip(wanted, made, strict=True)
        ]
    return dict(zip(inputs, made, strict=True)) if type(inputs) is dict else tuple(made)


def _shown(tensor: Tensor, gradient: Any) -> Any:
    made = shown(gradient)
    if isinstance(made, Tensor):
        made._keep_label(tensor._label)
    return made
