"""Parameters and buffers whose shapes the first call of their module says."""

from __future__ import annotations

from typing import Any, ClassVar

import mlx.core as mx

from ..._tensor.parameter import Parameter
from ..._tensor.storage import Alias, unaliased
from ..._tensor.tensor import Tensor
from ...ops.creation import empty
from .module import Module

__all__ = ["LazyModuleMixin", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


def _converts(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        converted = getattr(Tensor.detach(self), name)(*args, **kwargs)
        return type(self)(self.requires_grad, converted.device, converted.dtype)

    method.__name__, method.__doc__ = name, f"As ``Tensor.{name}``, of no elements."
    return method


class _Uninitialized(Tensor):
    """A Tensor without a shape: it can be converted and made, and nothing else."""

    _uninitialized = True  # loading a state dict looks at it
    cls_to_become: ClassVar[type[Tensor]]

    to, type, cpu, cuda = _converts("to"), _converts("type"), _converts("cpu"), _converts("cuda")
    half, float, double = map(_converts, ("half", "float", "double"))

    def _hide(self) -> None:
        """Have ops, which take the array of a storage that has one, ask ``_read`` for it."""
        self._storage = Alias(self._storage)

    def _read(self) -> mx.array:
        raise ValueError(
            f"Attempted to use an {type(self).__name__}, which has no shape yet. Call the lazy module with a batch "
            "first, which says the shapes of its parameters."
        )

    @property
    def shape(self) -> Any:
        """Raises RuntimeError: there is none yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` "
            "to initialize the parameters before accessing their attributes."
        )

    def detach(self) -> Any:
        """Itself, so that a state dict has it as it is."""
        return self

    def copy_(self, src: Any, non_blocking: bool = False) -> Any:  # noqa: ARG002 - there is nothing to copy
        """Take the values of another one, which has none either; others are for ``materialize``."""
        return self if is_lazy(src) else self._read()

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become a Parameter, or a Tensor, of this shape, whose values nobody has set."""
        made = empty(
            tuple(shape),
            device=self.device if device is None else device,
            dtype=self.dtype if dtype is None else dtype,
        )
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        self._storage = unaliased(self._storage)
        self.data = made

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made: Any = type(self)
        memo[id(self)] = made(self.requires_grad, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A Parameter whose shape is not known yet, which ``materialize(shape)`` makes an ordinary one.

    Args:
        requires_grad: whether it will be trained.
        device, dtype: those of the Parameter that it becomes.

    Raises:
        ValueError: when it is used before.

    Source: ``torch.nn.UninitializedParameter``.

    >>> import torchish_mlx as torch
    >>> p = torch.nn.UninitializedParameter()
    >>> p
    <UninitializedParameter>
    >>> p.materialize((2, 3))
    >>> p.shape
    torch.Size([2, 3])
    """

    cls_to_become = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(empty(0, device=device, dtype=dtype), requires_grad)
        self._hide()


class UninitializedBuffer(_Uninitialized):
    """A buffer whose shape is not known yet, which ``materialize(shape)`` makes an ordinary Tensor.

    Args:
        requires_grad: whether a gradient is wanted.
        device, dtype: those of the Tensor that it becomes.

    Raises:
        ValueError: when it is used before.

    Source: ``torch.nn.UninitializedBuffer``.

    >>> import torchish_mlx as torch
    >>> torch.nn.UninitializedBuffer()
    <UninitializedBuffer>
    """

    cls_to_become = Tensor

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> None:
        super().__init__(empty(0, device=device, dtype=dtype), requires_grad=requires_grad)
        self._hide()


def is_lazy(param: Any) -> bool:
    """Whether it is an ``UninitializedParameter`` or an ``UninitializedBuffer``."""
    return isinstance(param, _Uninitialized)


class LazyModuleMixin(Module):
    """What a module is derived from first, whose first call says the shapes of its Parameters.

    The class has ``initialize_parameters(*args, **kwargs)``, which gets the arguments of that call. After it the module
    is one of the class ``cls_to_become``, if that is not None.

    Source: ``torch.nn.modules.lazy.LazyModuleMixin``.
    """

    cls_to_become: ClassVar[Any] = None
    _inferred = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The first call, before which the Parameters are made."""
        if not self._inferred:
            self._infer_parameters(self, args, kwargs)
            return self(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    @property
    def _lazy_load_hook(self) -> Any:
        raise TypeError(
            f"{type(self).__name__} was saved by torch before its first call, with hooks of torch's own: call it in "
            "torch once, and torch.save it again"
        )

    def _torch_state(self) -> Any:
        raise TypeError(
            f"{type(self).__name__} has not been called, and cannot be saved as a whole yet: call it once with a "
            "batch, or save its state_dict()"
        )

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give the Parameters the shapes that the arguments of the first call say; classes write it."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a Parameter or a buffer has no shape yet."""
        return any(map(is_lazy, (*self._parameters.values(), *self._buffers.values())))

    def _infer_parameters(self, module: Any, args: Any, kwargs: Any = None) -> None:
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
        if module.cls_to_become is None:
            module._inferred = True
        else:
            module.__class__ = module.cls_to_become

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """What is loaded says the shapes too."""
        for name, member in (*self._parameters.items(), *self._buffers.items()):
            given = state_dict.get(prefix + name)
            if isinstance(member, _Uninitialized) and given is not None and not is_lazy(given):
                member.materialize(given.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)
