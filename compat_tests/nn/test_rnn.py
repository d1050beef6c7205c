"""Recurrent layers, their functions and cells next to torch's: values, gradients, second derivatives, dropout, states.

``test_module_db.py`` has torch's own samples of the modules; here is what they leave out.
"""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from torchish_mlx import _inert

KINDS = ("RNN", "GRU", "LSTM")
SIZES = [4, 3, 3, 1]


def both(kind: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """A module on each side, from one seed."""
    made = []
    for T in (tm, torch):
        T.manual_seed(5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made.append(getattr(T.nn, kind)(*args, **kwargs))
    return made[0], made[1]


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def leaf(T: Any, array: np.ndarray) -> Any:
    return T.tensor(array).requires_grad_()


def flat(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [v for each in value for v in flat(each) if v is not None]
    return [value]


def near(mine: Any, theirs: Any, what: Any = "", tolerance: float = 2e-6) -> None:
    assert tuple(mine.shape) == tuple(theirs.shape), what
    assert str(mine.dtype) == str(theirs.dtype), what
    a, b = np.array(mine.detach().tolist()), np.array(theirs.detach().tolist())
    scale = max(1.0, np.abs(b).max(initial=0.0))
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=str(what))


def compare(mine: Any, theirs: Any, inputs: list[Any], call: Any, tolerance: float = 2e-6) -> None:
    """Results, and gradients of inputs and Parameters, of ``call(T, module, leaves)``."""
    sides = []
    for T, module in ((tm, mine), (torch, theirs)):
        leaves = [leaf(T, x) for x in inputs]
        T.manual_seed(6)
        found = [f for f in flat(call(T, module, leaves)) if f.requires_grad]
        weights = [normal(i, *f.shape) for i, f in enumerate(found)]
        sum((f * T.tensor(w)).sum() for f, w in zip(found, weights, strict=True)).backward()
        sides.append([*found, *(x.grad for x in leaves), *(p.grad for p in module.parameters())])
    assert len(sides[0]) == len(sides[1])
    for i, (a, b) in enumerate(zip(*sides, strict=True)):
        near(a, b, i, tolerance)
    assert tm.get_rng_state().tolist() == torch.get_rng_state().tolist()


def states(kind: str, *shape: int) -> list[np.ndarray]:
    return [normal(20 + i, *shape) for i in range(2 if kind == "LSTM" else 1)]


def as_hx(kind: str, given: list[Any]) -> Any:
    return tuple(given) if kind == "LSTM" else given[0]


OPTIONS = list(itertools.product((1, 3), (True, False), (True, False), (0.0, 0.4)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_layers_directions_dropout(kind: str, packed: bool) -> None:
    for layers, bidirectional, batch_first, dropout in OPTIONS:
        options = {"bidirectional": bidirectional, "batch_first": batch_first, "dropout": dropout}
        mine, theirs = both(kind, 3, 5, layers, **options)
        shape = (4, 4, 3)
        hx = states(kind, layers * (1 + bidirectional), 4, 5)

        def call(T: Any, module: Any, leaves: list[Any], batch_first: bool = batch_first) -> Any:
            x, *given = leaves
            if packed:
                pack = T.nn.utils.rnn.pack_padded_sequence
                x = pack(x, [2, 4, 1, 4], batch_first=batch_first, enforce_sorted=False)
            output, last = module(x, as_hx(kind, given))
            return (output.data, last) if packed else (output, last)

        compare(mine, theirs, [normal(1, *shape), *hx], call)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_state_or_a_batch(kind: str) -> None:
    mine, theirs = both(kind, 3, 5, 2, bidirectional=True)
    compare(mine, theirs, [normal(1, 6, 3)], lambda T, m, x: m(x[0]))
    compare(mine, theirs, [normal(1, 6, 3), *states(kind, 4, 5)], lambda T, m, x: m(x[0], as_hx(kind, x[1:])))
    compare(mine, theirs, [normal(1, 6, 2, 3)], lambda T, m, x: m(x[0]))
    compare(mine, theirs, [normal(1, 1, 1, 3)], lambda T, m, x: m(x[0]))
    mine, theirs = both(kind, 3, 5, bias=False, batch_first=True)
    compare(mine, theirs, [normal(1, 6, 3)], lambda T, m, x: m(x[0]))
    sequences = [normal(i, n, 3) for i, n in enumerate(SIZES)]
    compare(mine, theirs, sequences, lambda T, m, x: m(T.nn.utils.rnn.pack_sequence(x))[0].data)


def test_relu_and_projections() -> None:
    mine, theirs = both("RNN", 3, 5, 2, "relu", dropout=0.3)
    compare(mine, theirs, [normal(1, 6, 2, 3)], lambda T, m, x: m(x[0]))
    for bidirectional, bias in itertools.product((True, False), repeat=2):
        mine, theirs = both("LSTM", 3, 5, 2, bias=bias, bidirectional=bidirectional, proj_size=2)
        n = 2 * (1 + bidirectional)
        given = [normal(1, 6, 4, 3), normal(2, n, 4, 2), normal(3, n, 4, 5)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that oneDNN has no projections
            compare(mine, theirs, given, lambda T, m, x: m(x[0], (x[1], x[2])))


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_the_results(kind: str) -> None:
    mine, theirs = both(kind, 3, 5)
    compare(mine, theirs, [normal(1, 6, 2, 3)], lambda T, m, x: m(x[0])[0][-1])
    compare(mine, theirs, [normal(1, 6, 2, 3)], lambda T, m, x: flat(m(x[0])[1])[-1])
    for p in mine.parameters():
        p.requires_grad_(False)
    x = leaf(tm, normal(1, 6, 2, 3))
    mine(x)[0].sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in mine.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_second_derivatives_in_float64(name: str, packed: bool) -> None:
    gates = {"gru": 3, "lstm": 4}.get(name, 1)
    shapes = [(10, 2) if packed else (3, 4, 2), *[(2, 4, 3)] * (1 + (name == "lstm"))]
    shapes += [(gates * 3, 2), (gates * 3, 3), (gates * 3,), (gates * 3,)] * 2
    arrays = [normal(i, *s).astype("f8") for i, s in enumerate(shapes)]
    n = 3 if name == "lstm" else 2
    sides = []
    for T in (tm, torch):
        leaves = [T.tensor(a, dtype=T.float64).requires_grad_() for a in arrays]
        hx = list(leaves[1:n]) if name == "lstm" else leaves[1]
        sizes = [T.tensor([4, 4, 2])] if packed else []
        tail = [] if packed else [False]
        out = getattr(T, name)(leaves[0], *sizes, hx, leaves[n:], True, 1, 0.0, True, True, *tail)
        loss = sum((o * o * (i + 1)).sum() for i, o in enumerate(out))
        first = T.autograd.grad(loss, leaves, create_graph=True)
        sides.append([*out, *first, *T.autograd.grad(sum((f * f).sum() for f in first), leaves)])
    for i, (a, b) in enumerate(zip(*sides, strict=True)):
        near(a, b, i, 1e-12)


@pytest.mark.parametrize("name", ["rnn_tanh", "gru", "lstm"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(name: str, dtype: str) -> None:
    """Inside a layer float32: nearer to torch's result in float32 than torch's own in half is."""
    gates = {"gru": 3, "lstm": 4}.get(name, 1)
    shapes = [(6, 4, 2), *[(1, 4, 3)] * (1 + (name == "lstm")), (gates * 3, 2), (gates * 3, 3), (gates * 3,)]
    arrays = [torch.tensor(normal(i, *s)).to(getattr(torch, dtype)).float().numpy() for i, s in enumerate(shapes)]
    n = 3 if name == "lstm" else 2
    sides = []
    for T, to in ((tm, getattr(tm, dtype)), (torch, torch.float32)):
        leaves = [T.tensor(a).to(to).requires_grad_() for a in arrays]
        hx = list(leaves[1:n]) if name == "lstm" else leaves[1]
        out = getattr(T, name)(leaves[0], hx, [*leaves[n:], leaves[-1]], True, 1, 0.0, True, False, False)
        out[0].sum().backward()
        assert {o.dtype for o in out} == {x.grad.dtype for x in leaves} == {to}
        sides.append([*out, *(x.grad for x in leaves)])
    for i, (a, b) in enumerate(zip(*sides, strict=True)):
        near(a.float(), b, i, 2**-10 if dtype == "float16" else 2**-7)


CELLS = {"RNNCell": 1, "GRUCell": 1, "LSTMCell": 2}


@pytest.mark.parametrize("kind", CELLS)
def test_cells(kind: str) -> None:
    for bias, shape in itertools.product((True, False), ((3,), (4, 3))):
        mine, theirs = both(kind, 3, 5, bias)
        hx = [normal(20 + i, *shape[:-1], 5) for i in range(CELLS[kind])]
        compare(mine, theirs, [normal(1, *shape)], lambda T, m, x: m(x[0]))
        compare(
            mine,
            theirs,
            [normal(1, *shape), *hx],
            lambda T, m, x: m(x[0], tuple(x[1:]) if CELLS[kind] == 2 else x[1]),
        )
        assert repr(mine) == repr(theirs)
        assert list(mine.state_dict()) == list(theirs.state_dict())
    if kind == "RNNCell":
        mine, theirs = both(kind, 3, 5, nonlinearity="relu")
        compare(mine, theirs, [normal(1, 4, 3)], lambda T, m, x: m(m(x[0]).narrow(1, 0, 3)))
        assert repr(mine) == repr(theirs)


def test_cells_take_one_bias() -> None:
    for name, gates in (("rnn_tanh_cell", 1), ("rnn_relu_cell", 1), ("gru_cell", 3), ("lstm_cell", 4)):
        arrays = [normal(i, *s) for i, s in enumerate([(2, 4), (2, 3), (gates * 3, 4), (gates * 3, 3), (gates * 3,)])]
        sides = []
        for T in (tm, torch):
            x, h, w_ih, w_hh, b = [leaf(T, a) for a in arrays]
            hx = (h, h) if name == "lstm_cell" else h
            sum((o * o).sum() for o in flat(getattr(T, name)(x, hx, w_ih, w_hh, b))).backward()
            sides.append([v.grad for v in (x, h, w_ih, w_hh, b)])
        for a, b in zip(*sides, strict=True):
            near(a, b, name)


def test_a_cell_step_by_step_is_the_layer() -> None:
    layer, _ = both("LSTM", 3, 5)
    cell = tm.nn.LSTMCell(3, 5)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = tm.tensor(normal(1, 4, 2, 3))
    hx, found = None, []
    for step in x:
        hx = cell(step, hx)
        found.append(hx[0])
    np.testing.assert_allclose(tm.stack(found).detach().numpy(), layer(x)[0].detach().numpy(), atol=1e-6)


def test_names_states_and_copies() -> None:
    for kind in KINDS:
        mine, theirs = both(kind, 3, 5, 2, bidirectional=True, batch_first=True, dropout=0.5)
        assert repr(mine) == repr(theirs)
        assert list(mine.state_dict()) == list(theirs.state_dict())
        assert mine._flat_weights_names == theirs._flat_weights_names
        assert [[tuple(w.shape) for w in ws] for ws in mine.all_weights] == [
            [tuple(w.shape) for w in ws] for ws in theirs.all_weights
        ]
        assert [id(w) for w in mine._flat_weights] == [id(w) for w in mine.parameters()]
        theirs.load_state_dict({k: torch.tensor(v.numpy() * 2) for k, v in mine.state_dict().items()})
        mine.load_state_dict({k: v * 2 for k, v in mine.state_dict().items()})
        mine.eval(), theirs.eval()
        for module in (mine, copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
            module.zero_grad()
            compare(module, copy.deepcopy(theirs), [normal(1, 2, 6, 3)], lambda T, m, x: m(x[0]))
        assert mine.half().weight_ih_l0.dtype == tm.float16
        assert mine._flat_weights[0] is mine.weight_ih_l0


def test_a_weight_that_is_replaced_is_used() -> None:
    mine, _ = both("GRU", 3, 5)
    x = tm.tensor(normal(1, 4, 2, 3))
    before = mine(x)[0]
    mine.weight_hh_l0 = tm.nn.Parameter(tm.zeros(15, 5))
    assert not tm.equal(mine(x)[0], before)


def test_flatten_parameters_is_listed_as_a_call_without_effect() -> None:
    _inert.forget()
    assert tm.nn.GRU(2, 3).flatten_parameters() is None
    assert list(_inert.used()) == ["torch.nn.RNNBase.flatten_parameters"]
    _inert.forget()


@pytest.mark.parametrize("kind", [*KINDS, *CELLS])
def test_autocast_gives_torchs_dtypes(kind: str) -> None:
    mine, theirs = both(kind, 3, 5)
    x = normal(1, 4, 3)
    for half in (False, True):
        sides = []
        for T, module in ((tm, mine), (torch, theirs)):
            with T.autocast("cpu", dtype=T.bfloat16), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                given = T.tensor(x).bfloat16() if half else T.tensor(x)
                sides.append(flat(module(given)))
        for a, b in zip(*sides, strict=True):
            near(a, b, half, 2e-2)


def test_dropout_warns_where_there_is_one_layer() -> None:
    said = []
    for T in (tm, torch):
        with pytest.warns(UserWarning, match="dropout option") as found:
            T.nn.LSTM(3, 5, dropout=0.5)
        said.append(str(found[0].message))
        assert T is torch or found[0].filename == __file__
    assert said[0] == said[1]


HX = {"RNN": "h", "GRU": "h", "LSTM": "(h, h)"}
REFUSED = [
    "T.nn.LSTM(3, 5, dropout=2)",
    "T.nn.LSTM(3, 5, dropout=True)",
    "T.nn.LSTM(3, 5, dropout='a')",
    "T.nn.LSTM(3.0, 5)",
    "T.nn.LSTM(0, 5)",
    "T.nn.LSTM(3, 5.0)",
    "T.nn.LSTM(3, 0)",
    "T.nn.LSTM(3, 5, 0)",
    "T.nn.LSTM(3, 5, bias=1)",
    "T.nn.LSTM(3, 5, batch_first=1)",
    "T.nn.LSTM(3, 5, proj_size=5)",
    "T.nn.LSTM(3, 5, proj_size=-1)",
    "T.nn.GRU(3, 5, proj_size=2)",
    "T.nn.RNN(3, 5, proj_size=2)",
    "T.nn.RNN(3, 5, nonlinearity='elu')",
    "T.nn.RNNBase('X', 3, 5)",
    *(f"T.nn.{kind}(3, 5)(T.ones(2, 2, 4))" for kind in KINDS),
    *(f"T.nn.{kind}(3, 5)(T.ones(3))" for kind in KINDS),
    *(f"T.nn.{kind}(3, 5)(T.ones(2, 2, 3).double())" for kind in KINDS),
    *(
        f"(lambda h: T.nn.{kind}(3, 5)(T.ones({x}), {HX[kind]}))(T.zeros({h}))"
        for kind in KINDS
        for x, h in (("4, 2, 3", "1, 3, 5"), ("4, 2, 3", "1, 5"), ("4, 3", "1, 1, 5"), ("4, 2, 3", "2, 2, 5"))
    ),
    "T.nn.LSTM(3, 5, proj_size=2)(T.ones(4, 2, 3), (T.zeros(1, 2, 2), T.zeros(1, 2, 2)))",
    "T.nn.GRU(3, 5)(T.ones(0, 2, 3))",
    *(f"T.nn.{kind}(3, 5)(T.ones(2, 2, 3))" for kind in CELLS),
    *(f"T.nn.{kind}(3, 5)(T.ones(2, 4))" for kind in CELLS),
    "T.nn.RNNCell(3, 5)(T.ones(2, 3), T.zeros(2, 4))",
    "T.nn.GRUCell(3, 5)(T.ones(2, 3), T.zeros(3, 5))",
    "T.nn.GRUCell(3, 5)(T.ones(2, 3), T.zeros(1, 2, 5))",
    "T.nn.LSTMCell(3, 5)(T.ones(2, 3), (T.zeros(2, 5), T.zeros(2, 4)))",
    "T.nn.LSTMCell(3, 5)(T.ones(2, 3), (T.zeros(2, 5), T.zeros(1, 2, 5)))",
    "T.nn.RNNCell(3, 5, nonlinearity='elu')(T.ones(2, 3))",
    "T.lstm_cell(T.ones(2, 3), (T.ones(2, 5),), T.ones(20, 3), T.ones(20, 5))",
    "T.gru_cell(T.ones(3), T.ones(5), T.ones(15, 3), T.ones(15, 5))",
    "T.lstm(T.ones(2, 2, 3), [T.ones(1, 2, 5)], [T.ones(20, 3), T.ones(20, 5)], False, 1, 0.0, False, False, False)",
    "T.gru(T.ones(2, 2, 3), T.ones(1, 2, 5), [T.ones(15, 3)], False, 1, 0.0, False, False, False)",
    "T.gru(T.ones(2, 2, 3), T.ones(1, 2, 5), [T.ones(15, 3), T.ones(15, 5)], False, 2, 0.0, False, False, False)",
    "T.gru(T.ones(2, 2, 3), T.ones(1, 2, 5), [T.ones(15, 3), T.ones(15, 5)], False, 1, 0.0, False, True, False)",
    "T.gru(T.ones(2, 2, 4), T.ones(1, 2, 5), [T.ones(15, 3), T.ones(15, 5)], False, 1, 0.0, False, False, False)",
    "T.gru(T.ones(2, 2, 3), T.ones(1, 3, 5), [T.ones(15, 3), T.ones(15, 5)], False, 1, 0.0, False, False, False)",
    "T.gru(T.ones(2, 2, 3).double(), T.ones(1, 2, 5), [T.ones(15, 3), T.ones(15, 5), T.ones(15), T.ones(15)], True, 1, "
    "0.0, False, False, False)",
    "T.gru(T.ones(3, 3), T.tensor([2, 1]).int(), T.ones(1, 2, 5), [T.ones(15, 3), T.ones(15, 5)], False, 1, 0.0, "
    "False, False)",
]


@pytest.mark.parametrize("call", REFUSED)
def test_refused_in_torchs_words(call: str) -> None:
    said = []
    for T in (tm, torch):
        with pytest.raises(Exception) as error:
            eval(call, {"T": T})
        said.append((error.type.__name__, str(error.value).splitlines()[0]))
    assert said[0] == said[1]


def test_what_torch_computes_from_memory_beyond_the_data_is_refused() -> None:
    weights = [tm.ones(15, 3), tm.ones(15, 5)]
    for sizes in ([1, 2], [2, 2], [2]):
        with pytest.raises(RuntimeError, match="batch sizes"):
            tm.gru(tm.ones(3, 3), tm.tensor(sizes), tm.ones(1, sizes[0], 5), weights, False, 1, 0.0, False, False)
    with pytest.raises(TypeError, match="gru\\(\\) takes"):
        tm.gru(tm.ones(3, 3), tm.ones(3))


def test_in_a_function_that_mlx_compiles() -> None:
    """The layer is traced, with its way back."""
    mine, _ = both("LSTM", 3, 5)
    x = normal(1, 6, 2, 3)

    def slope(array: mx.array) -> mx.array:
        given = tm.Tensor(array).requires_grad_()
        mine(given)[0].sum().backward()
        return given.grad.array

    eager = np.array(slope(mx.array(x)))
    mine.zero_grad()
    for p in mine.parameters():
        p.requires_grad_(False)
    np.testing.assert_allclose(np.array(mx.compile(slope)(mx.array(x))), eager, atol=1e-6)
