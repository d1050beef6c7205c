"""Whole modules and other objects in files: torch's are read here, those saved here are read by torch."""

from __future__ import annotations

import io
import pickle
import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing._internal.common_modules import module_db

import torchish_mlx as tm

INFOS = {info.name.removeprefix("nn."): info for info in module_db if hasattr(tm.nn, info.name.removeprefix("nn."))}
#: A module that has not been called has hooks of torch's own, and no numbers yet.
LAZY = {name for name in INFOS if name.startswith("Lazy")}


def file_of(side: Any, value: Any) -> io.BytesIO:
    file = io.BytesIO()
    side.save(value, file)
    file.seek(0)
    return file


def samples(name: str) -> list[Any]:
    """torch's samples of a module, each constructed, with the arguments of its call."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for training in (True, False):
            info = INFOS[name]
            inputs = info.module_inputs_func(
                info, device="cpu", dtype=torch.float32, requires_grad=False, training=training
            )
            for sample in inputs:
                made = sample.constructor_input
                found.append((info.module_cls(*made.args, **made.kwargs).train(training), sample.forward_input))
    return found


@pytest.mark.parametrize("name", sorted(INFOS.keys() - LAZY))
def test_a_module_of_torch_is_read_here_and_read_by_torch_again(name):
    """It prints the same, has the same attributes, and gives the same numbers."""
    for module, given in samples(name):
        read = tm.load(file_of(torch, module), weights_only=False)
        assert type(read).__module__.startswith("torchish_mlx.nn")
        assert repr(read) == repr(module)
        back = torch.load(file_of(tm, read), weights_only=False)
        assert type(back) is type(module)
        assert back.__dict__.keys() == module.__dict__.keys()
        assert repr(back) == repr(module)
        for mine, its in zip(back.state_dict().items(), module.state_dict().items(), strict=True):
            assert mine[0] == its[0]
            assert torch.equal(mine[1], its[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(1)
            wanted = module(*given.args, **given.kwargs)
            torch.manual_seed(1)
            torch.testing.assert_close(back(*given.args, **given.kwargs), wanted, equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(LAZY))
def test_a_lazy_module_says_that_it_has_to_be_called_first(name):
    module = samples(name)[0][0]
    with pytest.raises(TypeError, match="call it in torch once"):
        tm.load(file_of(torch, module), weights_only=False)
    sample = (
        INFOS[name]
        .module_inputs_func(INFOS[name], device="cpu", dtype=torch.float32, requires_grad=False, training=True)[0]
        .constructor_input
    )
    with pytest.raises(TypeError, match="call it once with a batch"):
        tm.save(getattr(tm.nn, name)(*sample.args, **sample.kwargs), io.BytesIO())


PROGRAM = """
import collections, dataclasses, enum, pathlib
import numpy as np

class Mode(enum.Enum):
    FAST = 1

@dataclasses.dataclass
class Config:
    width: int
    mode: Mode

Pair = collections.namedtuple("Pair", "a b")

class Slotted:
    __slots__ = ("x", "__dict__")

class Names(dict):
    pass

class Stack(list):
    pass

def hook(module, inputs):
    return inputs

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.config = Config(3, Mode.FAST)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(3, 3), torch.nn.GRU(3, 3, 2)])
        self.tied = torch.nn.Linear(3, 3)
        self.tied.weight = self.layers[0].weight
        self.register_buffer("mask", torch.arange(6).view(2, 3).t(), persistent=False)
        self.activation = torch.nn.functional.gelu
        self.register_forward_pre_hook(hook)
        self.register_load_state_dict_pre_hook(Net.loading)
        self.again = self.layers[0]
        self.path = pathlib.PurePosixPath("a/b")
        self.table = np.arange(6.0).reshape(2, 3)
        self.number = np.float32(0.5)
        self.pair = Pair(1, [2])
        self.pair.b.append(self)
        self.slotted = Slotted()
        self.slotted.x, self.slotted.y = 1, torch.ones(2)
        self.names = Names(a=1)
        self.names.extra = frozenset([1])
        self.stack = Stack([1, 2])
        self.ranges = range(3), slice(1, 2), collections.deque([1], 3), collections.defaultdict(list, a=[1])
        self.seen = 0
        self.calls = self.loading
        self.weight = torch.nn.Parameter(torch.ones(2), requires_grad=False)
        self.dtype, self.device = torch.float16, torch.device("cpu")

    def loading(self, *rest):
        self.seen += 1

    def forward(self, x):
        return self.tied(self.activation(self.layers[1](self.again(x))[0]))
"""


@pytest.fixture
def programs(monkeypatch):
    """The same program for torch and for this package; ``show`` says which of them is imported as ``program``."""
    both = {}
    for name, side in (("torch", torch), ("here", tm)):
        both[name] = types.ModuleType("program")
        both[name].__dict__["torch"] = side
        monkeypatch.setitem(sys.modules, "program", both[name])
        exec(PROGRAM, both[name].__dict__)

    def show(name: str) -> Any:
        monkeypatch.setitem(sys.modules, "program", both[name])
        return both[name]

    return show


def check(net: Any, program: Any, side: Any) -> None:
    assert type(net) is program.Net
    assert net.config == program.Config(3, program.Mode.FAST)
    assert net.tied.weight is net.layers[0].weight
    assert net.again is net.layers[0]
    assert net.mask.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert net.activation is side.nn.functional.gelu
    assert list(net._forward_pre_hooks.values()) == [program.hook]
    assert str(net.path) == "a/b"
    assert np.array_equal(net.table, np.arange(6.0).reshape(2, 3))
    assert net.number == np.float32(0.5)
    assert net.pair.a == 1
    assert net.pair.b[1] is net
    assert (net.slotted.x, net.slotted.y.tolist()) == (1, [1.0, 1.0])
    assert (type(net.names), net.names, net.names.extra) == (program.Names, {"a": 1}, frozenset([1]))
    assert (type(net.stack), net.stack) == (program.Stack, [1, 2])
    assert net.ranges[:2] == (range(3), slice(1, 2))
    assert (net.ranges[2].maxlen, list(net.ranges[2]), net.ranges[3]["b"]) == (3, [1], [])
    assert (net.dtype, net.device) == (side.float16, side.device("cpu"))
    assert not net.weight.requires_grad
    assert net.calls.__self__ is net
    net.load_state_dict(net.state_dict())
    assert net.seen == 1
    assert len(list(net.parameters())) == 12


def test_a_module_of_a_program_goes_both_ways(programs):
    program = programs("torch")
    torch.manual_seed(0)
    net = program.Net()
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    wanted = net(torch.tensor(x)).detach().numpy()
    file = file_of(torch, net)
    here = programs("here")
    read = tm.load(file, weights_only=False)
    check(read, here, tm)
    np.testing.assert_allclose(read(tm.tensor(x)).detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    read.seen = 0
    file = file_of(tm, read)
    again = torch.load(file, weights_only=False) if programs("torch") else None
    check(again, program, torch)
    np.testing.assert_array_equal(again(torch.tensor(x)).detach().numpy(), wanted)


def test_the_old_format_has_whole_modules_too():
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    file = io.BytesIO()
    torch.save(module, file, _use_new_zipfile_serialization=False)
    read = tm.load(io.BytesIO(file.getvalue()), weights_only=False)
    assert repr(read) == repr(module)
    assert read[0].weight.tolist() == module[0].weight.tolist()


# -- what is not trusted


@pytest.mark.parametrize("side", [torch, tm], ids=["torch", "here"])
@pytest.mark.parametrize("weights_only", [True, None])
def test_without_permission_nothing_is_made(side, weights_only, programs):
    net = programs("torch" if side is torch else "here").Net()
    for load in (tm.load, torch.load):
        with pytest.raises(pickle.UnpicklingError) as caught:
            load(file_of(side, {"net": net}), weights_only=weights_only)
        for words in ("Weights only load failed", "Unsupported global: GLOBAL program.Net was not an allowed global"):
            assert words in str(caught.value)
    with pytest.raises(pickle.UnpicklingError, match=r'\["net"\].*nothing was run'):
        tm.load(file_of(side, {"net": net}))


def test_what_is_listed_is_made_and_nothing_else():
    pair = (
        torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()),
        tm.nn.Sequential(tm.nn.Linear(2, 3), tm.nn.ReLU()),
    )
    for side, module in zip((torch, tm), pair, strict=True):
        classes = [side.nn.Sequential, side.nn.Linear]
        with side.serialization.safe_globals(classes):
            assert set(side.serialization.get_safe_globals()) >= set(classes)
            with pytest.raises(pickle.UnpicklingError, match=r"GLOBAL torch.nn.modules.activation.ReLU was not an"):
                side.load(file_of(torch, pair[0]))
            side.serialization.add_safe_globals([side.nn.ReLU])
            assert repr(side.load(file_of(torch, pair[0]))) == repr(module)
            assert repr(side.load(file_of(tm, pair[1]))) == repr(module)
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            side.load(file_of(torch, pair[0]))


class Evil:
    def __reduce__(self):
        return list, ((1, 2),)


def test_a_listed_class_does_not_let_others_be_called():
    class_only = io.BytesIO()
    tm.save([Evil(), tm.nn.ReLU()], class_only)
    with tm.serialization.safe_globals([tm.nn.ReLU]), pytest.raises(pickle.UnpicklingError, match=r"builtins\.list"):
        tm.load(io.BytesIO(class_only.getvalue()))


@pytest.mark.parametrize("listed", [[(1, 2, 3)], [(dict, 3)]])
def test_a_wrong_listing_is_refused_as_torch_does(listed):
    messages = []
    for side in (torch, tm):
        with side.serialization.safe_globals(listed), pytest.raises((ValueError, TypeError, RuntimeError)) as caught:
            side.load(file_of(side, side.nn.ReLU()))
        messages.append(str(caught.value))
    assert messages[1] in messages[0]


@pytest.mark.parametrize("value", [lambda: 0, lambda x: x], ids=["a", "b"])
def test_what_python_cannot_pickle_is_refused_by_both(value):
    for side in (torch, tm):
        module = side.nn.ReLU()
        module.f = value
        with pytest.raises((pickle.PicklingError, AttributeError), match=r"Can't (pickle|get local)"):
            side.save(module, io.BytesIO())
