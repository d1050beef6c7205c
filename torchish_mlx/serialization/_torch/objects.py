"""Reading whole objects: modules, NumPy's arrays, instances of any class. Their classes are imported and called.

A file is read twice. The first time nothing is run: that shows which tensors there are, and they get their numbers. The
second time the objects are made, with these tensors, so that a ``__setstate__`` finds them complete.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from pickle import UnpicklingError
from typing import Any

from ..._tensor.tensor import Tensor
from .advice import permission
from .fill import survey
from .names import named_object
from .rebuild import FileStorage, Global, Layout, TorchBuilder
from .safe import listed
from .unpickle import Refusal

_PLAIN = {f"{kind.__module__}.{kind.__name__}": kind for kind in (OrderedDict, Counter, set, bytes, bytearray, complex)}


class ObjectBuilder(TorchBuilder):
    """Builds what a pickle names.

    Args:
        first: the builder of the first reading, whose tensors are complete.
        allowed: by their names in the file, the classes and functions that may be called; None allows all that can be
            imported.
    """

    def __init__(self, first: TorchBuilder, allowed: dict[str, Any] | None) -> None:
        super().__init__()
        self._made: Iterator[Tensor] = iter(first.made)
        self._allowed = allowed
        self._may_call = None if allowed is None else (*allowed.values(), *_PLAIN.values())

    def find(self, module: str, name: str) -> Any:
        found = super().find(module, name)
        if isinstance(found, Global):
            return _PLAIN.get(found.name, found)
        if not isinstance(found, Refusal):
            return found
        full = f"{module}.{name}"
        if found.lacking or (self._allowed is not None and full not in self._allowed):
            raise UnpicklingError(f"cannot load the object: it has {found.what}. {found.hint}")
        return named_object(module, name) if self._allowed is None else self._allowed[full]

    def call(self, function: Any, args: Any) -> Any:
        if isinstance(function, Global):
            made = super().call(function, args)
            if isinstance(made, Refusal):
                raise UnpicklingError(f"cannot load the object: it has {made.what}. {made.hint}")
            return made
        self._check(function, args)
        return function(*args)

    def new(self, cls: Any, args: Any) -> Any:
        self._check(cls, args)
        return cls.__new__(cls, *args)

    def _check(self, function: Any, args: Any) -> None:
        if self._may_call is not None and not any(function is known for known in self._may_call):
            raise UnpicklingError(f"Trying to call reduce for unrecognized function {function!r:.200}")
        if type(args) is not tuple or not callable(function):
            raise UnpicklingError(f"the pickle calls a {type(function).__name__} with a {type(args).__name__}")

    def set_state(self, value: Any, state: Any) -> Any:
        if isinstance(value, Tensor) or type(value) is OrderedDict:
            return super().set_state(value, state)
        if self._may_call is not None and type(value) not in self._may_call:
            raise UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via `add_safe_globals`, "
                f"but got {type(value)}"
            )
        own: Callable[[Any], Any] | None = getattr(value, "__setstate__", None)
        if own is not None:
            own(state)
            return value
        attributes, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
        if attributes:
            value.__dict__.update(attributes)
        for name, attribute in (slots or {}).items():
            setattr(value, name, attribute)
        return value

    def persistent(self, identity: Any) -> Any:
        if type(identity) is tuple and len(identity) == 4 and identity[0] == "module":
            return identity[1]  # before the zip format, the class of a module came with its source
        return super().persistent(identity)

    def check_key(self, key: Any) -> None:
        if self._allowed is not None:
            super().check_key(key)

    def extend(self, target: Any, values: list[Any]) -> None:
        self._check(type(target), ())
        if hasattr(target, "extend"):
            target.extend(values)
            return
        add = target.add if hasattr(target, "add") else target.append
        for value in values:
            add(value)

    def update(self, target: Any, pairs: Iterator[tuple[Any, Any]]) -> None:
        self._check(type(target), ())
        for key, value in pairs:
            target[key] = value

    def _placed(self, kind: type[Tensor], stored: FileStorage, layout: Layout, grad: Any) -> Tensor:  # noqa: ARG002
        made = next(self._made, None)
        if made is None or type(made) is not kind:
            raise UnpicklingError("the pickle makes other tensors when it is read again")
        self._at[id(made)] = stored, layout, made
        return made


def objects_for(made: Any, first: TorchBuilder, weights_only: bool) -> ObjectBuilder | None:
    """What makes the objects that the first reading has left out; None where there are none.

    Raises:
        pickle.UnpicklingError: there are some, and neither is ``weights_only`` False nor are all of them listed.
    """
    allowed = listed() if weights_only else None
    if first.code and (allowed is None or first.code & allowed.keys()):
        missing = set() if allowed is None else first.code - allowed.keys()
        if missing:
            raise UnpicklingError(f"cannot load the object: {permission(min(missing))}")
        return ObjectBuilder(first, allowed)
    survey(made)
    return None
