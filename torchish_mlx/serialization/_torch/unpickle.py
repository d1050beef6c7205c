"""An interpreter of pickles that runs no code: it has a fixed table of opcodes, and a builder says what a global is.

The standard library's ``pickletools`` cuts the bytes into opcodes and arguments. The number of bytes so far
limits the work of every opcode, and nothing recurses.

Source: ``pickletools`` for the opcodes; ``torch._weights_only_unpickler`` for which of them torch takes. Those of
protocols 3 to 5 are taken too; those of 0 and 1 that only text pickles have are not.
"""

from __future__ import annotations

import pickletools
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from pickle import UnpicklingError
from typing import Any

from .._shared.input import AGAIN, Pickled, Stream

_DICTS = (dict, OrderedDict, Counter)


class Refusal:
    """Takes the place of what is not built, until its entry is known; says what it is, and what to do."""

    __slots__ = ("what", "hint", "lacking")

    def __init__(self, what: str, hint: str, lacking: bool = True) -> None:
        self.what = what
        self.hint = hint
        self.lacking = lacking  # False for a class or function, which is there for those who trust the file


class Builder(ABC):
    """What a pickle may ask for beyond containers and numbers."""

    @abstractmethod
    def find(self, module: str, name: str) -> Any:
        """The value of the global ``module.name``."""

    @abstractmethod
    def call(self, function: Any, args: Any) -> Any:
        """What ``function(*args)`` makes; ``function`` is any value of the pickle."""

    def new(self, cls: Any, args: Any) -> Any:
        """What ``cls.__new__(cls, *args)`` makes."""
        return self.call(cls, args)

    @abstractmethod
    def set_state(self, value: Any, state: Any) -> Any:
        """``value`` with its attributes."""

    @abstractmethod
    def persistent(self, identity: Any) -> Any:
        """The storage that is kept outside the pickle."""

    @abstractmethod
    def check_key(self, key: Any) -> None:
        """Refuse what cannot be a key, or would be slow as one."""

    def extend(self, target: Any, values: list[Any]) -> None:  # noqa: ARG002
        """Put ``values`` into an object that is no list and no set."""
        raise UnpicklingError(f"the pickle appends to a {type(target).__name__}. {AGAIN}")

    def update(self, target: Any, pairs: Iterator[tuple[Any, Any]]) -> None:  # noqa: ARG002
        """Set the entries of an object that is no dict."""
        raise UnpicklingError(f"the pickle sets entries of a {type(target).__name__}. {AGAIN}")

    #: the bytes of pickle that have been read
    read: int = 0


def unpickle(stream: Stream | Pickled, builder: Builder) -> Any:
    """The object whose pickle begins at the position of ``stream``, which is then at the end of the pickle.

    Raises:
        pickle.UnpicklingError: it is damaged, or has opcodes that are not accepted.
    """
    machine = _Machine(builder)
    begin = stream.tell()
    operations = pickletools.genops(stream)  # type: ignore[arg-type]
    at = 0
    try:
        for opcode, argument, position in operations:
            at = (position or 0) - begin
            builder.read = at
            if opcode.name == "STOP":
                return machine.result()
            operation = _OPERATIONS.get(opcode.name)
            if operation is None:
                raise UnpicklingError(f"the opcode {opcode.name} is not accepted: {_WHY.get(opcode.name, _OLD)}")
            operation(machine, argument)
    except UnpicklingError as error:
        raise UnpicklingError(f"{error} (byte {at} of the pickle)") from None
    except (ValueError, OverflowError, DeprecationWarning) as error:  # from pickletools: cut off, or not as it must be
        raise UnpicklingError(f"the pickle cannot be read behind byte {at}: {str(error)[:200]}. {AGAIN}") from None
    raise AssertionError("pickletools gives STOP or raises")


_OLD = "torch.save writes none in protocols 2 to 5. In torch, load it with weights_only=False and torch.save it again"
_WHY = {
    "INST": "it makes an object of any class. " + _OLD,
    "OBJ": "it makes an object of any class. " + _OLD,
    "EXT1": "it calls what a registry names. " + _OLD,
    "EXT2": "it calls what a registry names. " + _OLD,
    "EXT4": "it calls what a registry names. " + _OLD,
    "FROZENSET": "torch reads no frozenset. In torch, make it a set and torch.save it again",
    "NEXT_BUFFER": "its bytes are outside the file. In torch, torch.save it again",
    "READONLY_BUFFER": "its bytes are outside the file. In torch, torch.save it again",
}


class _Machine:
    """The stack, the marks on it, and the memo."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        if self.marks or len(self.stack) != 1:
            raise UnpicklingError(f"the pickle ends with {len(self.stack)} objects, and not with one. {AGAIN}")
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def need(self, count: int) -> None:
        """Refuse a pickle that does not have that many objects above the last mark."""
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise UnpicklingError(f"the pickle takes more from its stack than it has put there. {AGAIN}")

    def pop(self) -> Any:
        self.need(1)
        return self.stack.pop()

    def top(self) -> Any:
        self.need(1)
        return self.stack[-1]

    def items(self) -> list[Any]:
        """The objects above the last mark, which are taken from the stack with the mark."""
        if not self.marks:
            raise UnpicklingError(f"the pickle ends a group that it did not begin. {AGAIN}")
        at = self.marks.pop()
        out = self.stack[at:]
        del self.stack[at:]
        return out

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def pop_one(self, _: Any) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.pop()

    def pop_items(self, _: Any) -> None:
        self.items()

    def tuple_of(self, count: int) -> None:
        self.need(count)
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        self.stack.append(items)

    # -- the memo

    def put(self, index: Any) -> None:
        self.memo[int(index)] = self.top()

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.top()

    def get(self, index: Any) -> None:
        try:
            self.stack.append(self.memo[int(index)])
        except KeyError:
            raise UnpicklingError(f"the pickle refers to object {index}, which it has not numbered. {AGAIN}") from None

    # -- filling containers

    def append(self, _: Any) -> None:
        value = self.pop()
        self._extend([value])

    def appends(self, _: Any) -> None:
        self._extend(self.items())

    def _extend(self, values: list[Any]) -> None:
        target = self.top()
        if type(target) is list:
            target.extend(values)
        elif type(target) is not Refusal:
            self.builder.extend(target, values)

    def setitem(self, _: Any) -> None:
        value = self.pop()
        self._update([self.pop(), value])

    def setitems(self, _: Any) -> None:
        self._update(self.items())

    def _update(self, items: list[Any]) -> None:
        target = self.top()
        if len(items) % 2:
            raise UnpicklingError(f"the pickle has a key without a value. {AGAIN}")
        if type(target) in _DICTS:
            check = self.builder.check_key
            for i in range(0, len(items), 2):
                check(items[i])
                target[items[i]] = items[i + 1]
        elif type(target) is not Refusal:
            self.builder.update(target, zip(items[::2], items[1::2], strict=True))

    def additems(self, _: Any) -> None:
        items = self.items()
        target = self.top()
        if type(target) is set:
            for item in items:
                self.builder.check_key(item)
                target.add(item)
        elif type(target) is not Refusal:
            self.builder.extend(target, items)

    def dict_of_items(self, _: Any) -> None:
        items = self.items()
        self.stack.append({})
        self._update(items)

    # -- what the builder makes

    def find(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(self.builder.find(module, name))

    def find_on_stack(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise UnpicklingError(f"the pickle names a global by what is no text. {AGAIN}")
        self.stack.append(self.builder.find(module, name))

    def call(self, _: Any) -> None:
        args = self.pop()
        self.stack.append(self.builder.call(self.pop(), args))

    def new(self, _: Any) -> None:
        args = self.pop()
        self.stack.append(self.builder.new(self.pop(), args))

    def set_state(self, _: Any) -> None:
        state = self.pop()
        self.stack.append(self.builder.set_state(self.pop(), state))

    def persistent(self, _: Any) -> None:
        self.stack.append(self.builder.persistent(self.pop()))

    def text(self, value: Any) -> None:
        """Python 2's ``str``, read as UTF-8 as torch does."""
        raw = value.encode("latin-1") if isinstance(value, str) else value
        self.stack.append(raw.decode("utf-8"))


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


def _made(kind: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(kind())


def _tuple(count: int) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.tuple_of(count)


def _nothing(machine: _Machine, argument: Any) -> None:
    """PROTO and FRAME: nothing has to be done for these."""


_PUSHED = (
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES "
    "BINBYTES8 BYTEARRAY8"
)
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(_PUSHED.split(), _Machine.push),
    "BINSTRING": _Machine.text,
    "SHORT_BINSTRING": _Machine.text,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": _made(list),
    "EMPTY_DICT": _made(dict),
    "EMPTY_SET": _made(set),
    "MARK": _Machine.mark,
    "POP": _Machine.pop_one,
    "POP_MARK": _Machine.pop_items,
    "DUP": lambda machine, _: machine.push(machine.top()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.items())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "LIST": lambda machine, _: machine.push(machine.items()),
    "DICT": _Machine.dict_of_items,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.setitem,
    "SETITEMS": _Machine.setitems,
    "ADDITEMS": _Machine.additems,
    "GLOBAL": _Machine.find,
    "STACK_GLOBAL": _Machine.find_on_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.new,
    "BUILD": _Machine.set_state,
    "BINPERSID": _Machine.persistent,
    "PROTO": _nothing,
    "FRAME": _nothing,
}
