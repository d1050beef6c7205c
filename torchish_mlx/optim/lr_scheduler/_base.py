"""``LRScheduler``: the base of every scheduler, also of those that users write.

Names with one underscore are torch's: users' subclasses read and override them.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import mlx.core as mx
from mlx.optimizers import Optimizer as NativeOptimizer

from ..._core.evaluation import arrays_in, schedule
from ..._core.undo import undone_on_error
from ..._docs import see
from ..._tensor.tensor import Tensor
from ...optimizers._hyper import same
from ...optimizers.schedules import Schedule
from .._mixups import no_optimizer
from .._scheduled import refuse_scheduler
from ..optimizer import Optimizer
from ._schedule import to_schedule

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed "
    "form is used instead of the new chainable form, where available. Please open an issue if you are unable to "
    "replicate your use case: https://github.com/pytorch/pytorch/issues/new/choose."
)
_ORDER = "See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"


class LRScheduler:
    """Sets ``group["lr"]`` of every parameter group as training goes on.

    A subclass writes ``get_lr()``, from ``self.last_epoch``, ``self.base_lrs`` and the groups as they are, and may
    write ``_get_closed_form_lr()``, which ``step(epoch)`` uses. An "epoch" is one call of :meth:`step`: after every
    optimizer step or once in a pass over the data, whichever the schedule is meant to count.

    Args:
        optimizer: any ``torchish_mlx.optim`` optimizer, one of ``optim.from_mlx`` or a user's own subclass.
        last_epoch (int): -1 begins a schedule; another number goes on after that epoch, and then every group must
            have its ``"initial_lr"``, which the optimizer's state dict carries.

    Attributes:
        last_epoch: the epoch that the learning rates belong to.
        base_lrs: the initial learning rate of every group.

    Raises:
        TypeError: not an optimizer.
        KeyError: ``last_epoch >= 0`` and a group without ``"initial_lr"``.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> class InverseTime(optim.lr_scheduler.LRScheduler):
        ...     def get_lr(self):
        ...         return [lr / (1 + self.last_epoch) for lr in self.base_lrs]
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=0.1)
        >>> scheduler = InverseTime(optimizer)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]

    A scheduler as a function of the step is made by :meth:`as_schedule`, from its curve; a subclass that has a function
    writes ``as_schedule`` itself (``users_curve`` in ``_closed_forms.py``).

    Source: ``torch.optim.lr_scheduler.LRScheduler`` (torch 2.13).
    """

    _get_lr_called_within_step: bool = False
    _is_initial: bool = False
    _keys: ClassVar[tuple[str, ...]] = ()  # entries of a state dict that tell this class from the others
    _all_keys: ClassVar[set[str]] = set()
    optimizer: Any
    base_lrs: list[Any]
    last_epoch: int
    _last_lr: list[Any]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = _checked(optimizer)
        new = []
        for i, group in enumerate(optimizer.param_groups):
            if "initial_lr" not in group:
                if last_epoch != -1:
                    raise KeyError(
                        f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                        "last_epoch >= 0.\nThis typically happens when:\n"
                        "1. You're trying to resume training from a checkpoint but haven't properly loaded the "
                        "optimizer state\n"
                        "2. You're using last_epoch >= 0 for a fresh training run (not recommended)"
                    )
                new.append(group)
        for group in new:
            group["initial_lr"] = _copied(group["lr"])
        try:
            self.base_lrs = _param_groups_val_list(optimizer, "initial_lr")
            self.last_epoch = last_epoch
            optimizer._watch_steps()
            self._initial_step()
        except BaseException:
            for group in new:
                del group["initial_lr"]
            raise

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        LRScheduler._all_keys |= set(cls._keys)

    def _initial_step(self) -> None:
        """Count from zero, and set the learning rates of the first epoch."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch; call it after ``optimizer.step()`` (or ``update()``).

        Args:
            epoch (int, optional): go to this epoch instead, by the closed form where there is one. Deprecated in torch.

        Warns UserWarning, as torch does, when no optimizer step came before, when ``optimizer.step`` was replaced, and
        of ``epoch``. Where the next learning rates can't be computed it raises, and nothing is changed.
        """
        if self._step_count == 1:
            self._warn_of_order()
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        before = self._step_count
        self._step_count += 1
        try:
            self._update_lr(epoch)
        except BaseException:
            self._step_count = before
            raise

    def _warn_of_order(self) -> None:
        if not hasattr(self.optimizer.step, "hooked"):
            warnings.warn(
                "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. "
                f"Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`. {_ORDER}",
                UserWarning,
                stacklevel=3,
            )
        elif not self.optimizer._was_stepped():
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you "
                "should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to "
                "do this will result in PyTorch skipping the first value of the learning rate schedule. "
                f"{_ORDER}",
                UserWarning,
                stacklevel=3,
            )

    def _update_lr(self, epoch: int | None = None) -> None:
        before = self.last_epoch
        try:
            with _within_step(self):
                self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
                closed = getattr(self, "_get_closed_form_lr", None) if epoch is not None else None
                values = (closed or self.get_lr)()
            self._set(values)
        except BaseException:
            self.last_epoch = before
            raise

    def _set(self, values: Sequence[Any]) -> None:
        """Write one learning rate into each group, or none at all where one of them can't be written."""
        groups = self.optimizer.param_groups
        held = [(group["lr"], _copied(group["lr"])) for group in groups]
        try:
            for group, value in zip(groups, values, strict=True):
                _update_param_group_val(group, "lr", value)
        except BaseException:
            for group, (value, copy) in zip(groups, held, strict=True):
                if group["lr"] is not value:
                    group["lr"] = value
                elif copy is not value:
                    _update_param_group_val(group, "lr", copy)
            raise
        self._last_lr = _param_groups_val_list(self.optimizer, "lr")

    def get_lr(self) -> list[Any]:
        """The learning rates of ``self.last_epoch``, one per group; a subclass writes it, and :meth:`step` calls it.

        It may not change a tensor ``group["lr"]``, and gives new ones. To read the rates: :meth:`get_last_lr`.
        """
        raise NotImplementedError

    def get_last_lr(self) -> list[Any]:
        """The learning rates that the last step set, one per group; tensors are copies."""
        return self._last_lr

    def as_schedule(self, group: int | None = None) -> Schedule:
        """The pure function ``step -> learning rate`` of this scheduler, for ``learning_rate=`` of MLX's optimizers.

        It begins at step 0 with the optimizer's initial rates, wherever the scheduler is now, and changes nothing. It
        takes an int or an array of integers, gives float32, and ``mx.compile`` traces it (and then the function of
        a ``LambdaLR``, which is called with an array). Momentum is not in it.

        Args:
            group: the index of the parameter group; may be left out where all have the same rates.

        Raises:
            ValueError: there is no closed form (``MultiplicativeLR``, ``ReduceLROnPlateau``, a subclass with a
                ``get_lr`` of its own), or the groups differ and none was given.

        Example:
            >>> import mlx.core as mx
            >>> from torchish_mlx import Parameter, optim
            >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
            >>> scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
            >>> scheduler.as_schedule()(3).item()
            0.125
        """
        return to_schedule(self, group)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, in torch's layout."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from ``state_dict``. The learning rates themselves are in the optimizer's state; load that first.

        Functions that the scheduler was given stay; callable objects take their saved ``__dict__``.

        Raises:
            ValueError: it, or one within it, was saved by a scheduler of another class, or for another number of
                groups or schedulers; nothing is changed.
        """
        self._check_state(state_dict)
        with undone_on_error(kept(self)):
            self._take_over(state_dict)
            self._restore_doubles()  # last: the rates of the parts of a composite may be those of earlier steps

    def _take_over(self, state_dict: Mapping[str, Any]) -> None:
        """Make the entries of a checked state dict this scheduler's."""
        self.__dict__.update(state_dict)

    def _restore_doubles(self) -> None:
        """Give the groups their rates in double precision, where they come from float32 arrays, as in MLX's recipe.

        Otherwise a rate that is computed from the one before (``group["lr"] * gamma``) would drift.
        """
        rates = getattr(self, "_last_lr", None)
        for group, lr in zip(self.optimizer.param_groups, rates if isinstance(rates, list) else (), strict=False):
            rounded = getattr(group, "rounded", False) and isinstance(lr, float)
            if rounded and same(mx.array(group["lr"], mx.float32), mx.array(lr, mx.float32)):
                group["lr"] = lr

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        """torch takes any dict, and would go on with a mixture of two schedulers."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"a scheduler's state dict is a dict, but got {type(state_dict).__name__}: give what "
                "scheduler.state_dict() returned"
            )
        lacking = [key for key in self._keys if key not in state_dict]
        known = set(state_dict) if self._is_a_users() else {*self._keys, *self.__dict__}
        foreign = sorted((self._all_keys & set(state_dict)) - known)
        if lacking or foreign:
            faults = []
            if lacking:
                faults.append(f"lacks {lacking}")
            if foreign:
                faults.append(f"has {foreign}, which belong to another class")
            raise ValueError(
                f"this is not the state dict of a {type(self).__name__}: it {' and '.join(faults)}. Load it into a "
                "scheduler of the class that saved it." + see("another-schedulers-state")
            )

    def _is_a_users(self) -> bool:
        """Whether the class is from outside this package; its attributes may have any name, and may be set late."""
        return type(self).__module__.partition(".")[0] != __name__.partition(".")[0]


class _LRScheduler(LRScheduler):
    """The older name of :class:`LRScheduler`."""


class _Factors(LRScheduler):
    """A scheduler that multiplies: by ``_factor()`` at each step, which makes ``_total()`` of the initial rate."""

    def _factor(self) -> float | None:
        """What the step to ``self.last_epoch`` multiplies by; None leaves the rate as it is."""
        raise NotImplementedError

    def _total(self) -> float:
        """The product of all factors up to ``self.last_epoch``, in closed form."""
        raise NotImplementedError

    def get_lr(self) -> list[Any]:
        """The groups' learning rates as they are, times the factor of this step."""
        _warn_get_lr_called_within_step(self)
        factor = self._factor()
        if factor is None:
            return _param_groups_val_list(self.optimizer, "lr")
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> list[Any]:
        total = self._total()
        return [lr * total for lr in self.base_lrs]


def _checked(optimizer: Any) -> Optimizer:
    if isinstance(optimizer, Optimizer):
        refuse_scheduler(optimizer.param_groups)
        return optimizer
    hint = no_optimizer(optimizer)
    if isinstance(optimizer, NativeOptimizer):
        hint = (
            ": it is one of MLX's, which take a function as learning_rate (torchish_mlx.optimizers.schedules has one "
            "for each scheduler); optim.from_mlx gives its class param_groups" + see("a-scheduler-over-mlxs-optimizer")
        )
    raise TypeError(f"{type(optimizer).__name__} is not an Optimizer{hint}")


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.clone()
    schedule(arrays_in(value))
    return value


def _format_param(name: str, optimizer: Optimizer, param: Any) -> list[Any]:
    """``param`` for every group: a list of the right length as it is, anything else repeated; tensors are copied."""
    count = len(optimizer.param_groups)
    if not isinstance(param, (list, tuple)):
        param = [param] * count
    elif len(param) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(param)} values, param_groups has {count}."
        )
    return [_copied(value) for value in param]


def _param_groups_val_list(optimizer: Optimizer, key: str) -> list[Any]:
    """``group[key]`` of every group; tensors are copied."""
    return [_copied(group[key]) for group in optimizer.param_groups]


def _update_param_group_val(group: dict[str, Any], key: str, value: Any) -> None:
    """Set ``group[key]``; a tensor is changed in place, and keeps its identity."""
    held = group[key]
    if isinstance(held, Tensor):
        held.fill_(value.squeeze() if isinstance(value, Tensor) and value.ndim else value)
        schedule(held.array)
    else:
        group[key] = value


def _warn_get_lr_called_within_step(scheduler: LRScheduler) -> None:
    if not scheduler._get_lr_called_within_step:
        warnings.warn(
            "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
            UserWarning,
            stacklevel=3,
        )


@contextmanager
def _within_step(scheduler: LRScheduler) -> Iterator[None]:
    scheduler._get_lr_called_within_step = True
    try:
        yield
    finally:
        scheduler._get_lr_called_within_step = False


def kept(scheduler: LRScheduler) -> Callable[[], None]:
    """A function that puts ``scheduler``, what it is made of, and the groups back as they are now."""
    states = [(part, dict(part.__dict__)) for part in _stateful_objects(scheduler)]
    groups = [
        (group, {key: _copied(value) for key, value in group.items()}, dict(group))
        for group in scheduler.optimizer.param_groups
    ]

    def put_back() -> None:
        for part, state in states:
            part.__dict__.clear()
            part.__dict__.update(state)
        for group, values, held in groups:
            for key in set(group) - set(held):
                del group[key]
            for key, value in held.items():
                if group[key] is not value:
                    group[key] = value
                elif values[key] is not value:
                    _update_param_group_val(group, key, values[key])

    return put_back


def _stateful_objects(scheduler: Any) -> Iterator[Any]:
    """The scheduler, the callable objects that it was given (its state dict has their attributes), and the same of the
    schedulers that it is made of.
    """
    yield scheduler
    for function in (*getattr(scheduler, "lr_lambdas", ()), getattr(scheduler, "_scale_fn_custom", None)):
        if hasattr(function, "__dict__") and not isinstance(function, types.FunctionType):
            yield function
    for part in getattr(scheduler, "_schedulers", ()):
        yield from _stateful_objects(part)
