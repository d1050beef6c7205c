"""``torch.backends.mkl``."""

__all__ = ["is_available"]


def is_available() -> bool:
    """False: MLX is not built with MKL.

    Source: ``torch.backends.mkl.is_available``.
    """
    return False
