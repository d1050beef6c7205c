"""``torch.mtia``: Meta's accelerators, on which MLX does not compute."""

__all__ = ["device_count", "is_available", "is_initialized"]


def is_available() -> bool:
    """False: MLX does not compute on Meta's accelerators.

    Source: ``torch.mtia.is_available``.
    """
    return False


def is_initialized() -> bool:
    """False: MLX does not compute on Meta's accelerators.

    Source: ``torch.mtia.is_initialized``.
    """
    return False


def device_count() -> int:
    """0: MLX does not compute on Meta's accelerators.

    Source: ``torch.mtia.device_count``.
    """
    return 0
