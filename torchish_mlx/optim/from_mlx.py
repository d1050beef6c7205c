"""The torch side for any ``mlx.optimizers.Optimizer`` class: MLX's own, a user's, and ``MultiOptimizer``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from inspect import Parameter as Argument
from types import SimpleNamespace
from typing import Any, ClassVar

import mlx.core as mx
import mlx.optimizers as native_optimizers
from mlx.nn import Module

from .._docs import see
from ..bridge.parameters import parameters
from ..optimizers import Rule
from ..optimizers._hyper import Hyper, Static, same, shortest
from ..optimizers._kernels import cut
from ..optimizers._mixups import unexpected
from ..optimizers._mlx_state import InMLX
from ..optimizers._multi import checked_parts
from ..optimizers._single import refuse_single
from ._mixups import refuse_params
from ._moving import among, moving_field, sign_of, weak
from ._scheduled import with_numbers
from .optimizer import Optimizer, ParamsT

__all__ = ["Lion", "MultiOptimizer", "from_mlx"]


class _OptionalRate(Hyper):
    """A learning rate that may be None, as MLX's Adafactor has it: then the state has no array of it."""

    def carry(self, value: Any) -> Any:
        return [] if value is None else [super().carry(value)]

    def read(self, carried: Any) -> Any:
        return super().read(carried[0]) if carried else None

    def restore(self, carried: Any, value: Any) -> Any:
        if not carried:
            return None
        return value if same(self.carry(value), carried) else shortest(carried[0])


_ELEMENTWISE = [
    getattr(native_optimizers, name)
    for name in ("SGD", "RMSprop", "Adagrad", "AdaDelta", "Adam", "AdamW", "Adamax", "Lion")
]


class _NativeRule(Rule):
    """A rule whose formula is ``apply_single`` of an MLX optimizer, with that class's own numerics and slots."""

    native: ClassVar[type[native_optimizers.Optimizer]]
    together: ClassVar[bool] = False  # an instance of the class is made of the numbers of one group
    lr: Any = _OptionalRate(None)

    @classmethod
    def arguments(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """What to construct ``native`` with."""
        keys = {name: "lr" if name == "learning_rate" else name for name in _constructor(cls.native)}
        return {name: values[key] for name, key in keys.items() if key in values}

    @classmethod
    def validate(cls, values: Mapping[str, Any]) -> None:
        if values.get("lr") is not None:  # the other options are MLX's to check
            cls.fields()["lr"].refuse(values["lr"])
        cls.native(**cls.arguments(values))

    @classmethod
    def moving(cls) -> list[str]:
        """The options other than lr that a scheduler may move without a new trace."""
        return [name for name, field in cls.fields().items() if name != "lr" and not isinstance(field, Static)]

    @classmethod
    def choices(cls, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return (*super().choices(values), *(sign_of(values[name]) for name in cls.moving()))

    @classmethod
    def hypers(cls, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> SimpleNamespace:
        h = super().hypers(values, arrays)
        h.moving = {name: weak(getattr(h, name), values[name]) for name in cls.moving()}
        vars(h).update((name, values[name]) for name in h.moving)  # what the constructor checks
        return h

    @classmethod
    def build(cls, h: Any, step: mx.array) -> native_optimizers.Optimizer:
        """An instance at ``step``, whose moving options are set for each parameter: see :meth:`apply`."""
        built = cls.native(**cls.arguments(vars(h)))
        built.state["step"] = step.astype(mx.uint64)
        return built

    @classmethod
    def slots(cls, h: Any, p: mx.array) -> dict[str, mx.array]:
        made: dict[str, Any] = {}
        cls.build(h, mx.array(0)).init_single(p, made)
        return {name: cls.as_array(name, value) for name, value in made.items()}

    @classmethod
    def as_array(cls, name: str, value: Any) -> mx.array:
        """What a class keeps in a slot. A Python number becomes an array: the state is a tree of arrays."""
        if isinstance(value, mx.array):
            return value
        if isinstance(value, (bool, int, float)):
            return mx.array(value)
        raise TypeError(
            f"{cls.native.__name__} keeps a {type(value).__name__} in its state, as {name!r}; from_mlx takes classes "
            "whose state has arrays and numbers. Keep each array of it under a name of its own, or use the class as it "
            "is, by its own update()"
        )

    @classmethod
    def tick(cls, h: Any, clock: dict[str, mx.array]) -> Any:
        clock["step"] = clock["step"] + 1
        return cls.build(h, clock["step"])

    @classmethod
    def apply(cls, h: Any, g: Any, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        """As MLX computes it; parameters and state keep their dtype where MLX would promote them."""
        dtypes = {name: value.dtype for name, value in s.items()}
        vars(k).update(among(h.moving, g.dtype))
        new = k.apply_single(cut(h, g), p, s)
        s.update((name, cls.as_array(name, value)) for name, value in s.items())
        s.update((name, cut(h, s[name].astype(dtype))) for name, dtype in dtypes.items())
        return new.astype(p.dtype)


@cache
def _rule_for(cls: type[native_optimizers.Optimizer]) -> type[Rule]:
    """The rule of an optimizer class: ours are rules; MLX's get their fields from the constructor's arguments."""
    if issubclass(cls, Rule):
        refuse_single(cls, "from_mlx")
        return cls
    rate = _constructor(cls).get("learning_rate")
    fields: dict[str, Any] = {
        "mlx": InMLX(None, rate=rate is not None and rate.default is not None),
        "elementwise": cls in _ELEMENTWISE,
        "traceable": cls.__module__.startswith("mlx.optimizers"),
    }
    for name, argument in _constructor(cls).items():
        if argument.kind in (Argument.VAR_POSITIONAL, Argument.VAR_KEYWORD):
            raise TypeError(
                f"{cls.__name__}.__init__ takes *args or **kwargs, so its options can't be put into param_groups; "
                "write them out in its signature"
            )
        if name == "learning_rate":
            fields["lr"] = _OptionalRate(None)
        else:
            fields[name] = moving_field(cls, name, argument.default) or Static(argument.default)
    if "lr" not in fields:
        fields["lr"] = Static(None)
    return type(cls.__name__, (_NativeRule,), {"native": cls, "__doc__": cls.__doc__, **fields})


def _constructor(cls: type) -> dict[str, Argument]:
    return dict(list(inspect.signature(cls.__init__).parameters.items())[1:])  # type: ignore[misc]


class _FromMLX(Optimizer):
    """An adapter over an MLX optimizer class; see :func:`from_mlx`."""

    native: ClassVar[type[native_optimizers.Optimizer]]
    __signature__: ClassVar[inspect.Signature]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            bound = self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            accepted = list(self.__signature__.parameters)
            raise TypeError(unexpected(type(self).__name__, error, accepted, kwargs)) from None
        bound.apply_defaults()
        defaults = dict(bound.arguments)
        super().__init__(defaults.pop("params"), defaults)

    def __reduce__(self) -> Any:
        return _blank, (self.native,), self.__getstate__()


def _blank(native: type[native_optimizers.Optimizer]) -> Optimizer:
    cls = from_mlx(native)
    return cls.__new__(cls)


def from_mlx(cls: type[native_optimizers.Optimizer]) -> type[Optimizer]:
    """The ``torch.optim`` side of an MLX optimizer class, with MLX's numerics underneath.

    The result is constructed as torch's classes are, ``(params, lr, ...)``: ``learning_rate`` is spelled ``lr``, and
    the other arguments keep MLX's names and are options in ``param_groups``. A change of ``group["lr"]``, and in MLX's
    own classes of ``momentum`` and ``betas``, reaches a compiled step without a new trace. A change of another option
    makes it trace again, because these classes read the options as Python numbers.

    Args:
        cls: a subclass of ``mlx.optimizers.Optimizer`` whose constructor names its arguments; ``MultiOptimizer`` too.

    Raises:
        TypeError: not such a class.

    Example:
        >>> import mlx.core as mx
        >>> import mlx.optimizers
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([1.0]))
        >>> optimizer = optim.from_mlx(mlx.optimizers.AdaDelta)([p], lr=0.5)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> bool(p.item() < 1)
        True
    """
    if not (isinstance(cls, type) and issubclass(cls, native_optimizers.Optimizer)):
        raise TypeError(f"from_mlx takes a subclass of mlx.optimizers.Optimizer, but got {cls!r}{_advice(cls)}")
    return MultiOptimizer if issubclass(cls, native_optimizers.MultiOptimizer) else _adapter(cls)  # type: ignore[arg-type]


def _advice(given: Any) -> str:
    """What to write instead of what was given to :func:`from_mlx`."""
    kind = type(given).__name__
    if isinstance(given, native_optimizers.MultiOptimizer):
        return ", an instance: optim.MultiOptimizer(model, [optimizer, ...], [filter, ...]) makes its groups"
    if isinstance(given, native_optimizers.Optimizer):
        return f", an instance: give its class, and the options as torch has them: from_mlx({kind})(model, lr=1e-3)"
    if isinstance(given, type) and issubclass(given, Optimizer):
        return ", which has torch's API already: use it as it is"
    return ""


@cache
def _adapter(cls: type[native_optimizers.Optimizer]) -> type[Optimizer]:
    """What :func:`from_mlx` makes of a class, once for each."""
    rule = _rule_for(cls)  # type: ignore[arg-type]
    kind = Argument.POSITIONAL_OR_KEYWORD
    if issubclass(cls, Rule):
        given = [Argument(name, kind, default=field.default) for name, field in rule.fields().items()]
    else:
        given = [
            a.replace(name="lr" if n == "learning_rate" else n, annotation=Argument.empty)
            for n, a in _constructor(cls).items()
        ]
    body = {
        "native": cls,
        "rule": rule,
        "__signature__": inspect.Signature([Argument("params", kind), *given]),
        "__doc__": f"``mlx.optimizers``-style {cls.__name__} with torch.optim's face. {cls.__doc__ or ''}",
        "__module__": __name__,
    }
    return type(cls.__name__, (_FromMLX,), body)


class MultiOptimizer(Optimizer):
    """Several optimizers in one, chosen by the path and the array of each parameter: ``mlx.optimizers.MultiOptimizer``.

    Each optimizer becomes a parameter group, which holds its options; it keeps its own rule.

    Args:
        params: an ``mlx.nn.Module``, Parameters or (name, Parameter) pairs.
        optimizers: instances, of MLX's classes or of ``torchish_mlx.optimizers``; a schedule as learning rate becomes
            the ``lr`` of the group.
        filters: predicates (path, array) -> bool, one fewer than optimizers; the last optimizer takes what is left.

    Raises:
        ValueError: another number of filters; a scheduled option that is not the learning rate.

    Example:
        >>> import mlx.nn as nn
        >>> from torchish_mlx import optim, optimizers
        >>> model = nn.Linear(2, 2)
        >>> optimizer = optim.MultiOptimizer(
        ...     model, [optimizers.Muon(learning_rate=0.02), optimizers.AdamW()], [lambda path, a: a.ndim == 2]
        ... )
        >>> [len(group["params"]) for group in optimizer.param_groups]
        [1, 1]
    """

    native = native_optimizers.MultiOptimizer
    _mlx_several = True

    def __init__(
        self,
        params: ParamsT,
        optimizers: Sequence[native_optimizers.Optimizer],
        filters: Sequence[Callable[[str, mx.array], bool]] = (),
    ) -> None:
        refuse_params(params)
        checked_parts(optimizers, filters)
        self._kinds = [type(optimizer) for optimizer in optimizers]
        groups: list[dict[str, Any]] = [{"params": [], **_values(optimizer)} for optimizer in optimizers]
        listed = list(parameters(params)) if isinstance(params, Module) else list(params)
        for i, item in enumerate(listed):
            name, p = item if isinstance(item, tuple) else (getattr(item, "path", None) or str(i), item)
            chosen = next((k for k, accepts in enumerate(filters) if accepts(name, p.array)), len(filters))
            groups[chosen]["params"].append(item)
        for kind, group in zip(self._kinds, groups, strict=True):
            _rule_for(kind).validate(with_numbers(group))  # type: ignore[arg-type]
        super().__init__(groups, {})

    def _rule_of_group(self, i: int) -> type[Rule] | None:
        if i >= len(self._kinds):
            raise ValueError(
                "the groups of a MultiOptimizer come from its filters; give all parameters to the constructor, or "
                "make an optimizer of its own for the new ones"
            )
        return _rule_for(self._kinds[i])  # type: ignore[arg-type]

    @classmethod
    def _options(cls) -> Collection[str]:
        return ()  # each group is an optimizer of its own kind

    rule = Rule

    def _check_implementation(self, defaults: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Each rule was checked with its own options."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_kinds": self._kinds}


def _values(optimizer: native_optimizers.Optimizer) -> dict[str, Any]:
    """The options of an optimizer instance, under their names in ``param_groups``."""
    schedules = dict(optimizer._schedulers)
    schedule = schedules.pop("lr", None) or schedules.pop("learning_rate", None)
    if schedules:
        raise ValueError(
            f"{type(optimizer).__name__} has a scheduled {sorted(schedules)}; param_groups hold numbers, except for "
            "the learning rate. Construct it with a float, and write that option of its group in the loop."
            + see("a-schedule-as-lr")
        )
    if isinstance(optimizer, Rule):
        return {**optimizer.values, **({} if schedule is None else {"lr": schedule})}
    values: dict[str, Any] = {}
    for name in _constructor(type(optimizer)):
        if name == "learning_rate":
            rate = optimizer.state.get("learning_rate")
            values["lr"] = schedule if schedule is not None else None if rate is None else shortest(rate)
        elif hasattr(optimizer, name):
            values[name] = getattr(optimizer, name)
        else:
            raise ValueError(
                f"{type(optimizer).__name__} does not keep its argument {name!r} as an attribute, so it can't be "
                "put into param_groups"
            )
    return values


Lion = from_mlx(native_optimizers.Lion)
