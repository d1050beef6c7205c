"""Parameters over ``mlx.nn`` models: places with an identity, their gradients, and ``backward``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..optimizers import RowSparse
from ._op import call
from ._promote import INEXACT
from ._storage import Storage, slot
from .creation import to_array
from .tensor import Tensor

_REGISTRY = "_torchish_parameters"
Path = tuple[Any, ...]


class Parameter(Tensor):
    """A leaf Tensor that requires grad: free-standing, or a place in an ``mlx.nn`` module.

    ``Parameter(array)`` stands on its own. Those of a module come from ``parameters(module)``: they read and write
    the module's array, are the same objects at every call, and their ``requires_grad`` is MLX's freezing.

    Attributes:
        owner: the module that holds the array, or None.
        key: the path inside the owner: ``"weight"``, or ``"blocks.0"`` in a list.
        path: the path from the module through which it was listed last, or None.

    >>> import mlx.core as mx
    >>> from torchish_mlx import Parameter
    >>> p = Parameter(mx.array([1.0]))
    >>> p.data.mul_(3)
    tensor([3.])
    >>> p
    Parameter containing:
    tensor([3.], requires_grad=True)
    """

    owner: nn.Module | None = None
    key: str | None = None
    path: str | None = None

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        if isinstance(data, (Tensor, mx.array)):
            super().__init__(data.detach() if isinstance(data, Tensor) else data)
        else:
            super().__init__(to_array(data))
        self.requires_grad = requires_grad

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is wanted; for a place in a module, whether MLX has it unfrozen."""
        if self.owner is None:
            return self._requires_grad
        assert self.key is not None
        frozen = self.owner._no_grad
        if frozen and any(prefix in frozen for prefix in _prefixes(self.key)):
            return False
        return self.array.dtype in INEXACT

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.array.dtype not in INEXACT:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if self.owner is None:
            self._requires_grad = bool(value)
            return
        assert self.key is not None
        frozen = self.owner._no_grad
        if not value:
            frozen.add(self.key)
            return
        for prefix in _prefixes(self.key):
            if prefix in frozen:  # what else lies below it stays frozen
                frozen.discard(prefix)
                below = [".".join(map(str, key)) for key, _ in _arrays_of(self.owner)]
                frozen.update(key for key in below if key.startswith(prefix + "."))
        frozen.discard(self.key)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def _prefixes(key: str) -> Iterator[str]:
    """``a``, ``a.b``, ``a.b.c``: what MLX may have frozen for the array at ``a.b.c``."""
    end = key.find(".")
    while end != -1:
        yield key[:end]
        end = key.find(".", end + 1)
    yield key


# -- walking a module ----------------------------------------------------------------------------------------


def _children(container: Any) -> Iterator[tuple[Any, Any]]:
    """What lies in a module, dict or list, as MLX's ``parameters()`` sees it: nothing with an underscore."""
    if isinstance(container, list):
        yield from enumerate(container)
    else:
        for key, value in container.items():
            if not str(key).startswith("_"):
                yield key, value


def _arrays_of(module: nn.Module) -> Iterator[tuple[Path, mx.array]]:
    """The arrays that ``module`` itself owns, with their paths inside it; not those of its submodules."""
    stack: list[tuple[Path, Any]] = [((), module)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, mx.array):
            yield path, value
        elif isinstance(value, (dict, list)) and (value is module or not isinstance(value, nn.Module)):
            stack.extend(reversed([((*path, key), child) for key, child in _children(value)]))


def _places(module: nn.Module) -> Iterator[tuple[str, nn.Module, Path]]:
    """(path from ``module``, owner, path inside the owner) of every array, in MLX's order."""
    stack: list[tuple[str, nn.Module, Path, Any]] = [("", module, (), module)]
    while stack:
        path, owner, inner, value = stack.pop()
        if isinstance(value, mx.array):
            yield path, owner, inner
            continue
        if isinstance(value, nn.Module):
            owner, inner = value, ()
        elif not isinstance(value, (dict, list)):
            continue
        lead = path + "." if path else ""
        stack.extend(reversed([(f"{lead}{key}", owner, (*inner, key), child) for key, child in _children(value)]))


def _is_buffer(owner: nn.Module, inner: Path) -> bool:
    """Whether the array is a running statistic, which torch calls a buffer."""
    return isinstance(owner, nn.BatchNorm) and inner[0] in ("running_mean", "running_var")


def _registered(kind: type[Tensor], owner: nn.Module, inner: Path) -> Any:
    registry: dict[str, Tensor] = owner.__dict__.setdefault(_REGISTRY, {})
    key = ".".join(map(str, inner))
    found = registry.get(key)
    if found is None:
        found = registry[key] = kind.__new__(kind)
        found._storage = slot(owner, inner[0] if len(inner) == 1 else inner)
        if isinstance(found, Parameter):
            found.owner, found.key = owner, key
    return found


def _checked(module: Any, function: str) -> nn.Module:
    if not isinstance(module, nn.Module):
        hint = (
            ": model.parameters() of MLX is a copy of the tree, pass the model itself"
            if isinstance(module, (dict, list))
            else ""
        )
        raise TypeError(f"{function}() takes an mlx.nn.Module, not {type(module).__name__}{hint}")
    return module


def named_parameters(module: nn.Module) -> Iterator[tuple[str, Parameter]]:
    """(path, Parameter) of every array of ``module``, frozen ones too, in MLX's order; each once.

    The paths are those of ``mlx.utils.tree_flatten(module.parameters())``. A submodule that stands in two places
    is listed under the first; the running statistics of BatchNorm are not parameters but ``buffers``.

    >>> import mlx.nn as nn
    >>> [name for name, _ in named_parameters(nn.Linear(2, 3))]
    ['weight', 'bias']
    """
    seen: set[int] = set()
    for path, owner, inner in _places(_checked(module, "named_parameters")):
        if not _is_buffer(owner, inner):
            parameter = _registered(Parameter, owner, inner)
            if id(parameter) not in seen:
                seen.add(id(parameter))
                parameter.path = path
                yield path, parameter


def parameters(module: nn.Module) -> Iterator[Parameter]:
    """The Parameters of ``named_parameters``."""
    for _, parameter in named_parameters(_checked(module, "parameters")):
        yield parameter


def named_buffers(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(path, Tensor) of the running statistics of BatchNorm, which no optimizer may touch."""
    seen: set[int] = set()
    for path, owner, inner in _places(_checked(module, "named_buffers")):
        if _is_buffer(owner, inner):
            buffer = _registered(Tensor, owner, inner)
            if id(buffer) not in seen:
                seen.add(id(buffer))
                yield path, buffer


def buffers(module: nn.Module) -> Iterator[Tensor]:
    """The Tensors of ``named_buffers``."""
    for _, buffer in named_buffers(_checked(module, "buffers")):
        yield buffer


def locate(module: nn.Module, path: str) -> Parameter:
    """The Parameter at ``path``, as ``"layers.0.weight"``. KeyError where there is no array."""
    owner, inner, value = _checked(module, "locate"), (), module
    walked: list[str] = []
    for part in path.split("."):
        key: Any = int(part) if isinstance(value, list) and part.isdigit() else part
        present = (
            key < len(value)
            if isinstance(value, list) and isinstance(key, int)
            else (isinstance(value, dict) and key in value)
        )
        if not present:
            where = ".".join(walked) or type(module).__name__
            names = [str(k) for k, _ in _children(value)] if isinstance(value, (dict, list)) else []
            raise KeyError(f"no parameter {path!r}: {where} has {', '.join(names) or 'no entries'}, not {part!r}")
        value = value[key]
        walked.append(part)
        inner = (*inner, key)
        if isinstance(value, nn.Module):
            owner, inner = value, ()
    if not isinstance(value, mx.array):
        raise KeyError(f"{path!r} is a {type(value).__name__}, not an array")
    if _is_buffer(owner, inner):
        raise KeyError(f"{path!r} is a buffer, not a parameter")
    return _registered(Parameter, owner, inner)


# -- backward ------------------------------------------------------------------------------------------------


def backward(module: nn.Module, loss_fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Value and gradient of ``loss_fn(module, *args, **kwargs)``; adds the gradients into ``p.grad``.

    It is torch's ``loss = loss_fn(...); loss.backward()`` for an ``mlx.nn`` model: over every Parameter with
    ``requires_grad``, summed with the gradients that are there. A Parameter that the loss does not use gets zeros,
    where torch leaves None.

    Args:
        module: the model; ``loss_fn`` gets it first.
        loss_fn: gives the loss, a scalar array or Tensor, or a tuple (loss, *others).
        args, kwargs: for ``loss_fn``; Tensors among them are handed over as arrays.

    Returns:
        The loss as a Tensor without a graph; or (loss, *others) if ``loss_fn`` gave a tuple.

    >>> import mlx.core as mx, mlx.nn as nn
    >>> model = nn.Linear(2, 1)
    >>> loss = backward(model, lambda m, x: m(x).sum(), mx.ones((3, 2)))
    >>> model_grad = next(parameters(model)).grad
    >>> model_grad
    tensor([[3., 3.]])
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"backward() takes an mlx.nn.Module and a loss function, not {type(module).__name__}; for a Tensor that was "
            "computed with this package's operations call loss.backward()"
        )
    trained = [p for p in parameters(module) if p.requires_grad]
    if not trained:
        raise RuntimeError(
            "element 0 of tensors does not require grad and does not have a grad_fn: nothing in the module is trainable"
        )
    args = tuple(a.array if isinstance(a, Tensor) else a for a in args)
    kwargs = {k: a.array if isinstance(a, Tensor) else a for k, a in kwargs.items()}
    given = [p.array for p in trained]
    held = _others(module, trained)
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
        (loss, *others), gradients = mx.value_and_grad(run)(given)
    finally:
        for parameter, before, during in zip(trained, given, traced, strict=False):
            if parameter.array is during:  # unless the forward pass wrote another
                parameter._storage.write(before)
    # a loop that evaluates its parameters only must evaluate the loss and the running statistics too
    written = [now for place, before in held if (now := place.read()) is not before]
    gradients[0] = mx.depends(gradients[0], [loss, *written])
    for parameter, gradient in zip(trained, gradients, strict=True):
        parameter._accumulate(gradient)
    return (Tensor(loss), *others) if several else Tensor(loss)


def _others(module: nn.Module, trained: list[Parameter]) -> list[tuple[Storage, mx.array]]:
    """The arrays that are not trained: a forward pass may write them, as BatchNorm does."""
    mine = {id(p) for p in trained}
    out = []
    for _, owner, inner in _places(module):
        if id(owner.__dict__.get(_REGISTRY, {}).get(".".join(map(str, inner)))) not in mine:
            place = slot(owner, inner)
            out.append((place, place.read()))
    return out


def _scalar(loss: Any) -> mx.array:
    """The loss as an array without dimensions."""
    if isinstance(loss, Tensor):
        loss = loss.array
    if not isinstance(loss, mx.array):
        raise TypeError(f"the loss function gave a {type(loss).__name__}: a scalar mx.array or Tensor is a loss")
    if loss.size != 1:
        raise RuntimeError(
            f"grad can be implicitly created only for scalar outputs: the loss has the shape {list(loss.shape)}"
        )
    return mx.reshape(loss, ())
