"""``torch.backends.openmp``."""

__all__ = ["is_available"]


def is_available() -> bool:
    """False: MLX is not built with OpenMP.

    Source: ``torch.backends.openmp.is_available``.
    """
    return False
