"""The schedules of ``mlx.optimizers.schedulers``, at the place where MLX has them.

``from torchish_mlx.optimizers.schedulers import cosine_decay`` replaces the import from ``mlx.optimizers.schedulers``.
The functions are MLX's own. Those with torch's names and numbers are in :mod:`torchish_mlx.optimizers.schedules`.
"""

from mlx.optimizers.schedulers import cosine_decay, exponential_decay, join_schedules, linear_schedule, step_decay

__all__ = ["cosine_decay", "exponential_decay", "join_schedules", "linear_schedule", "step_decay"]
