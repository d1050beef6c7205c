"""The base of every optimizer: a formula with declared hyper-parameters, and on top of it MLX's Optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from inspect import Parameter, Signature
from types import SimpleNamespace
from typing import Any, ClassVar

import mlx.core as mx
from mlx.nn import Module
from mlx.optimizers import Optimizer
from mlx.utils import tree_map

from .._core.alone import alone, has_moved
from .._core.evaluation import arrays_in, schedule, schedule_given
from .._core.sparse import RowSparse
from .._core.trace import traced
from ._core import Share, Task, check_items, check_slots, formulas, paired
from ._hyper import FIRST, STRUCTURE, Hyper, Static, as_array, structure
from ._kernels import cut
from ._mixups import check_update, no_number, refuse_parameters, unexpected
from ._mlx_state import InMLX, MLXPart, is_mlx_state
from ._mlx_taken import taken
from ._rates import first_rate, is_schedule, rate_at
from ._single import Single
from ._state import RuleState, entries_alone

HALF = (mx.float16, mx.bfloat16)


class Rule(Optimizer):
    """The base of every optimizer here: a formula with declared hyper-parameters, as an ``mlx.optimizers.Optimizer``.

    A subclass declares ``Hyper``, ``Decay``, ``Each`` and ``Static`` fields and writes

    - ``slots(h, p)``: the arrays to keep for one parameter, under torch's names;
    - ``tick(h, clock)``: what depends on the step count alone, computed once per count and not once per parameter;
    - ``formula(h, g, p, s, k)``: the new value of one parameter; new slots are written into ``s``.

    ``h`` holds the hyper-parameters: arrays for a Hyper, Python values for a Static. For editors, a subclass of
    :class:`~torchish_mlx.optimizers._hyper.Hypers` may list the entries of ``h``, and a TypedDict those of ``s``.

    These class methods are all that an adapter of ``torchish_mlx.optim`` takes from a rule; the others make the rule,
    alone, an optimizer of MLX.
    """

    lr: Any = Hyper(1e-3)
    maximize: Any = Static(False)
    counted: ClassVar[bool] = True  # whether torch keeps a "step" in the state of a parameter
    integer_step: ClassVar[bool] = False  # whether that "step" is a Python int in torch
    sparse: ClassVar[bool] = False  # whether gradients are RowSparse
    densifies: ClassVar[bool] = False  # whether a RowSparse is taken too, as the dense gradient that it represents
    elementwise: ClassVar[bool] = False  # whether the formula treats each element by itself: then it is traceable, too
    traceable: ClassVar[bool] = False  # whether it has no side effects, so that it may be compiled by default
    stackable: ClassVar[bool] = False  # whether mx.vmap may take it over parameters of one shape; if not elementwise
    together: ClassVar[bool] = True  # whether one call may serve several groups, with numbers as vectors in tick()
    eager_slots: ClassVar[bool] = False  # whether torch makes the slots in the constructor
    late: ClassVar[tuple[str, ...]] = ()  # slots, in the parameter's shape, that the first step makes if h.remembers
    mlx: ClassVar[InMLX | None] = None  # what the slots are called in mlx.optimizers, where it has this optimizer
    order: ClassVar[tuple[str, ...]] = ()  # the first arguments, if the order is not that of the declarations
    clock: ClassVar[tuple[str, ...]] = ("step",)  # 0-d entries of the state that depend on the count alone

    # The formula ----------------------------------------------------------------------------------------------------

    @classmethod
    def slots(cls, h: Any, p: mx.array) -> dict[str, mx.array]:
        """Initial slots of the parameter ``p``: arrays in its dtype."""
        return {}

    @classmethod
    def early_slots(cls, h: Any, p: mx.array) -> dict[str, mx.array]:
        """All slots of ``p`` before its first step, for :meth:`init`. The first step makes some of them otherwise.

        If ``h.marks`` is true, the formula reads from ``h.first`` whether this is the first step of the parameter.
        """
        return cls.slots(h, p)

    @classmethod
    def start(cls, h: Any) -> dict[str, mx.array]:
        """The clock of a parameter that has not been updated yet."""
        return {"step": mx.array(0.0)}

    @classmethod
    def tick(cls, h: Any, clock: dict[str, mx.array]) -> Any:
        """Advance ``clock`` by one step, in place, and return what the formula needs of it.

        Called once per distinct count: ``mx.compile`` does not merge equal ``expm1`` and ``log1p``, and 148 bias
        corrections, one per parameter, made a step five times slower.
        """
        clock["step"] = clock["step"] + 1
        return ()

    @classmethod
    def formula(cls, h: Any, g: Any, p: mx.array, s: Any, k: Any) -> mx.array:
        """The new value of ``p``, given its gradient ``g``, its slots ``s`` (written to) and ``k`` of ``tick``."""
        raise NotImplementedError(f"{cls.__name__} has no formula: a subclass of Rule writes one")

    @classmethod
    def apply(cls, h: Any, g: Any, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        """:meth:`formula` on the gradient of what is minimized, to which coupled weight decay is added.

        Half precision is widened to float32, and what is kept is narrowed again.
        """
        dtype = p.dtype
        h.first = s.pop(FIRST, None)  # a bool array, of a parameter whose slots were made by init(); else None
        g = g if isinstance(g, RowSparse) else cut(h, g)
        wide = mx.float32 if dtype in HALF else dtype
        inner, p = _Slots(s, dtype, wide), p.astype(wide)
        g = (g.dense() if cls.densifies and isinstance(g, RowSparse) else g).astype(wide)
        g = -g if h.maximize else g
        if cls.coupled(h):  # torch leaves g alone where weight_decay is 0, also where p is infinite
            g = mx.where(h.weight_decay == 0, g, (g + h.weight_decay * p).astype(dtype).astype(wide))
        new = cls.formula(h, g, p, inner, k)
        s.update((name, cut(h, value)) for name, value in inner.narrow.items())
        if h.first is not None:
            s[FIRST] = mx.zeros_like(h.first) if h.remembers else h.first
        return new.astype(dtype)

    @classmethod
    def coupled(cls, h: Any) -> bool:
        """Whether weight decay is added to the gradient."""
        return "weight_decay" in cls._fields

    @classmethod
    def unread(cls, values: Mapping[str, Any]) -> Collection[str]:
        """The names of numbers that the formula does not read with these choices, so that no step looks at them."""
        return ()

    @classmethod
    def check_parameter(cls, p: mx.array) -> None:
        """Raise torch's ValueError for a parameter that the rule can't train."""

    # Hyper-parameters -----------------------------------------------------------------------------------------------

    @classmethod
    def fields(cls) -> dict[str, Hyper]:
        """name -> Hyper, in the order of the arguments: that of declaration, ``lr`` first and ``maximize`` last."""
        return cls._fields

    @classmethod
    def validate(cls, values: Mapping[str, Any]) -> None:
        """Raise ValueError, in torch's words, for the first argument that is out of its range."""
        for name, field in cls.fields().items():
            if name in values:
                field.check(values[name])

    @classmethod
    def choices(cls, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """What the trace depends on in addition to shapes: the Static fields (a subclass may add to it)."""
        statics = ((n, f.default) for n, f in cls._fields.items() if isinstance(f, Static))
        return (cls.__name__, *(_hashable(values.get(name, default)) for name, default in statics))

    @classmethod
    def carry(cls, arrays: dict[str, Any], values: Mapping[str, Any], name: str) -> None:
        """Write the arrays of ``values[name]`` into ``arrays``."""
        field = cls.fields().get(name)
        if field is None:
            return
        if not isinstance(field, Static):
            arrays[name] = field.carry(values[name])
        arrays[STRUCTURE] = structure(cls.choices(values), arrays.get(STRUCTURE))

    @classmethod
    def adopted(cls, values: Mapping[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
        """The Python values that belong to freshly loaded ``arrays``; those that the arrays hold already stay as they
        are.

        Nothing can be read inside a traced step: there the values stay.
        """
        if traced(arrays[STRUCTURE]):
            return dict(values)
        new = {name: f.restore(arrays[name], values[name]) for name, f in cls._fields.items() if name in arrays}
        arrays[STRUCTURE] = structure(cls.choices({**values, **new}), arrays[STRUCTURE])
        return {**values, **new}

    @classmethod
    def carried(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """All arrays of one group: hyper-parameters, the clock, and the shape that represents the Python values."""
        arrays = {n: f.carry(values[n]) for n, f in cls.fields().items() if not isinstance(f, Static)}
        arrays |= cls.start(SimpleNamespace(**arrays))
        arrays[STRUCTURE] = structure(cls.choices(values))
        return arrays

    @classmethod
    def hypers(cls, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> SimpleNamespace:
        """``h`` of the formula, from a group's Python values and its arrays."""
        h = SimpleNamespace(traced=False, apart=False)  # see _kernels
        for name, field in cls.fields().items():
            static = isinstance(field, Static)
            setattr(h, name, values.get(name, field.default) if static else field.read(arrays[name]))
        return h

    # An mlx.optimizers.Optimizer ------------------------------------------------------------------------------------

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._by_single = cls.init_single is not Rule.init_single or cls.apply_single is not Rule.apply_single
        if cls._by_single or cls.__dict__.keys() & {"formula", "apply"}:
            for name in ("elementwise", "traceable", "stackable"):  # a class with another formula declares them itself
                setattr(cls, name, cls.__dict__.get(name, False))
        found = {k: v for c in reversed(cls.__mro__) for k, v in vars(c).items() if isinstance(v, Hyper)}
        found["maximize"] = found.pop("maximize")
        cls._fields = {name: found[name] for name in cls.order} | found
        kind = Parameter.POSITIONAL_OR_KEYWORD
        names = {"learning_rate" if name == "lr" else name: field for name, field in cls.fields().items()}
        cls.__signature__ = Signature([Parameter(n, kind, default=f.default) for n, f in names.items()])

    _fields: ClassVar[dict[str, Hyper]] = {}
    _by_single: ClassVar[bool] = False  # whether a subclass writes init_single or apply_single
    _now: Any = None  # (h, k) while it is asked for one parameter of a step
    __signature__ = Signature([])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        name = type(self).__name__
        if args:
            refuse_parameters(name, args[0])
        try:
            bound = self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(unexpected(name, error, list(self.__signature__.parameters), kwargs)) from None
        bound.apply_defaults()
        given = dict(bound.arguments)
        rate = given.pop("learning_rate")
        refuse_parameters(name, rate)
        if is_schedule(rate):
            self._schedulers["lr"] = rate
        elif words := no_number("learning_rate", rate):
            raise TypeError(words)
        given = {"lr": first_rate(rate) if is_schedule(rate) else rate, **given}
        self.validate(given)
        self._values: dict[str, Any] = given
        self._state: RuleState = RuleState(self.carried(given))
        self._rate = self._state["learning_rate"]  # the array of values["lr"]

    @property
    def values(self) -> dict[str, Any]:
        """The hyper-parameters as Python values."""
        rate = self._state["learning_rate"]
        if rate is not self._rate and not traced(self._state.groups[0][STRUCTURE]):
            self._values["lr"] = self.fields()["lr"].restore(self.arrays["lr"], self._values["lr"])
            self._rate = rate
        return self._values

    @values.setter
    def values(self, new: dict[str, Any]) -> None:
        self._values, self._rate = new, self._state["learning_rate"]

    @property
    def arrays(self) -> dict[str, Any]:
        """The numbers of the state, as arrays by name."""
        return self._state.numbers()[0]

    def write(self, name: str, value: Any) -> None:
        """Set a hyper-parameter; a compiled step that captured ``state`` sees it."""
        if as_array(value) is None:  # an array may be a tracer, and has no value yet
            self.fields()[name].check(value)
        arrays = self.arrays
        carried = {**arrays}
        self.carry(carried, {**self._values, name: value}, name)
        self._state.write(carried)
        schedule(self._state)
        self.values = {**self._values, name: value}
        if self._schedulers.pop(name, None) is not None:
            self._state.renew()  # a step that was compiled before holds the schedule

    @property
    def state(self) -> RuleState:
        """The nested dict of arrays, with ``step``, ``learning_rate`` and the parameters' names as in MLX.

        Assigning a tree, ours or that of MLX's class, loads it into the same dicts. ``{}``, and a dict that holds
        entries of your own alone, start over; the numbers are listed next to these entries from the next use on.
        """
        return self._state

    @state.setter
    def state(self, tree: Any) -> None:
        if entries_alone(tree, self.fields()):
            self.state = {}
            self._state.set_aside(tree)
            return
        if is_mlx_state(tree):
            tree, unsaved = taken(tree, self._mlx_parts())
            if unsaved:
                warnings.warn(unsaved, stacklevel=2)
        self._state.load(tree)
        arrays = self.arrays
        if not tree:
            arrays.update(self.start(self.hypers(self._values, arrays)))
        self.values = self.adopted(self._values, arrays)
        self._state.write(arrays)
        schedule(self._state)

    @property
    def _tree(self) -> RuleState:
        return self._state

    @property
    def _slots(self) -> Mapping[str, dict[str, mx.array]]:
        """path -> the arrays of that parameter."""
        return self._state.slots

    _mlx_several: ClassVar[bool] = False  # whether MLX has a state for each part

    def _mlx_parts(self) -> list[MLXPart]:
        return [MLXPart(type(self), self.values, self.arrays)]

    @property
    def step(self) -> mx.array:
        """How many updates were made, as an unsigned integer array."""
        return self._state["step"]

    @property
    def learning_rate(self) -> mx.array:
        """The learning rate, as an array; assigning a number sets it for compiled steps too, and ends a schedule."""
        return self._state["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, value: float | mx.array) -> None:
        self.write("lr", value)

    @alone("init()")
    def init(self, parameters: Any) -> None:
        """Make all slots of every array of ``parameters`` that has none; a compiled step is then traced once.

        Of a module the arrays that are not frozen are taken.
        """
        if isinstance(parameters, Module):
            parameters = parameters.trainable_parameters()
        h = self.hypers(self._values, self.arrays)
        items = paired(parameters, parameters)
        for _, p, _ in items:
            self.check_parameter(p)
        for name, p, _ in items:
            if name not in self._state.slots and (made := self._rule.early_slots(h, p)):
                self._state.create(name).update(made)
                self._state.unused.add(name)
        schedule(self._state)

    def update(self, model: Any, gradients: Any) -> None:
        """Update ``model`` by a tree of gradients."""
        check_update(model, gradients)
        model.update(self.apply_gradients(gradients, model))

    @alone("apply_gradients()")
    def apply_gradients(self, gradients: Any, parameters: Any) -> Any:
        """New parameters, a tree of the structure of ``gradients``; ``parameters`` may hold more.

        Raises ValueError, with nothing changed, for a gradient without a parameter or of another shape than it.
        """
        return self.prepared(gradients, parameters)()

    def prepared(self, gradients: Any, parameters: Any) -> Callable[[], Any]:
        """:meth:`apply_gradients` in two parts: the checks, and a function that makes the step."""
        rule, state, items = self._rule, self._state, paired(gradients, parameters)
        if has_moved(self):
            schedule_given("arrays among the parameters, the gradients or the state", arrays_in(items), state)
        if state.unchecked:
            check_items(rule, items)
            check_slots(rule, self.hypers(self._values, self.arrays), state.slots, items)
            state.unchecked = False
        arrays = state.at_work
        arrays.update(self.arrays)
        before = {**arrays}
        try:
            task = Task([Share(rule, self._values, arrays, items, len(state.slots))], state, lambda _: state.slots)
        except BaseException:
            arrays.clear()
            raise

        def finish() -> Any:
            try:
                for name, rate in self._schedulers.items():
                    arrays[name] = rate_at(rate, self.step)
                if self._by_single:
                    state.write({**arrays, "step": arrays["step"] + 1})  # which such a method may read
                inputs = task.begin()
                new = iter(task.commit(formulas(rule, self._values, stacks=task.plan.stacks)(*inputs)))
                state.write(arrays)
            except BaseException:
                state.write(before)
                raise
            finally:
                arrays.clear()  # while MLX traces a function, these are arrays of the trace
            return tree_map(lambda _: next(new), gradients)

        return finish

    @property
    def _rule(self) -> Any:
        """What gives the slots and new values of a parameter: the class, or methods that a user's class writes."""
        return Single(self) if self._by_single else type(self)

    def init_single(self, parameter: mx.array, state: dict[str, mx.array]) -> None:
        """Write the initial slots of one array into ``state``. A subclass may write its own, as with MLX's classes."""
        state.update(self.slots(self.hypers(self._values, self.arrays), parameter))

    def apply_single(self, gradient: Any, parameter: mx.array, state: dict[str, mx.array]) -> mx.array:
        """The new value of one array, at the next count of this optimizer (which stays as it is).

        A subclass may write its own, as with MLX's classes: then each step calls it for each parameter.
        """
        if self._now is None:
            arrays = self.arrays
            h, clock = self.hypers(self._values, arrays), {name: arrays[name] for name in self.clock}
            return self.apply(h, gradient, parameter, state, self.tick(h, clock))
        h, k = self._now
        return self.apply(h, gradient, parameter, state, k)


class _Slots(dict[str, mx.array]):
    """The slots of one parameter as a formula sees them: wide, but rounded to what is kept as soon as they are set.

    So a step computes with the state that it keeps, as torch's does: ``v = s["exp_avg_sq"]`` is read after it is set.
    Where torch changes an entry by two operations in place, it is set twice, and in half precision rounded twice.
    """

    def __init__(self, kept: dict[str, mx.array], dtype: mx.Dtype, wide: mx.Dtype) -> None:
        super().__init__({name: value.astype(wide) for name, value in kept.items()})
        self.narrow: dict[str, mx.array] = {}
        self._dtypes, self._dtype, self._wide = {name: value.dtype for name, value in kept.items()}, dtype, wide

    def __setitem__(self, name: str, value: mx.array) -> None:
        self.narrow[name] = narrow = value.astype(self._dtypes.get(name, self._dtype))
        super().__setitem__(name, narrow.astype(self._wide))


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, (list, tuple)) else value


def lerp(a: mx.array, b: mx.array, weight: mx.array) -> mx.array:
    """a + weight * (b - a)"""
    return a + weight * (b - a)


def bias_correction(complement: mx.array, t: mx.array) -> mx.array:
    """``1 - b**t``, from ``1 - b``, to float32 precision (``1 - b**t`` itself is 1e-5 off at b = 0.999)."""
    return -mx.expm1(t * mx.log1p(-complement))
