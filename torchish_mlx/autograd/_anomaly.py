"""Gradients that are NaN are refused, with the place where their call was made."""

from __future__ import annotations

import warnings
from types import TracebackType

from .._tensor.modes import mode as _mode
from .._tensor.tape import TRACED


def is_anomaly_enabled() -> bool:
    """Whether calls keep where they were made, which ``autograd.detect_anomaly`` asks for."""
    return bool(TRACED)


def is_anomaly_check_nan_enabled() -> bool:
    """Whether a backward pass refuses a gradient that is NaN, which ``autograd.detect_anomaly`` asks for."""
    return _mode.anomaly


class set_detect_anomaly:
    """Switch the detection on or off, at once; as a context manager, until the end of the block.

    While it is on, a call keeps the traceback of its line. With ``check_nan`` a backward pass looks at every gradient
    that it computes, which takes time. For one that is NaN it raises RuntimeError, after a warning with that traceback.

    Source: ``torch.autograd.set_detect_anomaly``.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = bool(TRACED), _mode.anomaly
        _switch(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _switch(*self._before)


class detect_anomaly(set_detect_anomaly):
    """A context manager inside which a backward pass refuses gradients that are NaN: see ``set_detect_anomaly``.

    Source: ``torch.autograd.detect_anomaly``.

    >>> import warnings
    >>> import torchish_mlx as torch
    >>> x = torch.zeros(1, requires_grad=True)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     with torch.autograd.detect_anomaly():
    ...         try:
    ...             (x.sqrt() * 0).backward()
    ...         except RuntimeError as error:
    ...             print(error)
    Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._before = bool(TRACED), _mode.anomaly
        self._check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self._before = bool(TRACED), _mode.anomaly
        _switch(True, self._check_nan)


def _switch(on: bool, check_nan: bool) -> None:
    TRACED[:] = [True] if on else []
    _mode.anomaly = bool(on and check_nan)
