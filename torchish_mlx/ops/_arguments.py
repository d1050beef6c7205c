"""Which types of arguments a function takes, by the annotations of its parameters, and torch's words for others."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import mlx.core as mx
import numpy as np

from .._tensor.tensor import Tensor, wrap

F = TypeVar("F", bound=Callable[..., Any])
#: What torch's Python code takes as a truth value, so that anything is taken; a ``bool`` is one of its C++ code.
Truth: TypeAlias = bool
#: A number that torch converts to the dtype it computes in, where a ``float`` is one of its C++ code.
Scalar: TypeAlias = float
_ARRAYS: Any = (mx.array, np.ndarray)
_NOTHING = type(None)
_INTS = frozenset((int,))
_NUMBERS = frozenset((bool, int, float, complex))


class Kind(NamedTuple):
    """What a parameter takes.

    ``types`` need no further look (a function's body refuses the elements of a tuple). ``word`` is what torch calls the
    kind. ``tensor`` says that a Tensor is taken, ``numbers`` are the types to which a number, also that of a Tensor
    without dimensions, may be converted, and with ``several`` a sequence of them is taken.
    """

    types: frozenset[type]
    word: str
    tensor: bool = False
    numbers: tuple[type, ...] = ()
    several: bool = False


#: The kinds by annotation. A parameter with an annotation that is not here takes whatever its function takes.
KINDS = {
    "Array": Kind(frozenset(), "Tensor", tensor=True),
    "Matched": Kind(frozenset(), "Tensor", tensor=True),
    "Tensor": Kind(frozenset((Tensor,)), "Tensor", tensor=True),
    "Operand": Kind(_NUMBERS, "Tensor", tensor=True),
    "Exponent": Kind(_NUMBERS, "Tensor", tensor=True),
    "Number": Kind(_NUMBERS | {mx.array}, "Number"),
    "int": Kind(frozenset((int,)), "int", numbers=(int,)),
    "float": Kind(frozenset((int, float, bool)), "float", numbers=(bool, int, float)),
    "Scalar": Kind(frozenset((int, float, bool)), "Number", numbers=(bool, int, float)),
    "bool": Kind(frozenset((bool,)), "bool", numbers=(bool,)),
    "str": Kind(frozenset((str,)), "str"),
    "None": Kind(frozenset((_NOTHING,)), "None"),
    "Sequence[int]": Kind(frozenset((tuple,)), "tuple of ints", numbers=(int,), several=True),
    "tuple[int, ...]": Kind(frozenset((tuple,)), "tuple of ints", numbers=(int,), several=True),
}
KINDS["Dim"] = Kind(frozenset((int, tuple, _NOTHING)), "tuple of ints", numbers=(int,), several=True)


@functools.cache
def kind_of(annotation: str) -> Kind | None:
    """The kind of a parameter, or None where its annotation says nothing; ``a | b`` takes both."""
    kinds = [KINDS.get(part) for part in annotation.split(" | ")]
    known = [k for k in kinds if k is not None]
    if not known or len(known) < len(kinds):
        return None
    named = next((k for k in reversed(known) if k.word != "None"), known[0])
    return Kind(
        frozenset().union(*(k.types for k in known)),
        named.word,
        any(k.tensor for k in known),
        tuple(n for k in known for n in k.numbers),
        any(k.several for k in known),
    )


def as_tensor(value: Any) -> Any:
    """An array as a Tensor, and everything else as it is."""
    return wrap(mx.array(value)) if isinstance(value, _ARRAYS) else value


def _number(value: Any, kind: Kind) -> Any:
    """``value`` as a plain number of the kind, or None where it is none."""
    if isinstance(value, (Tensor, mx.array, np.ndarray)):
        array: Any = value.array if isinstance(value, Tensor) else value
        if array.ndim or (isinstance(value, Tensor) and value.requires_grad):
            return None
        value = array.item()
    elif isinstance(value, np.generic):
        value = value.item()
    types: tuple[Any, ...] = (bool, int, float, complex)
    for type_ in types:
        if isinstance(value, type_):
            return type_(value) if type_ in kind.numbers else None
    return None


def sizes(function: str, argument: str, values: Sequence[Any]) -> tuple[int, ...]:
    """Numbers that are given one by one, or as one sequence: sizes or dimensions. TypeError for anything else."""
    alone = len(values) == 1 and isinstance(values[0], (tuple, list))
    given = values[0] if alone else values
    kind, found = KINDS["int"], []
    for i, value in enumerate(given):
        number = value if type(value) is int else _number(value, kind)
        if number is None:
            raise refused(function, argument, 0, KINDS["Sequence[int]"], given if alone or i else value)
        found.append(number)
    return tuple(found)


def several(function: str, name: str, given: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
    """What was given one by one, as one sequence, or as one sequence by its name."""
    if named.keys() - {name} or bool(named) == bool(given):
        raise TypeError(f"{function}() takes {name!r}, numbers or a sequence of them, and was given {[*named]}")
    if not named:
        return given
    if not isinstance(named[name], (tuple, list)):
        word = KINDS["Sequence[int]"].word
        raise TypeError(f"{function}(): argument {name!r} must be {word}, not {type(named[name]).__name__}")
    return (named[name],)


def tensors(function: str, place: int, value: Any, name: str = "tensors") -> list[Tensor]:
    """A list of Tensors, with arrays as Tensors. TypeError for anything else."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(
            f"{function}(): argument {name!r} (position {place + 1}) must be tuple of Tensors, not "
            f"{type(value).__name__}"
        )
    found = [as_tensor(v) for v in value]
    for i, v in enumerate(found):
        if not isinstance(v, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument {place}, but got {type(v).__name__}")
    return found


def taken(value: Any, kind: Kind) -> Any:
    """``value`` in a type that the kind takes, or NotImplemented where torch refuses it."""
    if type(value) in kind.types and not (kind.several and isinstance(value, tuple)):
        return value
    if kind.tensor and isinstance(value, Tensor):
        return value
    if mx.array in kind.types and isinstance(value, Tensor):  # as an array, so that a compiled function can read it
        return value.array if not value.ndim and not value.requires_grad else NotImplemented
    if kind.tensor and isinstance(value, _ARRAYS):
        return wrap(mx.array(value))
    if isinstance(value, np.generic) and type(value.item()) in kind.types:
        return value.item()
    if kind.word == "Number" and type(value) is complex:
        if value.imag:
            raise RuntimeError("value cannot be converted to type float without overflow")
        value = value.real
    number = _number(value, kind) if kind.numbers else None
    if number is not None:
        return number
    if kind.several and isinstance(value, (tuple, list)):
        numbers = [v if type(v) is int else _number(v, kind) for v in value]
        return NotImplemented if None in numbers else tuple(numbers)
    for type_ in kind.types & {bool, int, float, str}:
        if isinstance(value, type_) and not isinstance(value, bool):
            return type_(value)
    return NotImplemented


def refused(function: str, name: str, place: int, kind: Kind, value: Any) -> TypeError:
    """Torch's error for an argument of a wrong type."""
    word, given = kind.word, type(value).__name__
    wrong = []
    if kind.several and isinstance(value, (tuple, list)):
        wrong = [(i, type(v).__name__) for i, v in enumerate(value) if _number(v, kind) is None]
    if not wrong:
        return TypeError(f"{function}(): argument {name!r} (position {place + 1}) must be {word}, not {given}")
    at, what = wrong[0]
    if at:
        return TypeError(
            f'{function}(): argument {name!r} failed to unpack the object at pos {at + 1} with error "type must be '
            f'{word},but got {what}"'
        )
    return TypeError(
        f"{function}(): argument {name!r} (position {place + 1}) must be {word}, but found element of type {what} at "
        "pos 0"
    )


def typed(fn: F) -> F:
    """A function that is not of the registry, with its arguments looked at by their annotations."""
    arguments = Arguments(fn.__name__.lstrip("_"), fn)

    @functools.wraps(fn)
    def function(*args: Any, **kwargs: Any) -> Any:
        try:
            given, named = arguments(args, kwargs)
        except TypeError as error:
            types = [type(a).__name__ for a in args] + [f"{name}={type(a).__name__}" for name, a in kwargs.items()]
            start = f"{arguments.function}() received an invalid combination of arguments"
            raise TypeError(f"{start} - got ({', '.join(types)}): {error}") from None
        return fn(*given, **named)

    return function  # type: ignore[return-value]


@functools.cache
def parameters_of(fn: Any) -> tuple[inspect.Parameter, ...]:
    """The parameters of a function. To read them takes a while, and all faces of a function ask for them at import."""
    return tuple(inspect.signature(fn).parameters.values())


class Arguments:
    """The kinds of the parameters of a function that is made of others, or of a view."""

    def __init__(self, function: str, fn: Any, skip: int = 0) -> None:
        parameters = parameters_of(fn)[skip:]
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self.function, self.skip = function, skip
        self.kinds = {p.name: kind_of(str(p.annotation)) for p in named}
        self.places = {p.name: i + skip for i, p in enumerate(parameters)}
        rest = next((i for i, p in enumerate(parameters) if p.kind is p.VAR_POSITIONAL), len(parameters))
        self.names = [p.name for p in parameters[:rest] if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.defaults = [p.default for p in parameters[:rest] if p.kind is p.POSITIONAL_OR_KEYWORD]
        self._binders: dict[Any, Any] = {}
        kinds = [(i, self.kinds[name]) for i, name in enumerate(self.names)]
        #: the places whose types are known, with the types that need no further look, and whether a Tensor needs none
        self.types = [(i, k.types - {tuple}, k.tensor, k.several) for i, k in kinds if k is not None]

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The arguments in the types that the function takes. TypeError for others."""
        if not kwargs:
            n = len(args)
            for i, types, tensor, several in self.types:
                if i >= n:
                    continue
                value = args[i]
                if type(value) in types or (tensor and isinstance(value, Tensor)):
                    continue
                if not (several and type(value) is tuple and _INTS.issuperset(map(type, value))):
                    break
            else:
                return args, kwargs
        now = [self._one(name, value) for name, value in zip(self.names, args, strict=False)]
        return [*now, *args[len(now) :]], {name: self._one(name, value) for name, value in kwargs.items()}

    def placed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
        """``args`` with the keywords at their places, or None where they do not fit, or have no place.

        What a set of keywords means is looked up after its first use.
        """
        key = (len(args), *kwargs)
        rest = self._binders.get(key, False)
        if rest is False:
            rest = self._binders[key] = self._rest(len(args), set(kwargs))
        if rest is None:
            return None
        return (*args, *[kwargs[name] if name else default for name, default in rest])

    def _rest(self, count: int, given: set[str]) -> list[tuple[str | None, Any]] | None:
        """(keyword or None, default) of each parameter behind ``count`` arguments, up to the last one that is given."""
        found, names = list[Any](), self.names
        for name, default in zip(names[count:], self.defaults[count:], strict=True):
            if not given:
                break
            if name in given:
                given.discard(name)
                found.append((name, None))
            elif default is inspect.Parameter.empty:
                return None
            else:
                found.append((None, default))
        return None if given else found

    def _one(self, name: str, value: Any) -> Any:
        kind = self.kinds.get(name)
        if kind is None or (type(value) in kind.types and type(value) is not tuple):
            return value
        found = taken(value, kind)
        if found is NotImplemented:
            raise refused(self.function, name, self.places[name], kind, value)
        return found
