"""``torch.backends.cpu``."""

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """``"DEFAULT"``: which instructions MLX's kernels use is not known, and torch has this word for it.

    Source: ``torch.backends.cpu.get_cpu_capability``.
    """
    return "DEFAULT"
