"""Devices next to torch's: names, errors, copies; labels of Tensors, with an accelerator that this machine may lack."""

from __future__ import annotations

import copy
import pickle

import mlx.core as mx
import pytest
import torch

import torchish_mlx as tm
from compat_tests.dtypes import outcome
from torchish_mlx._core import device as devices

NAMED = [
    ("cpu",),
    ("cpu", 0),
    ("cpu:0",),
    ("cuda",),
    ("cuda", 1),
    ("cuda:1",),
    ("cuda:127",),
    ("mps",),
    ("mps:0",),
    ("meta",),
    ("xpu",),
    ("privateuseone",),
    ("cpu", None),
]
REFUSED = [
    *[("cpu", -1), ("cpu:",), ("cpu:-1",), ("cpu:01",), ("cpu:a",), ("cpu:1:2",), ("cpu ",), (" cpu",), (":1",)],
    *[("foo",), ("gpu",), ("CPU",), ("",), ("cuda:1", 1), ("cuda:999999999999",), (-1,), ("cpu", "1"), ("cpu", 1.0)],
]


def made(m, given):
    return m.device(*[m.device(*a.args) if isinstance(a, Nested) else a for a in given])


class Nested:
    """A device as an argument of another one."""

    def __init__(self, *args):
        self.args = args

    def __repr__(self):
        return f"device{self.args}"


@pytest.mark.parametrize("given", [*NAMED, (Nested("cuda:1"),)], ids=str)
def test_a_device_says_what_torchs_says(given):
    mine, theirs = made(tm, given), made(torch, given)
    assert (mine.type, mine.index, str(mine), repr(mine)) == (theirs.type, theirs.index, str(theirs), repr(theirs))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(mine, protocol)) == mine
    assert copy.deepcopy(mine) == copy.copy(mine) == mine
    assert hash(copy.copy(mine)) == hash(mine)


@pytest.mark.parametrize("given", [*REFUSED, (1,)], ids=repr)
def test_what_names_no_device(given):
    if given == (1,) and devices.accelerator() is not None:
        assert tm.device(1).index == 1
        return
    assert outcome(lambda: tm.device(*given)) == outcome(lambda: torch.device(*given))
    assert ": " in outcome(lambda: tm.device(*given))


@pytest.mark.parametrize("given", [(), (None,), (1.5,), ("cpu", 1, 2), ([],)], ids=repr)
def test_what_is_no_name(given):
    for m in (tm, torch):
        with pytest.raises(TypeError):
            m.device(*given)


def test_names_of_arguments():
    for m in (tm, torch):
        assert str(m.device(type="cuda", index=1)) == "cuda:1"


def test_equal_and_unwritable_as_torchs():
    for m in (tm, torch):
        assert m.device("cpu") == m.device("cpu")
        assert m.device("cpu") != m.device("cpu", 0)
        assert m.device("cpu") != "cpu"
        for name in ("type", "index", "x"):
            mine, theirs = (outcome(lambda d=each, n=name: setattr(d.device("cpu"), n, 1)) for each in (tm, torch))
            assert mine == theirs
        with pytest.raises(TypeError):
            _ = m.device("cpu") < m.device("cuda")


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "xpu", "mps", "vulkan", "foo", "cpu:x", "gpu"])
def test_torchs_words_for_what_this_machine_has_not(name):
    if name.partition(":")[0] == devices.accelerator():
        assert tm.ones(2).to(name.partition(":")[0]).device.type == name.partition(":")[0]
        return
    theirs = outcome(lambda: torch.ones(2).to(name))
    mine = outcome(lambda: tm.ones(2).to(name))
    assert mine == theirs
    for call in (
        lambda: tm.zeros(2, device=name),
        lambda: tm.tensor([1.0], device=name),
        lambda: tm.as_tensor([1.0], device=name),
        lambda: tm.arange(3, device=name),
        lambda: tm.ones_like(tm.ones(2), device=name),
        lambda: tm.ones(2).new_zeros(2, device=name),
        lambda: tm.tril_indices(2, 2, device=name),
        lambda: tm.ones(2).to("cpu").to(device=name, dtype=tm.float16),
    ):
        assert outcome(call) == theirs


def test_the_cpu():
    for m in (tm, torch):
        x = m.ones(2)
        assert (str(x.device), x.is_cpu, x.is_cuda, x.is_mps, x.is_meta, x.get_device()) == (
            *("cpu", True, False, False, False, -1),
        )
        assert x.cpu() is x
        assert x.to("cpu") is x
        assert x.to(m.device("cpu")) is x
        for index in ("cpu:0", "cpu:5"):
            assert str(m.zeros(2, device=index).device) == "cpu"
    with pytest.raises(RuntimeError, match="a Tensor here has values"):
        tm.zeros(2, device="meta")


def test_mlxs_devices_are_names_too():
    assert tm.device(mx.cpu) == tm.device(mx.Device(mx.cpu, 0)) == tm.device("cpu")
    assert tm.ones(2, device=mx.cpu).is_cpu


def test_without_an_accelerator_cuda_raises():
    if devices.accelerator() == "cuda":
        assert tm.ones(2).cuda().is_cuda
    else:
        assert outcome(lambda: tm.ones(2).cuda()) == "AssertionError: Torch not compiled with CUDA enabled"


# -- labels ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def mps(monkeypatch):
    """A machine that has Apple's GPU: labels are names, so that is all they need."""
    monkeypatch.setattr(devices, "accelerator", lambda: "mps")
    monkeypatch.setattr(devices, "device_count", lambda: 1)
    return tm.device("mps", 0)


def test_results_take_the_label_of_their_operands(mps):
    x, y = tm.ones(2, 2, device="mps"), tm.ones(2, 2)
    for made in (
        *(x + 1, 2 * x, x.exp(), x.sum(), x[0], x[:, 1], x[x > 0], x.T, x.view(4), x.reshape(4), x.clone(), x @ x),
        *(x.detach(), x.data, x.half(), x.bool(), x.new_zeros(1), x.new_tensor(1), tm.zeros_like(x), x.contiguous()),
        *(x.max(0).values, x.max(0).indices, x.sort().indices, *x.split(1), *x.unbind(), x.nanmean(), x.std()),
        *(tm.cat([x, x]), tm.stack([x, x]), tm.einsum("ij,jk", x, x), tm.where(x > 0, x, 0.0), x.softmax(0)),
        *(tm.tensor(x), tm.as_tensor(x), tm.Tensor(x), tm.Parameter(x), x.flatten().diff(), x.quantile(0.5)),
    ):
        assert made.device == mps
    image = tm.conv2d(tm.ones(1, 1, 3, 3, device="mps"), tm.ones(1, 1, 1, 1))
    for made in (image, image + 1, image + image, image.relu(), image.softmax(1), tm.max_pool2d(image, 2)):
        assert made.device == mps
    assert (y + 1).is_cpu
    assert x.get_device() == 0
    assert x.is_mps


def test_operands_of_two_devices_meet_in_one_memory(mps):
    x, y = tm.ones(2, device="mps"), tm.ones(2)
    for made in (x + y, y + x, tm.cat([y, x]), tm.where(y > 0, y, x), y.dot(x), x.to("cpu") + x):
        assert made.device == mps
    assert (x.cpu() + y).is_cpu
    y += x  # what is written to stays where it is
    assert y.is_cpu
    x.copy_(y)
    assert x.device == mps
    out = tm.zeros(2)
    assert tm.add(x, x, out=out) is out
    assert out.is_cpu


def test_to_and_back(mps):
    x = tm.tensor([1.0, 2.0], requires_grad=True)
    y = x.to("mps")
    assert y is not x
    assert y.to(mps) is y
    assert y.to("mps", tm.float32) is y
    assert (y.device, y.to(tm.float16).device, y.cpu().device, x.to(y).device) == (mps, mps, tm.device("cpu"), mps)
    assert x.type_as(y).device == mps
    assert x.to(mx.gpu).device == mps
    assert x.to(0).device == mps
    (y * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert x.grad.is_cpu
    with tm.no_grad():
        y.add_(1)
    assert x.tolist() == [1.0, 2.0]


def test_gradients_have_the_label_of_their_leaf(mps):
    x = tm.ones(2, device="mps", requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(g.device))
    (x * tm.ones(2)).sum().backward()
    (x * x).sum().backward(create_graph=True)
    assert x.grad.device == mps
    assert seen == [mps, mps]
    x.grad = mx.ones(2)
    assert x.grad.device == mps


def test_a_label_is_printed_copied_and_pickled(mps):
    x = tm.ones(2, device="mps", dtype=tm.float16)
    assert repr(x) == "tensor([1., 1.], device='mps:0', dtype=torch.float16)"
    for again in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x, 0)), pickle.loads(pickle.dumps(x))):
        assert again.device == mps


def test_the_second_of_one(mps):
    with pytest.raises(RuntimeError, match="device mps:1: this machine has 1 of the type 'mps'"):
        tm.ones(2, device="mps:1")


MAKERS = {
    "zeros": lambda m: m.zeros(1),
    "tensor": lambda m: m.tensor(1.0),
    "as_tensor": lambda m: m.as_tensor(1.0),
    "arange": lambda m: m.arange(3),
    "eye": lambda m: m.eye(2),
    "full": lambda m: m.full((2,), 1),
    "tril_indices": lambda m: m.tril_indices(2, 2),
    "zeros on the CPU": lambda m: m.zeros(1, device="cpu"),
    "Tensor": lambda m: m.Tensor(2),
    "zeros_like": lambda m: m.zeros_like(ONES[m]),
    "new_zeros": lambda m: ONES[m].new_zeros(1),
}
ONES = {tm: tm.ones(2), torch: torch.ones(2)}


@pytest.mark.parametrize("name", MAKERS)
def test_a_device_as_a_context_as_torchs_meta(mps, name):
    """Torch has one more device on every machine, ``meta``; what it makes of it is made here of ``mps``."""
    with torch.device("meta"):
        theirs = MAKERS[name](torch).device.type
    with tm.device("mps") as given:
        assert given == tm.device("mps")
        assert str(tm.get_default_device()) == "mps"
        mine = MAKERS[name](tm).device.type
        with tm.device("cpu"):
            assert MAKERS[name](tm).is_cpu
    assert {"mps": "meta"}.get(mine, mine) == theirs
    torch.set_default_device("meta")
    tm.set_default_device("mps")
    try:
        theirs, mine = MAKERS[name](torch).device.type, MAKERS[name](tm).device.type
    finally:
        torch.set_default_device(None)
        tm.set_default_device(None)
    assert {"mps": "meta"}.get(mine, mine) == theirs
    assert MAKERS[name](tm).is_cpu


def test_the_default_device():
    assert str(tm.get_default_device()) == str(torch.get_default_device()) == "cpu"
    assert outcome(lambda: tm.set_default_device("foo")) == outcome(lambda: torch.set_default_device("foo"))
    with tm.device("xpu"):  # named now, and asked for below
        assert outcome(lambda: tm.zeros(1)) == "AssertionError: Torch not compiled with XPU enabled"
    assert tm.zeros(1).is_cpu
