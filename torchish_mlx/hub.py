"""``torch.hub``: nothing is downloaded, and each function says what to do."""

from __future__ import annotations

import os as _os
from pathlib import Path as _Path
from typing import Any as _Any
from typing import NoReturn as _NoReturn

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

_dir: dict[str, str] = {}


def get_dir() -> str:
    """Torch's folder of downloads.

    Source: ``torch.hub.get_dir``.
    """
    if "set" in _dir:
        return _dir["set"]
    cache = _Path(_os.getenv("XDG_CACHE_HOME", "~/.cache"))
    return str(_Path(_os.getenv("TORCH_HOME", cache / "torch")).expanduser() / "hub")


def set_dir(d: _Any) -> None:
    """Have :func:`get_dir` give another folder.

    Source: ``torch.hub.set_dir``.
    """
    _dir["set"] = str(_Path(d).expanduser())


def _refused(what: str) -> _NoReturn:
    raise NotImplementedError(f"torch.hub.{what} This package downloads nothing: see docs/checkpoints.md")


def load(repo_or_dir: _Any, model: _Any, *args: _Any, **kwargs: _Any) -> _NoReturn:  # noqa: ARG001 - of any model
    """Refused: the programs of a hub are written for torch.

    Raises:
        NotImplementedError: always.

    Source: ``torch.hub.load``.
    """
    _refused(
        f"load({repo_or_dir!r}, {model!r}): write the model as a module here, save the state dict with torch, and load "
        "it with torch.load()."
    )


def list(github: _Any, *args: _Any, **kwargs: _Any) -> _NoReturn:  # noqa: ARG001 - of any repository
    """Refused.

    Raises:
        NotImplementedError: always.

    Source: ``torch.hub.list``.
    """
    _refused(f"list({github!r}): look at the repository.")


def help(github: _Any, model: _Any, *args: _Any, **kwargs: _Any) -> _NoReturn:  # noqa: ARG001 - of any model
    """Refused.

    Raises:
        NotImplementedError: always.

    Source: ``torch.hub.help``.
    """
    _refused(f"help({github!r}, {model!r}): look at the repository.")


def load_state_dict_from_url(url: str, *args: _Any, **kwargs: _Any) -> _NoReturn:  # noqa: ARG001 - of any file
    """Refused.

    Raises:
        NotImplementedError: always.

    Source: ``torch.hub.load_state_dict_from_url``.
    """
    _refused(f"load_state_dict_from_url(): download {url} yourself, and give the file to torch.load().")


def download_url_to_file(url: str, dst: _Any, hash_prefix: str | None = None, progress: bool = True) -> _NoReturn:  # noqa: ARG001 - of any file
    """Refused.

    Raises:
        NotImplementedError: always.

    Source: ``torch.hub.download_url_to_file``.
    """
    _refused(f"download_url_to_file(): download {url} to {dst} yourself.")
