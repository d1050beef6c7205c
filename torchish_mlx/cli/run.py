"""``python -m torchish_mlx run script.py``: a program of torch, as ``python script.py`` would run it."""

from __future__ import annotations

import argparse
import builtins
import runpy
import sys
import types
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import TracebackType
from typing import Any

from . import swap
from .report import Report

_USAGE = "python -m torchish_mlx run [--report] [--] (SCRIPT | -m MODULE | -) [ARGUMENTS ...]"


def main(arguments: list[str]) -> int:
    """Run a program to its end. Returns the exit status where it does not exit by itself."""
    report, module, rest = _parsed(arguments)
    swap.install()
    shown = Report() if report else None
    try:
        if module:
            _run_module(rest)
        else:
            _run_script(rest)
    finally:
        if shown is not None:
            shown.write(sys.stderr)
    return 0


def _parsed(arguments: list[str]) -> tuple[bool, bool, list[str]]:
    """Whether to report, whether the program is a module, and the program with its arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m torchish_mlx run",
        usage=_USAGE,
        description="Run a PyTorch program on MLX: import torch means torchish_mlx, for it and what it imports.",
        allow_abbrev=False,
    )
    parser.add_argument("--report", action="store_true", help="list at the end which names of torch were used")
    parser.add_argument("-m", dest="module", action="store_true", help="the program is a module")
    own = []
    for i, argument in enumerate(arguments):
        if argument == "--":
            rest = arguments[i + 1 :]
            break
        if argument == "-" or not argument.startswith("-"):
            rest = arguments[i:]
            break
        own.append(argument)
        if argument == "-m":
            rest = arguments[i + 1 :]
            break
    else:
        rest = []
    given = parser.parse_args(own)
    if given.module and rest[:1] == ["--"]:
        rest = rest[1:]
    if not rest:
        parser.error("give the program that is to be run")
    return given.report, given.module, rest


def _fresh(**names: Any) -> types.ModuleType:
    """A new ``__main__``."""
    module = types.ModuleType("__main__")
    module.__dict__.update({"__builtins__": builtins, "__annotations__": {}, **names})
    sys.modules["__main__"] = module
    return module


def _run_script(rest: list[str]) -> None:
    path, sys.argv = rest[0], rest
    if path == "-":
        sys.path[0] = ""
        _run(compile(sys.stdin.read(), "<stdin>", "exec"), _fresh())
        return
    if Path(path).is_dir() or (path.endswith((".zip", ".pyz")) and Path(path).is_file()):
        sys.path[0] = str(Path(path).absolute())
        _fresh()
        _guarded(lambda: runpy._run_module_as_main("__main__", alter_argv=False))  # type: ignore[attr-defined]
        return
    where = str(Path(path).absolute())
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        sys.stderr.write(f"{sys.executable}: can't open file {where!r}: [Errno {error.errno}] {error.strerror}\n")
        raise SystemExit(2) from None
    sys.path[0] = str(Path(path).resolve().parent)
    main = _fresh(__file__=where, __cached__=None, __loader__=SourceFileLoader("__main__", where))
    _run(source, main)


def _run(source: Any, main: types.ModuleType) -> None:
    def program() -> None:
        code = source if isinstance(source, types.CodeType) else compile(source, main.__file__ or "", "exec")
        exec(code, main.__dict__)

    _guarded(program)


def _run_module(rest: list[str]) -> None:
    sys.argv = ["-m", *rest[1:]]
    sys.path[0] = str(Path.cwd())
    _fresh()
    _guarded(lambda: runpy._run_module_as_main(rest[0]))  # type: ignore[attr-defined]


def _guarded(program: Callable[[], None]) -> None:
    """Call ``program``. A traceback begins with the lines of the user, and the exit status is Python's."""
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        shown = _of_the_user(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(shown), shown)
        sys.excepthook = lambda *_: None  # it is written: what remains is how Python ends
        raise


def _of_the_user(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this file."""
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace
