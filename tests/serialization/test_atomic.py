"""``replacing``: a file stands whole or not at all; what it refuses, and in which words."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from torchish_mlx.serialization._shared import atomic as _atomic
from torchish_mlx.serialization._shared.atomic import make_folder, remove_stale, replacing


def put(path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - names only


def stale(folder: Path, name: str) -> Path:
    """What a killed process leaves."""
    file = folder / f".{name}.0123456789abcdef.tmp"
    file.write_bytes(b"half")
    return file


# -- what it writes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_given", [str, Path, lambda path: os.path.relpath(path)])
def test_the_file_stands_when_the_block_ends(as_given, tmp_path):
    target = tmp_path / "a.pt"
    for content in (b"old", b"new and longer", b""):
        with replacing(as_given(target)) as file:
            file.write(content)
            file.flush()
            assert not target.exists() or target.read_bytes() != content
            assert len(names(tmp_path)) == 1 + target.exists()
        assert target.read_bytes() == content
        assert names(tmp_path) == ["a.pt"]


def test_the_file_can_be_written_out_of_order(tmp_path):
    with replacing(tmp_path / "a") as file:
        file.write(b"0000 body")
        file.seek(0)
        file.write(b"head")
        assert file.seek(0, os.SEEK_END) == 9
    assert (tmp_path / "a").read_bytes() == b"head body"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_in_the_block_leaves_what_stood_there(old, error, tmp_path):
    target = tmp_path / "a.pt"
    if old is not None:
        target.write_bytes(old)

    def fail(file):
        file.write(b"x" * 100_000)
        raise error("mine")

    with pytest.raises(error, match=r"^mine$"), replacing(target) as file:
        fail(file)
    assert names(tmp_path) == ([] if old is None else ["a.pt"])
    assert old is None or target.read_bytes() == old
    with pytest.raises(ValueError, match="closed"):
        file.write(b"more")


def test_another_files_error_in_the_block_stays_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as error, replacing(tmp_path / "a"):
        (tmp_path / "nowhere" / "b").read_bytes()
    assert str(error.value) == f"[Errno 2] No such file or directory: '{tmp_path / 'nowhere' / 'b'}'"
    assert names(tmp_path) == []


def test_it_is_flushed_to_disk_before_it_is_renamed_and_its_folder_after(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, Path.replace

    def seen_fsync(fd):
        calls.append((os.fstat(fd).st_ino, (tmp_path / "a").exists()))
        fsync(fd)

    def seen_replace(self, target):
        calls.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(Path, "replace", seen_replace)
    put(tmp_path / "a", b"new")
    assert calls == [((tmp_path / "a").stat().st_ino, False), "rename", (tmp_path.stat().st_ino, True)]


def test_the_mode_is_the_umasks_or_that_of_the_old_file(tmp_path):
    target = tmp_path / "a"
    before = os.umask(0o027)
    try:
        put(target, b"")
        assert target.stat().st_mode & 0o7777 == 0o640
        for mode in (0o600, 0o666, 0o755):
            target.chmod(mode)
            put(target, b"")
            assert target.stat().st_mode & 0o7777 == mode
    finally:
        os.umask(before)


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_stays_and_its_target_is_replaced(there, tmp_path):
    (tmp_path / "deep").mkdir()
    target, link = tmp_path / "deep" / "a", tmp_path / "link"
    if there:
        target.write_bytes(b"old")
    link.symlink_to(Path("deep") / "a")
    put(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert (names(tmp_path), names(target.parent)) == (["deep", "link"], ["a"])


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "a\nb", "a.pt.tmp", "*?[a]"])
def test_names_of_every_kind(name, tmp_path):
    stale(tmp_path, "other")
    for content in (b"old", b"new"):
        put(tmp_path / name, content)
        assert (tmp_path / name).read_bytes() == content
        assert names(tmp_path) == sorted([".other.0123456789abcdef.tmp", name])


# -- what it refuses --------------------------------------------------------------------------------------------------


def said(path) -> tuple[type[OSError], int | None, str]:
    with pytest.raises(OSError) as error:
        put(path, b"new")
    assert error.value.filename == os.fspath(path)
    return type(error.value), error.value.errno, error.value.strerror


def test_a_missing_folder(tmp_path):
    kind, number, text = said(tmp_path / "runs" / "a.pt")
    assert (kind, number) == (FileNotFoundError, errno.ENOENT)
    assert f"nothing was written. The folder {tmp_path / 'runs'} does not exist: create it" in text
    assert names(tmp_path) == []


def test_a_folder_for_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    for path in (tmp_path, f"{tmp_path / 'a'}/", ""):
        kind, _, text = said(path)
        assert kind is IsADirectoryError
        assert "give the name of a file in it" in text
    assert said(tmp_path / "a" / "b")[0] is NotADirectoryError
    assert (tmp_path / "a").read_bytes() == b"old"


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/null", tmp_path / "pipe"):
        _, number, text = said(path)
        assert number == errno.EINVAL
        assert "Is not a regular file" in text
        assert "open it and pass the file object" in text
    assert names(tmp_path) == ["pipe"]


def test_a_name_that_is_too_long(tmp_path):
    assert said(tmp_path / ("x" * 256))[1] == errno.ENAMETOOLONG
    assert names(tmp_path) == []


def test_a_loop_of_links(tmp_path):
    (tmp_path / "a").symlink_to("a")
    assert said(tmp_path / "a")[1] == errno.ELOOP


def test_a_read_only_file(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everywhere
    kind, _, text = said(tmp_path / "a")
    assert kind is PermissionError
    assert "the file is read-only; the old file is unchanged. Allow writing (chmod u+w)" in text


# -- processes and threads --------------------------------------------------------------------------------------------


def test_a_dead_writers_temporary_is_removed_by_the_next_save(tmp_path):
    for name in ("a.pt", "b.pt", "a.pt.b"):
        stale(tmp_path, name)
    others = [".a.pt.tmp", ".a.pt.0123456789abcde.tmp", "a.pt.0123456789abcdef.tmp", ".a.pt.0123456789abcdef.tmp2"]
    for name in others:
        (tmp_path / name).write_bytes(b"a user's")
    (tmp_path / ".a.pt.1111111111111111.tmp").symlink_to(tmp_path / others[0])
    (tmp_path / ".a.pt.2222222222222222.tmp").mkdir()
    kept = {name for name in names(tmp_path) if name != ".a.pt.0123456789abcdef.tmp"}
    put(tmp_path / "a.pt", b"new")
    assert set(names(tmp_path)) == kept | {"a.pt"}
    remove_stale(tmp_path, lambda name: name == "b.pt")
    assert set(names(tmp_path)) == (kept - {".b.pt.0123456789abcdef.tmp"}) | {"a.pt"}


def test_a_live_writers_temporary_is_never_removed(tmp_path):
    with replacing(tmp_path / "a") as outer:
        outer.write(b"outer")
        put(tmp_path / "a", b"inner")
        assert (tmp_path / "a").read_bytes() == b"inner"
        assert len(names(tmp_path)) == 2
    assert (tmp_path / "a").read_bytes() == b"outer"  # the last one wins
    assert names(tmp_path) == ["a"]


def test_a_temporary_that_was_taken_for_a_dead_ones_is_made_again(tmp_path, monkeypatch):
    """Another save may lock and remove it in the moment after it was made."""
    flock, begun = fcntl.flock, []

    def late(fd, operation):
        if len(begun) < 3:
            begun.append(operation)
            for file in tmp_path.glob(".a.*"):
                if len(begun) == 2:
                    holder = os.open(file, os.O_RDWR)  # it is locked, and removed a little later
                    try:
                        flock(holder, operation)
                        flock(fd, operation)
                    finally:
                        file.unlink()
                        os.close(holder)
                else:
                    file.unlink()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    put(tmp_path / "a", b"new")
    assert len(begun) == 3
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("number", sorted(_atomic._NO_LOCKS))
def test_a_file_system_without_locks(number, tmp_path, monkeypatch):
    """Saving works; what a dead writer left stays, for it can't be told from a live one's."""

    def none(fd, operation):
        raise OSError(number, os.strerror(number))

    left = stale(tmp_path, "a")
    monkeypatch.setattr(fcntl, "flock", none)
    put(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == [left.name, "a"]


def test_threads_that_save_to_one_path(tmp_path):
    errors = []

    def save(content):
        try:
            for _ in range(40):
                put(tmp_path / "a", content)
                assert re.fullmatch(rb"(.)\1{99999}", (tmp_path / "a").read_bytes())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(letter * 100_000,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert names(tmp_path) == ["a"]


def test_processes_that_save_to_one_path(tmp_path):
    code = """
import sys
from torchish_mlx.serialization._shared.atomic import replacing
for _ in range(60):
    with replacing(sys.argv[1]) as file:
        file.write(sys.argv[2].encode() * 100_000)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    runs = [subprocess.Popen([*command, letter], stderr=subprocess.PIPE, text=True) for letter in "abc"]
    for run in runs:
        _, errors = run.communicate(timeout=120)
        assert (run.returncode, errors) == (0, "")
    assert re.fullmatch(rb"(.)\1{99999}", (tmp_path / "a").read_bytes())
    assert names(tmp_path) == ["a"]


# -- folders ----------------------------------------------------------------------------------------------------------


def test_make_folder_makes_one_folder(tmp_path):
    for _ in range(2):
        make_folder(tmp_path / "a")
        assert (tmp_path / "a").is_dir()
    with pytest.raises(FileNotFoundError, match=f"could not make this folder.*The folder {tmp_path / 'x'} does not"):
        make_folder(tmp_path / "x" / "y")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
