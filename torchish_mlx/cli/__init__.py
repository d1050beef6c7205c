"""Running programs: the command ``python -m torchish_mlx run``."""
