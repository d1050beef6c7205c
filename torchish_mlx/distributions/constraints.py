"""``torch.distributions.constraints``: the sets that parameters and samples have to be in.

Each has ``check(value)``, which says for each event whether it is inside, ``event_dim``, the number of dimensions of an
event, and ``is_discrete``.
"""

from __future__ import annotations

import typing as _typing
from collections.abc import Callable, Sequence
from typing import Any

from .._absent import getter as _getter
from .._tensor.tensor import Tensor
from ..ops.joining import cat as _cat
from ..ops.joining import stack as _stack
from ._sets import (
    Constraint,
    _Boolean,
    _CorrCholesky,
    _GreaterThan,
    _GreaterThanEq,
    _HalfOpenInterval,
    _IntegerGreaterThan,
    _IntegerInterval,
    _Interval,
    _LessThan,
    _LowerCholesky,
    _LowerTriangular,
    _Multinomial,
    _OneHot,
    _Real,
    _Simplex,
    _Square,
    _Symmetric,
)

__all__ = [
    "Constraint",
    "MixtureSameFamilyConstraint",
    "boolean",
    "cat",
    "corr_cholesky",
    "dependent",
    "dependent_property",
    "greater_than",
    "greater_than_eq",
    "half_open_interval",
    "independent",
    "integer_interval",
    "interval",
    "is_dependent",
    "less_than",
    "lower_cholesky",
    "lower_triangular",
    "multinomial",
    "nonnegative",
    "nonnegative_integer",
    "one_hot",
    "positive",
    "positive_integer",
    "real",
    "real_vector",
    "simplex",
    "square",
    "stack",
    "symmetric",
    "unit_interval",
]


# -- of other constraints


class _Dependent(Constraint):
    """In the place of a set that depends on other parameters; ``dependent(event_dim=1)`` says what is known of it."""

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> None:
        self._is_discrete, self._event_dim = is_discrete, event_dim

    @property
    def is_discrete(self) -> bool:
        """Whether it has single numbers only."""
        return self._known("is_discrete", self._is_discrete)

    @property
    def event_dim(self) -> int:
        """How many dimensions an event has."""
        return self._known("event_dim", self._event_dim)

    @staticmethod
    def _known(name: str, value: Any) -> Any:
        if value is NotImplemented:
            raise NotImplementedError(f".{name} cannot be determined statically")
        return value

    def __call__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> Any:
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim,
        )

    def check(self, value: Any) -> Any:  # noqa: ARG002
        raise ValueError("Cannot determine validity of dependent constraint")


class _DependentProperty(property, _Dependent):
    """A property of a distribution that is its set; of the class it is a set that depends on other parameters."""

    def __init__(
        self,
        fn: Callable[..., Any] | None = None,
        *,
        is_discrete: Any = NotImplemented,
        event_dim: Any = NotImplemented,
    ) -> None:
        property.__init__(self, fn)
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def __call__(self, fn: Callable[..., Any]) -> Any:  # type: ignore[override]
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


def is_dependent(constraint: Any) -> bool:
    """Whether a set depends on other parameters, so that it cannot be checked by itself.

    Source: ``torch.distributions.constraints.is_dependent``.
    """
    return isinstance(constraint, _Dependent)


class _OfOne(Constraint):
    """A set that is made of another one."""

    def __init__(self, base_constraint: Any) -> None:
        if not isinstance(base_constraint, Constraint):
            raise AssertionError(f"base_constraint must be a Constraint, got {type(base_constraint).__name__}")
        self.base_constraint = base_constraint

    @property
    def is_discrete(self) -> bool:
        """Whether it has single numbers only."""
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:
        """How many dimensions an event has."""
        return self.base_constraint.event_dim


class _IndependentConstraint(_OfOne):
    """An event is several of the other set, over as many dimensions, each of which has to be in it."""

    def __init__(self, base_constraint: Any, reinterpreted_batch_ndims: int) -> None:
        super().__init__(base_constraint)
        if not isinstance(reinterpreted_batch_ndims, int):
            raise AssertionError(
                f"reinterpreted_batch_ndims must be an int, got {type(reinterpreted_batch_ndims).__name__}"
            )
        if reinterpreted_batch_ndims < 0:
            raise AssertionError(f"reinterpreted_batch_ndims must be >= 0, got {reinterpreted_batch_ndims}")
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def event_dim(self) -> int:
        """How many dimensions an event has."""
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Any) -> Any:
        return _all_of(self.base_constraint.check(value), self.reinterpreted_batch_ndims, value, self.event_dim)

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(_OfOne):
    """The set of a mixture: a value is compared with each component, which are one more dimension of the other set.

    Source: ``torch.distributions.constraints.MixtureSameFamilyConstraint``.
    """

    def check(self, value: Any) -> Any:
        """For each event whether it is in the set."""
        result = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return _all_of(result, result.dim() - (value.dim() - self.event_dim), value, self.event_dim)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint!r})"


def _all_of(result: Any, count: int, value: Any, least: int) -> Any:
    if result.dim() < count or value.dim() < least:
        raise ValueError(f"Expected value.dim() >= {least} but got {value.dim()}")
    return result.reshape((*result.shape[: result.dim() - count], -1)).all(-1)


class _OfSeveral(Constraint):
    """Sets that are made of several others."""

    def __init__(self, cseq: Sequence[Any], dim: int = 0) -> None:
        if not all(isinstance(c, Constraint) for c in cseq):
            raise AssertionError("All elements of cseq must be Constraint instances")
        self.cseq, self.dim = list(cseq), dim

    @property
    def is_discrete(self) -> bool:
        """Whether it has single numbers only."""
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self) -> int:
        """How many dimensions an event has."""
        return max(c.event_dim for c in self.cseq)

    def _in_range(self, value: Tensor) -> None:
        if not -value.dim() <= self.dim < value.dim():
            raise AssertionError(f"dim {self.dim} out of range for value with {value.dim()} dimensions")


class _Cat(_OfSeveral):
    """Parts of a dimension, of ``lengths`` each, are in different sets."""

    def __init__(self, cseq: Sequence[Any], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(f"lengths ({len(self.lengths)}) must match cseq ({len(self.cseq)})")

    def check(self, value: Any) -> Any:
        self._in_range(value)
        parts = value.narrow(self.dim, 0, sum(self.lengths)).split(self.lengths, self.dim)
        return _cat([c.check(part) for c, part in zip(self.cseq, parts, strict=True)], self.dim)


class _Stack(_OfSeveral):
    """What a dimension indexes is in different sets."""

    @property
    def event_dim(self) -> int:
        """How many dimensions an event has."""
        dim = super().event_dim
        return dim + 1 if self.dim + dim < 0 else dim

    def check(self, value: Any) -> Any:
        self._in_range(value)
        return _stack([c.check(v) for v, c in zip(value.unbind(self.dim), self.cseq, strict=False)], self.dim)


dependent = _Dependent()
dependent_property = _DependentProperty
independent = _IndependentConstraint
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
corr_cholesky = _CorrCholesky()
square = _Square()
symmetric = _Symmetric()
cat = _Cat
stack = _Stack

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.distributions.constraints", globals())
