"""``torch.onnx``: programs import it, and this package can't write its files."""

from __future__ import annotations

from typing import Any

__all__ = ["export", "is_in_onnx_export"]


def export(*args: Any, **kwargs: Any) -> None:
    """Refused: the recorded calls of a model are not written as ONNX.

    Raises:
        NotImplementedError: always.

    Source: ``torch.onnx.export``.
    """
    raise NotImplementedError(
        "torch.onnx.export is not supported: save model.state_dict(), load it with torch and export it there, or write "
        "a function of arrays with mlx.core.export_function"
    )


def is_in_onnx_export() -> bool:
    """False: nothing is exported here.

    Source: ``torch.onnx.is_in_onnx_export``.
    """
    return False
