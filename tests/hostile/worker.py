"""A process that loads hostile files and watches itself.

``python -m tests.hostile.worker LINE FIRST COUNT`` prints a JSON list of what went wrong, each with the number of its
mutation; without arguments, what each file of the corpus gave.
"""

from __future__ import annotations

import encodings.raw_unicode_escape  # noqa: F401 - pickletools decodes an opcode by it that is refused then
import io
import json
import linecache
import math
import os
import pickle
import re
import resource
import signal
import sys
import time
from collections import Counter, OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import torchish_mlx as torch
from tests.hostile.corpus import CORPUS
from tests.hostile.plan import mutation
from tests.hostile.seeds import Files, seeds
from torchish_mlx._tensor.storage import View
from torchish_mlx.serialization._shared.arrays import buffer

SECONDS, BYTES = 2, 500_000_000
PACKAGE = str(Path(torch.__file__).parent)

# -- what a process may do while it loads

_HARMLESS = {
    "os.scandir",
    "os.listdir",
    "_thread.start_new_thread",
    "cpython.PyThreadState_New",
    "sys._getframe",
    "builtins.id",
}
_HARMLESS |= {"object.__getattr__", "cpython.run_interactivehook", "sys.unraisablehook", "gc.get_objects"}
_events: list[str] = []
_armed = False


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _armed or event in _HARMLESS:
        return
    if event == "open" and args[1] in ("rb", "r", None) and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return
    _events.append(f"{event}{str(args)[:100]}")


class Hangs(BaseException):
    """It takes much longer than it may."""


def _hang(*_: Any) -> None:
    raise Hangs


# -- what an exception may be

_OWN = re.compile(
    r"^(\[[a-z_]+\]|Exceeds the limit|'[\w-]+' codec can't|not enough values|too many values)|nable to allocate"
)


def unclean(error: BaseException) -> str | None:
    """What is wrong with an exception; None for one that was meant: raised by name, in words, by the package."""
    what = f"{type(error).__name__}: {str(error)[:300]}"
    wrong_kind = isinstance(error, (RecursionError, NotImplementedError, UnicodeError))
    if wrong_kind or not isinstance(error, (OSError, RuntimeError, ValueError, pickle.UnpicklingError)):
        return f"{what} at {_place(error.__traceback__)}"
    if isinstance(error, OSError):
        return None
    place = _place(error.__traceback__)
    if not place.startswith(PACKAGE) or not place.partition(" ")[2].startswith("raise"):
        return f"not raised by the package: {what} at {place}"
    if len(str(error)) < 20 or len(str(error)) > 2000 or _OWN.search(str(error)):
        return f"the message says little or too much: {what}"
    return None


def _place(traceback: TracebackType | None) -> str:
    """file:line and text of the line that raised."""
    if traceback is None:
        return ""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    file, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
    return f"{file}:{line} {linecache.getline(file, line).strip()}"


# -- what an object may be

_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, torch.dtype, torch.device, torch.Size)
_CONTAINERS = (dict, OrderedDict, Counter, list, tuple, set)


# "_origin" is what the record ".torchish_mlx" says: with another byte in its name, the file is as torch writes it.
_KNOWN = {"_storage", "_requires_grad", "_origin"}


def account(made: Any) -> list[Any]:
    """An object written out, each container and tensor once, so that two can be compared bit for bit."""
    seen: dict[int, int] = {}
    out: list[Any] = []
    stack = [made]
    while stack:
        value = stack.pop()
        kind = type(value)
        if kind in _PLAIN:
            out.append((kind, value.hex() if kind is float else str(value) if kind is complex else value))
            continue
        if id(value) in seen:
            out.append(("again", seen[id(value)]))
            continue
        seen[id(value)] = len(seen)
        if isinstance(value, torch.Tensor):
            assert kind in (torch.Tensor, torch.Parameter), kind
            out.append((kind, *_tensor(value, seen), sorted(set(vars(value)) - _KNOWN)))
        else:
            assert kind in _CONTAINERS, f"{kind} was made"
            out.append((kind, len(value)))
            if isinstance(value, dict):
                for item in value.items():
                    stack.extend(item)
            else:
                stack.extend(sorted(value, key=repr) if kind is set else value)
    return out


def _tensor(value: Any, seen: dict[int, int]) -> tuple[Any, ...]:
    storage = value._storage
    base = storage.base if isinstance(storage, View) else storage
    strides, offset = storage.layout()
    shape = tuple(value.shape)
    size = base.read().size
    if math.prod(shape):
        reach = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        assert 0 <= offset <= reach < size, f"{shape} {strides} {offset} of {size}"
    if math.prod(shape) * 8 > 1 << 24:
        return (shape, str(value.dtype), strides, offset)
    content = bytes(buffer(value.array))
    assert len(content) == math.prod(shape) * value.array.dtype.size
    return (
        shape,
        str(value.dtype),
        strides,
        offset,
        value.requires_grad,
        seen.setdefault(id(base), len(seen)),
        content,
    )


# -- one file


def watched(files: Files, folder: Path | None = None, write: bool = True) -> tuple[Any, list[str], str]:
    """Load the first file, from memory, or from ``folder``, where the others stand beside it.

    Returns an account of what loads or None, what was wrong on the way, and what was said.
    """
    global _armed
    wrong: list[str] = []
    said = ""
    found = None
    made: Any = None
    loaded = False
    _events.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if folder is not None and write:
        for name, data in files.items():
            (folder / name).write_bytes(data)
    begin = time.process_time()
    signal.alarm(20)
    _armed = True
    try:
        made = torch.load(folder / next(iter(files)) if folder else io.BytesIO(next(iter(files.values()))))
        loaded = True
    except Hangs:
        wrong.append("hangs")
    except BaseException as error:
        _armed = False
        said = str(error)
        if (message := unclean(error)) is not None:
            wrong.append(message)
    finally:
        _armed = False
        signal.alarm(0)
    seconds = time.process_time() - begin
    unit = 1 if sys.platform == "darwin" else 1024
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    if seconds > SECONDS:
        wrong.append(f"takes {seconds:.1f} s")
    if used > BYTES:
        wrong.append(f"takes {used / 1e6:.0f} MB")
    if _events:
        wrong.append(f"does {_events[:3]}")
    if loaded:
        try:
            found = account(made)
        except Exception as error:
            wrong.append(f"is not well-formed: {type(error).__name__}: {error}")
    return found, wrong, said


def _prepared(folder: Path) -> None:
    """What an index may name: a pipe that nobody writes to, an endless device, a loop, a folder."""
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "zero.safetensors").symlink_to("/dev/zero")
    (folder / "loop.safetensors").symlink_to("loop.safetensors")
    (folder / "folder.safetensors").mkdir()


def corpus() -> list[dict[str, Any]]:
    """What each file of the corpus gives."""
    out = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        _prepared(folder)
        for case, (made, _) in CORPUS.items():
            found, wrong, said = watched(made(), folder)
            out.append({"case": case, "loads": found is not None, "wrong": wrong, "said": said})
        for special in ("pipe.safetensors", "zero.safetensors", "loop.safetensors", "folder.safetensors"):
            _, wrong, said = watched({special: b""}, folder, write=False)
            out.append({"case": special, "loads": False, "wrong": wrong, "said": said})
    return out


def fuzz(line: str, first: int, count: int) -> list[dict[str, Any]]:
    """What is wrong with the mutations ``first``, ... of a line of the plan; at last, how many of them loaded."""
    of = seeds()
    out: list[dict[str, Any]] = []
    loads = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        true = {seed: watched(files, folder if len(files) > 1 else None)[0] for seed, files in of.items()}
        for n in range(first, first + count):
            seed, changed = mutation(line, of, n)
            found, wrong, _ = watched(changed.files, folder if len(changed.files) > 1 else None)
            loads += found is not None
            if found is not None and changed.equal and found != true[seed]:
                wrong.append("loads, and is another object")
            if wrong:
                out.append({"number": n, "seed": seed, "wrong": wrong})
    return [*out, {"loads": loads}]


if __name__ == "__main__":
    sys.addaudithook(_audit)
    signal.signal(signal.SIGALRM, _hang)
    for files in seeds().values():  # what is imported late is imported here
        if len(files) == 1:
            watched(files)
    given = sys.argv[1:]
    print(json.dumps(fuzz(given[0], int(given[1]), int(given[2])) if given else corpus()))  # noqa: T201
