"""The Tensor: a Storage with a gradient, and the edge to where it came from. Ops attach themselves as methods."""

from __future__ import annotations

import copy
import functools
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from .._core.device import LABELLED, Device
from .._core.handle import RemovableHandle
from .._core.origin import Origin, of_another_library
from .._core.promotion import INEXACT
from .._core.sparse import RowSparse, added
from .arraylike import ArrayLike
from .construction import numbers_or_sizes
from .history import ViewNode
from .modes import mode
from .passes import run_backward
from .placement import Placement
from .storage import Alias, Storage, View, unaliased
from .tape import COMPLEX, Edge, Pull, Pure, given
from .views import Step, joined


class Tensor(ArrayLike, Placement):
    """An array with identity: a box (``Storage``) for one ``mx.array``, a gradient, and where it came from.

    ``Tensor(data)`` takes an ``mx.array`` without a copy (``tensor.array`` gives it back), another Tensor,
    whose storage it shares, or numbers in nested lists, in the default dtype, as in torch; ``Tensor(2, 3)`` has these
    sizes, and zeros. ``.data`` and ``.detach()`` share the storage.

    >>> import mlx.core as mx
    >>> from torchish_mlx import Tensor
    >>> x = Tensor(mx.array([1.0, 2.0]), requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    # What begins with an underscore is read by the calls of ops as it is; ``requires_grad`` and ``grad_fn`` bring the
    # history of a view up to date first.
    _grad: Any = None
    _edge: Edge | None = None  #: (the recorded call, which of its results this is); None for a leaf
    _requires_grad: bool = False
    _retains: bool = False
    _hooks: dict[int, Callable[[Tensor], Any]] | None = None  #: of a leaf; those of a result are its call's
    _after: dict[int, Callable[[Tensor], Any]] | None = None  #: of a leaf: after its gradient was added to
    #: Of a view that was made under no_grad: the Tensor that it shows.
    _unrecorded: Tensor | None = None
    #: Whether a gradient was asked for this leaf itself. A view without a history also says that it requires grad
    #: if the Tensor that it shows does, but no gradient comes back through it, as in torch.
    _asked: bool = False
    #: Of a view that was recorded: the Tensor that it shows in the end (its base); (the last step, the path of the
    #: Tensor that the step was applied to); and the version of the base to which its history belongs.
    _base: Tensor | None = None
    _path: tuple[Step, Any] | None = None
    _seen: int = 0
    #: Whose layout its axes are in, where that is known (see ``_origin``).
    _origin: Origin | None = None
    #: The device, where it is another one than the CPU. Results of ops take it from their operands (``labels``).
    _label: Device | None = None
    #: The names of the class of the module that it was made for, and of those that this is derived from.
    _layer: str = ""

    _formats = True  #: a number as one, which no subclass does
    __array_priority__ = 1000

    def __init__(self, *data: Any, requires_grad: bool = False) -> None:
        (given,) = data if len(data) == 1 else (data,)
        if isinstance(given, Tensor):
            self._keep_origin(given._origin)
            self._keep_label(given._label)
            given = given._storage
        elif not isinstance(given, Storage):
            if not isinstance(given, mx.array):
                self._keep_origin(of_another_library(given))
                given = numbers_or_sizes(given, sizes=len(data) != 1 or type(given) is int)
            given = Storage(given)
        self._storage: Storage = given
        if requires_grad:
            self.requires_grad = True

    def _keep_origin(self, origin: Origin | None) -> None:
        if origin is not None:
            self._origin = origin

    def _keep_label(self, label: Device | None) -> None:
        if label is not None:
            self._label = label
            if not LABELLED:
                LABELLED.append(True)

    # -- the array ---------------------------------------------------------------------------------------

    @property
    def data(self) -> Tensor:
        """A Tensor on the same storage that autograd knows nothing of; ``p.data.mul_(0.9)`` changes ``p``.

        Assigning makes this Tensor share the storage of the one given; a Parameter of a module keeps its
        place in the module and takes the array.
        """
        out = Tensor.__new__(Tensor)
        out._storage = Alias(unaliased(self._storage))
        out._keep_origin(self._origin)
        out._keep_label(self._label)
        return out

    @data.setter
    def data(self, value: Tensor | mx.array) -> None:
        if isinstance(value, mx.array):
            value = Tensor(value)
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor or an mx.array, not {type(value).__name__}")
        if self.requires_grad and value.array.dtype not in INEXACT:
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
        mine, given = unaliased(self._storage), unaliased(value._storage)
        if mine.placed:
            mine.write(given.read())
        elif mine is not given:
            self._storage = Alias(given)

    def _add_place(self, container: Any, key: Any) -> None:
        """Have this Tensor, and all that share its storage, live at ``container[key]``."""
        storage = unaliased(self._storage)
        if isinstance(storage, View):  # a part of another array has no place of its own
            self._storage = storage = Storage()
        storage.add_place(container, key)

    def _leave(self, container: Any, key: Any) -> None:
        """Stop living at ``container[key]``, with the array that is there."""
        unaliased(self._storage).leave(container, key)

    def detach(self) -> Tensor:
        """A Tensor on the same storage that requires no gradient."""
        out = Tensor.__new__(Tensor)
        out._storage = self._storage
        out._keep_origin(self._origin)
        out._keep_label(self._label)
        return out

    def detach_(self) -> Tensor:
        """Forget how this Tensor was computed."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._edge, self._requires_grad = None, False
        return self

    # -- gradients ---------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is wanted for this Tensor."""
        if self._base is not None or self._unrecorded is not None:
            self._read()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.grad_fn is not None:
            if not value:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                    "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            return
        if value and self.array.dtype not in INEXACT:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if value and self.array.dtype == mx.complex64:
            raise RuntimeError(COMPLEX)
        self._requires_grad = self._asked = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set ``requires_grad``; returns this Tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad_fn(self) -> Any:
        """The recorded call that computed this Tensor, or None."""
        if self._base is not None:
            self._read()
        return None if self._edge is None else self._edge[0]

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded call computed this Tensor; ``backward`` fills ``grad`` of leaves."""
        return self.grad_fn is None

    # -- history -----------------------------------------------------------------------------------------

    def _read(self) -> mx.array:
        """The array, after the history of a view was brought up to date with writes to what it shows."""
        storage = self._storage
        shown = self._base
        if shown is not None:
            if self._seen != storage.version:
                self._renew()
        else:
            shown = self._unrecorded
        if shown is not None and self._edge is None and not self._asked:
            self._requires_grad = shown.requires_grad
        return storage.read()

    def _to(self) -> Any:
        """Where a gradient for this Tensor goes: to a result of a recorded call, to this leaf, or nowhere (None)."""
        if self._base is not None:
            self._read()
        if self._edge is None and not self._asked and (self._base is not None or self._unrecorded is not None):
            return None
        return self._edge or (self, None)

    def _steps(self) -> tuple[Step, ...]:
        """The steps from the base of a view to it."""
        found, path = [], self._path
        while path is not None:
            step, path = path
            found.append(step)
        return functools.reduce(joined, reversed(found), ())

    def _renew(self) -> None:
        """Take the history from the base, after a write to what this view shows."""
        base = self._base
        assert base is not None
        if base.requires_grad:
            self._seen = self._storage.version
            self._set_edge((ViewNode(self._steps(), base._to()), 0))

    def _set_edge(self, edge: Edge) -> None:
        """Be the result at ``edge`` from now on; a gradient that is to be kept is that of the new value."""
        if self._retains and self._edge is not None:
            node, index = self._edge
            if node.retained is not None:
                node.retained.pop(index, None)
            self._requires_grad, self._edge = True, edge
            self._retain()
            return
        self._requires_grad, self._edge = True, edge

    def _retain(self) -> None:
        assert self._edge is not None
        node, index = self._edge
        if node.retained is None:
            node.retained = {}
        node.retained[index] = weakref.ref(self)

    @property
    def grad(self) -> Any:
        """The gradient, summed over the calls of ``backward``: a Tensor, a ``RowSparse``, or None."""
        if self._grad is None and self._edge is not None and not self._retains:
            warnings.warn(
                "The .grad of a Tensor that is not a leaf was read; backward() does not fill it unless "
                ".retain_grad() was called on the Tensor.",
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if isinstance(value, mx.array):
            value = Tensor(value)
            value._keep_label(self._label)
        if value is None:
            self._grad = None
            return
        if not isinstance(value, (Tensor, RowSparse)):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        shape = self.array.shape
        if tuple(value.shape) != tuple(shape):
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of size "
                f"'{list(shape)}'. Please ensure that the gradient and the tensor are the same size"
            )
        if value.dtype not in INEXACT:
            raise RuntimeError(
                f"attempting to assign a gradient of dtype {value.dtype} to a tensor of dtype {self.dtype}: "
                "a gradient is of a floating point dtype"
            )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def retain_grad(self) -> None:
        """Have ``backward`` fill ``grad`` of this Tensor although it is not a leaf."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._edge is not None and not self._retains:
            self._retains = True
            self._retain()

    @property
    def retains_grad(self) -> bool:
        """Whether ``retain_grad`` was called on this non-leaf."""
        return self._retains

    def register_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Have ``hook(gradient)`` called in ``backward`` with the whole gradient of this Tensor.

        What it returns takes the gradient's place, unless that is None. The handle's ``remove()`` ends it.

        Source: ``torch.Tensor.register_hook``.
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")

        def run(g: Any) -> Any:
            given = g if isinstance(g, Tensor) else wrap(g)
            given._keep_label(self._label)
            new = hook(given)
            if new is None:
                return g
            return new if isinstance(g, Tensor) else new.array

        if self._edge is None:
            hooks = self._hooks = {} if self._hooks is None else self._hooks
            handle = RemovableHandle(lambda key: hooks.pop(key, None))
            hooks[handle.id] = run
            return handle
        node, index = self._edge
        entry = (index, run)
        node.hooks = entries = [] if node.hooks is None else node.hooks
        entries.append(entry)
        return RemovableHandle(lambda _: entries.remove(entry) if entry in entries else None)

    def _hooked(self, gradient: Any) -> Any:
        """The gradient of a leaf, after its hooks."""
        for hook in list((self._hooks or {}).values()):
            gradient = hook(gradient)
        return gradient

    def _accumulate(self, gradient: Any) -> None:
        """Add a gradient, an array, rows, or (to be differentiated again) a Tensor, into ``grad``."""
        old: Any = self._grad
        if old is None and type(gradient) is mx.array:  # of a Tensor without a gradient: the usual case
            self._grad = made = wrap(gradient)
            if LABELLED:
                made._keep_label(self._label)
            return
        if isinstance(gradient, RowSparse):
            if old is None or isinstance(old, RowSparse):
                self._grad = gradient if old is None else added(old, gradient)
                return
            gradient = gradient.dense()
        if isinstance(old, RowSparse):
            old = Tensor(old.dense())
        if isinstance(gradient, Tensor):
            self._grad = gradient.clone() if old is None else old + gradient
        else:
            self._grad = old
            self._grad._storage.array = self._grad._storage.read() + gradient
        if LABELLED:
            self._grad._keep_label(self._label)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Have ``hook(tensor)`` called after ``backward`` has added to the ``grad`` of this leaf.

        Source: ``torch.Tensor.register_post_accumulate_grad_hook``.
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        hooks = self._after = {} if self._after is None else self._after
        handle = RemovableHandle(lambda key: hooks.pop(key, None))
        hooks[handle.id] = hook
        return handle

    def _accumulated(self) -> None:
        """Call the hooks that ask for it, after ``grad`` was added to."""
        for hook in list((self._after or {}).values()):
            hook(self)

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the derivative of this Tensor with respect to every leaf into the leaf's ``grad``.

        Args:
            gradient: the derivative of something with respect to this Tensor, of its shape; may be left
                out for a Tensor of one element.
            retain_graph: keep what the recorded calls saved, for another backward; ``create_graph`` if None.
            create_graph: record the backward pass, so that the gradients can be differentiated again.
            inputs: a Tensor or several, which alone get a gradient; every leaf if None.
        """
        if isinstance(gradient, mx.array):
            gradient = Tensor(gradient)
        given = None if inputs is None else [inputs] if isinstance(inputs, Tensor) else list(inputs)
        if given is not None and not given:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        found = send([self], [gradient], retain_graph, create_graph, given)
        for to, g in zip(given or (), found, strict=True):
            if g is not None:
                to._accumulate(g)

    # -- copies ----------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        graph = ("_edge", "_base", "_path", "_seen", "_retains", "_hooks", "_after", "_unrecorded", "_asked")
        return {k: v for k, v in self.__dict__.items() if k not in graph}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._keep_label(self._label)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol: "
                "copy tensor.detach() or tensor.clone() instead"
            )
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        for key, value in Tensor.__getstate__(self).items():
            new.__dict__[key] = copy.deepcopy(value, memo)
        return new


def wrap(array: mx.array) -> Tensor:
    """A Tensor around a new storage of ``array``; what every op uses."""
    out = Tensor.__new__(Tensor)
    out._storage = Storage(array)
    return out


def send(
    outputs: Sequence[Tensor],
    gradients: Sequence[Any],
    retain_graph: bool | None,
    create_graph: bool,
    inputs: Sequence[Tensor] | None = None,
) -> list[Any]:
    """Send ``gradients`` of ``outputs`` back: to the leaves, or to ``inputs`` alone, whose gradients are returned.

    A gradient of None is 1, for a Tensor of one element. What is returned are arrays, Tensors with ``create_graph``.
    """
    seeds: list[Any] = []
    for i, (output, gradient) in enumerate(zip(outputs, gradients, strict=True)):
        if gradient is None:
            if output.requires_grad and output.array.size != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            gradient = wrap(mx.ones_like(output.array))
        elif not isinstance(gradient, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
        elif gradient.array.shape != output.array.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {gradient.shape} and output[{i}] has a shape of "
                f"{output.shape}."
            )
        seeds.append(gradient)
        if not output.requires_grad:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
    if any(not tensor.requires_grad for tensor in inputs or ()):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    roots = [
        (output._to(), seed if create_graph else seed.array.astype(output.array.dtype))
        for output, seed in zip(outputs, seeds, strict=True)
    ]
    return run_backward(
        roots,
        retain_graph=create_graph if retain_graph is None else retain_graph,
        create_graph=create_graph,
        recorded=recorded,
        shown=shown,
        inputs=None if inputs is None else [tensor._to() for tensor in inputs],
        also=[output.array for output in outputs],
    )


def shown(gradient: Any) -> Any:
    """A gradient as the hooks of calls see it."""
    return wrap(gradient) if isinstance(gradient, mx.array) else gradient


def recorded(pull: Pull, grads: Sequence[Any]) -> list[Tensor]:
    """The gradients of a call's edges as Tensors, on the tape themselves."""
    tensors = [g if isinstance(g, Tensor) else wrap(g) for g in given(grads, pull.outs)]
    values = [t._read() for t in tensors] + pull.arrays
    results = list(pull.fn(*values))
    made = [wrap(result) for result in results]
    if mode.enabled:
        edges = [t._to() if t._requires_grad else None for t in tensors] + pull.edges
        node = Pure(lambda *a: list(pull.fn(*a)), values, edges, results)
        if node.edges:
            for i, t in enumerate(made):
                t._requires_grad, t._edge = True, (node, i)
    return made
