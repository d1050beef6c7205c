"""All that knows ``mlx.nn``: Parameters over its modules, their gradients and their state dicts."""
