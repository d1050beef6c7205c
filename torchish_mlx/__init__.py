"""torchish_mlx."""
