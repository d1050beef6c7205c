"""Weights and moments whose shape is the same in torch's layout and in MLX's: what is known of where they are from."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from torchish_mlx import checkpoint, optim
from torchish_mlx._core.origin import Origin
from torchish_mlx._tensor.conversion import origin_of
from torchish_mlx.bridge._layouts import layouts_of
from torchish_mlx.optim.swa_utils import AveragedModel
from torchish_mlx.serialization import load_safetensors, save_safetensors

# Layers, and MLX's order of torch's axes
ALIKE = [
    (lambda: nn.Conv2d(3, 8, 3), (0, 2, 3, 1)),
    (lambda: nn.Conv1d(4, 5, 4), (0, 2, 1)),
    (lambda: nn.Conv3d(2, 3, 2), (0, 2, 3, 4, 1)),
    (lambda: nn.Conv2d(6, 8, 3, groups=2), (0, 2, 3, 1)),
    (lambda: nn.ConvTranspose1d(3, 3, 3), (1, 2, 0)),
    (lambda: nn.ConvTranspose2d(2, 2, 2), (1, 2, 3, 0)),
    (lambda: nn.Bilinear(4, 4, 3), (0, 2, 1)),
    (lambda: Standardized(3, 8, 3), (0, 2, 3, 1)),
]
layers = pytest.mark.parametrize(
    ("layer", "order"), ALIKE, ids=lambda value: type(value()).__name__ if callable(value) else ""
)


class Standardized(nn.Conv2d):
    """A convolution of a user."""


class Net(nn.Module):
    """A stem of three channels and 3 x 3, and maybe a convolution whose shape tells the layout."""

    def __init__(self, more: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        if more:
            self.body = nn.Conv2d(8, 4, 3)
        self.head = nn.Linear(8, 2)


def drawn(shape: Any) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype("f4")


def mine(layer: nn.Module) -> np.ndarray:
    return np.array(layer.weight)


def loaded(model: nn.Module, state: Any, **options: Any) -> bool:
    """Whether it loads; where it is refused, the model is as it was."""
    before = [a.tolist() for _, a in tree_flatten(model.parameters())]
    try:
        torch.load_state_dict(model, state, **options)
    except RuntimeError as error:
        text = str(error)
    else:
        return True
    assert [a.tolist() for _, a in tree_flatten(model.parameters())] == before
    assert 'layout="mlx"' in text
    return False


def file_of_torch(state: Any) -> io.BytesIO:
    """A file as torch writes it: without the record that says what is in MLX's layout."""
    ours, out = io.BytesIO(), io.BytesIO()
    torch.save(state, ours)
    with ZipFile(ours) as old, ZipFile(out, "w") as new:
        for info in old.infolist():
            if not info.filename.endswith(".torchish_mlx"):
                new.writestr(info, old.read(info.filename))
    out.seek(0)
    return out


# Layers --------------------------------------------------------------------------------------------------------------


@layers
def test_a_layer_of_each_kind(layer: Callable[[], nn.Module], order: tuple[int, ...]) -> None:
    """An array of unknown origin is refused; ``layout`` says what it is, and "torch" transposes it."""
    model = layer()
    values = drawn(model.weight.shape)
    state = {**torch.state_dict(layer()), "weight": values}
    assert not loaded(model, state)
    assert loaded(model, state, layout="mlx")
    np.testing.assert_array_equal(mine(model), values)
    assert loaded(model, state, layout="torch")
    np.testing.assert_array_equal(mine(model), values.transpose(order))
    with pytest.raises(RuntimeError, match=r"transpose it with \(" + ", ".join(map(str, order)) + r"\)"):
        torch.load_state_dict(model, state)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(3, 3),
        nn.Conv2d(3, 8, 1),  # only the shape is another
        nn.Conv2d(1, 8, 1),
        nn.Conv2d(3, 8, 5),
        nn.Conv2d(1, 8, 3),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.ConvTranspose2d(3, 8, 3),
        nn.Bilinear(2, 3, 4),
        nn.MultiHeadAttention(4, 2),
    ],
    ids=repr,
)
def test_what_is_told_by_its_shape_or_needs_no_telling(layer) -> None:
    arrays = {name: np.array(a) for name, a in tree_flatten(layer.parameters())}
    assert loaded(layer, arrays)


def test_a_parameter_in_no_layer_of_convolution_is_not_asked_for() -> None:
    model = nn.Module()
    model.table = mx.zeros((4, 3, 3))
    assert loaded(model, {"table": drawn((4, 3, 3))})
    assert layouts_of(torch.Parameter(mx.zeros((8, 3, 3, 3)))) is None


# Where tensors are from ----------------------------------------------------------------------------------------------

OWN: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda state: state,
    "rebuilt": lambda state: {**state},
    "renamed twice": lambda state: {
        n.removeprefix("m."): v for n, v in {f"m.{n}": v for n, v in state.items()}.items()
    },
    "deepcopy": copy.deepcopy,
    "pickle": lambda state: pickle.loads(pickle.dumps(state)),
    "clone": lambda state: {n: v.clone() for n, v in state.items()},
    "detach, data": lambda state: {n: v.detach().data for n, v in state.items()},
    "there and back": lambda state: {n: v.to(torch.float16).float().cpu().contiguous() for n, v in state.items()},
    "tensor": lambda state: {n: torch.as_tensor(torch.tensor(v)) for n, v in state.items()},
    "Parameter": lambda state: {n: torch.Parameter(v) for n, v in state.items()},
    "scaled": lambda state: {n: (v * 2 + v) / 3 for n, v in state.items()},
    "views": lambda state: {
        n: v.permute(0, 3, 1, 2).transpose(1, 2).transpose(2, 3) if v.ndim == 4 else v for n, v in state.items()
    },
}


def saved(state: Any, name: str, folder: Path, **options: Any) -> Any:
    save_safetensors(state, folder / name, **options) if "safe" in name else torch.save(state, folder / name)
    return torch.load(folder / name)


@pytest.mark.parametrize("name", ["", "state.pt", "state.safetensors"], ids=["memory", "pt", "safetensors"])
@pytest.mark.parametrize("how", OWN)
def test_our_own_weights_load_without_a_word(how, name, tmp_path) -> None:
    source, model = Net(), Net()
    state = OWN[how](torch.state_dict(source))
    assert loaded(model, saved(state, name, tmp_path) if name else state)
    np.testing.assert_allclose(mine(model.stem), mine(source.stem), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("wrapped", [False, True])
def test_our_own_weights_from_a_file_in_any_object(wrapped, tmp_path) -> None:
    for name in ("run.pt", "run.safetensors"):
        source, model = Net(), Net()
        state = {"model": torch.state_dict(source), "images": mx.array(drawn((2, 3, 3, 3))), "epoch": 3}
        if wrapped:
            state = {"run": [state]}
        back = saved(state, name, tmp_path)
        assert loaded(model, back["run"][0]["model"] if wrapped else back["model"])
        assert mine(model.stem).tolist() == mine(source.stem).tolist()


def test_parameters_and_copies_of_them() -> None:
    source = Net()
    named = dict(torch.named_parameters(source))
    for state in (named, {n: p.detach().clone() for n, p in named.items()}, {n: p.data for n, p in named.items()}):
        assert loaded(Net(), state)
    assert loaded(Net(), {n: copy.deepcopy(p) for n, p in named.items()})


def test_shards(tmp_path) -> None:
    source, model = Net(), Net()
    save_safetensors(torch.state_dict(source), tmp_path / "m.safetensors", max_shard_size=100)
    assert loaded(model, torch.load(tmp_path / "m.safetensors.index.json"))
    arrays = {n: v.array for n, v in torch.state_dict(source).items()}
    save_safetensors(arrays, tmp_path / "m.safetensors", max_shard_size=100)
    assert not loaded(model, torch.load(tmp_path / "m.safetensors.index.json"))


@pytest.mark.parametrize("change", ["", "clone", "detach", "half", "renamed", "deepcopy", "pickle", "mean", "resaved"])
def test_what_comes_from_a_file_of_torch_is_refused_through_all_copies(change, tmp_path) -> None:
    """Until its axes are moved as they must be, or ``layout`` says it."""
    changes: dict[str, Callable[[Any], Any]] = {
        "": lambda s: s,
        "clone": lambda s: {n: v.clone() for n, v in s.items()},
        "detach": lambda s: {n: v.detach().data for n, v in s.items()},
        "half": lambda s: {n: v.half().float() for n, v in s.items()},
        "renamed": lambda s: {
            n.removeprefix("module."): v for n, v in {f"module.{n}": v for n, v in s.items()}.items()
        },
        "deepcopy": copy.deepcopy,
        "pickle": lambda s: pickle.loads(pickle.dumps(s)),
        "mean": lambda s: {n: (v + v) / 2 for n, v in s.items()},
        "resaved": lambda s: saved(s, "again.safetensors", tmp_path),
    }
    state = changes[change](torch.load(file_of_torch(torch.state_dict(Net()))))
    assert not loaded(Net(), state)
    assert not loaded(Net(), dict(state))
    assert loaded(Net(), state, layout="mlx")
    moved = {n: v.permute(0, 2, 3, 1) if v.ndim == 4 else v for n, v in state.items()}
    assert loaded(Net(), moved) == (change != "resaved")  # what is not known stays unknown
    steps = {n: v.transpose(1, 2).transpose(2, 3) if v.ndim == 4 else v for n, v in state.items()}
    assert loaded(Net(), steps) == (change != "resaved")
    wrong = {n: v.permute(0, 3, 1, 2) if v.ndim == 4 else v for n, v in state.items()}
    assert not loaded(Net(), wrong)
    if change != "resaved":
        with pytest.raises(RuntimeError, match=r"its axes were put from torch's layout into the order \(0, 3, 1, 2\)"):
            torch.load_state_dict(Net(), wrong)


def test_weights_that_were_put_into_torchs_layout_for_export(tmp_path) -> None:
    source = Net()
    state = {n: v.permute(0, 3, 1, 2) if v.ndim == 4 else v for n, v in torch.state_dict(source).items()}
    for name in ("", "export.pt", "export.safetensors"):
        back = saved(state, name, tmp_path) if name else state
        assert not loaded(Net(), back)
        model = Net()
        assert loaded(model, back, layout="torch")
        assert mine(model.stem).tolist() == mine(source.stem).tolist()
    with pytest.raises(RuntimeError, match=r"it was put into torch's: transpose it with \(0, 2, 3, 1\)"):
        torch.load_state_dict(Net(), state)


@pytest.mark.parametrize(("text", "loads"), [("mlx", True), ("pt", False), ("", False)])
def test_safetensors_of_others(text, loads, tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    arrays = dict(tree_flatten(Net().parameters()))
    mx.save_safetensors(str(path), arrays, {"format": text} if text else None)
    assert loaded(Net(), load_safetensors(path)) == loads
    assert loaded(Net(), load_safetensors(path), layout="mlx")


@pytest.mark.parametrize("make", [mx.array, np.array, lambda a: torch.tensor(np.array(a)), torch.Tensor])
def test_arrays_of_unknown_origin(make) -> None:
    """Alone they are refused; the layout of a convolution of the same origin whose shape tells it is theirs too."""
    for more in (False, True):
        state = {name: make(a) for name, a in tree_flatten(Net(more).parameters())}
        assert loaded(Net(more), state) == more


def test_evidence_is_of_the_same_origin_only() -> None:
    """The stem was forgotten when the other weights were transposed."""
    theirs = {n: v.permute(0, 3, 1, 2) if v.ndim == 4 else v for n, v in torch.state_dict(Net(True)).items()}
    state = torch.load(file_of_torch(theirs))
    with pytest.raises(RuntimeError, match=r'"body.weight" has torch\'s layout.*or pass layout="torch"') as error:
        torch.load_state_dict(Net(True), state)
    assert "\"stem.weight\" has the same shape in torch's layout of a convolution and in MLX's" in str(error.value)
    half_done = {**state, "body.weight": state["body.weight"].permute(0, 2, 3, 1)}
    assert not loaded(Net(True), half_done)
    by_hand = {**state, "body.weight": mx.transpose(state["body.weight"].array, (0, 2, 3, 1))}
    assert not loaded(Net(True), by_hand)
    done = {n: v.permute(0, 2, 3, 1) if v.ndim == 4 else v for n, v in state.items()}
    assert loaded(Net(True), done)


def test_a_file_that_torch_saved_again_is_told_by_its_other_convolutions() -> None:
    assert loaded(Net(True), torch.load(file_of_torch(torch.state_dict(Net(True)))))


def test_axes_that_numpy_moved() -> None:
    values = drawn((8, 3, 3, 3))
    state = {**torch.state_dict(Net()), "stem.weight": values.transpose(0, 2, 3, 1)}
    model = Net()
    assert loaded(model, state)
    assert mine(model.stem).tolist() == values.transpose(0, 2, 3, 1).tolist()
    assert not loaded(Net(), {**state, "stem.weight": values.transpose(0, 3, 1, 2)})


def test_a_tree_of_mlx(tmp_path) -> None:
    source = Net()
    for name in ("", "tree.pt", "tree.safetensors"):
        tree = saved(source.parameters(), name, tmp_path) if name else source.parameters()
        model = Net()
        assert loaded(model, tree)
        assert mine(model.stem).tolist() == mine(source.stem).tolist()
    theirs = torch.load(file_of_torch({"stem": dict(torch.state_dict(source.stem))}))
    assert not loaded(Net(), theirs, strict=False)


@pytest.mark.parametrize("layout", ["torch", "mlx"])
def test_layout_says_it_for_all(layout) -> None:
    source = Net(True)
    state = {n: np.array(v.array) for n, v in torch.state_dict(source).items()}
    if layout == "torch":
        state = {n: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for n, v in state.items()}
    for make in (np.ascontiguousarray, mx.array, torch.tensor):
        model = Net(True)
        assert loaded(model, {n: make(v) for n, v in state.items()}, layout=layout)
        assert [a.tolist() for _, a in tree_flatten(model.parameters())] == [
            a.tolist() for _, a in tree_flatten(source.parameters())
        ]


def test_layout_torch_of_what_is_mlxs() -> None:
    with pytest.raises(RuntimeError, match=r'"body.weight" has MLX\'s layout already.*leave out layout="torch"'):
        torch.load_state_dict(Net(True), torch.state_dict(Net(True)), layout="torch")


@pytest.mark.parametrize("layout", ["MLX", "channels_last", True])
def test_other_layouts(layout) -> None:
    with pytest.raises(ValueError, match='expected "mlx"'):
        torch.load_state_dict(Net(), {}, layout=layout)
    with pytest.raises(ValueError, match='expected "mlx"'):
        optim.SGD(Net()).load_state_dict({}, layout=layout)


def test_an_average(tmp_path) -> None:
    average = AveragedModel(Net())
    state = average.state_dict()
    for own in (state, copy.deepcopy(state), saved(state, "ema.pt", tmp_path)):
        AveragedModel(Net()).load_state_dict(own)
    with pytest.raises(RuntimeError, match="it comes from torch"):
        AveragedModel(Net()).load_state_dict(torch.load(file_of_torch(state)))
    AveragedModel(Net()).load_state_dict(torch.load(file_of_torch(state)), layout="torch")


# Moments -------------------------------------------------------------------------------------------------------------

RULES = {
    "SGD": {"momentum": 0.9},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "Adagrad": {},
    "Adadelta": {},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Rprop": {},
    "ASGD": {},
    "Adafactor": {},
    "Lion": {"lr": 0.1},
}
rules = pytest.mark.parametrize("name", RULES)


def trained(name: str, model: nn.Module, named: bool = False) -> Any:
    optimizer = getattr(optim, name)(torch.named_parameters(model) if named else model, **RULES.get(name, {}))
    for _, p in torch.named_parameters(model):
        p.grad = mx.array(drawn(p.shape))
    optimizer.step()
    return optimizer


def takes(optimizer: Any, state: Any, **options: Any) -> bool:
    """Whether it loads; where it is refused, the state is as it was."""
    before = repr(optimizer.state_dict())
    try:
        optimizer.load_state_dict(state, **options)
    except ValueError as error:
        text = str(error)
    else:
        return True
    assert repr(optimizer.state_dict()) == before
    assert "layout=" in text
    return False


def rebuilt(state: Any) -> Any:
    return {
        "state": {n: dict(entries) for n, entries in state["state"].items()},
        "param_groups": [{**group} for group in state["param_groups"]],
    }


@pytest.mark.parametrize("strict", [None, True], ids=["order", "name"])
@rules
def test_our_own_moments_load_without_a_word(name, strict, tmp_path) -> None:
    optimizer = trained(name, Net(), named=True)
    state = optimizer.state_dict()
    forms = [state, {**state}, rebuilt(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))]
    forms += [saved(state, "o.pt", tmp_path), saved({"o": state}, "o.safetensors", tmp_path)["o"]]
    for form in forms:
        other = trained(name, Net(), named=True)
        assert takes(other, form, strict=strict)
        kept = copy.deepcopy(other.state_dict()["state"])
        assert repr(kept) == repr(state["state"])


@pytest.mark.parametrize("strict", [None, True], ids=["order", "name"])
@rules
def test_moments_from_a_file_of_torch_are_refused(name, strict) -> None:
    state = trained(name, Net(), named=True).state_dict()
    theirs = torch.load(file_of_torch(state))
    model = Net()
    assert not takes(trained(name, model, named=True), theirs, strict=strict)
    assert not takes(trained(name, model, named=True), rebuilt(theirs), strict=strict)
    assert takes(trained(name, model, named=True), theirs, strict=strict, layout="mlx")
    assert takes(trained(name, model, named=True), theirs, strict=strict, layout="torch") == (name != "Adafactor")


@rules
def test_moments_of_a_file_of_torch_are_told_by_other_moments(name) -> None:
    theirs = torch.load(file_of_torch(trained(name, Net(True)).state_dict()))
    # Adafactor keeps a factor for some axes each, whose shapes tell nothing
    assert takes(trained(name, Net(True)), theirs) == (name != "Adafactor")


def test_what_is_said_of_moments() -> None:
    theirs = torch.load(file_of_torch(trained("Adam", Net()).state_dict()))
    with pytest.raises(ValueError, match="does not fit this optimizer") as error:
        optim.Adam(Net(), amsgrad=True).load_state_dict(theirs)
    lines = str(error.value).split("\n\t")[1:]
    assert [line.split(" has ")[0] for line in lines] == [
        f'state[0]["{name}"]' for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    ]
    assert all("it comes from torch: transpose it with (0, 2, 3, 1), or pass layout=" in line for line in lines)


def test_strict_false_leaves_doubtful_moments_as_they_are() -> None:
    theirs = torch.load(file_of_torch(trained("SGD", Net(), named=True).state_dict()))
    model = Net()
    optimizer = trained("SGD", model, named=True)
    before = optimizer.state[model_weight(model)]["momentum_buffer"].tolist()
    report = optimizer.load_state_dict(theirs, strict=False)
    assert list(report.mismatched_keys) == ["stem.weight"]
    assert optimizer.state[model_weight(model)]["momentum_buffer"].tolist() == before


def model_weight(model: nn.Module) -> torch.Parameter:
    return torch.locate(model, "stem.weight")


@pytest.mark.parametrize("strict", [None, True], ids=["order", "name"])
def test_layout_torch_transposes_moments(strict) -> None:
    model = Net(True)
    optimizer = trained("Adam", model, named=True)
    state = copy.deepcopy(optimizer.state_dict())
    for entries in state["state"].values():
        for name, value in entries.items():
            entries[name] = value.permute(0, 3, 1, 2) if value.ndim == 4 else value
    theirs = torch.load(file_of_torch(state))
    other = trained("Adam", Net(True), named=True)
    other.load_state_dict(theirs, strict=strict, layout="torch")
    assert repr(other.state_dict()["state"]) == repr(optimizer.state_dict()["state"])


def test_layout_torch_of_moments_that_are_mlxs_or_of_some_axes() -> None:
    with pytest.raises(ValueError, match=r'state\[2\]\["exp_avg"\] has MLX\'s layout already'):
        optim.AdamW(Net(True)).load_state_dict(trained("AdamW", Net(True)).state_dict(), layout="torch")
    with pytest.raises(ValueError, match=r'"row_var"\] has shape .* moments of some of its axes can\'t be transposed'):
        optim.Adafactor(Net()).load_state_dict(trained("Adafactor", Net()).state_dict(), layout="torch")


@pytest.mark.parametrize("make", [mx.array, np.array])
def test_moments_as_arrays(make) -> None:
    def arrays(optimizer: Any) -> Any:
        state = rebuilt(optimizer.state_dict())
        for entries in state["state"].values():
            entries.update({k: make(v.array) for k, v in entries.items()})
        return state

    assert not takes(trained("Adam", Net()), arrays(trained("Adam", Net())))
    assert takes(trained("Adam", Net(True)), arrays(trained("Adam", Net(True))))


def test_entries_and_copies_of_entries() -> None:
    model = Net()
    optimizer = trained("Adam", model)
    named = list(torch.parameters(model))
    groups = optimizer.state_dict()["param_groups"]
    for take in (lambda p: optimizer.state[p], lambda p: copy.deepcopy(optimizer.state[p]), lambda p: {
        k: v.clone() for k, v in optimizer.state[p].items()}):  # fmt: skip
        state = {"state": {i: take(p) for i, p in enumerate(named)}, "param_groups": groups}
        assert takes(trained("Adam", Net()), state)


def test_a_state_dict_that_the_optimizer_has_left_behind() -> None:
    """Its Tensors were the optimizer's places, until another state was loaded."""
    optimizer = trained("Adam", Net())
    first = optimizer.state_dict()
    optimizer.load_state_dict(copy.deepcopy(first))
    assert takes(optimizer, first)


class Heavy(optim.Optimizer):
    """An optimizer of a user: a moment, and a list of past gradients."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["mean"], state["past"] = torch.zeros_like(p), []
                state["mean"].mul_(0.9).add_(p.grad)
                state["past"] = [*state["past"], p.grad.clone()]
                p.data.sub_(group["lr"] * state["mean"])


def test_an_optimizer_of_a_user() -> None:
    def made(more: bool = False) -> Heavy:
        model = Net(more)
        optimizer = Heavy(model)
        for _ in range(2):
            for p in torch.parameters(model):
                p.grad = mx.array(drawn(p.shape))
            optimizer.step()
        return optimizer

    state = made().state_dict()
    assert takes(made(), copy.deepcopy(state))
    theirs = torch.load(file_of_torch(state))
    with pytest.raises(ValueError, match="it comes from torch") as error:
        made().load_state_dict(theirs)
    assert [line.split(" has ")[0] for line in str(error.value).split("\n\t")[1:]] == [
        'state[0]["mean"]',
        'state[0]["past"][0]',
        'state[0]["past"][1]',
    ]
    state = rebuilt(made(True).state_dict())
    for entries in state["state"].values():
        if entries["mean"].ndim == 4:
            entries["mean"] = entries["mean"].permute(0, 3, 1, 2)
            entries["past"] = [value.permute(0, 3, 1, 2) for value in entries["past"]]
    with pytest.raises(ValueError, match=r'state\[2\]\["past"\]\[1\] has torch\'s layout of a convolution'):
        made(True).load_state_dict(state)
    other = made(True)
    other.load_state_dict(state, layout="torch")
    assert repr(other.state_dict()) == repr(made(True).state_dict())


@pytest.mark.parametrize("more", [False, True])
def test_lbfgs_keeps_one_vector_which_no_shape_tells(more, tmp_path) -> None:
    """Also of convolutions whose own shape would tell it."""

    def made() -> Any:
        model = Net(more)
        optimizer = optim.LBFGS(model, max_iter=2)

        def closure() -> Any:
            for p in torch.parameters(model):
                p.grad = p.detach() * 2.0
            return sum((p.detach() * p.detach()).sum() for p in torch.parameters(model))

        optimizer.step(closure)
        optimizer.step(closure)
        return optimizer

    state = made().state_dict()
    assert takes(made(), copy.deepcopy(state))
    assert takes(made(), saved(state, "o.pt", tmp_path))
    theirs = torch.load(file_of_torch(state))
    with pytest.raises(ValueError, match="is one vector of all parameters"):
        made().load_state_dict(theirs)
    assert not takes(made(), theirs, layout="torch")
    assert takes(made(), theirs, layout="mlx")
    flat = optim.LBFGS(nn.Linear(2, 2)).state_dict()
    assert takes(optim.LBFGS(nn.Linear(2, 2)), torch.load(file_of_torch(flat)))


@pytest.mark.parametrize("name", ["run.pt", "run.safetensors"])
def test_a_run_resumes_from_its_own_file_and_from_one_that_torch_saved_again(name, tmp_path) -> None:
    def parts() -> dict[str, Any]:
        model = Net()
        return {"model": model, "optimizer": trained("Adam", model)}

    run = parts()
    file = checkpoint.save(tmp_path / name, step=3, **run)
    again = parts()
    assert checkpoint.resume(file, **again).step == 3
    if name.endswith(".pt"):
        (tmp_path / "again.pt").write_bytes(file_of_torch(torch.load(file)).getvalue())
        assert checkpoint.resume(tmp_path / "again.pt", **parts()).step == 3
    assert repr(again["optimizer"].state_dict()) == repr(run["optimizer"].state_dict())


def test_what_else_is_in_a_checkpoint_stays_what_it_was(tmp_path) -> None:
    theirs = torch.load(file_of_torch(torch.state_dict(Net())))
    file = checkpoint.save(tmp_path / "run.pt", step=1, model=Net(), extra={"teacher": theirs})
    extra = checkpoint.resume(file, model=Net()).extra
    assert not loaded(Net(), extra["teacher"])


# What is known of a Tensor -------------------------------------------------------------------------------------------


def test_origins() -> None:
    model = nn.Conv2d(3, 8, 3)
    p = next(torch.parameters(model))
    assert origin_of(p) == Origin("mlx")
    assert origin_of(p.permute(0, 3, 1, 2)) == Origin("mlx", (0, 3, 1, 2))
    assert origin_of(p.permute(0, 3, 1, 2).permute(0, 2, 3, 1)) == Origin("mlx")
    assert origin_of(p.sum()) is None
    assert origin_of(p.detach().reshape(-1)) is None
    assert origin_of(p.detach()[0]) is None
    assert origin_of(torch.zeros(2, 3)) is None
    assert origin_of(mx.zeros(2)) is None
    assert origin_of(np.zeros((2, 3))) is None
    assert origin_of(np.zeros((2, 3, 4)).transpose(0, 2, 1)) == Origin("torch", (0, 2, 1))


@pytest.mark.parametrize("record", [b"", b"later 1", b"mlx mlx", b"\xff\xfe", b"mlx " + b"0 " * 100], ids=str)
def test_a_record_of_another_kind_tells_nothing_or_what_it_says(record) -> None:
    """No record makes loading fail; one that is not understood tells nothing."""
    ours, out = io.BytesIO(), io.BytesIO()
    torch.save(torch.state_dict(Net()), ours)
    with ZipFile(ours) as old, ZipFile(out, "w") as new:
        for info in old.infolist():
            new.writestr(info, record if info.filename.endswith(".torchish_mlx") else old.read(info.filename))
    out.seek(0)
    assert loaded(Net(), torch.load(out)) == (record == b"mlx mlx")
