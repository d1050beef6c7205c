"""What distributions share that are given ``probs`` or ``logits``."""

from __future__ import annotations

from typing import Any

from .._tensor.tensor import Tensor
from .distribution import OfParameters
from .utils import lazy_property, logits_to_probs, probs_to_logits


class OfProbabilities(OfParameters):
    """A distribution of ``probs`` or ``logits``: one is given, and the other is computed when it is read."""

    _binary = True
    _param: Tensor  # the one that was given

    @staticmethod
    def _given(probs: Any, logits: Any) -> str:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        return "logits" if probs is None else "probs"

    def _expanded(self, new: Any) -> None:
        new._param = new.__dict__["probs" if self._param is self.__dict__.get("probs") else "logits"]

    @lazy_property
    def probs(self) -> Tensor:
        """The probabilities."""
        return logits_to_probs(self.logits, self._binary)

    @lazy_property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities, or of the odds where there are two outcomes."""
        return probs_to_logits(self.probs, self._binary)

    @property
    def param_shape(self) -> Any:
        """The shape of ``probs``."""
        return self._param.size()


class OfTwo(OfProbabilities):
    """The distribution of a trial, or of several, that succeed with the probability ``probs``."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        name = self._given(probs, logits)
        self._take(validate_args, **{name: logits if probs is None else probs})
        self._param = self.__dict__[name]
