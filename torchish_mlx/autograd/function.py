"""``Function``: a call whose forward and backward a user writes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT
from .._tensor.modes import mode, no_grad
from .._tensor.tape import AGAIN, TRACED, Node, Pull, noted, unbroadcast
from .._tensor.tensor import Tensor, wrap

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx(Node):
    """What ``forward`` and ``backward`` share, and the recorded call: ``ctx``.

    Attributes of any name may be set on it.

    Source: ``torch.autograd.function.FunctionCtx``.
    """

    _forward_cls: Any = None

    def __init__(self, needs: tuple[bool, ...]) -> None:
        super().__init__([])
        self.needs_input_grad = needs  #: for each argument, whether its gradient is wanted
        self.saved: Any = ()
        self.dirty: tuple[Any, ...] = ()
        self.apart: tuple[Any, ...] = ()
        self.materialize_grads = True
        self._outs: list[Any] = []
        self._given: list[Any] = []

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep Tensors, or None, for ``backward``, which finds them in ``saved_tensors``. Call it once at most."""
        self.saved = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Torch keeps Tensors for ``jvp`` here, which this package does not call."""
        raise NotImplementedError("jvp of a Function is not supported: write backward(), and use save_for_backward()")

    def mark_dirty(self, *args: Any) -> None:
        """Say which arguments ``forward`` has changed in place; all of them are to be returned too."""
        self.dirty = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Say which results have no gradient."""
        self.apart = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros, or None, for a result that was not used; zeros by default."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What ``save_for_backward`` was given. RuntimeError after a backward pass that did not keep it."""
        if self.saved is None:
            raise RuntimeError(AGAIN)
        return tuple([each.tensor(self) if isinstance(each, _Saved) else each for each in self.saved])

    def name(self) -> str:
        return type(self).__name__

    # the recorded call

    def pull(self, grads: list[Any]) -> Any:
        found = self._called([None if g is None else wrap(g) for g in grads])
        return [g if g is None else g.array for g in found]

    def differentiated(self, grads: list[Any], recorded: Any) -> list[Any]:  # noqa: ARG002 - its calls are recorded
        return self._called(grads)

    def again(self) -> Pull:
        raise RuntimeError("the derivative of a Function is its backward(), which is called with Tensors")

    def release(self) -> None:
        if self.saved:
            self.saved = None

    def _called(self, grads: Sequence[Any]) -> list[Any]:
        """The gradients of the arguments that want one, from the user's ``backward``."""
        if self.materialize_grads:
            grads = [wrap(mx.zeros(*out)) if g is None else g for g, out in zip(grads, self._outs, strict=True)]
        found = self._forward_cls.backward(self, *grads)
        answers = list(found) if isinstance(found, (tuple, list)) else [found]
        count = len(self.needs_input_grad)
        if len(answers) > count and all(a is None for a in answers[count:]):
            answers = answers[:count]
        if len(answers) != count:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {count}, got "
                f"{len(answers)})"
            )
        made = []
        for i, (answer, given) in enumerate(zip(answers, self._given, strict=True)):
            if given is None:
                if answer is not None:
                    raise RuntimeError(
                        f"function {self.name()} returned a gradient different from None at position {i + 1}, but the "
                        "corresponding forward input was not a Variable"
                    )
            elif self.needs_input_grad[i]:
                made.append(None if answer is None else self._fitted(i, answer, *given))
        return made

    def _fitted(self, i: int, answer: Any, shape: tuple[int, ...], dtype: mx.Dtype) -> Any:
        """A gradient in the shape and the dtype of its argument."""
        if not isinstance(answer, Tensor):
            raise RuntimeError(
                f"function {self.name()} returned a gradient at position {i + 1} that is a {type(answer).__name__} and "
                "no Tensor"
            )
        have = answer.array.shape
        if have != shape:
            lead = len(have) - len(shape)
            if lead < 0 or any(n not in (m, 1) for n, m in zip(shape, have[lead:], strict=True)):
                raise RuntimeError(
                    f"Function {self.name()} returned an invalid gradient at index {i} - got {list(have)} but expected "
                    f"shape compatible with {list(shape)}"
                )
            answer = answer.sum_to_size(shape) if mode.enabled else wrap(unbroadcast(answer.array, shape))
        return answer if answer.array.dtype == dtype else answer.to(dtype)


class _Saved:
    """A Tensor that was saved. A result of the call is kept without its edge, which would be a cycle."""

    __slots__ = ("index", "kept", "version")

    def __init__(self, tensor: Tensor, index: int | None) -> None:
        self.index = index
        self.kept = tensor if index is None else tensor.detach()
        self.version = tensor._storage.version

    def tensor(self, node: FunctionCtx) -> Tensor:
        if self.kept._storage.version != self.version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"[{self.kept.type()} {list(self.kept.shape)}], which {node.name()} has saved, is at version "
                f"{self.kept._storage.version}; expected version {self.version} instead. Hint: do the operation in "
                "place before the Tensor is used, or not in place."
            )
        if self.index is None:
            return self.kept
        shown = self.kept.detach()
        shown._requires_grad, shown._edge = True, (node, self.index)
        return shown


class Function:
    """A call whose forward and backward are written by hand; ``apply`` calls it.

    ``forward(ctx, *args)`` computes, with nothing recorded. ``backward(ctx, *grads)`` gives a gradient, or None, for
    each argument, from one for each result; with ``create_graph`` what it does is recorded, so it has every order of
    derivative. Both are static methods. In torch's newer form ``forward(*args)`` has no ``ctx``, and
    ``setup_context(ctx, inputs, output)`` keeps what ``backward`` asks for.

    Raises:
        RuntimeError: a wrong number, or wrong shapes, of gradients; a saved Tensor that was changed in place.
        NotImplementedError: no ``forward`` or ``backward``.

    Source: ``torch.autograd.Function``.

    >>> import torchish_mlx as torch
    >>> class Cube(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x * x
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    _context: type[FunctionCtx] = FunctionCtx

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._context = type(f"{cls.__name__}Backward", (FunctionCtx,), {"_forward_cls": cls})

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as in torch
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke them on the class itself. Instantiating an autograd function will raise an error in a future "
            "version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the results: of ``ctx`` and the arguments, or of the arguments alone with ``setup_context``."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keep what ``backward`` asks for."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient of each argument, from those of the results."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Call ``forward``, and record the call where an argument requires grad."""
        needs = tuple([isinstance(a, Tensor) and a.requires_grad for a in args])
        recording = mode.enabled and any(needs)
        ctx = cls._context(needs)
        ctx._given = [(a.array.shape, a.array.dtype) if isinstance(a, Tensor) else None for a in args]
        if recording:
            ctx.edges = [a._to() for a, needed in zip(args, needs, strict=True) if needed]
        with no_grad():
            if cls.setup_context is Function.setup_context:
                made = cls.forward(ctx, *args, **kwargs)
            else:
                made = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, made)
        several = isinstance(made, (tuple, list))
        results = list(made) if several else [made]
        if recording:
            results = [_recorded(ctx, k, out, args) for k, out in enumerate(results)]
            ctx.outputs = len(results)
            ctx._outs = [(r.array.shape, r.array.dtype) if isinstance(r, Tensor) else ((), mx.float32) for r in results]
            places = {id(r): k for k, r in enumerate(results)}
            ctx.saved = tuple([_Saved(t, places.get(id(t))) if isinstance(t, Tensor) else t for t in ctx.saved or ()])
            ctx.dirty = ctx.apart = ()
            if TRACED:
                noted(ctx)
        else:
            results = [_alone(out, args, ctx) for out in results]
        return type(made)(results) if several else results[0]


def _recorded(ctx: FunctionCtx, k: int, out: Any, args: Sequence[Any]) -> Any:
    """A result as part of the graph."""
    if not isinstance(out, Tensor):
        return out
    given = any(out is a for a in args)
    if any(out is each for each in ctx.apart) or out.array.dtype not in INEXACT:
        return out.detach() if given else out
    if any(out is each for each in ctx.dirty):
        if out._base is None and out._edge is None and out.requires_grad:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        out._set_edge((ctx, k))
        return out
    made = out.detach() if given or out._unrecorded is not None else out
    made._requires_grad, made._edge = True, (ctx, k)
    return made


def _alone(out: Any, args: Sequence[Any], ctx: FunctionCtx) -> Any:
    """A result where nothing is recorded: an argument that is returned as it is becomes another Tensor."""
    if isinstance(out, Tensor) and any(out is a for a in args) and not any(out is each for each in ctx.dirty):
        return out.detach()
    return out


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A ``backward`` whose gradients can't be differentiated again: RuntimeError where somebody does.

    Source: ``torch.autograd.function.once_differentiable``.
    """

    @functools.wraps(fn)
    def call(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            found = fn(ctx, *grads)
        if not mode.enabled or not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return found
        several = isinstance(found, (tuple, list))
        made = [
            _Refused.apply(g.detach().requires_grad_()) if isinstance(g, Tensor) else g
            for g in (found if several else (found,))
        ]
        return tuple(made) if several else made[0]

    return call


class _Refused(Function):
    """The identity, without a derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.detach()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # noqa: ARG004
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
