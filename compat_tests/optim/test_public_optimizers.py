"""Public optimizers written against torch.optim, run with only their import lines changed, with torch's numbers.

Their source is read where pip installed it (the extra ``test``); nothing of it is kept here.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import pickle
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

import torchish_mlx
from compat_tests.bridge import difference, to_torch

IMPORTS = [
    (r"^import torch$", "import torchish_mlx as torch"),
    (r"^import torch\.nn as nn$", "import torchish_mlx.nn as nn"),
    (r"^import torch\.optim$", "import torchish_mlx.optim"),
    (r"^from torch import ", "from torchish_mlx import "),
    (r"^from torch\.optim\.optimizer import ", "from torchish_mlx.optim.optimizer import "),
    (r"^from torch\.optim import ", "from torchish_mlx.optim import "),
]


def ported(name: str) -> types.ModuleType:
    """The installed module ``name`` with its torch imports replaced, executed as a module of the same package."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    for pattern, replacement in IMPORTS:
        source = re.sub(pattern, replacement, source, flags=re.MULTILINE)
    assert not re.search(r"^\s*(import|from) torch\b", source, flags=re.MULTILINE)
    module = types.ModuleType(f"ported_{name.replace('.', '_')}")
    module.__package__ = name.rpartition(".")[0]
    sys.modules[module.__name__] = module  # so that what it defines can be pickled
    exec(compile(source, spec.origin, "exec"), module.__dict__)
    return module


CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("lion_pytorch.lion_pytorch", "Lion", {"lr": 0.01, "weight_decay": 0.1}),
    ("lion_pytorch.cautious_lion", "Lion", {"lr": 0.01, "weight_decay": 0.1, "cautious_factor": 0.5}),
    ("torch_optimizer.a2grad", "A2GradExp", {}),
    ("torch_optimizer.a2grad", "A2GradInc", {}),
    ("torch_optimizer.a2grad", "A2GradUni", {}),
    ("torch_optimizer.accsgd", "AccSGD", {"weight_decay": 0.1}),
    ("torch_optimizer.adabelief", "AdaBelief", {"lr": 0.01}),
    ("torch_optimizer.adabelief", "AdaBelief", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1, "rectify": True}),
    ("torch_optimizer.adabound", "AdaBound", {"amsbound": True, "weight_decay": 0.1}),
    ("torch_optimizer.adafactor", "Adafactor", {"beta1": 0.9, "weight_decay": 0.1}),
    ("torch_optimizer.adamod", "AdaMod", {"weight_decay": 0.1}),
    ("torch_optimizer.adamp", "AdamP", {"weight_decay": 0.1, "nesterov": True}),
    ("torch_optimizer.aggmo", "AggMo", {"weight_decay": 0.1}),
    ("torch_optimizer.apollo", "Apollo", {"warmup": 5}),  # with weight_decay its state has a graph, on both sides
    ("torch_optimizer.diffgrad", "DiffGrad", {"weight_decay": 0.1}),
    ("torch_optimizer.lamb", "Lamb", {"lr": 0.01, "weight_decay": 0.1, "debias": True}),
    ("torch_optimizer.lars", "LARS", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True}),
    ("torch_optimizer.madgrad", "MADGRAD", {"weight_decay": 0.1}),
    ("torch_optimizer.novograd", "NovoGrad", {"amsgrad": True, "weight_decay": 0.1, "grad_averaging": True}),
    ("torch_optimizer.pid", "PID", {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.1}),
    ("torch_optimizer.qhadam", "QHAdam", {"weight_decay": 0.1, "decouple_weight_decay": True}),
    ("torch_optimizer.qhm", "QHM", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}),
    ("torch_optimizer.radam", "RAdam", {"lr": 0.01, "weight_decay": 0.1}),
    ("torch_optimizer.sgdp", "SGDP", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}),
    ("torch_optimizer.sgdw", "SGDW", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}),
    ("pytorch_ranger.ranger", "Ranger", {"lr": 0.01, "weight_decay": 0.1}),
    ("pytorch_ranger.rangerqh", "RangerQH", {"lr": 0.01, "weight_decay": 0.1}),
    ("pytorch_ranger.ranger913A", "RangerVA", {"lr": 0.01, "weight_decay": 0.1}),
    ("torch_optimizer.yogi", "Yogi", {"lr": 0.01, "weight_decay": 0.1}),
]
#: What the others need that is not here. A test says so if one of them begins to run.
NOT_HERE = {
    ("lion_pytorch.foreach", "Lion"): "torch._foreach_mul_ and the like, which are private",
    (
        "torch_optimizer.adahessian",
        "Adahessian",
    ): "gradients with a graph of their own, torch.autograd.grad, randint_like",
    ("torch_optimizer.shampoo", "Shampoo"): "torch.eye with out=, Tensor.new, torch.svd",
    ("torch_optimizer.swats", "SWATS"): "Tensor.new",
}


#: Both sides warn of ``add_(number, tensor)``.
OLD_FORMS = pytest.mark.filterwarnings("ignore:.*This overload of:UserWarning", "ignore:.*torch's old form:UserWarning")


def both(name: str, cls: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The class on our side and on torch's."""
    return getattr(ported(name), cls), getattr(importlib.import_module(name), cls)


class Model(nn.Module):
    def __init__(self, theirs: torch.nn.Module) -> None:
        super().__init__()
        self.layers = [nn.Linear(5, 8), nn.Linear(8, 3)]
        for mine, other in zip(self.layers, (theirs[0], theirs[2]), strict=True):
            mine.weight, mine.bias = mx.array(other.weight.detach().numpy()), mx.array(other.bias.detach().numpy())

    def __call__(self, x: mx.array) -> mx.array:
        return self.layers[1](mx.tanh(self.layers[0](x)))


class Pair:
    """An mlx.nn model and torch's, with the same weights, and the same data for both."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        torch.manual_seed(0)
        self.torch_model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
        self.model = Model(self.torch_model)
        self.data = [tuple(rng.standard_normal((16, n)).astype("f4") for n in (5, 3)) for _ in range(STEPS)]
        self.theirs = list(self.torch_model.parameters())
        self.ours = list(torchish_mlx.parameters(self.model))

    def gradients(self, i: int) -> None:
        """Each side's own gradients of the same loss, into ``.grad``."""
        x, y = self.data[i]
        torchish_mlx.backward(self.model, lambda m: ((m(mx.array(x)) - mx.array(y)) ** 2).mean())
        ((self.torch_model(torch.tensor(x)) - torch.tensor(y)) ** 2).mean().backward()

    def train(self, opt: Any, torchs: Any, steps: range) -> None:
        for i in steps:
            for o in (opt, torchs):
                o.zero_grad()
                if o.param_groups[0].get("lr") is not None:
                    o.param_groups[0]["lr"] *= 0.9
            self.gradients(i)
            opt.step()
            torchs.step()


STEPS = 12
TOLERANCE = 1e-6  # measured: 3.6e-7 (NovoGrad); the gradients, which each side takes itself, differ by as much
# They divide by gradients, of which some are near zero: 8.5e-6 and 8.3e-7; 1.2e-4 for AdaMod with MLX's own BLAS.
LOOSE = {"AdaMod": 3e-4, "Apollo": 5e-6}


def compare(pair: Pair, opt: Any, torchs: Any) -> None:
    errors = difference(pair.ours, pair.theirs), difference(opt.state_dict(), torchs.state_dict())
    assert max(errors) <= LOOSE.get(type(opt).__name__, TOLERANCE)


@OLD_FORMS
@pytest.mark.parametrize(("name", "cls", "kwargs"), CASES, ids=[f"{n}.{c}-{i}" for i, (n, c, _) in enumerate(CASES)])
def test_public_optimizer(name: str, cls: str, kwargs: dict[str, Any]) -> None:
    """Trained; saved, loaded into another of its kind and trained on; every number as torch's."""
    ours, theirs = both(name, cls)
    pair = Pair()
    opt, torchs = ours(pair.ours, **kwargs), theirs(pair.theirs, **kwargs)
    pair.train(opt, torchs, range(7))
    compare(pair, opt, torchs)
    state_dicts = copy.deepcopy(opt.state_dict()), copy.deepcopy(torchs.state_dict())
    opt, torchs = ours(pair.ours, **kwargs), theirs(pair.theirs, **kwargs)
    opt.load_state_dict(state_dicts[0])
    torchs.load_state_dict(state_dicts[1])
    pair.train(opt, torchs, range(7, STEPS))
    compare(pair, opt, torchs)


@OLD_FORMS
@pytest.mark.parametrize(("name", "cls"), NOT_HERE)
def test_what_does_not_run(name: str, cls: str) -> None:
    """Refused by a missing name, not by wrong numbers; if one begins to run it belongs among CASES."""
    pair = Pair()

    def run() -> None:
        opt = getattr(ported(name), cls)(pair.ours)
        for i in range(2):
            pair.gradients(i)
            opt.step()

    with pytest.raises((AttributeError, ImportError, AssertionError, RuntimeError), match=MISSING):
        run()


MISSING = "has no attribute '(new|init|Softplus|eye)'|foreach functions|does not have grad_fn"


@pytest.mark.parametrize("inner", ["ours", "ported"])
def test_lookahead(inner: str) -> None:
    """A wrapper that shares the groups of another optimizer and keeps a state of its own beside it."""
    ours, theirs = both("torch_optimizer.lookahead", "Lookahead")
    pair = Pair()

    def build(side: int) -> tuple[Any, Any]:
        params = (pair.ours, pair.theirs)[side]
        if inner == "ours":
            fast: Any = (torchish_mlx.optim, torch.optim)[side].Adam(params, lr=0.02)
        else:
            fast = both("torch_optimizer.adabelief", "AdaBelief")[side](params, lr=0.02, rectify=False)
        return fast, (ours, theirs)[side](fast, k=3, alpha=0.4)

    (fast, opt), (torchs_fast, torchs) = build(0), build(1)
    for i in range(STEPS):
        pair.train(opt, torchs, range(i, i + 1))
        if i == 5:  # torch's own Lookahead can't: it has no hooks, which torch's state_dict() looks for since torch 2
            saved = copy.deepcopy(opt.state_dict())
            fast, opt = build(0)
            opt.load_state_dict(saved)
        assert difference(pair.ours, pair.theirs) <= TOLERANCE
        assert difference(fast.state_dict(), torchs_fast.state_dict()) <= TOLERANCE
        slow = [dict(opt.state[p]) for p in pair.ours]
        assert difference(slow, [torchs.state[p] for p in pair.theirs]) <= TOLERANCE
        assert opt.state_dict()["slow_state"].keys() == {0, 1, 2, 3}
        assert repr(opt) == repr(torchs)


@OLD_FORMS
@pytest.mark.parametrize("door", ["update", "apply_gradients", "compiled"])
def test_by_trees(door: str) -> None:
    """A torch optimizer by MLX's calls: over trees of gradients, and in mx.compile, where its state holds no ints."""
    ours, theirs = both("lion_pytorch.lion_pytorch", "Lion")
    pair = Pair()
    opt, torchs = ours(pair.model, lr=0.01, weight_decay=0.1), theirs(pair.theirs, lr=0.01, weight_decay=0.1)
    traces = []

    def step(gradients: Any) -> None:
        traces.append(door)
        if door == "apply_gradients":
            pair.model.update(opt.apply_gradients(gradients, pair.model.parameters()))
        else:
            opt.update(pair.model, gradients)

    captured = [pair.model.state, opt.state]
    call = mx.compile(step, inputs=captured, outputs=captured) if door == "compiled" else step
    for i in range(6):
        torchs.zero_grad()
        opt.zero_grad()
        if i == 3:
            opt.param_groups[0]["lr"] = torchs.param_groups[0]["lr"] = 0.003
        pair.gradients(i)
        torchs.step()
        w0, b0, w1, b1 = (p.grad.array for p in pair.ours)
        call({"layers": [{"weight": w0, "bias": b0}, {"weight": w1, "bias": b1}]})
        mx.eval(captured)
        compare(pair, opt, torchs)
    if door == "compiled":
        assert (
            len(traces) == 3
        )  # at first, with the state that this made, and with the other lr, which Lion reads itself


def test_an_int_in_a_traced_step() -> None:
    """A count in Python would be a constant of the trace: it is refused, and not silently wrong."""
    ours, _ = both("torch_optimizer.diffgrad", "DiffGrad")
    pair = Pair()
    opt = ours(pair.model)
    captured = [pair.model.state, opt.state]
    step = mx.compile(lambda g: opt.update(pair.model, g), inputs=captured, outputs=captured)
    with pytest.raises(RuntimeError, match="inside a traced step, where it would become a constant"):
        step(pair.model.parameters())


@OLD_FORMS
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies(how: str) -> None:
    ours, _ = both("torch_optimizer.diffgrad", "DiffGrad")
    pair = Pair()
    opt = ours(pair.ours, lr=0.01)
    pair.gradients(0)
    opt.step()
    model, new = (
        copy.deepcopy((pair.model, opt)) if how == "deepcopy" else pickle.loads(pickle.dumps((pair.model, opt)))
    )
    for p, q in zip(torchish_mlx.parameters(model), pair.ours, strict=True):
        p.grad = q.grad.array
    before = [p.tolist() for p in pair.ours]
    new.step()
    assert [p.tolist() for p in pair.ours] == before
    opt.step()
    assert [p.tolist() for p in torchish_mlx.parameters(model)] == [p.tolist() for p in pair.ours]
    assert difference(new.state_dict(), to_torch(opt.state_dict())) == 0.0
