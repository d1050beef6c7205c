"""``torch.utils``."""

from . import checkpoint as checkpoint

__all__ = ["checkpoint"]
