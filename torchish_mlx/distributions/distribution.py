"""``Distribution``: what all distributions have, and what torch checks of their arguments."""

from __future__ import annotations

import warnings
from typing import Any

from .._tensor.arraylike import Size
from .._tensor.modes import no_grad
from .._tensor.tensor import Tensor
from .constraints import is_dependent
from .utils import broadcast_all, is_number, lazy_property

__all__ = ["Distribution"]

PACKAGE = __name__.rpartition(".")[0]


class Distribution:
    """What distributions are derived from.

    Args:
        batch_shape: the shape of the parameters: as many distributions there are.
        event_shape: the shape of one sample of one of them.
        validate_args: whether parameters and values are checked; None takes ``set_default_validate_args``, which is
            True unless Python runs with ``-O``.

    Raises:
        ValueError: a parameter is outside of its set in ``arg_constraints``.

    Source: ``torch.distributions.Distribution``.

    >>> import torchish_mlx as torch
    >>> torch.distributions.Normal(torch.zeros(2), 1.0).batch_shape
    torch.Size([2])
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their arguments where ``validate_args`` is not given."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._validate_parameters()
        super().__init__()

    def _validate_parameters(self) -> None:
        try:
            constraints = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize "
                "the distribution with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
            return
        for name, constraint in constraints.items():
            lazy = name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property)
            if lazy or is_dependent(constraint):
                continue
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    def _validate_sample(self, value: Any) -> None:
        """Refuse a value that no sample can be."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, event = value.size(), self._event_shape
        if shape[len(shape) - len(event) :] != event:
            raise ValueError(f"The right-most size of value must match event_shape: {shape} vs {event}.")
        expected = self._batch_shape + event
        for i, j in zip(reversed(shape), reversed(expected), strict=False):
            if 1 not in (i, j) and i != j:
                raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {shape} vs {expected}.")
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please initialize the "
                "distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the "
                f"support ({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    # -- what each distribution says

    @property
    def batch_shape(self) -> Any:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """The shape of one sample of one distribution."""
        return self._event_shape

    @property
    def arg_constraints(self) -> Any:
        """Which set each parameter has to be in, by its name."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """The set of the samples."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The mean."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The distribution with its parameters expanded to ``batch_shape``."""
        raise NotImplementedError

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples of shape ``sample_shape + batch_shape + event_shape``, without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """As ``sample``, with gradients for the parameters."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """``sample((n,))``, by its old name."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", category=FutureWarning, stacklevel=2
        )
        return self.sample(Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at ``value``."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of samples up to ``value``."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """Up to where samples have the probability ``value``."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values that samples can have, along a new first dimension; with ``expand`` in the shape of the batch."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy, in the shape of the batch."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """``exp(entropy())``."""
        return self.entropy().exp()

    # -- for classes

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _get_checked_instance(self, cls: Any, _instance: Any = None) -> Any:
        if _instance is None and type(self).__init__ != cls.__init__:
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ method must also "
                "define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def __repr__(self) -> str:
        shown = [(name, self.__dict__[name]) for name in self.arg_constraints if name in self.__dict__]
        parts = (f"{name}: {value if value.numel() == 1 else value.size()}" for name, value in shown)
        return f"{type(self).__name__}({', '.join(parts)})"


class OfParameters(Distribution):
    """A distribution whose parameters are Tensors, those that ``arg_constraints`` names."""

    def _take(self, validate_args: bool | None, **parameters: Any) -> None:
        """Keep the parameters, in one shape, which is that of the batch."""
        for name, value in zip(parameters, broadcast_all(*parameters.values()), strict=True):
            self.__dict__[name] = value
            shape = value.size()
        batch = Size() if all(map(is_number, parameters.values())) else shape
        Distribution.__init__(self, batch, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The distribution with its parameters expanded to ``batch_shape``."""
        own = next(base for base in type(self).__mro__ if base.__module__.startswith(PACKAGE))
        new = self._get_checked_instance(own, _instance)
        shape, kept = Size(batch_shape), len(self._batch_shape)
        for name in self.arg_constraints:
            value = self.__dict__.get(name)
            if value is not None:
                new.__dict__[name] = value.expand((*shape, *value.shape[kept:]))
        self._expanded(new)
        Distribution.__init__(new, shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _expanded(self, new: Any) -> None:
        """Give ``new`` what is no parameter."""
