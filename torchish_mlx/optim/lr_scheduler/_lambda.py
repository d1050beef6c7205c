"""Schedulers that a user's function defines."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..optimizer import Optimizer
from ._base import LRScheduler, _checked, _param_groups_val_list, _warn_get_lr_called_within_step


class _ByFunction(LRScheduler):
    """A function for every group. State dicts have the ``__dict__`` of a callable object, and None for a function."""

    _argument: ClassVar[str] = "lr_lambda"  # its name in the constructor; the attribute's has an s
    _keys: ClassVar[tuple[str, ...]] = ("lr_lambdas",)
    lr_lambdas: list[Any]

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[Any], Any] | Sequence[Callable[[Any], Any]],
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = _checked(optimizer)
        count = len(optimizer.param_groups)
        functions = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * count
        if len(functions) != count:
            raise ValueError(f"Expected {count} {self._argument}s, but got {len(functions)}")
        for function in functions:
            if not callable(function):
                raise TypeError(f"{self._argument} should be a function, but got {type(function).__name__}")
        setattr(self, f"{self._argument}s", functions)
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """As torch saves it: the functions are None, and callable objects their ``__dict__``."""
        name = f"{self._argument}s"
        state = {key: value for key, value in super().state_dict().items() if key != name}
        state[name] = [saved_function(function) for function in getattr(self, name)]
        return state

    def _take_over(self, state_dict: Mapping[str, Any]) -> None:
        name = f"{self._argument}s"
        functions, saved = getattr(self, name), state_dict[name]
        if len(saved) != len(functions):
            raise ValueError(f"Expected {len(functions)} {name}, but got {len(saved)} in the state dict")
        super()._take_over({key: value for key, value in state_dict.items() if key != name})
        for function, entries in zip(functions, saved, strict=True):
            if entries is not None:
                function.__dict__.update(entries)


def saved_function(function: Any) -> dict[str, Any] | None:
    """What a state dict keeps of a callable: nothing of a function, the attributes of an object."""
    return None if function is None or isinstance(function, types.FunctionType) else function.__dict__.copy()


class LambdaLR(_ByFunction):
    """``lr_n = lr_0 * f(n)``

    Args:
        optimizer: see :class:`LRScheduler`.
        lr_lambda (callable or list): the factor of an epoch, an int; or one function for every group.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        ValueError: a list of another length than the groups.
        TypeError: not callable, or not an optimizer.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=0.5)
        >>> scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> optimizer.param_groups[0]["lr"]
        0.25

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.lambda_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``lambda_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.LambdaLR``.
    """

    def get_lr(self) -> list[Any]:
        """The initial rates times the functions of ``last_epoch``."""
        _warn_get_lr_called_within_step(self)
        return [lr * f(self.last_epoch) for f, lr in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class MultiplicativeLR(_ByFunction):
    """``lr_n = lr_{n-1} * f(n)``

    Args:
        optimizer: see :class:`LRScheduler`.
        lr_lambda (callable or list): the factor from the epoch before, of an epoch; or one function for every group.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        ValueError: a list of another length than the groups.
        TypeError: not callable, or not an optimizer.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=0.5)
        >>> scheduler = optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.5)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> optimizer.param_groups[0]["lr"]
        0.25

    It is no function of the step, because each rate depends on all before it: ``multiplicative_lr_curve`` in
    ``_closed_forms.py`` refuses it.

    Source: ``torch.optim.lr_scheduler.MultiplicativeLR``.
    """

    def get_lr(self) -> list[Any]:
        """The groups' rates as they are, times the functions of ``last_epoch``."""
        _warn_get_lr_called_within_step(self)
        if self._is_initial:
            return _param_groups_val_list(self.optimizer, "lr")
        groups = self.optimizer.param_groups
        return [group["lr"] * f(self.last_epoch) for f, group in zip(self.lr_lambdas, groups, strict=True)]
