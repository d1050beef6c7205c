"""Which files ``checkpoint`` writes, keeps, takes and refuses."""

from __future__ import annotations

import os
import re
from pathlib import Path

import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as torch
from torchish_mlx import checkpoint


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def save_steps(path: Path, *steps: int, keep: int | None = None) -> None:
    for step in steps:
        checkpoint.save(path, step=step, keep=keep, extra=step)


# -- one file, or a folder of files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.safetensors", "A.PT"])
@pytest.mark.parametrize("as_given", [str, Path])
def test_a_name_of_one_file(as_given, name, tmp_path):
    path = as_given(tmp_path / name)
    assert checkpoint.latest(path) is None
    for step in (5, 3):
        assert checkpoint.save(path, step=step) == Path(path)
        assert checkpoint.resume(path) == checkpoint.resume(path, step=step) == (step, None, Path(path))
        assert names(tmp_path) == [name]
    assert checkpoint.latest(path) == Path(path)
    with pytest.raises(ValueError, match="is the checkpoint of step 3, and step=5 was asked for"):
        checkpoint.resume(path, step=5)


def test_the_ending_says_the_format(tmp_path):
    assert checkpoint.save(tmp_path / "a.pt", step=1).read_bytes()[:2] == b"PK"
    assert checkpoint.save(tmp_path / "a.safetensors", step=1).read_bytes()[8:9] == b"{"


@pytest.mark.parametrize("name", ["run", "run.v2", "model.ckpt"])
def test_any_other_name_is_a_folder(name, tmp_path):
    folder = tmp_path / name
    assert checkpoint.latest(folder) is None
    assert checkpoint.save(folder, step=np.int64(1000)) == folder / "step-00001000.pt"
    assert checkpoint.save(folder, step=10**9) == folder / "step-1000000000.pt"
    assert names(folder) == ["step-00001000.pt", "step-1000000000.pt"]
    assert checkpoint.latest(folder) == folder / "step-1000000000.pt"
    assert checkpoint.resume(folder).step == 10**9
    assert checkpoint.resume(folder, step=1000).step == 1000
    assert checkpoint.resume(folder / "step-00001000.pt").step == 1000


def test_only_the_last_folder_is_made(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"could not make this folder.*runs does not exist: create it"):
        checkpoint.save(tmp_path / "runs" / "a", step=1)
    assert names(tmp_path) == []
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(NotADirectoryError, match=r"a name of one file ends in \.pt, \.pth, \.safetensors"):
        checkpoint.save(tmp_path / "file", step=1)
    assert (tmp_path / "file").read_bytes() == b"mine"


# -- keep -------------------------------------------------------------------------------------------------------------


def test_keep_removes_all_but_the_newest(tmp_path):
    save_steps(tmp_path, 1, 2, 3, 10, 20)
    assert len(names(tmp_path)) == 5
    save_steps(tmp_path, 30, keep=4)
    assert [int(name[5:13]) for name in names(tmp_path)] == [3, 10, 20, 30]
    save_steps(tmp_path, 30, 40, keep=1)
    assert names(tmp_path) == ["step-00000040.pt"]


def test_keep_leaves_what_it_did_not_write(tmp_path):
    others = ["step-1.pt", "step-00000001.safetensors", "step-00000001.pt.bak", "best.pt", "xstep-00000001.pt"]
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "step-00000000.pt").mkdir()
    (tmp_path / ".best.pt.0123456789abcdef.tmp").write_bytes(b"of another save")
    kept = names(tmp_path)
    save_steps(tmp_path, 1, 2, 3, keep=1)
    assert names(tmp_path) == sorted([*kept, "step-00000003.pt"])
    assert all((tmp_path / name).read_bytes() == b"mine" for name in others)


def test_keep_leaves_later_steps_and_says_so(tmp_path):
    """Of a run that was resumed at an earlier step; what was just written is never removed."""
    save_steps(tmp_path, 10, 20, 30)
    with pytest.warns(UserWarning, match=r"later steps \(the last of step 30\), and resume\(\) takes the latest"):
        save_steps(tmp_path, 15, keep=1)
    assert names(tmp_path) == ["step-00000015.pt", "step-00000020.pt", "step-00000030.pt"]


@pytest.mark.parametrize("keep", [0, -1])
def test_keep_is_at_least_one(keep, tmp_path):
    with pytest.raises(ValueError, match=f"keep={keep}: expected 1 or more"):
        checkpoint.save(tmp_path, step=1, keep=keep)
    assert names(tmp_path) == []


def test_keep_is_for_folders(tmp_path):
    with pytest.raises(
        ValueError, match=r"keep=2: .* a\.pt is the name of one file".replace("a", str(tmp_path / "a"), 1)
    ):
        checkpoint.save(tmp_path / "a.pt", step=1, keep=2)


def test_an_older_file_that_cannot_be_removed(tmp_path, monkeypatch):
    save_steps(tmp_path, 1)

    def refuse(self, missing_ok=False):
        raise PermissionError(13, os.strerror(13), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(PermissionError, match="the checkpoint of step 2 is complete, but"):
            checkpoint.save(tmp_path, step=2, keep=1)
    assert checkpoint.resume(tmp_path).step == 2


def test_what_killed_processes_left_is_removed(tmp_path):
    for name in ("step-00000007.pt", "step-00000008.pt"):
        (tmp_path / f".{name}.0123456789abcdef.tmp").write_bytes(b"half")
    save_steps(tmp_path, 9)
    assert names(tmp_path) == ["step-00000009.pt"]


# -- nothing to resume from -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", r"the folder does not exist, so nothing was resumed\. .*missing_ok=True"),
        ("empty", r"the folder holds no checkpoint \(step-\*\.pt\), so nothing was resumed"),
        ("a.pt", "there is no such checkpoint, so nothing was resumed"),
    ],
)
def test_nothing_to_resume_from(path, message, tmp_path):
    """Never at step 0 without a word."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "best.pt").write_bytes(b"")
    (tmp_path / "empty" / ".step-00000001.pt.0123456789abcdef.tmp").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=message) as error:
        checkpoint.resume(tmp_path / path)
    assert error.value.filename == str(tmp_path / path)
    assert checkpoint.latest(tmp_path / path) is None
    assert checkpoint.resume(tmp_path / path, missing_ok=True) is None


@pytest.mark.parametrize("missing_ok", [False, True])
def test_a_step_that_is_not_there(missing_ok, tmp_path):
    save_steps(tmp_path, *range(10, 22))
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 5; it has .* 10, 11, \.\.\., 17, .*, 21"):
        checkpoint.resume(tmp_path, step=5, missing_ok=missing_ok)


@pytest.mark.parametrize("step", ["last", 1.0, -1, None])
def test_a_step_that_is_none(step, tmp_path):
    for call in (checkpoint.save, checkpoint.resume):
        with pytest.raises((TypeError, ValueError), match=f"^step={step!r}.*: expected a count of steps"):
            call(tmp_path, step=step)


# -- damaged files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 100, -1])
@pytest.mark.parametrize("missing_ok", [False, True])
def test_a_damaged_file_is_never_passed_over(missing_ok, length, tmp_path):
    save_steps(tmp_path, 1, 2, 3)
    file = tmp_path / "step-00000003.pt"
    file.write_bytes(file.read_bytes()[:length])
    model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match=r"3\.pt can't be read: .* checkpoints of steps 1, 2: pass step=2 to take"):
        checkpoint.resume(tmp_path, model=model, missing_ok=missing_ok)
    assert checkpoint.resume(tmp_path, step=2).extra == 2
    for other in (1, 2):
        (tmp_path / f"step-0000000{other}.pt").unlink()
    with pytest.raises(ValueError, match="Nothing was resumed, and there is no other checkpoint in its folder"):
        checkpoint.resume(tmp_path)


def test_another_programs_file(tmp_path):
    torch.save({"model": {}, "optimizer": {}}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt is no checkpoint of checkpoint\.save.*Load it with"):
        checkpoint.resume(tmp_path / "a.pt")
    file = checkpoint.save(tmp_path / "a.pt", step=1)
    content = torch.load(file)
    content["torchish_mlx"]["version"] = 2
    torch.save(content, file)
    with pytest.raises(ValueError, match="written as version 2 of checkpoints, and this package reads version 1"):
        checkpoint.resume(file)


@pytest.mark.parametrize("path", [(), ("step",), ("extra",), ("torchish_mlx", "parts"), ("model",), ("random",)])
@pytest.mark.parametrize("value", [None, [], {"a": 1}, "text", torch.ones(1)])
def test_a_file_made_up_to_look_like_one(path, value, tmp_path):
    """Whatever its entries are, the model is as before or wholly loaded."""
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    file = checkpoint.save(tmp_path / "a.pt", step=1, model=model)
    content = node = {"": torch.load(file)}
    for key in ("", *path)[:-1]:
        node = node[key]
    node[("", *path)[-1]] = value
    torch.save(content[""], file)
    before = other.weight.tolist()
    if path == ("extra",):
        checkpoint.resume(file, model=other)
        assert other.weight.tolist() == model.weight.tolist()
    else:
        with pytest.raises(ValueError, match=re.escape(str(file))):
            checkpoint.resume(file, model=other)
        assert other.weight.tolist() == before
