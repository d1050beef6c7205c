"""``torch.jit``: there is no TorchScript, and what it is to compile is called as Python."""

from __future__ import annotations

import warnings as _warnings
from typing import Any as _Any
from typing import Final as Final
from typing import NoReturn as _NoReturn

from ._inert import note as _note

__all__ = [
    "Final",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "enable_onednn_fusion",
    "export",
    "freeze",
    "fuser",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "load",
    "onednn_fusion_enabled",
    "optimize_for_inference",
    "optimized_execution",
    "save",
    "script",
    "script_if_tracing",
    "set_fusion_strategy",
    "strict_fusion",
    "trace",
    "trace_module",
    "unused",
]


class ScriptModule:
    """What ``isinstance`` may be asked for: nothing here is one, because ``script`` gives the module as it is.

    Source: ``torch.jit.ScriptModule``.
    """


class ScriptFunction:
    """What ``isinstance`` may be asked for: nothing here is one, because ``script`` gives the function as it is.

    Source: ``torch.jit.ScriptFunction``.
    """


def _deprecated(name: str) -> None:
    _note(f"torch.jit.{name}")
    _warnings.warn(
        f"`torch.jit.{name}` is deprecated. Please switch to `torch.compile` or `torch.export`.",
        DeprecationWarning,
        stacklevel=3,
    )


def script(
    obj: _Any,
    optimize: _Any = None,
    _frames_up: int = 0,
    _rcb: _Any = None,
    example_inputs: _Any = None,  # noqa: ARG001 - types are not looked at
) -> _Any:
    """``obj`` as it is: a function, a module or a class, which runs as Python.

    Source: ``torch.jit.script``.
    """
    if optimize is not None:
        _warnings.warn(
            "`optimize` is deprecated and has no effect. Use `with torch.jit.optimized_execution()` instead",
            FutureWarning,
            stacklevel=2,
        )
    _deprecated("script")
    return obj


def trace(
    func: _Any,
    example_inputs: _Any = None,
    optimize: None = None,  # noqa: ARG001 - and those below: how to trace
    check_trace: bool = True,  # noqa: ARG001
    check_inputs: _Any = None,  # noqa: ARG001
    check_tolerance: float = 1e-5,  # noqa: ARG001
    strict: bool = True,  # noqa: ARG001
    _force_outplace: bool = False,
    _module_class: _Any = None,
    _compilation_unit: _Any = None,
    example_kwarg_inputs: _Any = None,
    _store_inputs: bool = True,
) -> _Any:
    """``func`` as it is: a function or a module. Unlike a trace of torch's it runs its Python in every call.

    Raises:
        RuntimeError: no example inputs, or two kinds of them.

    Source: ``torch.jit.trace``.
    """
    if example_inputs is not None and example_kwarg_inputs is not None:
        raise RuntimeError("example_kwarg_inputs and example_inputs can't be given both")
    if example_inputs is None and example_kwarg_inputs is None:
        raise RuntimeError("example_kwarg_inputs should be a dict")
    _deprecated("trace")
    return func


def trace_module(mod: _Any, inputs: _Any, *args: _Any, **kwargs: _Any) -> _Any:  # noqa: ARG001 - how to trace
    """The module as it is.

    Source: ``torch.jit.trace_module``.
    """
    if not isinstance(inputs, dict):
        raise AttributeError("expected a dictionary of (method_name, input) pairs")
    _deprecated("trace_module")
    return mod


def freeze(mod: _Any, preserved_attrs: _Any = None, optimize_numerics: bool = True) -> _Any:  # noqa: ARG001 - as above
    """The module as it is.

    Source: ``torch.jit.freeze``.
    """
    _deprecated("freeze")
    return mod


def optimize_for_inference(mod: _Any, other_methods: _Any = None) -> _Any:  # noqa: ARG001 - as above
    """The module as it is.

    Source: ``torch.jit.optimize_for_inference``.
    """
    _deprecated("optimize_for_inference")
    return mod


def ignore(drop: _Any = False, **kwargs: _Any) -> _Any:  # noqa: ARG001 - drop_on_export
    """The function as it is; with a bool, a decorator.

    Raises:
        RuntimeError: neither a function nor a bool.

    Source: ``torch.jit.ignore``.
    """
    _note("torch.jit.ignore")
    if callable(drop):
        return drop
    if not isinstance(drop, bool):
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")
    return lambda fn: fn


def unused(fn: _Any) -> _Any:
    """The function as it is.

    Source: ``torch.jit.unused``.
    """
    _note("torch.jit.unused")
    return fn


def export(fn: _Any) -> _Any:
    """The method as it is.

    Source: ``torch.jit.export``.
    """
    _note("torch.jit.export")
    return fn


def interface(obj: _Any) -> _Any:
    """The class as it is.

    Raises:
        RuntimeError: no class.

    Source: ``torch.jit.interface``.
    """
    if not isinstance(obj, type):
        raise RuntimeError("interface must be applied to a class")
    _note("torch.jit.interface")
    return obj


def script_if_tracing(fn: _Any) -> _Any:
    """The function as it is.

    Source: ``torch.jit.script_if_tracing``.
    """
    _note("torch.jit.script_if_tracing")
    return fn


def annotate(the_type: _Any, the_value: _Any) -> _Any:  # noqa: ARG001 - types are not looked at
    """The value.

    Source: ``torch.jit.annotate``.
    """
    return the_value


def is_scripting() -> bool:
    """False: nothing is compiled by TorchScript.

    Source: ``torch.jit.is_scripting``.
    """
    return False


def is_tracing() -> bool:
    """False: nothing is traced by torch.

    Source: ``torch.jit.is_tracing``.
    """
    return False


_fusion = [False]


def enable_onednn_fusion(enabled: bool) -> None:
    """Keep the value for :func:`onednn_fusion_enabled`.

    Source: ``torch.jit.enable_onednn_fusion``.
    """
    _note("torch.jit.enable_onednn_fusion")
    _fusion[0] = enabled


def onednn_fusion_enabled() -> bool:
    """What :func:`enable_onednn_fusion` was given; False before.

    Source: ``torch.jit.onednn_fusion_enabled``.
    """
    return _fusion[0]


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Nothing; returns torch's strategy of before, which is always the default here.

    Source: ``torch.jit.set_fusion_strategy``.
    """
    for kind, _depth in strategy:
        if kind not in ("STATIC", "DYNAMIC"):
            raise RuntimeError(f"FusionBehavior only supported 'STATIC' or 'DYNAMIC', got: {kind}")
    _note("torch.jit.set_fusion_strategy")
    return [("STATIC", 2), ("DYNAMIC", 10)]


class optimized_execution:
    """A block in which TorchScript is optimized or not.

    Source: ``torch.jit.optimized_execution``.
    """

    def __init__(self, should_optimize: bool) -> None:
        _note("torch.jit.optimized_execution")
        self.should_optimize = should_optimize

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


class fuser:
    """A block in which TorchScript has another fuser.

    Raises:
        Exception: an unknown name.

    Source: ``torch.jit.fuser``.
    """

    def __init__(self, name: str) -> None:
        if name not in ("fuser0", "fuser1", "fuser2", "fuser3", "none"):
            raise Exception(f"unrecognized fuser option (name: {name})")
        _note("torch.jit.fuser")

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


class strict_fusion:
    """A block in which TorchScript says what was not fused.

    Source: ``torch.jit.strict_fusion``.
    """

    def __init__(self) -> None:
        _note("torch.jit.strict_fusion")

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def save(m: _Any, f: _Any, _extra_files: _Any = None) -> _NoReturn:
    """Refused: there is no TorchScript.

    Raises:
        NotImplementedError: always.

    Source: ``torch.jit.save``.
    """
    raise NotImplementedError("jit.save(): there is no TorchScript. Save the state dict with torch.save()")


def load(f: _Any, map_location: _Any = None, _extra_files: _Any = None, _restore_shapes: bool = False) -> _NoReturn:
    """Refused: there is no TorchScript.

    Raises:
        NotImplementedError: always.

    Source: ``torch.jit.load``.
    """
    raise NotImplementedError(
        "jit.load(): a file of TorchScript has a program in it, which only torch runs. Save the state dict with torch, "
        "and load it into the module"
    )
