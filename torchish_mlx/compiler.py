"""``torch.compile`` and ``torch.compiler``: the arguments are checked, and the function is called as it is.

MLX compiles a whole step, with the optimizer in it: docs/compile.md.
"""

from __future__ import annotations

from collections.abc import Callable as _Callable
from typing import Any as _Any

from ._inert import note as _note

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "reset",
    "set_stance",
]

_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
_BACKENDS = ["cudagraphs", "inductor", "openxla", "tvm"]
_DEBUG = ("eager", "aot_eager", "aot_eager_decomp_partition", "aot_ts", "eager_noexcept")
_STANCES = ("default", "eager_then_compile", "aot_eager_then_compile", "fail_on_recompile", "force_eager")


class InvalidBackend(RuntimeError):
    """A name of a backend that torch does not have."""


def compile(
    model: _Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | _Callable[..., _Any] | None = None,
    mode: str | None = None,
    options: dict[str, _Any] | None = None,
    name: str | None = None,  # noqa: ARG001 - for torch's logs
    disable: bool = False,
    recompile_limit: int | None = None,  # noqa: ARG001 - nothing is compiled, and so nothing again
    isolate_recompiles: bool | None = None,  # noqa: ARG001 - as above
    **kwargs: _Any,
) -> _Any:
    """``model`` as it is, which may be a function or a module; without it, a decorator. Nothing is compiled.

    Its arguments say how to compile, and no result depends on them. MLX compiles a whole step: ``mlx.core.compile``.

    Raises:
        AssertionError: ``model`` can't be called, or ``dynamic`` is no bool.
        RuntimeError: an unknown ``mode`` or ``backend``, or both ``mode`` and ``options``.
        NotImplementedError: a ``backend`` that is a function: it gets a graph of torch's, which there is none of.

    Source: ``torch.compile``.
    """
    if kwargs:
        raise TypeError(f"compile() got an unexpected keyword argument {next(iter(kwargs))!r}")
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if callable(backend):
        raise NotImplementedError("a backend that is a function gets a graph of torch's; here is none: leave it out")
    if mode is not None and mode not in _MODES and backend in (None, "inductor"):
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if backend is not None and backend not in (*_BACKENDS, *_DEBUG):
        raise InvalidBackend(
            f"Invalid backend: {backend!r}, see `torch._dynamo.list_backends()` for available backends."
        )
    for given, what in ((fullgraph, "fullgraph"), (disable, "disable")):
        if type(given) is not bool:
            raise AssertionError(f"Expected {what} to be a bool, got {type(given)}")
    if dynamic is not None and type(dynamic) is not bool:
        raise AssertionError(f"Expected enable to be a bool, got {type(dynamic)}")
    _note("torch.compile")
    if model is None:
        return _decorated
    return _decorated(model)


def _decorated(model: _Any) -> _Any:
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    return model


def is_compiling() -> bool:
    """False: nothing is compiled by torch.

    Source: ``torch.compiler.is_compiling``.
    """
    return False


def is_dynamo_compiling() -> bool:
    """False: nothing is compiled by torch.

    Source: ``torch.compiler.is_dynamo_compiling``.
    """
    return False


def is_exporting() -> bool:
    """False: nothing is exported by torch.

    Source: ``torch.compiler.is_exporting``.
    """
    return False


def reset() -> None:
    """Nothing: nothing was compiled.

    Source: ``torch.compiler.reset``.
    """
    _note("torch.compiler.reset")


def list_backends(exclude_tags: _Any = ("debug", "experimental")) -> list[str]:  # noqa: ARG001 - those that are known
    """The names that ``backend=`` takes. None of them compiles here.

    Source: ``torch.compiler.list_backends``.
    """
    return list(_BACKENDS)


def disable(fn: _Any = None, recursive: bool = True, *, reason: str | None = None) -> _Any:  # noqa: ARG001 - of nothing
    """The function as it is, which nothing compiles; without it, a decorator.

    Raises:
        AssertionError: ``fn`` can't be called.

    Source: ``torch.compiler.disable``.
    """
    _note("torch.compiler.disable")
    if fn is None:
        return lambda function: function
    if not callable(fn):
        raise AssertionError("fn must be callable")
    return fn


def allow_in_graph(fn: _Any) -> _Any:
    """The function as it is.

    Source: ``torch.compiler.allow_in_graph``.
    """
    _note("torch.compiler.allow_in_graph")
    return fn


def assume_constant_result(fn: _Any) -> _Any:
    """The function as it is.

    Source: ``torch.compiler.assume_constant_result``.
    """
    _note("torch.compiler.assume_constant_result")
    return fn


def cudagraph_mark_step_begin() -> None:
    """Nothing: there are no graphs of CUDA's.

    Source: ``torch.compiler.cudagraph_mark_step_begin``.
    """
    _note("torch.compiler.cudagraph_mark_step_begin")


class set_stance:
    """A call, a block or a decorator that says how to compile: nothing is compiled.

    Raises:
        RuntimeError: an unknown stance. (Torch says so when something is compiled.)

    Source: ``torch.compiler.set_stance``.
    """

    def __init__(
        self,
        stance: str = "default",
        *,
        skip_guard_eval_unsafe: bool = False,  # noqa: ARG002 - no guards
        force_backend: _Any = None,  # noqa: ARG002 - no backends
    ) -> None:
        if stance not in _STANCES:
            raise RuntimeError(f"invalid torch.compile stance {stance!r}: it is one of {', '.join(_STANCES)}")
        _note("torch.compiler.set_stance")

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, fn: _Any) -> _Any:
        return fn
