"""A schedule of each kind, an optimizer to drive, and the rates that it is driven with."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.optimizers

from torchish_mlx import Parameter, optim
from torchish_mlx.optimizers import schedules

ALL = {
    "lambda_lr": schedules.lambda_lr(0.1, lambda n: 1 / (1 + n)),
    "step_lr": schedules.step_lr(0.1, 7, 0.9),
    "multi_step_lr": schedules.multi_step_lr(0.1, [3, 9, 9], 0.5),
    "constant_lr": schedules.constant_lr(0.1, 0.5, 20),
    "linear_lr": schedules.linear_lr(0.1, 0.25, 1.0, 30),
    "exponential_lr": schedules.exponential_lr(0.1, 0.97),
    "polynomial_lr": schedules.polynomial_lr(0.1, 40, 2.0),
    "cosine_annealing_lr": schedules.cosine_annealing_lr(0.1, 25, 0.01),
    "cosine_annealing_warm_restarts": schedules.cosine_annealing_warm_restarts(0.1, 3, 2),
    "cyclic_lr": schedules.cyclic_lr(0.01, 0.1, 7, 3, "exp_range", 0.99),
    "one_cycle_lr": schedules.one_cycle_lr(0.1, 50, three_phase=True),
    "swa_lr": schedules.swa_lr(0.1, 0.01, 20),
    "sequential_lr": schedules.sequential_lr([schedules.linear_lr(0.1), mlx.optimizers.cosine_decay(0.1, 40)], [5]),
    "chained_scheduler": schedules.chained_scheduler([schedules.linear_lr(0.1), schedules.exponential_lr(1.0, 0.9)]),
}


def adapter(lr: Any = 0.1, groups: int = 1) -> optim.SGD:
    return optim.SGD([{"params": [Parameter(mx.array([0.0]))]} for _ in range(groups)], lr=lr, momentum=0.9)


def walk(scheduler: Any, steps: int) -> list[float]:
    optimizer = scheduler.optimizer
    optimizer.step()
    out = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        scheduler.step()
        out.append(optimizer.param_groups[0]["lr"])
    return out
