"""``AveragedModel`` of a model that is written with this package's ``nn.Module``."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import mlx.core as mx

from ..._core.evaluation import arrays_in, schedule
from ..._tensor.modes import no_grad
from ..._tensor.tensor import Tensor, wrap
from ...nn.modules.module import Module
from ._averages import AvgFn, MultiAvgFn, get_swa_avg_fn


class AveragedModule(Module):
    """A module that holds the average of the weights of another one, which it has copied: see ``AveragedModel``."""

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: AvgFn | None = None,
        multi_avg_fn: MultiAvgFn | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", wrap(mx.array(0, mx.int64)))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the averaged model."""
        return self.module(*args, **kwargs)

    def _members(self, model: Module) -> list[Tensor]:
        given = itertools.chain(model.parameters(), model.buffers() if self.use_buffers else ())
        return [tensor.detach() for tensor in given]

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the weights of ``model`` into the average; what it computes is scheduled for evaluation.

        Raises:
            TypeError: it is no module of this package.
            RuntimeError: shapes that do not fit.
        """
        if not isinstance(model, Module):
            raise TypeError(f"update_parameters() takes a module as the averaged one, not {type(model).__name__}")
        mine = self._members(self.module)
        theirs = self._members(model)
        if not int(self.n_averaged):
            for average, weight in zip(mine, theirs, strict=False):
                average.copy_(weight)
        elif self.multi_avg_fn is not None or self.avg_fn is None:
            self._several(mine, theirs)
        else:
            for average, weight in zip(mine, theirs, strict=False):
                average.copy_(self.avg_fn(average, weight, self.n_averaged))
        if not self.use_buffers:
            for average, buffer in zip(self.module.buffers(), model.buffers(), strict=False):
                average.detach().copy_(buffer.detach())
        self.n_averaged += 1
        schedule(arrays_in([*self.module.parameters(), *self.module.buffers(), self.n_averaged]))

    def _several(self, mine: list[Tensor], theirs: list[Tensor]) -> None:
        """Average those of one dtype together, or each by torch's default."""
        groups: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
        for average, weight in zip(mine, theirs, strict=False):
            averages, weights = groups.setdefault(average.dtype, ([], []))
            averages.append(average)
            weights.append(weight)
        for averages, weights in groups.values():
            if self.multi_avg_fn is not None:
                self.multi_avg_fn(averages, weights, self.n_averaged)
                continue
            by_default = get_swa_avg_fn()
            for average, weight in zip(averages, weights, strict=True):
                average.copy_(by_default(average, weight, self.n_averaged))
