"""Calling a module, and the hooks around its forward and its backward."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..._core.handle import RemovableHandle
from ..._tensor.tensor import Tensor
from ...autograd import Function
from ...ops.creation import zeros_like
from ._members import Members, registered

#: Hooks of all modules.
FORWARD_PRE: dict[int, Any] = {}
FORWARD: dict[int, Any] = {}
FORWARD_ALWAYS: set[int] = set()
FORWARD_KWARGS: set[int] = set()
BACKWARD_PRE: dict[int, Any] = {}
BACKWARD: dict[int, Any] = {}


class Calls(Members):
    """What of ``Module`` calls ``forward``, with the hooks around it."""

    _backward_hooks: dict[int, Any]
    _backward_pre_hooks: dict[int, Any]
    _is_full_backward_hook: bool | None
    _forward_hooks: dict[int, Any]
    _forward_hooks_with_kwargs: dict[int, bool]
    _forward_hooks_always_called: dict[int, bool]
    _forward_pre_hooks: dict[int, Any]
    _forward_pre_hooks_with_kwargs: dict[int, bool]

    def forward(self, *input: Any, **kwargs: Any) -> Any:
        """What the module computes. A class that is derived from ``Module`` writes it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """``forward`` of the arguments, with the hooks."""
        own = self.__dict__
        if not (
            own["_forward_hooks"]
            or own["_forward_pre_hooks"]
            or own["_backward_hooks"]
            or own["_backward_pre_hooks"]
            or FORWARD_PRE
            or FORWARD
            or BACKWARD_PRE
            or BACKWARD
        ):
            return self.forward(*args, **kwargs)
        return self._call_with_hooks(args, kwargs)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        called = set[Any]()
        try:
            return self._hooked(args, kwargs, called)
        except Exception:
            self._call_always(args, kwargs, called)
            raise

    def _call_always(self, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[Any]) -> None:
        """Call the hooks that are called also where forward raised, with None as its result."""
        pairs = [(FORWARD, k, k in FORWARD_KWARGS) for k in FORWARD if k in FORWARD_ALWAYS] + [
            (self._forward_hooks, k, k in self._forward_hooks_with_kwargs)
            for k in self._forward_hooks
            if k in self._forward_hooks_always_called
        ]
        for hooks, key, named in pairs:
            if key not in called:
                try:
                    hooks[key](self, args, kwargs, None) if named else hooks[key](self, args, None)
                except Exception as error:
                    warnings.warn(
                        "module forward hook with ``always_call=True`` raised an exception that was silenced as "
                        f"another error was raised in forward: {error}",
                        stacklevel=5,
                    )

    def _hooked(self, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[Any]) -> Any:
        for key, hook in (*FORWARD_PRE.items(), *self._forward_pre_hooks.items()):
            if key in self._forward_pre_hooks_with_kwargs:
                answer = hook(self, args, kwargs)
                if answer is not None:
                    if not (isinstance(answer, tuple) and len(answer) == 2):
                        raise RuntimeError(
                            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {answer}."
                        )
                    args, kwargs = answer
            else:
                answer = hook(self, args)
                if answer is not None:
                    args = answer if isinstance(answer, tuple) else (answer,)
        backward = [*BACKWARD.values(), *(self._backward_hooks.values() if self._is_full_backward_hook else ())]
        before = [*BACKWARD_PRE.values(), *self._backward_pre_hooks.values()]
        watch = Watch(self, backward, before) if backward or before else None
        if watch is not None:
            args = watch.inputs(args)
        result = self.forward(*args, **kwargs)
        for key, hook in (*FORWARD.items(), *self._forward_hooks.items()):
            called.add(key)
            named = key in self._forward_hooks_with_kwargs or key in FORWARD_KWARGS
            answer = hook(self, args, kwargs, result) if named else hook(self, args, result)
            if answer is not None:
                result = answer
        if watch is not None:
            if not isinstance(result, (Tensor, tuple)):
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but "
                    f"received {type(result)}",
                    stacklevel=5,
                )
            result = watch.results(result)
        if self._backward_hooks and self._is_full_backward_hook is False:
            _watch_last(self, list(self._backward_hooks.values()), args, result)
        return result

    # Registering -------------------------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Have ``hook(module, args)`` called before ``forward``; what it returns, if anything, becomes the arguments.

        With ``with_kwargs`` it is called as ``hook(module, args, kwargs)``, and returns both. With ``prepend`` it comes
        before the other hooks of the module.

        Source: ``torch.nn.Module.register_forward_pre_hook``.
        """
        return _put(
            self._forward_pre_hooks, hook, prepend, self._forward_pre_hooks_with_kwargs if with_kwargs else None
        )

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Have ``hook(module, args, output)`` called after ``forward``; it may return another output.

        With ``with_kwargs`` it is called as ``hook(module, args, kwargs, output)``. With ``always_call`` it is called
        also where ``forward`` raises, with None as the output. With ``prepend`` it comes before the other hooks.

        Source: ``torch.nn.Module.register_forward_hook``.
        """
        return _put(
            self._forward_hooks,
            hook,
            prepend,
            self._forward_hooks_with_kwargs if with_kwargs else None,
            self._forward_hooks_always_called if always_call else None,
        )

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Have ``hook(module, grad_output)`` called before the gradients of the module are computed.

        What it returns, if anything, takes the place of ``grad_output``.

        Source: ``torch.nn.Module.register_full_backward_pre_hook``.
        """
        return _put(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Have ``hook(module, grad_input, grad_output)`` called once the gradients of the inputs are computed.

        Both are tuples. What it returns, if anything, takes the place of ``grad_input``.

        Source: ``torch.nn.Module.register_full_backward_hook``.
        """
        if self._is_full_backward_hook is False:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only "
                "one of them."
            )
        self._is_full_backward_hook = True
        return _put(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Torch's old form, whose ``grad_input`` is that of the last call in ``forward`` alone.

        Use ``register_full_backward_hook``.

        Source: ``torch.nn.Module.register_backward_hook``.
        """
        if self._is_full_backward_hook is True:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only "
                "one of them."
            )
        self._is_full_backward_hook = False
        return registered(self._backward_hooks, hook)


def _put(hooks: dict[int, Any], hook: Any, prepend: bool, *marks: dict[int, bool] | None) -> RemovableHandle:
    """Put ``hook`` behind the others, or before them, and its number into ``marks``."""
    kept = [mark for mark in marks if mark is not None]

    def remove(key: int) -> None:
        for each in (hooks, *kept):
            each.pop(key, None)

    handle = RemovableHandle(remove)
    if prepend:
        others = list(hooks.items())
        hooks.clear()
        hooks[handle.id] = hook
        hooks.update(others)
    else:
        hooks[handle.id] = hook
    for mark in kept:
        mark[handle.id] = True
    return handle


class _Through(Function):
    """Tensors as they are, with a call of their own, whose gradients can be watched."""

    @staticmethod
    def forward(ctx: Any, *tensors: Any) -> Any:
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*[t for t in tensors if not t.requires_grad])
        return tensors

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # noqa: ARG004
        return grad_outputs


class Watch:
    """The hooks that see the gradients of a module's inputs and results, in one call of it."""

    def __init__(self, module: Any, hooks: list[Any], before: list[Any]) -> None:
        self.module, self.hooks, self.before = module, hooks, before
        self.grad_outputs: Any = None
        self.given: tuple[Any, ...] = ()
        self.places: list[int] = []

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, with a call in front of them that sees their gradients."""
        self.given = args
        args, self.places = _through(args, after=self._at_inputs)
        return args

    def results(self, result: Any) -> Any:
        """The result of the module, with a call behind it that sees its gradient."""
        several = isinstance(result, tuple)
        given = tuple(result) if several else (result,)
        size = len(given)

        def before(grads: tuple[Any, ...]) -> Any:
            places = places_of[0]
            full: Any = _spread(places, grads, size)
            for hook in self.before:
                answer = hook(self.module, full)
                if answer is not None:
                    full = answer if isinstance(answer, tuple) else (answer,)
            self.grad_outputs = full
            if not self.places and self.hooks:  # no input wants a gradient: the hooks are called here
                warnings.warn(
                    "Full backward hook is firing when gradients are computed with respect to module outputs since no "
                    "inputs require gradients.",
                    stacklevel=5,
                )
                for hook in self.hooks:
                    answer = hook(self.module, (None,) * len(self.given), full)
                    if answer is not None and not all(a is None for a in answer):
                        raise RuntimeError(
                            "Backward hook for Modules where no input requires gradient should always return None or "
                            "None for all gradients."
                        )
                if not self.before:
                    return None
            return tuple([full[place] for place in places])

        places_of: list[Any] = [None]
        made, places_of[0] = _through(given, before=before)
        if several:
            return type(result)(*made) if hasattr(result, "_fields") else tuple(made)
        return made[0]

    def _at_inputs(self, grad_input: tuple[Any, ...], grad_output: tuple[Any, ...]) -> Any:  # noqa: ARG002
        if self.grad_outputs is None:
            return None
        filled = [
            zeros_like(self.given[place]) if gradient is None else gradient
            for place, gradient in zip(self.places, grad_output, strict=True)
        ]
        full: Any = _spread(self.places, filled, len(self.given))
        changed = False
        for hook in self.hooks:
            answer = hook(self.module, full, self.grad_outputs)
            if answer is not None:
                answer = answer if isinstance(answer, tuple) else (answer,)
                if len(answer) != len(full):
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(answer)}, but expected "
                        f"{len(full)}"
                    )
                full, changed = answer, True
        self.grad_outputs = None
        wanted = [place for place in self.places if self.given[place].requires_grad]
        return tuple([full[place] for place in wanted]) if changed else None


def _through(
    values: tuple[Any, ...], after: Callable[..., Any] | None = None, before: Callable[..., Any] | None = None
) -> tuple[tuple[Any, ...], list[int]]:
    """The values with a call in front of the Tensors, and the places of those Tensors."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
    if not any(values[i].requires_grad for i in places):
        return values, []
    made = _Through.apply(*[values[i] for i in places])
    node = next(t.grad_fn for t in made if t.requires_grad)
    if after is not None:
        node.register_hook(after)
    if before is not None:
        node.register_prehook(before)
    out = list(values)
    for place, tensor in zip(places, made, strict=True):
        out[place] = tensor
    return tuple(out), places


def _spread(places: list[int], values: Sequence[Any], size: int) -> tuple[Any, ...]:
    """The values at their places, and None elsewhere."""
    full: list[Any] = [None] * size
    for place, value in zip(places, values, strict=True):
        full[place] = value
    return tuple(full)


_OLD = "is deprecated and will be removed in future versions. This hook will be missing some"
_NEW = "Please use register_full_backward_hook to get the documented behavior."


def _warn_of_old_hooks(args: tuple[Any, ...], returned: Any, last: Any) -> None:
    """Torch's warnings of what an old backward hook does not see."""
    results = (returned,) if isinstance(returned, Tensor) else returned
    text = ""
    if not isinstance(results, tuple) or not all(isinstance(r, Tensor) for r in results):
        text = f"s on a Module that does not return a single Tensor or a tuple of Tensors {_OLD} of the grad_output."
    elif not all(isinstance(a, Tensor) for a in args):
        text = (
            f"s on a Module that does not take as input a single Tensor or a tuple of Tensors {_OLD} of the grad_input."
        )
    else:
        nodes = {r.grad_fn for r in results if r.grad_fn is not None}
        ends = {a if a.grad_fn is None else a.grad_fn for a in args if a.requires_grad}
        behind = {getattr(node, "variable", node) for node, _ in last.next_functions}
        if len(nodes) > 1:
            text = f" when outputs are generated by different autograd Nodes {_OLD} grad_output."
        elif ends != behind:
            text = f" when the forward contains multiple autograd Nodes {_OLD} grad_input."
    if text:
        start = "Using non-full backward hook" if text.startswith("s ") else "Using a non-full backward hook"
        warnings.warn(f"{start}{text} {_NEW}", FutureWarning, stacklevel=6)


def _watch_last(module: Any, hooks: list[Any], args: tuple[Any, ...], returned: Any) -> None:
    """Have old backward hooks see the gradients of the last call."""
    result = returned
    while not isinstance(result, Tensor):
        if isinstance(result, dict):
            result = next(value for value in result.values() if isinstance(value, Tensor))
        else:
            result = result[0]
    if result.grad_fn is None:
        return
    _warn_of_old_hooks(args, returned, result.grad_fn)

    def seen(grad_input: Any, grad_output: Any) -> Any:
        for hook in hooks:
            answer = hook(module, grad_input, grad_output)
            if answer is not None:
                grad_input = answer if isinstance(answer, tuple) else (answer,)
        return grad_input

    result.grad_fn.register_hook(seen)
