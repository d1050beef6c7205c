"""A whole run in one file: model, optimizer, scheduler, scaler and the count of steps.

Example::

    run = checkpoint.resume("runs/a", model=model, optimizer=optimizer, missing_ok=True)
    for step in range(run.step if run else 0, 10_000):
        ...
        if (step + 1) % 1000 == 0:
            checkpoint.save("runs/a", step=step + 1, model=model, optimizer=optimizer, keep=3)

The random state of MLX, Python and NumPy goes with it.
"""

from ._files import latest
from ._run import Resumed, resume, save

__all__ = ["Resumed", "latest", "resume", "save"]
