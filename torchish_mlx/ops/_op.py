"""What is known of an op before it is called, worked out once: ``Op`` reads the declaration, ``Recipe`` what a call
records when certain arguments are Tensors and certain ones want gradients. The calls of ``_call`` only follow them.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import mlx.core as mx

from .._core.promotion import DEFAULTS, FLOATING, HALVES, IN_C, INEXACT, cast, result_type
from .._tensor.tape import vjp_of
from ._arguments import kind_of, parameters_of
from ._dtypes import supported

# What a parameter of a body may be annotated with, and what it means. All of them are arrays, or numbers, there.
Array: TypeAlias = Any  #: an array, which stays in its dtype
Operand: TypeAlias = Any  #: an array or a number, brought to the common dtype of the operands
Matched: TypeAlias = Any  #: an array, and no number, brought to the common dtype of the operands
Number: TypeAlias = Any  #: a number that is brought to the common dtype and does not decide it (``alpha``)
Exponent: TypeAlias = Any  #: an operand, which stays a Python number where it is one
Tensors: TypeAlias = Any  #: a list of arrays

_KINDS = ("Operand", "Matched", "Array", "Tensors", "Exponent")
WANTED = 32  # how many places higher the bit of a wanted gradient is
NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}


class Vjp(NamedTuple):
    """The derivative that MLX has, which is torch's: what each parameter's derivative needs the values of."""

    needs: dict[str, str]


def vjp(**needs: str) -> Vjp:
    """``vjp(input="weight", weight="input")``: for input's gradient keep weight, for weight's keep input."""
    return Vjp(needs)


def positional(fn: Any) -> Any:
    """``fn`` with its keyword-only parameters behind the others: a body is called by position, which costs nothing."""
    code = fn.__code__
    code = code.replace(co_argcount=code.co_argcount + code.co_kwonlyargcount, co_kwonlyargcount=0)
    return types.FunctionType(code, fn.__globals__, fn.__name__, None, fn.__closure__)


def checked(check: Any, fn: Any) -> Any:
    """``fn`` after ``check`` of the same arguments."""

    def both(*arrays: Any) -> Any:
        check(*arrays)
        return fn(*arrays)

    return both


class Op:
    """A declared op. ``names`` are its parameters, in order, those that are keyword-only behind the others."""

    def __init__(
        self,
        fn: Any,
        name: str,
        grad: Any,
        promote: str | None = None,
        residuals: tuple[str, ...] = (),
        check: Any = None,
        casts: bool = False,
        number_first: str = "",
        channels: str = "",
        random: bool = False,
        always: bool = False,
        node: str | tuple[str, str] | Callable[..., str] = "",
    ) -> None:
        self.channels = channels
        self.fn, self.name, self.promote, self.grad, self.check = positional(fn), name, promote, grad, check
        self.residuals, self.number_first, self.random = residuals, number_first, random
        if random and not isinstance(grad, dict):
            raise TypeError(
                f"{name}: an op that draws random numbers needs formulas as grad, because MLX's derivative runs the "
                "body again, which would draw other numbers"
            )
        self.node_name = node if node and isinstance(node, str) else node_name(name)
        self.form = None if isinstance(node, str) else node
        self.usual = checked(check, self.fn) if always else self.fn  # where all operands are of float32
        real = supported(name)
        if real is not None and promote is None:
            self.usual = checked(real, self.usual)
        elif real is not None:
            self.check = real if check is None else checked(real, check)
        parameters = {p.name: p for p in parameters_of(fn)}
        self.names, self.arity = tuple(parameters), len(parameters)
        kinds = [p.annotation for p in parameters.values()]
        self.operands = [i for i, k in enumerate(kinds) if k.startswith(("Operand", "Matched", "Exponent")) and promote]
        self.exponents = [i for i, k in enumerate(kinds) if k == "Exponent"]
        self.numbers = [i for i, k in enumerate(kinds) if k == "Number"]
        self.lists = [i for i, k in enumerate(kinds) if k == "Tensors"]
        self.tensors = [i for i, k in enumerate(kinds) if k.partition(" ")[0] in _KINDS]
        self.kinds = [kind_of(k) for k in kinds]
        #: of each argument: the types that need no further look (None: all but arrays), and whether a Tensor needs none
        self.accepts = [(None, True) if k is None else (k.types, k.tensor) for k in self.kinds]
        self.casts = casts or "dtype" in parameters  # the result may have another dtype than the arguments
        defaults = tuple(p.default for p in parameters.values())
        empty = inspect.Parameter.empty
        by_position = sum(p.kind is not p.KEYWORD_ONLY for p in parameters.values())
        required = sum(d is empty for d in defaults)
        self.tails = {n: defaults[n:] for n in range(required, by_position + 1)}
        self.defaults = {n: d for n, d in zip(self.names, defaults, strict=True) if d is not empty}
        self._binders: dict[Any, Any] = {}
        made = fn.__globals__.get(fn.__annotations__.get("return"))
        results = getattr(made, "_fields", ("result",))
        #: what the body returns: the result or the fields of a named one, and the residuals behind it
        self.fields, self.single = (*results, *residuals), results == ("result",)
        #: where a formula finds what it names, in (g, *arguments, *shapes of the arguments, *fields of the result)
        names = ["g", *self.names, *[n + "_shape" for n in self.names], *self.fields]
        self.place = {n: i for i, n in reversed(list(enumerate(names)))}
        self.formulas = []
        for key, formula in (grad if isinstance(grad, dict) else {}).items():
            wanted = tuple([p.name for p in parameters_of(formula)])
            unknown = [n for n in (*key.split(", "), *wanted) if n not in self.place]
            if unknown:
                raise TypeError(f"{name}: a formula names {unknown[0]!r}, which is no argument, result or shape of it")
            self.formulas.append((tuple(self.names.index(k) for k in key.split(", ")), formula, wanted))
        self.recipes: dict[int, Recipe] = {}

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments in order; what a set of keywords means is looked up after its first use."""
        key = (len(args), *kwargs)
        rest = self._binders.get(key)
        if rest is None:
            rest = self._binders[key] = self._rest(len(args), kwargs)
        return (*args, *[kwargs[keyword] if keyword else default for keyword, default in rest])

    def _rest(self, count: int, kwargs: Iterable[str]) -> list[tuple[str | None, Any]]:
        """(keyword or None, default) of each parameter that is not given by position."""
        given = {NUMPY_NAMES[k] if k in NUMPY_NAMES and k not in self.names else k: k for k in kwargs}
        if count > max(self.tails, default=0):
            raise self.miscounted(count)
        for name, keyword in given.items():
            if name not in self.names:
                raise TypeError(f"{self.name}() got an unexpected keyword argument {keyword!r}")
            if self.names.index(name) < count:
                raise TypeError(f"{self.name}() got multiple values for argument {keyword!r}")
        missing = [n for n in self.names[count:] if n not in given and n not in self.defaults]
        if missing:
            raise TypeError(f'{self.name}() missing 1 required positional arguments: "{missing[0]}"')
        return [(given.get(n), self.defaults.get(n)) for n in self.names[count:]]

    def miscounted(self, count: int) -> TypeError:
        """The error for a number of arguments by position that the op does not take."""
        if count < min(self.tails):
            return TypeError(f'{self.name}() missing 1 required positional arguments: "{self.names[count]}"')
        return TypeError(
            f"{self.name}() takes from {min(self.tails)} to {max(self.tails)} positional arguments but {count} were "
            "given"
        )

    def promoted(self, arrays: Sequence[Any]) -> tuple[Any, mx.Dtype]:
        """The body in the dtype that torch computes in (halves in float32), and the dtype of the result.

        With ``"rounded"`` numbers are rounded to the common dtype before they are widened. With ``"compare"`` halves
        stay halves: what is compared is what the tensors hold.
        """
        kind = self.promote
        if self.check is not None:
            self.check(*arrays)
        dtype = result_type(*[arrays[i] for i in self.operands if arrays[i] is not None])
        if kind == "float" and dtype not in INEXACT:
            dtype = DEFAULTS[FLOATING]
        wide = mx.float32 if dtype in HALVES and kind != "compare" else dtype
        now = list(arrays)
        for i in self.operands:
            if i in self.exponents and not isinstance(now[i], mx.array):
                now[i] = mx.array(now[i], dtype).item() if dtype in HALVES else now[i]
            elif now[i] is not None:
                now[i] = cast(cast(now[i], dtype) if kind == "rounded" else now[i], wide)
        for i in self.numbers:
            if type(now[i]) is complex and dtype != mx.complex64:
                raise RuntimeError(f"value cannot be converted to type {IN_C[dtype]} without overflow")
            if type(now[i]) is not int or now[i] != 1:
                now[i] = cast(cast(now[i], dtype) if kind == "rounded" else now[i], wide)
        out = self.fn(*now)
        if kind in ("compare", "bool"):
            return out, dtype
        if not self.residuals:
            return cast(out, dtype), dtype
        first = out[0]
        return (cast(first, dtype) if self.single else first._make([cast(x, dtype) for x in first]), *out[1:]), dtype

    def named(self, tensors: Sequence[int], known: Sequence[Any]) -> str:
        """Torch's name of a recorded call, where it depends on the arguments.

        ``tensors`` are the indices of those that are Tensors, which may be None in ``known``.
        """
        if not isinstance(self.form, tuple):
            assert self.form is not None
            return self.form(tensors, *known[: self.arity])
        argument, name = self.form
        i = self.names.index(argument)
        given = i in tensors if i in self.tensors else known[i] is not None
        return name if given else self.node_name

    def results(self, arrays: Sequence[Any]) -> list[mx.array]:
        """What the body returns without the residuals, as a list."""
        out = self.fn(*arrays)
        out = out[0] if self.residuals else out
        return [out] if self.single else list(out)


def node_name(name: str) -> str:
    """Torch's usual name of a recorded call: ``log1p`` is ``Log1PBackward0``. What is behind a dot is our own."""
    return name.partition(".")[0].title().replace("_", "") + "Backward0"


class Recipe:
    """What a call has to keep, and how its gradients are computed: the same for every call with the same ``key``.

    A key has a bit for each argument that is a Tensor, and one, ``WANTED`` places higher, for each that wants a
    gradient.
    """

    __slots__ = (
        "again",
        "drop",
        "extra",
        "first",
        "gradients",
        "inner",
        "keep",
        "keeps_result",
        "op",
        "plain",
        "rest",
        "results",
        "shapes",
        "spare",
        "tensors",
        "unknown",
        "wants",
    )

    def __init__(self, op: Op, key: int) -> None:
        self.op = op
        self.tensors = at = [i for i in range(op.arity) if key >> i & 1]
        wanted = [i for i in at if key >> i + WANTED & 1]
        if isinstance(op.grad, Vjp):
            self.wants = [i for i in wanted if op.names[i] in op.grad.needs]
            named = {n for i in self.wants for n in op.grad.needs[op.names[i]].split()}
            zeros = [i for i in at if op.names[i] not in named]
            named |= {op.names[i] + "_shape" for i in zeros}
            self.gradients = self._by_vjp(zeros)
        else:
            work = [(formula, names, keys) for keys, formula, names in op.formulas if set(keys) & set(wanted)]
            self.wants = [i for _, _, keys in work for i in keys if i in wanted]
            named = {n for _, names, _ in work for n in names}
            self.gradients = self._by_formulas(work, wanted)
        self.keep = [i for i in at if op.names[i] in named]
        self.drop = [i for i in at if i not in self.keep]
        self.spare, self.again = list[int](), self.gradients
        #: A second derivative goes through MLX's first, of the arguments; but not where the body would draw again.
        if op.residuals and self.wants and not op.random:
            self.again = self._by_vjp([])
            self.spare, self.drop = self.drop, []
        self.shapes = [i for i, n in enumerate(op.names) if n + "_shape" in named]
        self.results = [k for k, field in enumerate(op.fields) if field in named]
        self.extra = bool(self.shapes or self.results)
        self.unknown = [None] * op.arity  # the shapes of the arguments, until a call knows them
        self.keeps_result = self.results[:1] == [0]
        self.plain = op.single and self.results == list(range(1, len(op.fields)))  # all but the result itself
        fields = [] if op.residuals else [op.place[op.fields[k]] - 1 for k in self.results]
        self.inner = [*self.keep, *self.spare, *fields]
        #: Tensors that may have been broadcast against each other
        self.first, *self.rest = [i for i in op.operands if i in at] or [0]

    def _by_formulas(self, work: list[Any], wanted: list[int]) -> Callable[..., Any]:
        steps = []
        for formula, names, keys in work:
            run = supplied(formula, [self.op.place[n] for n in names])
            several = None if len(keys) == 1 else [k for k, i in enumerate(keys) if i in wanted]
            steps.append((run, slice(None) if keys[0] in self.op.lists else several))
        if all(select is None for _, select in steps):
            if len(steps) == 1:
                ((one, _),) = steps
                return lambda g, known: (one(g, known),)
            if len(steps) == 2:
                (one, _), (two, _) = steps
                return lambda g, known: (one(g, known), two(g, known))
            if len(steps) == 3:
                (one, _), (two, _), (three, _) = steps
                return lambda g, known: (one(g, known), two(g, known), three(g, known))

        def gradients(g: Any, known: list[Any]) -> list[Any]:
            found = list[Any]()
            for run, select in steps:
                value = run(g, known)
                if select is None:
                    found.append(value)
                elif isinstance(select, slice):
                    found.extend(value)
                else:
                    found.extend([value[k] for k in select])
            return found

        return gradients

    def _by_vjp(self, zeros: list[int]) -> Callable[..., Any]:
        op, wants = self.op, self.wants

        def gradients(g: Any, known: list[Any]) -> list[Any]:
            arrays = list(known[: op.arity])
            for i in zeros:
                arrays[i] = mx.zeros(known[op.arity + i], g.dtype)
            return vjp_of(lambda *a: op.results(a), arrays, wants, [g] if op.single else g)

        return gradients


def supplied(formula: Any, places: list[int]) -> Callable[..., Any]:
    """``formula`` of the values at ``places`` in (g, *known)."""
    if places == [0]:
        return lambda g, _: formula(g)
    if places[0] == 0 and len(places) == 2:
        i = places[1] - 1
        return lambda g, known: formula(g, known[i])
    if places[0] == 0 and len(places) == 3:
        i, j = places[1] - 1, places[2] - 1
        return lambda g, known: formula(g, known[i], known[j])
    pick = itemgetter(*places)
    return lambda g, known: formula(*pick((g, *known)))
