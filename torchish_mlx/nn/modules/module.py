"""``Module``: what layers and models are derived from; and hooks of all modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import mlx.core as mx

from ..._core.dtypes import OF_MLX
from ..._core.handle import RemovableHandle
from ..._core.promotion import INEXACT
from ..._tensor.modes import no_grad
from ..._tensor.tensor import Tensor, wrap
from ...ops.creation import empty_like
from . import _hooks
from ._hooks import Calls
from ._members import ON_BUFFER, ON_MODULE, ON_PARAMETER, registered
from ._state import State
from ._state import _WrappedHook as _WrappedHook

__all__ = [
    "Module",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

_DICTS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class Module(State, Calls):
    """A layer or a model: Parameters, buffers and other modules by name, and ``forward``.

    What is assigned to an attribute is kept by its kind: a ``Parameter`` is trained, a ``Module`` is part of this one,
    a Tensor that was given to ``register_buffer`` is part of the state. ``torchish_mlx.nn.tree(module)`` is the same as
    a tree of arrays, for MLX's functions.

    Attributes:
        training: whether the module behaves as in training, as Dropout and BatchNorm ask; see ``train`` and ``eval``.

    Source: ``torch.nn.Module``.

    >>> import torchish_mlx as torch
    >>> class Scale(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = torch.nn.Parameter(torch.ones(2))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(torch.tensor([1.0, 2.0]))
    tensor([1., 2.], grad_fn=<MulBackward0>)
    """

    training: bool
    call_super_init: bool = False
    dump_patches: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and kwargs:
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
            )
        if not self.call_super_init and args:
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        own = self.__dict__
        own["training"] = True
        own["_parameters"], own["_buffers"], own["_modules"] = {}, {}, {}
        own["_non_persistent_buffers_set"] = set()
        own["_is_full_backward_hook"] = None
        for name in _DICTS:
            own[name] = OrderedDict()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in _DICTS:
            self.__dict__.setdefault(name, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)

    # Conversion --------------------------------------------------------------------------------------------------

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Convert every Parameter, its gradient and every buffer; the Parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            with no_grad():
                new = fn(parameter)
            parameter.data = new
            if isinstance(new, Tensor):
                parameter._keep_label(new._label)
            gradient = parameter.grad
            if isinstance(gradient, Tensor):
                with no_grad():
                    changed = fn(gradient)
                parameter.grad = changed.requires_grad_(gradient.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def apply(self, fn: Callable[[Any], Any]) -> Any:
        """Call ``fn`` with every module inside, and then with this one; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def cpu(self) -> Any:
        """Have all members labelled with the CPU, where they are computed as before; returns the module."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Any:
        """Raises where there is no such device: see ``Tensor.cuda``."""
        return self._apply(lambda t: t.cuda(device) if device is not None else t.cuda())

    def type(self, dst_type: Any) -> Any:
        """All members in a dtype; returns the module."""
        return self._apply(lambda t: t.type(dst_type))

    def _floats(self, convert: Callable[[Tensor], Tensor]) -> Any:
        return self._apply(lambda t: convert(t) if t.dtype in INEXACT else t)

    def float(self) -> Any:
        """All floating-point members in float32; returns the module."""
        return self._floats(lambda t: t.float())

    def double(self) -> Any:
        """All floating-point members in float64, which MLX has on the CPU; returns the module."""
        return self._floats(lambda t: t.double())

    def half(self) -> Any:
        """All floating-point members in float16; returns the module."""
        return self._floats(lambda t: t.half())

    def bfloat16(self) -> Any:
        """All floating-point members in bfloat16; returns the module."""
        return self._floats(lambda t: t.bfloat16())

    def to_empty(self, *, device: Any, recurse: bool = True) -> Any:
        """All members with other values, which nobody has set; returns the module."""
        return self._apply(lambda t: empty_like(t, device=device), recurse=recurse)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """All members on a device, and the floating-point ones in a dtype; returns the module.

        It takes ``device``, ``dtype``, both, or a Tensor that has them, with ``non_blocking`` and ``memory_format`` as
        ``Tensor.to`` does.

        Raises:
            TypeError: a dtype of integers.

        Source: ``torch.nn.Module.to``.
        """
        probe = wrap(mx.array(0.0)).to(*args, **kwargs) if args or kwargs else None
        if probe is not None and probe.dtype not in INEXACT:
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={probe.dtype}"
            )
        casts = "dtype" in kwargs or any(_is_dtype(a) for a in args)

        def convert(t: Tensor) -> Tensor:
            if casts and t.dtype not in INEXACT:
                return t.to(device=probe.device) if probe is not None else t
            return t.to(*args, **kwargs)

        return self._apply(convert) if probe is not None else self

    def train(self, mode: bool = True) -> Any:
        """Have the module and all in it behave as in training, or not; returns the module."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Any:
        """``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Set ``requires_grad`` of all Parameters; returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all Parameters, or make zeros of them."""
        for parameter in self.parameters():
            gradient = parameter.grad
            if gradient is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                if gradient.grad_fn is not None:
                    gradient.detach_()
                else:
                    gradient.requires_grad_(False)
                gradient.zero_()

    def share_memory(self) -> Any:
        """Torch moves the members into memory that processes share, which MLX has not."""
        raise NotImplementedError("MLX's arrays can't be shared between processes: send module.state_dict() instead")

    # Printing ----------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What ``repr`` says of the module besides its name and the modules in it; classes write their own."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        first = extra.split("\n") if extra else []
        inner = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        lines = first + inner
        if not lines:
            return self._get_name() + "()"
        if len(first) == 1 and not inner:
            return f"{self._get_name()}({first[0]})"
        return self._get_name() + "(\n  " + "\n  ".join(lines) + "\n)"


def _is_dtype(value: Any) -> bool:
    return isinstance(value, Tensor) or value in OF_MLX or value in OF_MLX.values()


def _indented(text: str) -> str:
    first, *rest = text.split("\n")
    return "\n".join([first, *["  " + line for line in rest]])


# Hooks of all modules -------------------------------------------------------------------------------------------------


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Have ``hook(module, name, buffer)`` called wherever a buffer is registered; it may return another one."""
    return registered(ON_BUFFER, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Have ``hook(module, name, submodule)`` called wherever a module is registered; it may return another one."""
    return registered(ON_MODULE, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Have ``hook(module, name, param)`` called wherever a Parameter is registered; it may return another one."""
    return registered(ON_PARAMETER, hook)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Have ``hook(module, args)`` called before ``forward`` of any module; it may return other arguments."""
    return registered(_hooks.FORWARD_PRE, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Have ``hook(module, args, output)`` called after ``forward`` of any module; it may return another output."""
    handle = RemovableHandle(_remove_forward)
    _hooks.FORWARD[handle.id] = hook
    if with_kwargs:
        _hooks.FORWARD_KWARGS.add(handle.id)
    if always_call:
        _hooks.FORWARD_ALWAYS.add(handle.id)
    return handle


def _remove_forward(key: int) -> None:
    _hooks.FORWARD.pop(key, None)
    _hooks.FORWARD_KWARGS.discard(key)
    _hooks.FORWARD_ALWAYS.discard(key)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Have ``hook(module, grad_output)`` called before the gradients of any module are computed."""
    return registered(_hooks.BACKWARD_PRE, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Have ``hook(module, grad_input, grad_output)`` called once the gradients of any module are computed."""
    return registered(_hooks.BACKWARD, hook)
