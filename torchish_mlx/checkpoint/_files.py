"""Where checkpoints are stored: one file, or a folder of files that are named by their steps."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

from .. import serialization
from ..bridge._layouts import in_mlx
from ..serialization._shared.atomic import make_folder, remove_stale

_FILES = {".pt", ".pth", ".safetensors"}
_STEP = re.compile(r"step-(\d{8,})\.pt")


def latest(path: str | os.PathLike[str]) -> Path | None:
    """The checkpoint that ``resume(path)`` takes: of a folder the file with the highest step.

    Args:
        path (str or Path): what was given to :func:`save`.

    Returns:
        The file, or None where there is none.

    Example:
        >>> import tempfile
        >>> from torchish_mlx import checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for step in (100, 200):
        ...         _ = checkpoint.save(folder, step=step)
        ...     checkpoint.latest(folder).name
        'step-00000200.pt'
    """
    path = Path(path)
    if not is_folder(path):
        return path if path.is_file() else None
    steps = steps_in(path)
    return steps[max(steps)] if steps else None


def is_folder(path: Path) -> bool:
    """Whether checkpoints at ``path`` are files in a folder; otherwise it is the name of one file."""
    return path.is_dir() or not (path.suffix.lower() in _FILES or path.is_file())


def steps_in(folder: Path) -> dict[int, Path]:
    """step -> file, of the files in a folder that :func:`save` named."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return {int(match[1]): file for file in found if (match := _STEP.fullmatch(file.name)) and file.is_file()}


def target_of(path: Path, step: int) -> Path:
    """The file to write; makes the folder, but not the folders above it."""
    if path.is_file() and path.suffix.lower() not in _FILES:
        message = f"Not a folder, and a name of one file ends in {', '.join(sorted(_FILES))}; nothing was written"
        raise NotADirectoryError(errno.ENOTDIR, f"{message}. The path", str(path))
    if not is_folder(path):
        return path
    make_folder(path)
    remove_stale(path, lambda name: _STEP.fullmatch(name) is not None)
    return path / f"step-{step:08}.pt"


def remove_older(folder: Path, step: int, keep: int) -> None:
    """Remove all but the newest ``keep`` files of steps up to ``step``."""
    files = steps_in(folder)
    for old in sorted(s for s in files if s <= step)[:-keep]:
        try:
            files[old].unlink(missing_ok=True)
        except OSError as error:
            message = f"{error.strerror}: the checkpoint of step {step} is complete, but the older one could not be"
            message += f" removed (keep={keep}). Remove it, or allow writing in its folder. The path"
            raise OSError(error.errno, message, str(files[old])) from error


def find(path: Path, step: int | str) -> Path:
    """The file to resume from; FileNotFoundError where there is none."""
    if not is_folder(path):
        if not path.is_file():
            raise _missing(path, "there is no such checkpoint, so nothing was resumed")
        return path
    steps = steps_in(path)
    if not steps:
        what = "holds no checkpoint (step-*.pt)" if path.is_dir() else "does not exist"
        raise _missing(path, f"the folder {what}, so nothing was resumed")
    number = max(steps) if isinstance(step, str) else step
    if number not in steps:
        raise _missing(path, f"the folder has no checkpoint of step {number}; it has those of steps {_listed(steps)}")
    return steps[number]


def _missing(path: Path, what: str) -> FileNotFoundError:
    advice = "Check the path; to begin a new run where there is none, pass missing_ok=True, which gives None"
    return FileNotFoundError(errno.ENOENT, f"{what}. {advice}. The path", str(path))


def read(file: Path) -> dict[str, Any]:
    """The content of a checkpoint; ValueError for a damaged file, with the others that could be given."""
    try:
        content = serialization.load(file)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"the checkpoint {file} can't be read: {error}. {_others(file)}") from error
    notes = content.get("torchish_mlx") if isinstance(content, dict) else None
    if not isinstance(notes, dict):
        raise ValueError(
            f"{file} is no checkpoint of checkpoint.save(): it has no entry 'torchish_mlx'. Load it with "
            "torchish_mlx.load(file) and give its entries to the load_state_dict() of model and optimizer."
        )
    version = notes.get("version")
    if type(version) is not int or version != 1:
        shown = version if type(version) is int and abs(version) < 2**63 else f"of a {type(version).__name__}"
        raise ValueError(f"{file} was written as version {shown} of checkpoints, and this package reads version 1")
    parts, step = notes.get("parts"), content.get("step")
    if type(step) is not int or not isinstance(parts, dict) or not all(map(_is_note, parts.items())):
        raise ValueError(f"{file} is not as checkpoint.save() wrote it. {_others(file)}")
    # This holds whichever program wrote the file last: these are states of objects of this package.
    in_mlx({name: part for name, part in content.items() if name != "extra"})
    return content


def _is_note(item: tuple[Any, Any]) -> bool:
    """Whether this is the name of a part, and what the file says about it."""
    if not isinstance(item[0], str) or not isinstance(item[1], dict):
        return False
    names = item[1].get("parameters", [])
    return type(item[1].get("class")) is str and (
        isinstance(names, list)
        and all(isinstance(group, list) and all(isinstance(name, str) for name in group) for group in names)
    )


def _others(file: Path) -> str:
    """What else there is to resume from."""
    match = _STEP.fullmatch(file.name)
    older = [step for step in steps_in(file.parent) if match and step != int(match[1])]
    if not older:
        return "Nothing was resumed, and there is no other checkpoint in its folder."
    steps = f"{_listed(older)}: pass step={max(older)} to take one"
    return f"Nothing was resumed. The folder also has checkpoints of steps {steps}."


def _listed(steps: Any) -> str:
    shown = [str(step) for step in sorted(steps)]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:2], "...", *shown[-5:]])
