"""``save`` and ``resume`` of a whole run."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

from .._core.messages import listed
from .._core.undo import undone_on_error
from ..optimizers._norm import Group
from ..serialization._shared.where import entry
from ..serialization.files import save_values
from . import _random
from ._files import find, is_folder, read, remove_older, steps_in, target_of
from ._parts import check, description, load, parts, state_of
from ._ranks import Ranks
from ._undo import kept, random_state

_KINDS = ("model", "optimizer", "scheduler", "scaler")


class Resumed(NamedTuple):
    """What :func:`resume` gives: the ``step`` and the ``extra`` that were saved, and the ``path`` of the file."""

    step: int
    extra: Any
    path: Path


def save(
    path: str | os.PathLike[str],
    *,
    step: int,
    model: Any = None,
    optimizer: Any = None,
    scheduler: Any = None,
    scaler: Any = None,
    extra: Any = None,
    keep: int | None = None,
    group: Group | None = None,
) -> Path:
    """Write the state of a whole run, the random state too, to one file, whole or not at all.

    The file is an ordinary torch (or safetensors) file of ``{"step", "model", "optimizer", ..., "extra", "random"}``:
    ``torch.load`` reads it, and its state dicts load into torch's classes.

    Args:
        path (str or Path): a name that ends in ``.pt``, ``.pth`` or ``.safetensors`` is that one file. Anything else is
            a folder, made if only it is missing, for files ``step-00001000.pt``.
        step (int): how many steps the run has made; :func:`resume` gives it back.
        model: an ``mlx.nn.Module``, or an object with ``state_dict()`` and ``load_state_dict()``; or a dict or list
            of such, like ``{"net": model, "ema": averaged}``.
        optimizer: one of ``torchish_mlx.optim`` or ``mlx.optimizers``, or a dict or list of such.
        scheduler: one of ``optim.lr_scheduler``, or a dict or list of such.
        scaler: a ``GradScaler``, or a dict or list of such.
        extra: anything else that :func:`torchish_mlx.save` takes.
        keep (int, optional): remove all but the newest ``keep`` files of a folder, this one and steps before it, once
            this one is on disk, so there must be space for one more. Files of other names stay.
        group (mlx.core.distributed.Group, optional): the processes of the run, all of which call it. Process 0 writes
            its model, optimizer and so on, which are the same in all, and the random state of each; the others wait
            until the file is on disk. Where the processes hold different parts of a model, leave it out, and save in
            each one under another path.

    Returns:
        The file written.

    Warns:
        UserWarning: the folder has files of later steps, of which ``resume`` takes the latest.

    Raises:
        TypeError: something without a state, or in ``extra`` what can't be saved; the message names the entry.
        ValueError: a negative step, ``keep`` below 1 or for a single file, another step in another process.
        OSError: the file can't be written; the old one is still there. (In the other processes of a group a
            RuntimeError.)

    Example:
        >>> import tempfile
        >>> import mlx.nn as nn
        >>> from torchish_mlx import checkpoint, optim
        >>> model = nn.Linear(2, 3)
        >>> optimizer = optim.AdamW(model)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = checkpoint.save(folder, step=1000, model=model, optimizer=optimizer, extra={"epoch": 3}, keep=2)
        ...     run = checkpoint.resume(folder, model=model, optimizer=optimizer)
        >>> file.name, run.step, run.extra
        ('step-00001000.pt', 1000, {'epoch': 3})
    """
    path, step = Path(path), _step(step)
    if keep is not None and (operator.index(keep) < 1 or not is_folder(path)):
        raise ValueError(
            f"keep={keep}: expected 1 or more, the number of files to keep in a folder; {path} is "
            f"{'a folder' if is_folder(path) else 'the name of one file, which is replaced at each save'}"
        )
    given: dict[str, Any] = dict(zip(_KINDS, (model, optimizer, scheduler, scaler), strict=True))
    found = [item for kind in _KINDS for item in parts(kind, given[kind])]
    ranks = Ranks(group)
    everyones = ranks.gathered({"step": step, "random": _random.state()})
    if len(steps := {each["step"] for each in everyones}) > 1:
        raise ValueError(f"the processes of the group save different steps: {sorted(steps)}. Nothing was written.")
    file, failure = path, None
    if ranks.rank == 0:
        try:
            states = {id(part): state_of(part) for _, part in found}
            content = {
                "step": step,
                **{kind: _replaced(value, states) for kind, value in given.items() if value is not None},
                "extra": extra,
                "random": _random.of_all(ranks, [each["random"] for each in everyones]),
                "torchish_mlx": {"version": 1, "parts": {entry(place): description(part) for place, part in found}},
            }
            file = _written(path, step, content, keep)
        except Exception as error:
            if ranks.size == 1:
                raise
            failure = error
    outcome = ranks.gathered({"file": str(file), "error": None if failure is None else repr(failure)})[0]
    if failure is not None:
        raise failure
    if outcome["error"]:
        raise RuntimeError(f"process 0 of the group could not save the run: {outcome['error']}")
    return Path(outcome["file"])


def _written(path: Path, step: int, content: Any, keep: int | None) -> Path:
    file = target_of(path, step)
    save_values(content, file)
    if file != path:
        if later := [other for other in steps_in(path) if other > step]:
            warnings.warn(
                f"{path} has checkpoints of later steps (the last of step {max(later)}), and resume() takes the "
                "latest: remove those that are of another run, or save this one in another folder",
                stacklevel=3,
            )
        if keep is not None:
            remove_older(path, step, keep)
    return file


@overload
def resume(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    optimizer: Any = None,
    scheduler: Any = None,
    scaler: Any = None,
    step: int | Literal["latest"] = "latest",
    ignore: Collection[str] = (),
    missing_ok: Literal[False] = False,
    group: Group | None = None,
) -> Resumed: ...


@overload
def resume(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    optimizer: Any = None,
    scheduler: Any = None,
    scaler: Any = None,
    step: int | Literal["latest"] = "latest",
    ignore: Collection[str] = (),
    missing_ok: bool,
    group: Group | None = None,
) -> Resumed | None: ...


def resume(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    optimizer: Any = None,
    scheduler: Any = None,
    scaler: Any = None,
    step: int | Literal["latest"] = "latest",
    ignore: Collection[str] = (),
    missing_ok: bool = False,
    group: Group | None = None,
) -> Resumed | None:
    """Go on with a run that :func:`save` wrote: every part of it, and the random state, or nothing at all.

    Give what was given to ``save``, constructed in the same way, and frozen in the same way, which is not saved. States
    are loaded with the dtypes that they have, into the places where the arrays are now, so a compiled step sees them.

    Args:
        path (str or Path): what was given to ``save``, or one of the files.
        model: as in ``save``.
        optimizer: as in ``save``.
        scheduler: as in ``save``.
        scaler: as in ``save``.
        step (int or "latest"): which file of a folder; "latest" is the highest step.
        ignore: names of parts that are in the file and shall not be loaded: of "model", "optimizer", "scheduler",
            "scaler", "random".
        missing_ok (bool): give None where there is no checkpoint, to begin a new run.
        group (mlx.core.distributed.Group, optional): the processes of the run, all of which call it, as ``save`` was
            called. Each takes its own random state, and all else from the file. All go on, or none.

    Returns:
        ``step``, ``extra`` and ``path`` of the file.

    Raises:
        FileNotFoundError: there is no checkpoint, or none of that step.
        ValueError: a part was saved and is not given, or the other way round; it does not fit (the message names it);
            a damaged file (an older one is never taken in its place); another number of processes than saved the
            random states, or processes that find different files. Nothing is changed.
        TypeError: something without a state.

    Example:
        >>> import tempfile
        >>> import mlx.nn as nn
        >>> from torchish_mlx import checkpoint, optim
        >>> model = nn.Linear(2, 3)
        >>> optimizer = optim.AdamW(model)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = checkpoint.resume(folder, model=model, optimizer=optimizer, missing_ok=True)
        ...     first = run.step if run else 0
        ...     _ = checkpoint.save(folder, step=first + 10, model=model, optimizer=optimizer)
        ...     checkpoint.resume(folder, model=model, optimizer=optimizer).step
        10
    """
    path = Path(path)
    if step != "latest":
        step = _step(step)
    unknown = [name for name in ignore if name not in (*_KINDS, "random")]
    if isinstance(ignore, str) or unknown:
        raise ValueError(f"ignore={ignore!r}: expected a list of names among {[*_KINDS, 'random']}")
    given: dict[str, Any] = dict(zip(_KINDS, (model, optimizer, scheduler, scaler), strict=True))
    found = [(kind, *item) for kind in _KINDS for item in parts(kind, given[kind])]
    ranks = Ranks(group)
    file, content, problem = path, dict[str, Any](), None
    try:
        file = find(path, step)
        content = read(file)
        if step not in ("latest", content.get("step")):
            raise ValueError(f"{file} is the checkpoint of step {content.get('step')}, and step={step} was asked for")
        saved = content["torchish_mlx"]["parts"]
        _check_given(file, {entry(place): place for _, place, _ in found}, saved, given, ignore)
    except Exception as error:
        if ranks.size == 1 and not (isinstance(error, FileNotFoundError) and missing_ok and step == "latest"):
            raise
        problem = error
    if missing_ok and step == "latest" and all(ranks.gathered(isinstance(problem, FileNotFoundError))):
        return None
    _agree(ranks, problem)
    if len(steps := set(ranks.gathered(content["step"]))) > 1:
        raise ValueError(
            f"the processes of the group found checkpoints of different steps, {sorted(steps)}: give all of them the "
            "same files, or say which to take by step=. Nothing was changed."
        )
    # The last is put back first: a scheduler undoes what it changed in its optimizer, which is as it was by then.
    in_order = [part for _, _, part in sorted(found, key=lambda item: item[0] != "scheduler")]
    with undone_on_error(*map(kept, in_order), random_state()):
        try:
            for kind, place, part in found:
                with _named(file, place):
                    state = _at(content, place)
                    check(kind, part, state, saved[entry(place)])
                    load(part, state)
            if "random" not in ignore:
                with _named(file, ("random",)):
                    _random.restore(_random.of_rank(ranks, content.get("random")))
        except Exception as error:
            if ranks.size == 1:
                raise
            problem = error
        _agree(ranks, problem)
    return Resumed(content["step"], content.get("extra"), file)


def _agree(ranks: Ranks, problem: Exception | None) -> None:
    """Raise where any process of the group has a problem, so that all of them go on, or none does."""
    everyones = ranks.gathered(None if problem is None else str(problem))
    if problem is not None:
        raise problem
    for rank, other in enumerate(everyones):
        if other is not None:
            raise ValueError(f"process {rank} of the group can't resume the run, and so none does: {other}")


def _step(step: Any) -> int:
    try:
        number = operator.index(step)
    except TypeError:
        kind = type(step).__name__
        raise TypeError(f"step={step!r} is a {kind}: expected a count of steps, an int") from None
    if number < 0:
        raise ValueError(f"step={number}: expected a count of steps, 0 or more")
    return number


def _replaced(value: Any, states: dict[int, Any]) -> Any:
    """The dicts and lists of an argument, with state dicts in place of the objects."""
    if id(value) in states:
        return states[id(value)]
    if isinstance(value, dict):
        return {key: _replaced(child, states) for key, child in value.items()}
    return [_replaced(child, states) for child in value]


def _check_given(
    file: Path, places: Collection[str], saved: Mapping[str, Any], given: Mapping[str, Any], ignore: Collection[str]
) -> None:
    """Refuse what was saved and not given, and the other way round: it would be lost, or begin again, unnoticed."""
    for kind in _KINDS:
        if given[kind] is not None and kind in ignore:
            raise ValueError(f"{kind} is given and is listed in ignore={list(ignore)!r}: leave out one of the two")
        there = [place for place in saved if place.startswith(entry((kind,)))]
        here = [place for place in places if place.startswith(entry((kind,)))]
        lacking, more = [p for p in there if p not in here], [p for p in here if p not in there]
        if lacking and not here and kind not in ignore:
            name = saved[there[0]].get("class")
            raise ValueError(
                f"the checkpoint {file} has {listed(there, str)} ({name}), which was not given to resume(): pass "
                f"{kind}=, or ignore=[{kind!r}] to go on without it. Nothing was changed."
            )
        if more and not there:
            raise ValueError(
                f"the checkpoint {file} has no {entry((kind,))}, and {kind}= was given: it was saved without one. "
                "Leave it out, and it begins from the start. Nothing was changed."
            )
        if here and (lacking or more):
            raise ValueError(
                f"the checkpoint {file} has {listed(there, str)}, and resume() was given {listed(here, str)}: pass "
                f"{kind}= with the same keys as to save(). Nothing was changed."
            )


@contextmanager
def _named(file: Path, place: tuple[Any, ...]) -> Iterator[None]:
    """Add to an error which entry of the file it is about."""
    try:
        yield
    except Exception as error:
        what = repr(error) if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ValueError(
            f"{entry(place)} of the checkpoint {file} does not load: {what}. Nothing was changed."
        ) from error


def _at(content: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        content = content[key]
    return content
