"""``torch.utils.checkpoint``: what a function computes on its way is not kept for backward, and computed again there.

The calls that the function records are replaced by one, whose edges are those that leave them: to arguments, and to
whatever else the function uses, such as parameters. Backward calls the function again, with the random numbers and the
autocast of the first time, and goes back through what that records.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import mlx.core as mx

from .._core.evaluation import arrays_in, schedule
from .._inert import note
from .._tensor.modes import enable_grad, mode, no_grad
from .._tensor.parts import edges_out, inside, run_part
from .._tensor.storage import Storage
from .._tensor.tape import Node, Pull, next_order
from .._tensor.tensor import Tensor, recorded, shown, wrap
from ..ops._autocast import as_now
from ..random.generator import default_generator

__all__ = [
    "CheckpointError",
    "checkpoint",
    "checkpoint_sequential",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]
_EXPLICIT = (
    "the use_reentrant parameter should be passed explicitly. use_reentrant=False is recommended; here both compute "
    "the same gradients."
)


class CheckpointError(RuntimeError):
    """The function has computed something else in backward than in forward.

    Source: ``torch.utils.checkpoint.CheckpointError``.
    """


def noop_context_fn() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Two blocks that do nothing: the default of ``context_fn``.

    Source: ``torch.utils.checkpoint.noop_context_fn``.
    """
    return contextlib.nullcontext(), contextlib.nullcontext()


def _tensors(value: Any) -> list[Tensor]:
    """The Tensors in a result: in tuples, lists and dicts too."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for each in value for t in _tensors(each)] if isinstance(value, (tuple, list)) else []


def _with(value: Any, new: dict[int, Tensor]) -> Any:
    """A result with other Tensors in place of some."""
    if isinstance(value, Tensor):
        return new.get(id(value), value)
    if isinstance(value, dict):
        return type(value)((key, _with(each, new)) for key, each in value.items())
    if isinstance(value, (tuple, list)):
        made = [_with(each, new) for each in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    return value


class CheckpointFunctionBackward(Node):
    """The one recorded call in place of those of the function."""

    __slots__ = ("again_from", "keys", "kinds", "which")

    def __init__(self, edges: dict[Any, Any], run: Callable[[], list[Tensor]], which: list[int], kinds: Any) -> None:
        super().__init__(list(edges.values()), len(which))
        self.keys, self.again_from, self.which, self.kinds = list(edges), run, which, kinds

    def pull(self, grads: list[Any]) -> Sequence[Any]:
        schedule([g for g in grads if isinstance(g, mx.array)])  # before what is computed again, so that it is freed
        found = self._back(grads, create_graph=False, pulled=recorded)
        schedule([g for g in found if isinstance(g, mx.array)])
        return found

    def differentiated(self, grads: list[Any], recorded: Callable[[Pull, list[Any]], list[Any]]) -> list[Any]:
        return self._back(grads, create_graph=True, pulled=recorded)

    def again(self) -> NoReturn:
        raise RuntimeError("the derivative of a checkpoint is that of the calls which are made again")

    def _back(self, grads: list[Any], create_graph: bool, pulled: Any) -> list[Any]:
        since = next_order()
        with enable_grad():
            made = self.again_from()
        outs = [made[i] for i in self.which] if len(made) > max(self.which) else []
        if self.kinds is not None and [(t.array.shape, t.array.dtype) for t in outs] != self.kinds:
            raise CheckpointError(
                "torch.utils.checkpoint: the function has computed other shapes or dtypes in backward than in forward: "
                f"{[(list(t.array.shape), str(t.dtype)) for t in outs]}"
            )
        roots = [(t._to(), g) for t, g in zip(outs, grads, strict=True) if g is not None]
        found = run_part(
            [(edge, g) for edge, g in roots if edge is not None],
            since,
            create_graph=create_graph,
            recorded=pulled,
            shown=shown,
        )
        if not found.keys() <= set(self.keys):
            raise CheckpointError(
                "torch.utils.checkpoint: the function has used other Tensors in backward than in forward"
            )
        return [found.get(key) for key in self.keys]


def _kept(fn: Callable[[], Any], run_again: Callable[[], Any], check: bool) -> Any:
    """``fn()``, whose recorded calls are replaced by one that makes them again."""
    since = next_order()
    result = fn()
    tensors = _tensors(result)
    roots = {i: t._to() for i, t in enumerate(tensors) if t.requires_grad}
    which = [i for i, edge in roots.items() if inside(edge, since)]
    if not which:
        return result
    edges = edges_out([roots[i] for i in which], since)
    kinds = [(tensors[i].array.shape, tensors[i].array.dtype) for i in which] if check else None
    node = CheckpointFunctionBackward(edges, lambda: _tensors(run_again()), which, kinds)
    new: dict[int, Tensor] = {}
    for k, i in enumerate(which):
        old = tensors[i]
        if id(old) not in new:
            made = new[id(old)] = wrap(old.array)
            made._storage = old._storage if old._base is None else Storage(old.array)
            made._requires_grad, made._edge = True, (node, k)
            made._keep_label(old._label)
            made._keep_origin(old._origin)
    schedule(arrays_in(list(new.values())))
    return _with(result, new)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, which backward computes again, so that nothing in between is kept for it.

    Args:
        function: any function of Tensors; parameters that it uses get their gradients.
        args: its arguments.
        use_reentrant: both of torch's ways compute the same. With True, and None, nothing is recorded where no
            argument requires grad, as in torch; give False.
        context_fn: gives two blocks, for the first and for the second call.
        determinism_check: ``"default"`` has the shapes and dtypes of both calls compared, ``"none"`` not.
        debug: without effect here, as ``early_stop``.
        early_stop: see above.
        kwargs: ``preserve_rng_state``, True by default, has the second call draw the random numbers of the first;
            others are given to the function, with ``use_reentrant=False``.

    Raises:
        ValueError: arguments that do not go together.
        CheckpointError: in backward: the function computes something else than before.

    Source: ``torch.utils.checkpoint.checkpoint``; Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".

    >>> import torchish_mlx as torch
    >>> from torchish_mlx.utils.checkpoint import checkpoint
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: x * x + 3 * x, x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([5., 7.])
    """
    if use_reentrant is None:
        warnings.warn(f"torch.utils.checkpoint: {_EXPLICIT}", stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    elif determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'], but got {determinism_check}")
    if debug:
        note("torch.utils.checkpoint.checkpoint.debug")
    if not early_stop:
        note("torch.utils.checkpoint.checkpoint.early_stop")
    if use_reentrant and not any(isinstance(a, Tensor) and a.requires_grad for a in args):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
        with no_grad():
            return function(*args)
    forward, recompute = context_fn()
    if not mode.enabled:
        with forward:
            return function(*args, **kwargs)
    drawn = default_generator.get_state() if preserve else None
    autocast = as_now()

    def first() -> Any:
        with forward:
            return function(*args, **kwargs)

    def again() -> Any:
        with _drawing_from(drawn), autocast(), recompute:
            return function(*args, **kwargs)

    return _kept(first, again, determinism_check == "default")


@contextlib.contextmanager
def _drawing_from(drawn: Tensor | None) -> Iterator[None]:
    """A block in which the default generator begins with a state; afterwards it goes on as before."""
    if drawn is None:
        yield
        return
    now = default_generator.get_state()
    default_generator.set_state(drawn)
    try:
        yield
    finally:
        default_generator.set_state(now)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Call functions, or the modules of a ``Sequential``, one after the other, in segments that are checkpoints.

    The last segment is none.

    Raises:
        ValueError: unknown keyword arguments.

    Source: ``torch.utils.checkpoint.checkpoint_sequential``.
    """
    if use_reentrant is None:
        warnings.warn(f"torch.utils.checkpoint.checkpoint_sequential: {_EXPLICIT}", stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def part(start: int, end: int) -> Callable[[Any], Any]:
        def run(value: Any) -> Any:
            for step in steps[start:end]:
                value = step(value)
            return value

        return run

    size, end = len(steps) // segments, 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(part(start, end), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return part(end, len(steps))(input)


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:  # noqa: ARG001 - it changes no result
    """A block that changes nothing here: the second call of a function runs to its end.

    Source: ``torch.utils.checkpoint.set_checkpoint_early_stop``.
    """
    note("torch.utils.checkpoint.set_checkpoint_early_stop")
    yield


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:  # noqa: ARG001 - it changes no result
    """A block that changes nothing here: torch shows the operations of both calls.

    Source: ``torch.utils.checkpoint.set_checkpoint_debug_enabled``.
    """
    note("torch.utils.checkpoint.set_checkpoint_debug_enabled")
    yield
