"""The list of inert names: the page has it, each name is here, and using one is noted."""

from __future__ import annotations

import pkgutil
import re
import warnings
from pathlib import Path

import pytest

import torchish_mlx as torch
from tests.inert_page import PAGE, page
from torchish_mlx import _inert

PACKAGE = Path(torch.__file__).parent
#: Names of arguments, and the function or class that has them.
ARGUMENTS = {
    "torch.autocast.cache_enabled": "torch.autocast",
    "torch.utils.checkpoint.checkpoint.debug": "torch.utils.checkpoint.checkpoint",
    "torch.utils.checkpoint.checkpoint.early_stop": "torch.utils.checkpoint.checkpoint",
}


@pytest.fixture(autouse=True)
def fresh():
    _inert.forget()
    yield
    _inert.forget()


def test_the_page_is_that_of_the_list():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.inert_page writes it again"


@pytest.mark.parametrize("name", _inert.INERT)
def test_each_name_is_here(name):
    pkgutil.resolve_name(ARGUMENTS.get(name, name).replace("torch", "torchish_mlx", 1))


def test_each_name_is_noted_somewhere():
    text = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.name != "_inert.py")
    missing = [
        name
        for name in _inert.INERT
        if f'"{name}"' not in text and not re.search(rf'[("/.]{re.escape(name.rpartition(".")[2])}["{{.]', text)
    ]
    assert missing == []


def test_a_use_is_noted_once_with_the_reason():
    assert _inert.used() == {}
    torch.set_num_threads(torch.get_num_threads())
    torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark
    torch.set_num_threads(torch.get_num_threads())
    assert list(_inert.used()) == ["torch.set_num_threads", "torch.backends.cudnn.benchmark"]
    assert "threads" in _inert.used()["torch.set_num_threads"]


def test_a_name_that_is_not_listed_is_refused():
    with pytest.raises(KeyError, match="not listed"):
        _inert.note("torch.no_such_name")


USES = {
    "torch.compile": lambda: torch.compile(abs),
    "torch.jit.script": lambda: torch.jit.script(abs),
    "torch.jit.ignore": lambda: torch.jit.ignore(abs),
    "torch._dynamo.config": lambda: setattr(torch._dynamo.config, "cache_size_limit", 64),
    "torch.profiler.profile": lambda: torch.profiler.profile(),
    "torch.profiler.record_function": lambda: torch.profiler.record_function("x"),
    "torch.backends.opt_einsum.strategy": lambda: setattr(torch.backends.opt_einsum, "strategy", None),
    "torch.backends.mha.set_fastpath_enabled": lambda: torch.backends.mha.set_fastpath_enabled(True),
    "torch.backends.cuda.enable_flash_sdp": lambda: torch.backends.cuda.enable_flash_sdp(True),
    "torch.clear_autocast_cache": torch.clear_autocast_cache,
    "torch.compiler.reset": torch.compiler.reset,
    "torch.cpu.set_device": lambda: torch.cpu.set_device(0),
}


@pytest.mark.parametrize("name", USES)
def test_a_use_is_noted(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        USES[name]()
    assert name in _inert.used()
