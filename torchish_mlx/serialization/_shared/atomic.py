"""A file written whole or not at all: temporary file in the same folder, flush to disk, rename."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import BinaryIO, cast

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.tmp", re.DOTALL)
_LONGEST_NAME = 200  # bytes of the target's name in the temporary file's; most file systems allow 255 in all
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EROFS}


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write, which appears at ``path`` when the block ends, and never before it is complete.

    The bytes go to a hidden temporary file in the same folder, which is flushed to disk and renamed to ``path``. When
    the block or any of this raises, the temporary file is removed and the old file at ``path`` is unchanged. A killed
    process leaves its temporary file behind, and the next save to the same name removes it. The temporary file of a
    process that is still running is locked, and never removed.

    A symbolic link stays and its target is replaced. The mode of an existing file is kept.

    Raises:
        OSError: has the class and errno of the system's error, and says which file is there now and what to do.
    """
    shown = os.fspath(path)
    target = Path(os.path.realpath(shown))
    mode = _mode_of(shown, target)
    kept = "nothing was written" if mode is None else "the old file is unchanged"
    remove_stale(target.parent, lambda name: name == _short(target.name))
    temporary: Path | None = None
    raw: FileIO | None = None
    folder: int | None = None
    doing = "create a file in its folder"
    try:
        folder = _open_folder(target.parent)
        temporary, raw = _create(target, mode)
        if mode is not None:
            _uncache(target)
        doing = "write it"
        file = BufferedWriter(raw)
        yield cast("BinaryIO", file)
        file.flush()
        doing = "flush it to disk"
        os.fsync(raw.fileno())
        doing = "rename the complete file to this name"
        temporary.replace(target)
        temporary = None
        doing, kept = "flush its folder to disk", "the new file is in place, but a loss of power could undo that"
        _sync_folder(folder)
    except OSError as error:
        written = _remove(temporary, raw)
        if error.errno is None or not _concerns(error.filename, target):
            raise
        raise _explained(error, shown, target.parent, doing, kept, written) from error
    except BaseException:
        _remove(temporary, raw)
        raise
    finally:
        with suppress(OSError):
            if raw is not None:
                raw.close()  # and not the buffer, which would write once more after an error
        with suppress(OSError):
            if folder is not None:
                os.close(folder)


def make_folder(path: Path) -> None:
    """Make one folder, if it is missing, in a folder that exists, and flush that to disk."""
    if path.is_dir():
        return
    above = path.absolute().parent
    parent: int | None = None
    try:
        parent = _open_folder(above)
        path.mkdir(exist_ok=True)
        _sync_folder(parent)
    except OSError as error:
        raise _explained(error, str(path), above, "make this folder", "nothing was written", 0) from error
    finally:
        if parent is not None:
            os.close(parent)


def remove_stale(folder: Path, of: Callable[[str], bool]) -> None:
    """Remove a folder's temporary files of dead writers, if ``of`` is true for the name of the target."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match and of(match["name"]):
                with suppress(OSError):
                    _remove_if_dead(Path(entry.path))


def _remove_if_dead(temporary: Path) -> None:
    """Remove the file if its lock is free: a writer that is still running holds the lock."""
    fd = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where it is held, and where there are no locks
            temporary.unlink()
    finally:
        os.close(fd)


def _short(name: str) -> str:
    """The target's name as the temporary file's name contains it."""
    raw = os.fsencode(name)
    return name if len(raw) <= _LONGEST_NAME else hashlib.sha256(raw).hexdigest()


def _mode_of(shown: str, target: Path) -> int | None:
    """The permissions of the file at ``target``, None where there is none; refuses what cannot be replaced."""
    try:
        found = target.stat().st_mode
    except FileNotFoundError:
        found = None
    except OSError as error:
        message = f"{error.strerror}: cannot look at what is there; nothing was written. The path"
        raise OSError(error.errno, message, shown) from error
    if (found is not None and stat.S_ISDIR(found)) or shown.endswith(os.sep) or not shown:
        message = "Is a folder: give the name of a file in it; nothing was written. The path"
        raise IsADirectoryError(errno.EISDIR, message, shown)
    if found is None:
        return None
    if not stat.S_ISREG(found):
        message = "Is not a regular file, so no file can be put in its place: open it and pass the file object"
        raise OSError(errno.EINVAL, f"{message}; nothing was written. The path", shown)
    if not os.access(target, os.W_OK):
        message = "Permission denied: the file is read-only; the old file is unchanged"
        raise PermissionError(errno.EACCES, f"{message}. Allow writing (chmod u+w) or save elsewhere. The path", shown)
    return stat.S_IMODE(found)


def _open_folder(folder: Path) -> int | None:
    """The folder, to flush it after the rename; None where it may be written to but not read."""
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return None


def _create(target: Path, mode: int | None) -> tuple[Path, FileIO]:
    """A new temporary file, locked, which only this save uses."""
    while True:
        temporary = target.parent / f".{_short(target.name)}.{secrets.token_hex(8)}.tmp"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        raw = FileIO(os.open(temporary, flags, 0o666 if mode is None else mode & 0o777), "r+b")
        try:
            if mode is not None:
                os.fchmod(raw.fileno(), mode)
            if _lock(raw):
                return temporary, raw
        except BaseException:
            _remove(temporary, raw)
            raw.close()
            raise
        raw.close()


def _lock(raw: FileIO) -> bool:
    """Lock a new temporary file; False if another save has just taken it for the file of a dead writer."""
    try:
        fcntl.flock(raw.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return True  # a file system without locks: nobody else gets one either, and nobody removes this file
    return os.fstat(raw.fileno()).st_nlink > 0


def _uncache(target: Path) -> None:
    """Free the memory that caches the old file, for the new one: writing takes twice as long if the cache grows."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            old = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(old, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(old)


def _sync_folder(folder: int | None) -> None:
    try:
        if folder is not None:
            os.fsync(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def _remove(temporary: Path | None, raw: FileIO | None) -> int:
    """Remove the temporary file while it is still locked; returns the size that it had."""
    size = 0
    if temporary is not None and raw is not None:
        with suppress(OSError):
            size = os.fstat(raw.fileno()).st_size
            temporary.unlink()
            os.ftruncate(raw.fileno(), 0)  # the space is free at once, also where a child process has the file open
    return size


def _concerns(filename: object, target: Path) -> bool:
    """Whether an error in the block is about this file; a write error names no file."""
    if filename is None:
        return True
    found = Path(os.fsdecode(cast("str", filename)))
    match = _TEMPORARY.fullmatch(found.name)
    name = match["name"] if match else None
    return found in (target, target.parent) or (found.parent == target.parent and name == _short(target.name))


def _explained(error: OSError, shown: str, folder: Path, doing: str, kept: str, written: int) -> OSError:
    """The same error, which also says what failed, which file is there now and what to do."""
    hint = ""
    if error.errno == errno.ENOENT and not folder.exists():
        hint = f" The folder {folder} does not exist: create it (os.makedirs) or give another path."
    elif error.errno == errno.ENOTDIR:
        hint = f" {folder} is not a folder: give another path."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = f" Allow writing in the folder {folder} or give another path: every save makes a new file in it."
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f" It needs more than {_size(written)}, in addition to the old file, and {_free(folder)} are free in "
        hint += f"{folder}: free some or give another path."
    elif error.errno == errno.EFBIG:
        hint = f" {_size(written)} could be written: see the limit of this process (ulimit -f) and of the file system."
    elif error.errno == errno.ENAMETOOLONG:
        hint = " Give a shorter name."
    return OSError(error.errno, f"{os.strerror(error.errno or 0)}: could not {doing}; {kept}.{hint} The path", shown)


def _free(folder: Path) -> str:
    try:
        found = os.statvfs(folder)
    except OSError:
        return "an unknown number of bytes"
    return _size(found.f_bavail * found.f_frsize)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"
