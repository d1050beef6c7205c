"""The decorators that declare ops: ``op``, ``view`` and ``composed``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, overload

import mlx.core as mx
import numpy as np

from .._core.device import LABELLED
from .._core.promotion import NAMES
from .._tensor.labels import carried
from .._tensor.tensor import Tensor, wrap
from .._tensor.views import Step
from ._arguments import Arguments, as_tensor, tensors
from ._autocast import AUTOCAST, autocasted, uncast
from ._call import ARRAYS, public
from ._dtypes import supported
from ._op import NUMPY_NAMES, Op, Vjp, node_name, vjp
from ._out import EXACT_IN_PLACE, WITHOUT, write_out
from ._recorded import call_it
from ._registry import FUNCTIONAL, REGISTRY, Entry, attach, dressed, enter, entered, place
from ._view import overwrite, refuse_write, show

__all__ = ["FUNCTIONAL", "REGISTRY", "Entry", "attach", "composed", "op", "view", "vjp"]

F = TypeVar("F", bound=Callable[..., Any])
_LIFTED = frozenset((mx.array, np.ndarray))


def op(
    *,
    grad: dict[str, Callable[..., Any]] | Vjp | None = None,
    promote: str | None = None,
    inplace: bool | str = False,
    casts: bool = False,
    uniform: bool = False,
    residuals: tuple[str, ...] = (),
    check: Callable[..., None] | None = None,
    name: str = "",
    aliases: tuple[str, ...] = (),
    number_first: str = "",
    channels: str = "",
    module: str = "torch",
    random: bool = False,
    always: bool = False,
    function: bool = True,
    method: bool = True,
    shape: str = "",
    node: str | tuple[str, str] | Callable[..., str] = "",
) -> Callable[[Any], Any]:
    """Declare an op: a pure function of arrays, from which everything else of it is made.

    Args:
        grad: a formula for each parameter that has a derivative. The names of a formula's parameters say what is kept:
            ``g``, the gradient of the result, the name of an argument, ``<argument>_shape``, ``result`` or a field of a
            named result, or a residual. ``vjp(input="weight", weight="input")`` says that MLX's derivative is torch's,
            and what it needs. None: not differentiable.
        promote: how parameters annotated ``Operand`` are brought to one dtype: ``"same"`` to the common one,
            ``"float"`` also to a floating one, ``"rounded"`` with numbers rounded to it first, ``"compare"`` without
            widening halves, where the result has a dtype of its own, and ``"bool"`` as that with halves widened.
        inplace: whether there is ``name_``. In torch.nn.functional there is an argument ``inplace`` too, or that alone
            with ``"argument"``.
        casts: the result may have any dtype, and ``name_`` takes it.
        uniform: all elements of the result are equal, and ``name_`` may write them through repeated dimensions.
        residuals: the names of what the body returns after its result, or after a named tuple of results, for the
            formulas.
        check: refuses arguments before they are promoted, where not all are of float32.
        always: the check is of operands of float32 too.
        name: torch's name, where Python has a function of that name that the module uses.
        aliases: torch's other names.
        number_first: the keyword of the number in torch's old form ``add(input, number, tensor)``.
        channels: how the body takes images in channels-last memory. ``"any"``: elementwise, so that the order does not
            matter. ``"dim"``: the order matters for the argument ``dim``, which is translated. ``"last"``: the body
            always gets its first argument channels-last, and gives its results so. Else it gets torch's order.
        module: where torch has it: ``"torch"``, which Tensor's methods belong to, ``"nn.functional"``, or both, with a
            blank between them.
        random: whether the body draws random numbers. Then ``grad`` must be formulas: they name what was drawn, as a
            residual, and a derivative of a derivative uses them again. The body is never run again.
        function: whether torch has it as a function.
        method: whether torch has it as a method of Tensor.
        shape: the shape of the result in words, where it is not the usual one of its parameters.
        node: torch's name of the recorded call, which ``grad_fn`` shows, where it is not ``<Name>Backward0``. A pair
            (argument, name) says that the name is for calls with this argument: where it may be a Tensor, with a
            Tensor, and else with anything but None. A function takes the indices of those that are Tensors and all
            arguments, of which Tensors may be None.
    """

    def declare(fn: Any) -> Any:
        own = name or fn.__name__
        declared = Op(fn, own, grad, promote, residuals, check, casts, number_first, channels, random, always, node)
        call = public(declared)
        write = _inplace(call, casts, uniform) if inplace else None
        for alias in (own, *aliases):
            place(alias, module, call, write, inplace, fn, own not in WITHOUT, declared, function, method, shape)
        return entered(own, module)

    return declare


@overload
def view(fn: Callable[..., Step]) -> Callable[..., Any]: ...


@overload
def view(*, name: str = "", node: str = "") -> Callable[[Callable[..., Step]], Callable[..., Any]]: ...


def view(fn: Any = None, *, name: str = "", node: str = "") -> Any:
    """Declare a view: ``fn(shape, ...)`` gives the Step, once for each shape and arguments.

    ``node`` is torch's name of the recorded call, where the function does not say it itself or its own name.

    A name with a dot, such as ``view.shape``, is that of a view behind a function of torch, and is no function itself.
    """
    if fn is None:
        return functools.partial(view, name=name, node=node)

    own = name or fn.__name__
    arguments = Arguments(own, fn, skip=1)

    @functools.lru_cache(4096, typed=True)
    def steps(shape: tuple[int, ...], *args: Any, **kwargs: Any) -> Any:
        for given in (*args, *kwargs.values()):
            if any(isinstance(a, Tensor) for a in (given if isinstance(given, tuple) else (given,))):
                raise TypeError("the value of a Tensor may change, so it is no key")
        return checked(shape, args, kwargs)

    def checked(shape: tuple[int, ...], args: Any, kwargs: Any) -> Any:
        args, kwargs = arguments(args, kwargs)
        step = fn(shape, *args, **kwargs)
        if isinstance(step, Step) and step.called is None:
            step.called = node or node_name(own)
        return step

    def function(input: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(input, Tensor):
            input = _tensor_of(fn.__name__, input)
        array = input._storage._array
        if array is None or input._base is not None:
            array = input._read()
        try:
            step = steps(array.shape, *args, **kwargs)
        except TypeError:  # an argument that is no key
            step = checked(array.shape, args, kwargs)
        return show(input, step, array)

    public = "." not in own
    enter(own, Entry(dressed(function, fn, own, "", first="input"), None, None, public, public, ""))
    return REGISTRY[own].function


@overload
def composed(fn: F) -> F: ...


@overload
def composed(
    *,
    name: str = "",
    aliases: tuple[str, ...] = (),
    module: str = "torch",
    function: bool = True,
    method: bool = True,
    inplace: bool | str = False,
    outs: bool = False,
    lists: bool = False,
    shape: str = "",
    node: str = "",
) -> Callable[[F], F]: ...


def composed(
    fn: Any = None,
    *,
    name: str = "",
    aliases: tuple[str, ...] = (),
    module: str = "torch",
    function: bool = True,
    method: bool = True,
    inplace: bool | str = False,
    outs: bool = False,
    lists: bool = False,
    shape: str = "",
    node: str = "",
) -> Any:
    """Declare a function of Tensors that is made of ops and needs nothing of its own.

    ``node`` is the name that torch gives to the recorded call, where the last op of ``fn`` does not have it. With
    ``outs`` it takes ``out``. With ``lists`` its Tensors may be in lists. The other words are those of ``op``.
    """
    if fn is None:
        return functools.partial(
            composed,
            name=name,
            aliases=aliases,
            module=module,
            function=function,
            method=method,
            inplace=inplace,
            outs=outs or bool(inplace),
            lists=lists,
            shape=shape,
            node=node,
        )
    own = name or fn.__name__
    lifts = FUNCTIONAL in module
    outs = outs and own not in WITHOUT
    arguments, real = Arguments(own, fn), supported(own)

    def call(*args: Any, **kwargs: Any) -> Any:
        if AUTOCAST:
            result = autocasted(own, call, args, kwargs)
            if result is not NotImplemented:
                return result
        if lifts and not _LIFTED.isdisjoint(map(type, args)):  # labels and masks are often plain arrays
            args = tuple([a if type(a) not in _LIFTED else wrap(mx.array(a)) for a in args])
        if kwargs:
            if lifts and not _LIFTED.isdisjoint(map(type, kwargs.values())):
                kwargs = {k: a if type(a) not in _LIFTED else wrap(mx.array(a)) for k, a in kwargs.items()}
            placed = arguments.placed(args, kwargs)
            if placed is not None:
                args, kwargs = placed, {}
        if kwargs:
            for theirs, ours in NUMPY_NAMES.items():
                if theirs in kwargs:
                    kwargs[ours] = kwargs.pop(theirs)
            if outs and "out" in kwargs:
                out = kwargs.pop("out")
                result = call(*args, **kwargs)
                return result if out is None else write_out(own, result, out, (*args, *kwargs.values()))
            if "input" in kwargs:
                args = (kwargs.pop("input"), *args)
        if lists:
            each = [as_tensor(a) for a in args]
            args = tuple([a if isinstance(a, Tensor) else tensors(own, i, a) for i, a in enumerate(each)])
        elif args and not isinstance(args[0], Tensor) and not any(isinstance(a, Tensor) for a in args):
            args = (_tensor_of(own, args[0]), *args[1:])
        given, named = arguments(args, kwargs)
        if real is not None:
            real(*[a.array for a in given if isinstance(a, Tensor)])
        made = fn(*given, **named) if named else fn(*given)
        if node:
            call_it(node, made, given)
        if LABELLED:
            labelled = (*given, *named.values())
            return made if any(made is each for each in labelled) else carried(made, labelled)
        return made

    write = _inplace(call, words=EXACT_IN_PLACE.get(own, "")) if inplace else None
    for alias in (own, *aliases):
        place(alias, module, call, write, inplace, fn, outs, None, function, method, shape)
    return entered(own, module)


def _tensor_of(name: str, value: Any) -> Tensor:
    if isinstance(value, ARRAYS):
        return wrap(mx.array(value))
    raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(value).__name__}")


def _inplace(call: Any, casts: bool = False, uniform: bool = False, words: str = "") -> Callable[..., Any]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        refuse_write(self, args, kwargs)
        out = uncast(call, self, *args, **kwargs) if AUTOCAST else call(self, *args, **kwargs)
        if words and out.array.dtype != self.array.dtype:
            raise RuntimeError(words.format(given=NAMES[self.array.dtype], wanted=NAMES[out.array.dtype]))
        return overwrite(self, out, casts, uniform)

    return method
