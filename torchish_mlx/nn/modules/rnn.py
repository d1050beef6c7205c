"""Recurrent layers over sequences, and cells, which make one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ...ops import recurrent as ops
from ...ops.creation import empty, zeros
from ...ops.shaping import squeeze, unsqueeze
from ._recurrent import RNNBase, begin_uniformly
from .module import Module

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_ONLY_LSTM = "proj_size argument is only supported for LSTM, not RNN or GRU"


class RNN(RNNBase):
    """Layers of an Elman network: h_t = f(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh).

    The input has shape (t, n, input_size), (n, t, input_size) with ``batch_first``, or (t, input_size) for a single
    sequence, or it is a ``PackedSequence``. The output is its like with ``hidden_size`` (twice that where it is
    ``bidirectional``) in place of ``input_size``. The second result is the last state of each layer and direction, of
    shape (num_layers * directions, n, hidden_size), as is the state ``hx`` that may be given.

    Args:
        input_size: the number of features of each step, at least 1.
        hidden_size: the number of units, at least 1.
        num_layers: how many layers there are; each takes the output of the one before it.
        nonlinearity: f, ``"tanh"`` or ``"relu"``; by position it is the fourth argument.
        bias: whether there are b_ih and b_hh.
        batch_first: whether the input is (n, t, input_size). States are not affected.
        dropout: the probability, from 0 to 1, with which elements between layers are set to 0 in training.
        bidirectional: whether there is a second direction, which goes through the sequence from its end.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: arguments out of range, ``proj_size``; an input of another dtype.
        TypeError: arguments of other types.
        RuntimeError: when called with sizes that do not fit.

    Source: ``torch.nn.RNN``.

    >>> import torchish_mlx as torch
    >>> output, h = torch.nn.RNN(3, 5, num_layers=2)(torch.ones(7, 4, 3))
    >>> output.shape, h.shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError(_ONLY_LSTM)
        if len(args) > 3:
            nonlinearity, args = args[3], (*args[:3], *args[4:])
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__("RNN_" + nonlinearity.upper(), *args, **kwargs)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """The output of the last layer, and the last state of all; ``hx`` is the first one, zeros by default."""
        return self._run(ops.rnn_relu if self.mode == "RNN_RELU" else ops.rnn_tanh, input, hx)


class GRU(RNNBase):
    """Layers of gated recurrent units.

    r_t, z_t = sigmoid(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), n_t = tanh(W_in x_t + b_in + r_t (W_hn h_(t-1) + b_hn)),
    h_t = (1 - z_t) n_t + z_t h_(t-1). The rows of the weights are those of r, z and n. Shapes are those of ``RNN``.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: as ``RNN`` has them.
        device, dtype: those of the Parameters.

    Raises:
        ValueError, TypeError, RuntimeError: as ``RNN``.

    Source: ``torch.nn.GRU``.

    >>> import torchish_mlx as torch
    >>> output, h = torch.nn.GRU(3, 5, bidirectional=True)(torch.ones(7, 4, 3))
    >>> output.shape, h.shape
    (torch.Size([7, 4, 10]), torch.Size([2, 4, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError(_ONLY_LSTM)
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """The output of the last layer, and the last state of all; ``hx`` is the first one, zeros by default."""
        return self._run(ops.gru, input, hx)


class LSTM(RNNBase):
    """Layers with long short-term memory.

    i_t, f_t, o_t = sigmoid and g_t = tanh of W_ih x_t + b_ih + W_hh h_(t-1) + b_hh, c_t = f_t c_(t-1) + i_t g_t,
    h_t = o_t tanh(c_t), or W_hr times it with ``proj_size``. The rows of the weights are those of i, f, g and o.

    Shapes are those of ``RNN``, with ``proj_size`` in place of ``hidden_size`` where it is given, except for the second
    state: a state is a pair (h, c), and c has ``hidden_size`` units always.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: as ``RNN`` has them.
        proj_size: the size of h, smaller than ``hidden_size``; 0: that of c.
        device, dtype: those of the Parameters.

    Raises:
        ValueError, TypeError, RuntimeError: as ``RNN``.

    Source: ``torch.nn.LSTM``.

    >>> import torchish_mlx as torch
    >>> output, (h, c) = torch.nn.LSTM(3, 5, batch_first=True)(torch.ones(4, 7, 3))
    >>> output.shape, h.shape, c.shape
    (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]), torch.Size([1, 4, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape that the second state has for this input."""
        return self._expected(input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Refuse an input or a state that does not fit."""
        self.check_input(input, batch_sizes)
        expected = self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes)
        for k in (0, 1):
            self.check_hidden_size(hidden[k], expected[k], f"Expected hidden[{k}] size {{}}, got {{}}")

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """Both states, with their sequences in another order."""
        return hx if permutation is None else tuple(super(LSTM, self).permute_hidden(h, permutation) for h in hx)

    def _begin(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        shape = self.get_expected_cell_size(input, batch_sizes)
        return super()._begin(input, batch_sizes), zeros(shape, dtype=input.dtype, device=input.device)

    def _check_dimensions(self, input: Tensor, hx: Any) -> None:
        h, c = hx
        if h.ndim != input.ndim or c.ndim != input.ndim:
            kind = "unbatched 2-D" if input.ndim == 2 else "batched 3-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {input.ndim}-D but got ({h.ndim}-D, {c.ndim}-D) tensors"
            )

    def _each(self, fn: Callable[..., Tensor], hx: Any) -> Any:
        return tuple(fn(h) for h in hx)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """The output of the last layer, and both last states of all; ``hx`` is the first pair, zeros by default."""
        return self._run(ops.lstm, input, hx)


# Cells ----------------------------------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """What ``RNNCell``, ``LSTMCell`` and ``GRUCell`` have in common: weights and biases, which begin as in ``RNNBase``.

    Args:
        input_size: the number of features.
        hidden_size: the number of units.
        bias: whether there are biases.
        num_chunks: how many gates there are.
        device, dtype: those of the Parameters.

    Source: ``torch.nn.RNNCellBase``.

    >>> import torchish_mlx as torch
    >>> torch.nn.RNNCellBase(2, 3, bias=False, num_chunks=4).weight_ih.shape
    torch.Size([12, 2])
    """

    __constants__: ClassVar = ["input_size", "hidden_size", "bias"]
    weight_ih: Any
    weight_hh: Any
    bias_ih: Any
    bias_hh: Any

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all Parameters again."""
        begin_uniformly(self, self.hidden_size)

    def extra_repr(self) -> str:
        """The sizes, and what is not as by default."""
        own = [f"{self.input_size}, {self.hidden_size}"]
        if self.bias is not True:
            own.append(f"bias={self.bias}")
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            own.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(own)

    def _check_dimensions(self, what: str, value: Tensor) -> None:
        if value.ndim not in (1, 2):
            raise ValueError(f"{type(self).__name__}: Expected {what} to be 1D or 2D, got {value.ndim}D instead")

    def _step(self, run: Callable[..., Any], input: Tensor, states: list[Tensor] | None, count: int) -> list[Tensor]:
        """The states after a step; of one sequence without a dimension for it where the input is such."""
        single = input.ndim == 1
        if single:
            input = unsqueeze(input, 0)
        if states is None:
            states = [zeros(input.shape[0], self.hidden_size, dtype=input.dtype, device=input.device)] * count
        elif single:
            states = [unsqueeze(s, 0) for s in states]
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        after = run(input, states if count == 2 else states[0], *weights)
        found = list(after) if count == 2 else [after]
        return [squeeze(s, 0) for s in found] if single else found


class _OneState(RNNCellBase):
    """A cell with a single state."""

    def _run(self, run: Callable[..., Any], input: Tensor, hx: Tensor | None) -> Tensor:
        self._check_dimensions("input", input)
        if hx is not None:
            self._check_dimensions("hidden", hx)
        return self._step(run, input, None if hx is None else [hx], 1)[0]


class RNNCell(_OneState):
    """One step of an Elman network: h' = f(W_ih x + b_ih + W_hh h + b_hh).

    The input has shape (n, input_size) or (input_size,), the state and the result (n, hidden_size) or (hidden_size,).

    Args:
        input_size: the number of features.
        hidden_size: the number of units.
        bias: whether there are b_ih and b_hh.
        nonlinearity: f, ``"tanh"`` or ``"relu"``.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: when called with another number of dimensions.
        RuntimeError: when called with sizes that do not fit, or with another ``nonlinearity``.

    Source: ``torch.nn.RNNCell``.

    >>> import torchish_mlx as torch
    >>> torch.nn.RNNCell(3, 5)(torch.ones(4, 3)).shape
    torch.Size([4, 5])
    """

    __constants__: ClassVar = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=1, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The new state; ``hx`` is the old one, zeros by default."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._run(ops.rnn_tanh_cell if self.nonlinearity == "tanh" else ops.rnn_relu_cell, input, hx)


class GRUCell(_OneState):
    """One step of a ``GRU``. Shapes are those of ``RNNCell``.

    Args:
        input_size: the number of features.
        hidden_size: the number of units.
        bias: whether there are b_ih and b_hh.
        device, dtype: those of the Parameters.

    Raises:
        ValueError, RuntimeError: as ``RNNCell``.

    Source: ``torch.nn.GRUCell``.

    >>> import torchish_mlx as torch
    >>> torch.nn.GRUCell(3, 5)(torch.ones(3), torch.zeros(5)).shape
    torch.Size([5])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=3, device=device, dtype=dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The new state; ``hx`` is the old one, zeros by default."""
        return self._run(ops.gru_cell, input, hx)


class LSTMCell(RNNCellBase):
    """One step of an ``LSTM``: a pair of states (h, c). Shapes are those of ``RNNCell``.

    Args:
        input_size: the number of features.
        hidden_size: the number of units.
        bias: whether there are b_ih and b_hh.
        device, dtype: those of the Parameters.

    Raises:
        ValueError, RuntimeError: as ``RNNCell``.

    Source: ``torch.nn.LSTMCell``.

    >>> import torchish_mlx as torch
    >>> h, c = torch.nn.LSTMCell(3, 5)(torch.ones(4, 3))
    >>> h.shape, c.shape
    (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=4, device=device, dtype=dtype)

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Tensor]:
        """Both new states; ``hx`` are the old ones, zeros by default."""
        self._check_dimensions("input", input)
        for k, state in enumerate(hx or ()):
            self._check_dimensions(f"hx[{k}]", state)
        h, c = self._step(ops.lstm_cell, input, None if hx is None else list(hx), 2)
        return h, c
