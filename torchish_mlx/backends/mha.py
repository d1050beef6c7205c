"""``torch.backends.mha``: whether ``nn.MultiheadAttention`` may take a faster way."""

from .._inert import note as _note

__all__ = ["get_fastpath_enabled", "set_fastpath_enabled"]

_enabled = [True]


def get_fastpath_enabled() -> bool:
    """What :func:`set_fastpath_enabled` was given; True before.

    Source: ``torch.backends.mha.get_fastpath_enabled``.
    """
    return _enabled[0]


def set_fastpath_enabled(value: bool) -> None:
    """Keep the value. It has no effect here: there is one way.

    Source: ``torch.backends.mha.set_fastpath_enabled``.
    """
    _note("torch.backends.mha.set_fastpath_enabled")
    _enabled[0] = value
