"""Schedulers made of schedulers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..._core.undo import undone_on_error
from ...optimizers.schedules._checks import check_milestones
from ..optimizer import Optimizer
from ._base import LRScheduler, _param_groups_val_list, _update_param_group_val, kept
from ._plateau import ReduceLROnPlateau


class _Composite(LRScheduler):
    """Schedulers of one optimizer; their state dicts are saved in ``_schedulers``."""

    _keys: ClassVar[tuple[str, ...]] = ("_schedulers",)
    _schedulers: list[LRScheduler]

    def _check_members(self, optimizer: Any, schedulers: Sequence[Any]) -> None:
        name = type(self).__name__
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name} at index {i} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be "
                    f"specified when calling `step`, but got one at index {i} in the given schedulers sequence."
                )
            if optimizer != scheduler.optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {i} has {scheduler.optimizer}, which is different from "
                    f"{type(optimizer).__name__}."
                )

    def _update_lr(self, epoch: int | None = None) -> None:
        raise NotImplementedError(
            f"a {type(self).__name__} can't begin at a milestone of a SequentialLR, nor can it in torch: only the "
            "first of its schedulers may be made of others"
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; a list of the schedulers' state dicts in place of the schedulers."""
        state = {key: value for key, value in super().state_dict().items() if key != "_schedulers"}
        state["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return state

    def _take_over(self, state_dict: Mapping[str, Any]) -> None:
        super()._take_over({key: value for key, value in state_dict.items() if key != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        super()._check_state(state_dict)
        states = state_dict["_schedulers"]
        if len(states) != len(self._schedulers):
            raise ValueError(
                f"the state dict is one of {len(states)} schedulers, and this {type(self).__name__} has "
                f"{len(self._schedulers)}"
            )


class SequentialLR(_Composite):
    """One scheduler after the other: the next takes over, from its own epoch 0, at each milestone.

    Args:
        optimizer: see :class:`LRScheduler`; that of all schedulers.
        schedulers (list): at least one; no :class:`ReduceLROnPlateau`.
        milestones (list of int): one fewer than schedulers, and not decreasing.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        ValueError: no scheduler, one of another optimizer, a wrong number of milestones, or unsorted ones.
        TypeError: something that is no scheduler.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> warm_up = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> decay = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> scheduler = optim.lr_scheduler.SequentialLR(optimizer, [warm_up, decay], milestones=[2])
        >>> rates = []
        >>> for _ in range(5):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.5, 0.75, 1.0, 0.5, 0.25]

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.sequential_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``sequential_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.SequentialLR``.
    """

    _keys = ("_schedulers", "_milestones")

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        if len(schedulers) < 1:
            raise ValueError(f"{type(self).__name__} expects at least one scheduler, but got no scheduler.")
        self._check_members(optimizer, schedulers)
        check_milestones(type(self).__name__, schedulers, milestones)
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        with undone_on_error(kept(self)):
            for group in optimizer.param_groups:  # undo what the schedulers did when they were made
                _update_param_group_val(group, "lr", group["initial_lr"])
            self.recursive_undo()
            first = schedulers[bisect_right(milestones, 0)]
            first._initial_step()
            self._last_lr = first.get_last_lr()

    def recursive_undo(self, sched: LRScheduler | None = None) -> None:
        """Take back the step that every scheduler made when it was constructed."""
        of = self if sched is None else sched
        parts = getattr(of, "_schedulers", None)
        if parts is not None:
            for scheduler in parts:
                self.recursive_undo(scheduler)
        elif hasattr(of, "last_epoch"):
            of.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Go on to the next epoch. Where the present scheduler raises, nothing is changed."""
        epoch = self.last_epoch + 1
        turn = bisect_right(self._milestones, epoch)
        scheduler = self._schedulers[turn]
        with undone_on_error(kept(self)):
            self.last_epoch = epoch
            if turn > 0 and self._milestones[turn - 1] == epoch:
                scheduler._update_lr(0)
            else:
                scheduler.step()
            self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Composite):
    """Several schedulers at once: each goes on from the rate that those before it have set.

    Args:
        schedulers (sequence): at least one; no :class:`ReduceLROnPlateau`.
        optimizer (optional): that of all schedulers; by default the first one's.

    Raises:
        ValueError: no scheduler, or one of another optimizer.
        TypeError: something that is no scheduler.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> warm_up = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
        >>> decay = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> scheduler = optim.lr_scheduler.ChainedScheduler([warm_up, decay])
        >>> rates = []
        >>> for _ in range(4):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.5, 0.25, 0.25, 0.125]

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.chained_scheduler`.
    :meth:`~LRScheduler.as_schedule` makes it from ``chained_scheduler_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.ChainedScheduler``.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if len(schedulers) < 1:
            raise ValueError(
                f"{type(self).__name__} expects at least one scheduler to be chained, but got no scheduler."
            )
        optimizer = optimizer or schedulers[0].optimizer
        self._check_members(optimizer, schedulers)
        self._schedulers = schedulers  # type: ignore[assignment]
        self.optimizer = optimizer
        self._last_lr = _param_groups_val_list(schedulers[-1].optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Let every scheduler step. Where one of them raises, nothing is changed."""
        with undone_on_error(kept(self)):
            for scheduler in self._schedulers:
                scheduler.step()
            self._last_lr = _param_groups_val_list(self.optimizer, "lr")
