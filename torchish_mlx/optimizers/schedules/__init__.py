"""torch's learning-rate schedulers as pure functions of the step, for ``learning_rate=`` of any MLX optimizer::

    optimizer = AdamW(learning_rate=schedules.cosine_annealing_lr(1e-3, T_max=10_000))

Each has the arguments and the errors of the class that it is named after, the learning rate first, and gives a function
``step -> value``: of an int, or of an array of integers (elementwise), to float32. It may be traced by ``mx.compile``.
The value is that of torch's scheduler after ``step`` calls of its ``step()``, to 1e-6 relative
(``compat_tests/optimizers/schedules/test_schedules.py``). What torch refuses only at a later step, with a division by
zero, is refused at once, with a ValueError.

There is none for ``MultiplicativeLR`` and ``ReduceLROnPlateau``: their values depend on all steps before.
"""

from __future__ import annotations

from ._composite import chained_scheduler, sequential_lr
from ._cosine import cosine_annealing_lr, cosine_annealing_warm_restarts, swa_lr
from ._curves import Schedule
from ._cycle import cyclic_lr, one_cycle_lr
from ._decay import constant_lr, exponential_lr, lambda_lr, linear_lr, multi_step_lr, polynomial_lr, step_lr

__all__ = [
    "Schedule",
    "chained_scheduler",
    "constant_lr",
    "cosine_annealing_lr",
    "cosine_annealing_warm_restarts",
    "cyclic_lr",
    "exponential_lr",
    "lambda_lr",
    "linear_lr",
    "multi_step_lr",
    "one_cycle_lr",
    "polynomial_lr",
    "sequential_lr",
    "step_lr",
    "swa_lr",
]
