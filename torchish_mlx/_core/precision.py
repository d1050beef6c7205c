"""How precise products of float32 have to be, by torch's two ways of saying it: they can be set and read back."""

from __future__ import annotations

import warnings
from typing import Any

from .._inert import note

_HERE = {"highest": ("ieee", "ieee"), "high": ("tf32", "tf32"), "medium": ("tf32", "bf16")}
_KNOWN = {"generic": ("none", "ieee", "tf32", "bf16"), "cuda": ("none", "ieee", "tf32")}
#: (backend, operation) -> its own precision; "none" follows the backend, and that the generic one.
_own: dict[tuple[str, str], str] = {("cuda", "conv"): "tf32", ("cuda", "rnn"): "tf32"}
_matmul = ["highest"]


def precision_of(backend: str, operation: str) -> str:
    """The precision of an operation of a backend; ``all`` is all of them."""
    for key in ((backend, operation), (backend, "all"), ("generic", "all")):
        found = _own.get(key, "none")
        if found != "none":
            return found
    return "none"


def set_precision(backend: str, operation: str, value: str) -> None:
    """Set it.

    Raises:
        RuntimeError: a precision that the backend does not have, in torch's words.
    """
    if value not in _KNOWN["generic"]:
        raise RuntimeError(f"Unknown precision: {value}")
    if value not in _KNOWN.get(backend, _KNOWN["generic"]):
        raise RuntimeError(f"backend '{backend}' does not support precision '{value}'")
    _own[backend, operation] = value


class Precision:
    """The attribute ``fp32_precision`` of a module or of one of its operations."""

    def __init__(self, name: str, backend: str, operation: str) -> None:
        self.name, self.backend, self.operation = name, backend, operation

    def __get__(self, owner: Any, kind: type) -> Any:
        return self if owner is None else precision_of(self.backend, self.operation)

    def __set__(self, owner: Any, value: str) -> None:
        set_precision(self.backend, self.operation, value)
        note(self.name)


class AllowTF32:
    """The attribute ``allow_tf32`` of products: whether the precision is less than the highest."""

    def __get__(self, owner: Any, kind: type) -> Any:
        return self if owner is None else _matmul[0] != "highest"

    def __set__(self, owner: Any, value: bool) -> None:
        if type(value) is not bool:
            raise RuntimeError(f"set_allow_tf32_cublas expects a bool, but got {type(value).__name__}")
        note("torch.backends.cuda.matmul.allow_tf32")
        _set("high" if value else "highest")


def _set(precision: str) -> None:
    _matmul[0] = precision
    _own["cuda", "matmul"], _own["mkldnn", "matmul"] = _HERE[precision]


def get_float32_matmul_precision() -> str:
    """What :func:`set_float32_matmul_precision` was given; ``"highest"`` before.

    Source: ``torch.get_float32_matmul_precision``.
    """
    return _matmul[0]


def set_float32_matmul_precision(precision: str) -> None:
    """Permit less precise products of float32: ``"high"`` or ``"medium"``. It has no effect here.

    Raises:
        RuntimeError: no string. Another string is a warning, as in torch.

    Source: ``torch.set_float32_matmul_precision``.
    """
    if not isinstance(precision, str):
        raise RuntimeError(f"set_float32_matmul_precision expects a str, but got {type(precision).__name__}")
    if precision not in _HERE:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current"
            "setFloat32MatmulPrecision call has no effect.",
            stacklevel=2,
        )
        return
    note("torch.set_float32_matmul_precision")
    _set(precision)
