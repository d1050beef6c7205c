"""Parameters over ``mlx.nn`` models: places with an identity, their gradients, and ``backward``."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ._evaluate import schedule
from ._promote import INEXACT
from ._storage import slot
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
        schedule(self.array)  # so that any thread can use it
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
    """What lies in a module, dict or list, as MLX's ``parameters()`` sees it: no attribute with an underscore."""
    if isinstance(container, list):
        yield from enumerate(container)
    elif isinstance(container, nn.Module):
        for key, value in container.items():
            if not key.startswith("_"):
                yield key, value
    else:
        yield from container.items()


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


def is_buffer(owner: nn.Module, inner: Path) -> bool:
    """Whether the array is what torch calls a buffer: a running statistic, or one that the owner's class names."""
    if isinstance(owner, nn.BatchNorm) and inner[0] in ("running_mean", "running_var"):
        return True
    return inner[0] in getattr(type(owner), "_torchish_buffers", ())


def _registered(owner: nn.Module, inner: Path) -> Tensor:
    """The Parameter, or for a buffer the Tensor, of a place: always the same for as long as it lives."""
    registry: dict[Path, Tensor] = owner.__dict__.setdefault(_REGISTRY, {})
    found = registry.get(inner)
    if found is None:
        kind = Tensor if is_buffer(owner, inner) else Parameter
        found = registry[inner] = kind.__new__(kind)
        found._storage = slot(owner, inner[0] if len(inner) == 1 else inner)
        if isinstance(found, Parameter):
            found.owner, found.key = owner, ".".join(map(str, inner))
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


def named(module: nn.Module, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
    """(path, Parameter or buffer) of every array of ``module``, each once, or at every path that leads to it."""
    seen: set[int] = set()
    for path, owner, inner in _places(module):
        tensor = _registered(owner, inner)
        if id(tensor) not in seen:
            if remove_duplicate:
                seen.add(id(tensor))
            yield path, tensor


def named_parameters(module: nn.Module) -> Iterator[tuple[str, Parameter]]:
    """(path, Parameter) of every array of ``module``, frozen ones too, in MLX's order; each once.

    The paths are those of ``mlx.utils.tree_flatten(module.parameters())``. A submodule that stands in two places
    is listed under the first. The running statistics of BatchNorm are not parameters but ``buffers``, and so is
    what the class of a module names in ``_torchish_buffers``.

    >>> import mlx.nn as nn
    >>> [name for name, _ in named_parameters(nn.Linear(2, 3))]
    ['weight', 'bias']
    """
    for path, tensor in named(_checked(module, "named_parameters")):
        if isinstance(tensor, Parameter):
            tensor.path = path
            yield path, tensor


def parameters(module: nn.Module) -> Iterator[Parameter]:
    """The Parameters of ``named_parameters``."""
    for _, parameter in named_parameters(_checked(module, "parameters")):
        yield parameter


def named_buffers(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(path, Tensor) of the running statistics of BatchNorm, which no optimizer may touch, and of other buffers.

    A class of modules names its own in ``_torchish_buffers``.

    >>> import mlx.core as mx, mlx.nn as nn
    >>> class Scaled(nn.Module):
    ...     _torchish_buffers = ("largest",)
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.weight, self.largest = mx.ones(2), mx.array(0.0)
    >>> [name for name, _ in named_buffers(Scaled())], [name for name, _ in named_parameters(Scaled())]
    (['largest'], ['weight'])
    """
    for path, tensor in named(_checked(module, "named_buffers")):
        if not isinstance(tensor, Parameter):
            yield path, tensor


def buffers(module: nn.Module) -> Iterator[Tensor]:
    """The Tensors of ``named_buffers``."""
    for _, buffer in named_buffers(_checked(module, "buffers")):
        yield buffer


def copied(module: nn.Module) -> nn.Module:
    """A deep copy of a model with Parameters of its own: without gradients, and in no optimizer's hands."""
    memo: dict[int, Any] = {id(m.__dict__[_REGISTRY]): {} for m in module.modules() if _REGISTRY in m.__dict__}
    return copy.deepcopy(module, memo)


def locate(module: nn.Module, path: str) -> Parameter:
    """The Parameter at ``path``, as ``"layers.0.weight"``. KeyError where there is no array."""
    owner: nn.Module = _checked(module, "locate")
    value: Any = module
    inner: Path = ()
    walked: list[str] = []
    for part in path.split("."):
        entries = {str(k): (k, v) for k, v in _children(value)} if isinstance(value, (dict, list)) else {}
        if part not in entries:
            where = ".".join(walked) or type(module).__name__
            raise KeyError(f"no parameter {path!r}: {where} has {', '.join(entries) or 'no entries'}, not {part!r}")
        key, value = entries[part]
        walked.append(part)
        inner = (*inner, key)
        if isinstance(value, nn.Module):
            owner, inner = value, ()
    if not isinstance(value, mx.array):
        raise KeyError(f"{path!r} is a {type(value).__name__}, not an array")
    if is_buffer(owner, inner):
        raise KeyError(f"{path!r} is a buffer, not a parameter")
    found = _registered(owner, inner)
    assert isinstance(found, Parameter)
    return found
