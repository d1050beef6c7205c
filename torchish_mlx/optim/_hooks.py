"""Hooks around ``step``, ``state_dict`` and ``load_state_dict``, in torch's order."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .._core.alone import Alone
from .._core.handle import RemovableHandle
from ..optimizers._hyper import STRUCTURE

Hook = Callable[..., Any]
Hooks = OrderedDict[int, Hook]

_global_pre_hooks: Hooks = OrderedDict()
_global_post_hooks: Hooks = OrderedDict()


def register(hooks: Hooks, hook: Hook, prepend: bool = False) -> RemovableHandle:
    """Add ``hook`` at the end of ``hooks``, or at their front."""
    handle = RemovableHandle(lambda key: hooks.pop(key, None))
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs) -> None or (args, kwargs)`` before every ``step`` of every optimizer.

    Source: ``torch.optim.optimizer.register_optimizer_step_pre_hook``.
    """
    return register(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs) -> None`` after every ``step`` of every optimizer.

    Source: ``torch.optim.optimizer.register_optimizer_step_post_hook``.
    """
    return register(_global_post_hooks, hook)


def hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with its hooks: global and own ones before it, own and global ones after it."""

    @functools.wraps(step)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._note_step()
        outer = self._stepping
        self._stepping = True
        try:
            if not outer:
                self._look()
            return inside(self, *args, **kwargs)
        finally:
            if not outer:
                self.__dict__.pop("_stepping", None)

    def inside(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = (self, *args)
        for hook in (*_global_pre_hooks.values(), *self._hooks("step_pre").values()):
            result = hook(self, given, kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                    )
                given, kwargs = result
        if self.rule is None:
            with Alone("step()", self._tree, self._all_parameters):
                self._check_moved()
                out = step(*given, **kwargs)
                self._stepped()
        else:  # a rule's step() enters Alone itself, so that other threads may work while its closure runs
            out = step(*given, **kwargs)
        for hook in (*self._hooks("step_post").values(), *_global_post_hooks.values()):
            hook(self, given, kwargs)
        return out

    call.hooked = True  # type: ignore[attr-defined]
    return call


class Hooked:
    """The registering methods of ``torch.optim.Optimizer``."""

    def _watch_steps(self) -> None:
        """From now on remember in ``_opt_called``, torch's name, whether a step was made; schedulers ask for it."""
        if "_opt_called" not in self.__dict__:
            self._opt_called = False
            self._watched = self._marks()

    def _was_stepped(self) -> bool:
        """Whether a step was made since :meth:`_watch_steps` was called; True where it was not called.

        A compiled step that was traced before runs without Python. It is noticed by the arrays that it has replaced.
        """
        if not self.__dict__.get("_opt_called", True):
            pairs = zip(self._marks(), self._watched, strict=False)
            self._opt_called = any(now is not then and now.shape == then.shape for now, then in pairs)
        return self.__dict__.get("_opt_called", True)

    def _marks(self) -> list[Any]:
        """An empty array of each group. A compiled step replaces it, and so does another choice, by another shape.

        Without a rule every number is such a choice: one that a scheduler writes makes the step trace again.
        """
        self._settled()  # type: ignore[attr-defined]
        groups = self.param_groups  # type: ignore[attr-defined]
        return [group.arrays[STRUCTURE] for group in groups if group.rule is not None]

    def _note_step(self) -> None:
        if "_opt_called" in self.__dict__:
            self._opt_called = True

    _stepping = False  # whether a step is being made

    def _look(self) -> None:
        """What comes before every step, and its hooks."""

    def _stepped(self) -> None:
        """What follows a step that a user wrote, before the hooks."""

    def _hooks(self, kind: str) -> Hooks:
        """The hooks of one kind; made when first asked for, so that a subclass need not call ``__init__``."""
        return self.__dict__.setdefault("_registered", {}).setdefault(kind, OrderedDict())

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return (args, kwargs) to replace them."""
        return register(self._hooks("step_pre"), hook)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return register(self._hooks("step_post"), hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before :meth:`state_dict` is made."""
        return register(self._hooks("state_dict_pre"), hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict) -> state_dict or None`` after :meth:`state_dict` is made."""
        return register(self._hooks("state_dict_post"), hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict) -> state_dict or None`` before loading, with a shallow copy of it."""
        return register(self._hooks("load_pre"), hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after loading."""
        return register(self._hooks("load_post"), hook, prepend)
