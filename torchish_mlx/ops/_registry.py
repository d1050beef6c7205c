"""The registry of all functions: what is known of each, its face for users, and in which modules of torch it is."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from .._tensor.tensor import Tensor
from ._arguments import parameters_of
from ._op import Op


class Entry:
    """What the registry knows of a function: tests, the stub and the pages are made from it.

    Attributes:
        function: the public function.
        op: its ``Op``, or None for a view or a function that is made of others.
        inplace: the in-place method, or None.
        is_function, is_method: whether torch has it as a function, and as a method of Tensor.
        shape: the shape of the result in words, where it is not the usual one of its parameters.
    """

    def __init__(
        self, function: Any, op: Op | None, inplace: Any, is_function: bool, is_method: bool, shape: str
    ) -> None:
        self.function, self.op, self.inplace = function, op, inplace
        self.is_function, self.is_method, self.shape = is_function, is_method, shape


#: Every function by torch's name; those of torch.nn.functional have ``nn.functional.`` in front.
REGISTRY: dict[str, Entry] = {}
FUNCTIONAL = "nn.functional"


def attach(name: str, function: Any) -> None:
    """Make ``function`` a method of Tensor; RuntimeError where there is one."""
    if name in Tensor.__dict__:
        raise RuntimeError(f"Tensor.{name} is there already")
    setattr(Tensor, name, function)


def enter(name: str, entry: Entry) -> None:
    """Put a function into the registry, and make it a method of Tensor where it is one."""
    if name in REGISTRY:
        raise RuntimeError(f"two functions are named {name}")
    REGISTRY[name] = entry
    if entry.is_method:
        attach(name, entry.function)


def entered(name: str, module: str) -> Any:
    """The function that was entered last under ``name``."""
    return REGISTRY[name if module.startswith("torch") else f"{FUNCTIONAL}.{name}"].function


def place(
    name: str,
    module: str,
    call: Any,
    write: Any,
    inplace: bool | str,
    fn: Any,
    out: bool,
    declared: Op | None,
    function: bool,
    method: bool,
    shape: str,
) -> None:
    """Enter a function and its in-place form into the modules that have it."""
    modules, made = module.split(), None
    if "torch" in modules:
        if write is not None and FUNCTIONAL in modules and not method:
            enter(name + "_", Entry(dressed(write, fn, name + "_", "", out=False), declared, None, True, False, ""))
        elif write is not None:
            made = dressed(write, fn, name + "_", "")
            attach(name + "_", made)
        enter(name, Entry(dressed(call, fn, name, shape, out=out), declared, made, function, method, shape))
    if FUNCTIONAL in modules:
        if write is None:
            public = dressed(call, fn, name, shape, out=False, module=FUNCTIONAL)
        else:
            made = dressed(write, fn, name + "_", "", module=FUNCTIONAL)
            switched = _switched(call, write, len(parameters_of(fn)))
            public = dressed(switched, fn, name, shape, out=False, module=FUNCTIONAL, inplace=True)
            if inplace is True:
                enter(f"{FUNCTIONAL}.{name}_", Entry(made, declared, None, False, False, ""))
        enter(f"{FUNCTIONAL}.{name}", Entry(public, declared, made, False, False, shape))


def _switched(call: Any, write: Any, count: int) -> Callable[..., Any]:
    """``call``, or ``write`` where the last argument, ``inplace``, says so; ``count`` arguments are before it."""

    def function(*args: Any, **kwargs: Any) -> Any:
        inplace = kwargs.pop("inplace", False) if kwargs else False
        if len(args) > count:
            inplace, args = args[-1], args[:-1]
        if not inplace:
            return call(*args, **kwargs)
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        return write(*args, **kwargs)

    return function


@functools.cache
def _untyped(fn: Any) -> tuple[inspect.Parameter, ...]:
    """The parameters of ``fn`` without their types."""
    return tuple([p.replace(annotation=p.empty) for p in parameters_of(fn)])


def dressed(
    call: Any,
    fn: Any,
    name: str,
    shape: str,
    first: str = "",
    out: bool = True,
    module: str = "",
    inplace: bool = False,
) -> Any:
    """``call`` with the name, the signature and the docstring of ``fn``."""
    function: Any = types.FunctionType(call.__code__, call.__globals__, name, call.__defaults__, call.__closure__)
    function.__kwdefaults__ = call.__kwdefaults__
    parameters = [*_untyped(fn)]
    if first:
        parameters[0] = parameters[0].replace(name=first)
    what = inspect.getdoc(fn) or ""
    if name.endswith("_") and name != fn.__name__:  # made of ``fn``, which is not in place itself
        what, shape = f"In place, returning the Tensor itself: {what}", "its own, which stays as it is"
        source = f"{module or 'Tensor'}.{name}" if out else f"{f'{module}.' if module else ''}{name}"
    else:
        if out and not first:
            parameters.append(inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None))
        if inplace:
            parameters.append(inspect.Parameter("inplace", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False))
        usual = (
            _usual_shape([p.name for p in parameters]) if not first else "as it says; the memory is that of ``input``"
        )
        shape, source = shape or usual, f"{module}.{name}" if module else name
    function.declared = {p.name: str(p.annotation) for p in parameters_of(fn)}  # for the stub
    function.declared["inplace"] = "bool"
    function.__name__ = function.__qualname__ = name
    function.__module__ = fn.__module__
    function.__doc__ = f"{what}\n\nShape: {shape}.\n\nSource: ``torch.{source}``."
    function.__annotations__ = {"return": "Tensor"}
    function.__signature__ = inspect.Signature(parameters, return_annotation="Tensor")
    return function


def _usual_shape(names: list[str]) -> str:
    """The shape of a result, by the words that torch uses for parameters."""
    if "keepdim" in names:
        return (
            "that of ``input`` without the dimensions ``dim`` (all by default), or with size one there if ``keepdim``"
        )
    tensors = [name for name in names if name not in ("out", "dtype", "memory_format", "inplace")]
    return "that of ``input``" if len(tensors) == 1 else "the common one to which the tensors broadcast"
