"""The state dict of a module: out, and in."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

import mlx.core as mx

from ..._core.handle import RemovableHandle
from ..._tensor.modes import no_grad
from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ._members import Members, registered

_EXTRA = "_extra_state"


class _IncompatibleKeys(namedtuple("_IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What ``load_state_dict`` returns: the keys that did not fit, which there are without ``strict`` only."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class State(Members):
    """What of ``Module`` gives and takes a state dict."""

    _version: int = 1
    _state_dict_hooks: dict[int, Any]
    _state_dict_pre_hooks: dict[int, Any]
    _load_state_dict_pre_hooks: dict[int, Any]
    _load_state_dict_post_hooks: dict[int, Any]

    def get_extra_state(self) -> Any:
        """What a state dict has of this module besides Tensors; a module that writes it has an entry of its own."""
        raise RuntimeError("get_extra_state() is for modules that write it, together with set_extra_state()")

    def set_extra_state(self, state: Any) -> None:  # noqa: ARG002
        """Take what ``get_extra_state`` gave."""
        raise RuntimeError("set_extra_state() is for modules that write it, together with get_extra_state()")

    # Out ---------------------------------------------------------------------------------------------------------

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Put the members of this module alone into ``destination``."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                destination[prefix + name] = parameter if keep_vars else parameter.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            destination[prefix + _EXTRA] = self.get_extra_state()

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """The Parameters and buffers of the module and of all modules in it, by path: an OrderedDict.

        Its attribute ``_metadata`` has the version of each module. The Tensors share memory with the model; with
        ``keep_vars`` they are the model's own.

        Args:
            args: torch's old form, ``destination``, ``prefix`` and ``keep_vars`` by position.
            destination: a dict to put them into.
            prefix: what is put in front of every path.
            keep_vars: whether the entries are the Parameters themselves, on the tape.

        Source: ``torch.nn.Module.state_dict``.
        """
        if args:
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            answer = hook(self, destination, prefix, metadata)
            if not getattr(hook, "_from_public_api", False):
                destination = destination if answer is None else answer
            elif answer is not None:
                raise RuntimeError("state_dict post-hook must return None")
        return destination

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered via "
                "register_state_dict_post_hook"
            )
        return registered(self._state_dict_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Have ``hook(module, state_dict, prefix, local_metadata)`` called after ``state_dict``; it may change it."""
        public: Any = hook
        public._from_public_api = True  # torch marks it so
        return registered(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Have ``hook(module, prefix, keep_vars)`` called before ``state_dict``."""
        return registered(self._state_dict_pre_hooks, hook)

    # In ----------------------------------------------------------------------------------------------------------

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        call = _WrappedHook(hook, self) if with_module else hook
        return registered(self._load_state_dict_pre_hooks, call)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Have ``hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)`` called first.

        It is called before ``load_state_dict`` looks at this module, and may change the state dict.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Have ``hook(module, incompatible_keys)`` called after ``load_state_dict``; it may change the two lists."""
        return registered(self._load_state_dict_post_hooks, hook)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take the members of this module alone, and list what does not fit."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        persistent = {k: v for k, v in self._buffers.items() if k not in self._non_persistent_buffers_set}
        mine = {k: v for k, v in (*self._parameters.items(), *persistent.items()) if v is not None}
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, member in mine.items():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            given = state_dict[key]
            if isinstance(given, mx.array):
                given = Tensor(given)
            if not isinstance(given, Tensor):
                error_msgs.append(
                    f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
                    f"checkpoint but received {type(given)}"
                )
                continue
            if not member.ndim and given.shape == (1,):  # as files of torch before 0.4 have numbers
                given = given[0]
            if not getattr(member, "_uninitialized", False) and given.shape != member.shape:
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, the shape in "
                    f"current model is {member.shape}."
                )
                continue
            try:
                with no_grad():
                    if assign:
                        self._assign(name, member, given)
                    else:
                        member.copy_(given)
            except Exception as error:
                error_msgs.append(
                    f'While copying the parameter named "{key}", whose dimensions in the model are {member.size()} and '
                    f"whose dimensions in the checkpoint are {given.size()}, an exception occurred : {error.args}."
                )
        key = prefix + _EXTRA
        if type(self).set_extra_state is not State.set_extra_state:
            if key in state_dict:
                self.set_extra_state(state_dict[key])
            elif strict:
                missing_keys.append(key)
        elif strict and key in state_dict:
            unexpected_keys.append(key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != prefix + _EXTRA:
                    name, *rest = key[len(prefix) :].split(".", 1)
                    if (rest and name not in self._modules) or (not rest and name not in mine):
                        unexpected_keys.append(key)

    def _assign(self, name: str, member: Tensor, given: Tensor) -> None:
        """Have the Tensor of the state dict itself be the member."""
        if isinstance(member, Parameter):
            if not isinstance(given, Parameter):
                given = Parameter(given, requires_grad=member.requires_grad)
            else:
                given.requires_grad_(member.requires_grad)
        setattr(self, name, given)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Copy Tensors by path into the Parameters and buffers of the module and of all modules in it.

        Args:
            state_dict: what ``state_dict`` gave; arrays of MLX are taken too.
            strict: whether a key that is missing, or that nothing has, is an error.
            assign: whether the Tensors themselves become the members, with their dtype, in place of a copy.

        Returns:
            A named tuple of the lists ``missing_keys`` and ``unexpected_keys``.

        Raises:
            TypeError: it is no mapping.
            RuntimeError: keys, shapes or types that do not fit; what fits has been copied.

        Source: ``torch.nn.Module.load_state_dict``.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing, unexpected, errors = list[str](), list[str](), list[str]()
        metadata = getattr(state_dict, "_metadata", None)
        given: Any = OrderedDict(state_dict)
        if metadata is not None:
            given._metadata = metadata

        def load(module: Any, given: Any, prefix: str = "") -> None:
            local = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local["assign_to_params_buffers"] = assign
            module._load_from_state_dict(given, prefix, local, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    inner = prefix + name + "."
                    load(child, {k: v for k, v in given.items() if k.startswith(inner)}, inner)
            keys = _IncompatibleKeys(missing, unexpected)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, keys) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                        "values, if incompatible_keys need to be modified, it should be done inplace."
                    )

        load(self, given)
        if strict:
            if unexpected:
                listed = ", ".join(f'"{k}"' for k in unexpected)
                errors.insert(0, f"Unexpected key(s) in state_dict: {listed}. ")
            if missing:
                listed = ", ".join(f'"{k}"' for k in missing)
                errors.insert(0, f"Missing key(s) in state_dict: {listed}. ")
        if errors:
            lines = "\n\t".join(errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}")
        return _IncompatibleKeys(missing, unexpected)


class _WrappedHook:
    """A hook that is given its module first; files have it by this name, and some without a module."""

    def __init__(self, hook: Callable[..., Any], module: Any) -> None:
        self.hook, self.with_module, self.module = hook, True, module

    def __call__(self, *args: Any) -> Any:
        return self.hook(self.module, *args) if self.with_module else self.hook(*args)
