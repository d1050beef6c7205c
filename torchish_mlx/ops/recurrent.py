"""Recurrent layers: those of tanh or ReLU, LSTM and GRU, over sequences, packed sequences, and by a single step.

Each layer is one recorded op in each direction: the loop over the steps and the way back through it, in
``_recurrence.py``, are of arrays. A derivative of the derivative is MLX's, of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.promotion import FLOATS, NAMES
from .._tensor.tensor import Tensor
from . import _recurrence as walks
from ._declare import composed, op
from ._op import Matched
from .dropout import dropout as dropped
from .joining import cat, stack
from .parts import unbind
from .shaping import transpose

Sizes = tuple[int, ...]


class Walked(NamedTuple):
    """What a layer of one state returns: the output of each step, and the state after the last one."""

    output: Tensor
    h: Tensor


class WalkedCells(NamedTuple):
    """What a layer of an LSTM returns: the output of each step, and both states after the last one."""

    output: Tensor
    h: Tensor
    c: Tensor


def _shaped(input: mx.array, rows: mx.array) -> Any:
    """The rows of all steps in the form of the input: (steps, sequences, n), or as they are."""
    return rows if input.ndim == 2 else mx.reshape(rows, (*input.shape[:-1], rows.shape[-1]))


def _fitted(input: mx.array, biases: Sequence[Any], found: Sequence[Any]) -> tuple[Any, ...]:
    """Gradients in the order of an op's arguments: that of the input in its shape, those of biases where they are."""
    back, *states, w_ih, w_hh, b_ih, b_hh = found
    given = [None if bias is None else each for bias, each in zip(biases, (b_ih, b_hh), strict=True)]
    return (mx.reshape(back, input.shape), *states, w_ih, w_hh, *given)


def _simple_gradients(
    g: Any, input: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, relu: Any, sizes: Any, reverse: Any, kept: Any
) -> Any:
    found = walks.simple_back(g, walks.flat(input), w_ih, w_hh, relu, sizes, reverse, kept)
    return _fitted(input, (b_ih, b_hh), found)


@op(
    grad={"input, h, w_ih, w_hh, b_ih, b_hh": _simple_gradients},
    promote="same",
    residuals=("kept",),
    name="rnn.layer",
    function=False,
    method=False,
)
def _simple(
    input: Matched,
    h: Matched,
    w_ih: Matched,
    w_hh: Matched,
    b_ih: Matched | None,
    b_hh: Matched | None,
    relu: bool,
    sizes: tuple[int, ...],
    reverse: bool,
) -> Walked:
    rows, states, kept = walks.simple(walks.flat(input), h, w_ih, w_hh, b_ih, b_hh, relu, sizes, reverse)
    return Walked(_shaped(input, rows), *states), kept  # type: ignore[arg-type, return-value]


def _gru_gradients(
    g: Any, input: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, sizes: Any, reverse: Any, kept: Any
) -> Any:
    found = walks.gru_back(g, walks.flat(input), w_ih, w_hh, sizes, reverse, kept)
    return _fitted(input, (b_ih, b_hh), found)


@op(
    grad={"input, h, w_ih, w_hh, b_ih, b_hh": _gru_gradients},
    promote="same",
    residuals=("kept",),
    name="gru.layer",
    function=False,
    method=False,
)
def _gru(
    input: Matched,
    h: Matched,
    w_ih: Matched,
    w_hh: Matched,
    b_ih: Matched | None,
    b_hh: Matched | None,
    sizes: tuple[int, ...],
    reverse: bool,
) -> Walked:
    rows, states, kept = walks.gru(walks.flat(input), h, w_ih, w_hh, b_ih, b_hh, sizes, reverse)
    return Walked(_shaped(input, rows), *states), kept  # type: ignore[arg-type, return-value]


def _lstm_gradients(
    g: Any, input: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any, sizes: Any, reverse: Any, kept: Any
) -> Any:
    *found, projection = walks.lstm_back(g, walks.flat(input), w_ih, w_hh, w_hr, sizes, reverse, kept)
    return (*_fitted(input, (b_ih, b_hh), found), projection)


@op(
    grad={"input, h, c, w_ih, w_hh, b_ih, b_hh, w_hr": _lstm_gradients},
    promote="same",
    residuals=("kept",),
    name="lstm.layer",
    function=False,
    method=False,
)
def _lstm(
    input: Matched,
    h: Matched,
    c: Matched,
    w_ih: Matched,
    w_hh: Matched,
    b_ih: Matched | None,
    b_hh: Matched | None,
    w_hr: Matched | None,
    sizes: tuple[int, ...],
    reverse: bool,
) -> WalkedCells:
    rows, states, kept = walks.lstm(walks.flat(input), h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse)
    return WalkedCells(_shaped(input, rows), *states), kept  # type: ignore[arg-type, return-value]


# Layers over layers ---------------------------------------------------------------------------------------------------

Layer = Callable[[Tensor, list[Tensor], list[Any], Sizes, bool], Any]


def _of_simple(relu: bool) -> Layer:
    return lambda input, s, w, sizes, reverse: _simple(input, s[0], *w[:4], relu, sizes, reverse)


def _of_gru(input: Tensor, s: list[Tensor], w: list[Any], sizes: Sizes, reverse: bool) -> Any:
    return _gru(input, s[0], *w[:4], sizes, reverse)


def _of_lstm(input: Tensor, s: list[Tensor], w: list[Any], sizes: Sizes, reverse: bool) -> Any:
    return _lstm(input, *s, *w, sizes, reverse)


def _weights(params: Sequence[Tensor], biases: bool, projected: bool) -> list[list[Any]]:
    """The parameters of each layer and direction: (w_ih, w_hh, b_ih, b_hh, w_hr), with None for what is not there."""
    each = (4 if biases else 2) + projected
    if len(params) % each:
        raise RuntimeError("got an incorrect number of RNN parameters")
    found = []
    for at in range(0, len(params), each):
        own = list(params[at : at + each])
        found.append([*own[:2], *(own[2:4] if biases else (None, None)), own[-1] if projected else None])
    return found


def _check_layer(input: Tensor, states: Sequence[Tensor], weights: Sequence[Any], rows: int) -> None:
    """Refuse what does not fit, in torch's words."""
    w_ih, w_hh = weights[:2]
    if input.dtype not in FLOATS:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {NAMES[input.array.dtype]}")
    for x, w in ((input, w_ih), (states[0], w_hh)):
        if x.dtype != w.dtype:
            raise RuntimeError(
                f"mat1 and mat2 must have the same dtype, but got {NAMES[x.array.dtype]} and {NAMES[w.array.dtype]}"
            )
        if x.shape[-1] != w.shape[1]:
            total = x.array.size // max(x.shape[-1], 1)
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({total}x{x.shape[-1]} and {w.shape[1]}x{w.shape[0]})"
            )
    for state in states:
        if state.shape[0] != rows:
            raise RuntimeError(
                f"The size of tensor a ({state.shape[0]}) must match the size of tensor b ({rows}) at non-singleton "
                "dimension 0"
            )


def _stacked(
    layer: Layer,
    input: Tensor,
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    biases: bool,
    num_layers: int,
    p: float,
    train: bool,
    bidirectional: bool,
    sizes: Sizes,
) -> tuple[Any, ...]:
    """The output of the last layer, and the states of all: those of one kind as one Tensor."""
    weights = _weights(params, biases, len(states) == 2 and states[0].shape[-1] != states[1].shape[-1])
    directions = 2 if bidirectional else 1
    first = [unbind(s, 0) for s in states]
    if len(weights) % directions or any(len(s) % directions for s in first):
        raise RuntimeError("Odd number of params or hiddens given to a bidirectional RNN")
    if any(len(s) != num_layers * directions for s in first):
        raise RuntimeError("Expected more hidden states in stacked_rnn")
    if len(weights) != num_layers * directions:
        raise RuntimeError("Expected more weights in stacked_rnn")
    last: list[Any] = []
    for depth in range(num_layers):
        outputs = []
        for reverse in (False, True)[:directions]:
            at = depth * directions + reverse
            own = [s[at] for s in first]
            _check_layer(input, own, weights[at], sizes[0])
            output, *after = layer(input, own, weights[at], sizes, reverse)
            outputs.append(output)
            last.append(after)
        input = outputs[0] if directions == 1 else cat(outputs, -1)
        if p and train and depth < num_layers - 1:
            input = dropped(input, p, True)
    return (input, *[stack(list(each)) for each in zip(*last, strict=True)])


def _packed_sizes(name: str, data: Tensor, batch_sizes: Tensor) -> Sizes:
    if batch_sizes.dtype != mx.int64:
        raise RuntimeError(f"expected scalar type Long but found {NAMES[batch_sizes.array.dtype]}")
    sizes = tuple(batch_sizes.tolist())
    if not sizes:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    if any(n < m for n, m in pairwise(sizes)) or sizes[-1] < 0:
        raise RuntimeError(
            f"{name}(): the batch sizes of a packed sequence never grow from one step to the next, but they are "
            f"{list(sizes)}"
        )
    rows = data.shape[0]
    if sum(sizes) != rows:
        raise RuntimeError(
            f"{name}(): the batch sizes of a packed sequence add up to the number of rows of its data, which is "
            f"{rows}, but their sum is {sum(sizes)}"
        )
    return sizes


_DENSE = ["input", "hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional", "batch_first"]
_PACKED = ["data", "batch_sizes", "hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional"]


def _bound(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by torch's names, of either of its two forms, which both have nine."""
    packed = "batch_sizes" in kwargs or "data" in kwargs
    packed = packed or (len(args) > 2 and isinstance(args[1], Tensor) and not isinstance(args[2], (list, tuple)))
    packed = packed or (len(args) > 3 and isinstance(args[3], (list, tuple)))
    names = _PACKED if packed else _DENSE
    given = dict(zip(names, args, strict=False))
    wrong = [k for k in kwargs if k in given or k not in names]
    missing = [k for k in names if k not in given and k not in kwargs]
    if len(args) > len(names) or wrong or missing:
        raise TypeError(
            f"{name}() takes ({', '.join(_DENSE)}), or ({', '.join(_PACKED)}) of a packed sequence, but "
            + (f"got no {missing[0]!r}" if missing and not wrong else f"got {wrong[0] if wrong else 'more'!r}")
        )
    return {**given, **kwargs}


def _run(name: str, layer: Layer, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    given = _bound(name, args, kwargs)
    hx = given["hx"]
    states = [hx] if isinstance(hx, Tensor) else list(hx)
    if name == "lstm" and len(states) != 2:
        raise RuntimeError("lstm expects two hidden states")
    names = {"params": "params", "has_biases": "biases", "num_layers": "num_layers", "dropout": "p", "train": "train"}
    shared: Any = {to: given[k] for k, to in {**names, "bidirectional": "bidirectional"}.items()}
    if "data" in given:
        data = given["data"]
        return _stacked(layer, data, states, sizes=_packed_sizes(name, data, given["batch_sizes"]), **shared)
    input = given["input"]
    if input.ndim != 3:
        raise RuntimeError(f"{name}(): input is (steps, sequences, features), but it has {input.ndim} dimensions")
    if given["batch_first"]:
        input = transpose(input, 0, 1)
    if not input.shape[0]:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    found = _stacked(layer, input, states, sizes=(input.shape[1],) * input.shape[0], **shared)
    return (transpose(found[0], 0, 1), *found[1:]) if given["batch_first"] else found


@composed(method=False, shape="(t, n, i) gives (t, n, d h) and (l d, n, h) for d directions and l layers")
def rnn_tanh(*args: Any, **kwargs: Any) -> Any:
    """The output and the last state of layers h' = tanh(W_ih x + b_ih + W_hh h + b_hh), one over the other.

    It takes (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), or (data,
    batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional) of a packed sequence, as ``nn.RNN``
    calls it.

    Raises:
        RuntimeError: sizes, dtypes or numbers of parameters that do not fit.
        TypeError: other arguments.

    >>> import torchish_mlx as torch
    >>> one = torch.ones(1, 1)
    >>> output, h = torch.rnn_tanh(torch.ones(2, 1, 1), torch.zeros(1, 1, 1), [one, one], False, 1, 0.0, False, False,
    ...                            False)
    >>> output.squeeze()
    tensor([0.7616, 0.9427])
    """
    return _run("rnn_tanh", _of_simple(False), args, kwargs)


@composed(method=False, shape="(t, n, i) gives (t, n, d h) and (l d, n, h) for d directions and l layers")
def rnn_relu(*args: Any, **kwargs: Any) -> Any:
    """The output and the last state of layers h' = relu(W_ih x + b_ih + W_hh h + b_hh), one over the other.

    Arguments and errors are those of ``rnn_tanh``.

    >>> import torchish_mlx as torch
    >>> one = torch.ones(1, 1)
    >>> output, h = torch.rnn_relu(torch.ones(2, 1, 1), torch.zeros(1, 1, 1), [one, one], False, 1, 0.0, False, False,
    ...                            False)
    >>> output.squeeze()
    tensor([1., 2.])
    """
    return _run("rnn_relu", _of_simple(True), args, kwargs)


@composed(method=False, shape="(t, n, i) gives (t, n, d h) and (l d, n, h) for d directions and l layers")
def gru(*args: Any, **kwargs: Any) -> Any:
    """The output and the last state of layers of gated recurrent units, one over the other.

    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh), n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h.
    Arguments and errors are those of ``rnn_tanh``.

    >>> import torchish_mlx as torch
    >>> weights = [torch.ones(3, 1), torch.ones(3, 1)]
    >>> output, h = torch.gru(torch.ones(2, 1, 1), torch.zeros(1, 1, 1), weights, False, 1, 0.0, False, False, False)
    >>> output.squeeze()
    tensor([0.2048, 0.3468])
    """
    return _run("gru", _of_gru, args, kwargs)


@composed(method=False, shape="(t, n, i) gives (t, n, d h), (l d, n, h) and the same for d directions and l layers")
def lstm(*args: Any, **kwargs: Any) -> Any:
    """The output and both last states of layers with long short-term memory, one over the other.

    i, f, o = sigmoid and g = tanh of W_ih x + b_ih + W_hh h + b_hh, c' = f c + i g, h' = o tanh(c'), or W_hr times it.
    ``hx`` is a pair of states. Arguments and errors are those of ``rnn_tanh``.

    >>> import torchish_mlx as torch
    >>> weights, zero = [torch.ones(4, 1), torch.ones(4, 1)], torch.zeros(1, 1, 1)
    >>> output, h, c = torch.lstm(torch.ones(2, 1, 1), [zero, zero], weights, False, 1, 0.0, False, False, False)
    >>> output.squeeze()
    tensor([0.3696, 0.6505])
    """
    return _run("lstm", _of_lstm, args, kwargs)


# Single steps ---------------------------------------------------------------------------------------------------------


def _check_cell(input: Tensor, states: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor) -> Sizes:
    for x in (input, *states):
        if x.ndim < 2:
            n = max(x.ndim, 1)
            raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got 1)")
    if input.shape[1] != w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {w_ih.shape[1]}")
    for k, state in enumerate(states):
        if state.shape[0] != input.shape[0]:
            raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden{k} batch size {state.shape[0]}")
        if state.shape[1] != w_hh.shape[1]:
            raise RuntimeError(
                f"hidden{k} has inconsistent hidden_size: got {state.shape[1]}, expected {w_hh.shape[1]}"
            )
    if input.ndim != 2 or any(s.ndim != 2 for s in states):
        raise RuntimeError("a cell takes (sequences, features) as its input and (sequences, units) as its states")
    _check_layer(input, states, (w_ih, w_hh), input.shape[0])
    return (input.shape[0],)


@composed(method=False, shape="(n, i) and (n, h) give (n, h)")
def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """tanh(W_ih x + b_ih + W_hh h + b_hh).

    Raises:
        RuntimeError: sizes or dtypes that do not fit.
        IndexError: fewer than two dimensions.

    >>> import torchish_mlx as torch
    >>> one = torch.ones(1, 1)
    >>> torch.rnn_tanh_cell(one, one, one, one)
    tensor([[0.9640]])
    """
    made: Tensor = _simple(input, hx, w_ih, w_hh, b_ih, b_hh, False, _check_cell(input, [hx], w_ih, w_hh), False).h
    return made


@composed(method=False, shape="(n, i) and (n, h) give (n, h)")
def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """relu(W_ih x + b_ih + W_hh h + b_hh). Errors as ``rnn_tanh_cell``.

    >>> import torchish_mlx as torch
    >>> one = torch.ones(1, 1)
    >>> torch.rnn_relu_cell(one, one, one, one)
    tensor([[2.]])
    """
    made: Tensor = _simple(input, hx, w_ih, w_hh, b_ih, b_hh, True, _check_cell(input, [hx], w_ih, w_hh), False).h
    return made


@composed(method=False, shape="(n, i) and (n, h) give (n, h)")
def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of ``gru``. Errors as ``rnn_tanh_cell``.

    >>> import torchish_mlx as torch
    >>> one, weight = torch.ones(1, 1), torch.ones(3, 1)
    >>> torch.gru_cell(one, one, weight, weight)
    tensor([[0.9946]])
    """
    made: Tensor = _gru(input, hx, w_ih, w_hh, b_ih, b_hh, _check_cell(input, [hx], w_ih, w_hh), False).h
    return made


@composed(method=False, shape="(n, i) and two of (n, h) give two of (n, h)")
def lstm_cell(
    input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Any:
    """One step of ``lstm``: both new states. Errors as ``rnn_tanh_cell``.

    >>> import torchish_mlx as torch
    >>> one, weight = torch.ones(1, 1), torch.ones(4, 1)
    >>> torch.lstm_cell(one, (one, one), weight, weight)
    (tensor([[0.8271]]), tensor([[1.7299]]))
    """
    if len(hx) != 2:
        raise RuntimeError("lstm_cell expects two hidden states")
    sizes = _check_cell(input, hx, w_ih, w_hh)
    _, h, c = _lstm(input, *hx, w_ih, w_hh, b_ih, b_hh, None, sizes, False)
    return h, c
