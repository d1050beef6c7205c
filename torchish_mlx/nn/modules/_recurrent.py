"""``RNNBase``: the Parameters and the forward pass that recurrent layers have in common."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..._inert import note
from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ...ops._autocast import AUTOCAST
from ...ops.creation import empty, zeros
from ...ops.selecting import index_select
from ...ops.shaping import squeeze, unsqueeze
from .. import init
from ..utils.rnn import PackedSequence
from .module import Module

#: How many gates each kind has.
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _check_sizes(
    input_size: Any, hidden_size: Any, num_layers: Any, bias: Any, batch_first: Any, dropout: Any, proj_size: Any
) -> None:
    """Refuse what no layer can be made of, in torch's words and order."""
    number = isinstance(dropout, numbers.Number) and dropout is not True and dropout is not False
    rate: Any = dropout
    if not number or not 0 <= rate <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if rate > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(value, int):
            raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


def begin_uniformly(module: Module, hidden_size: int) -> None:
    """Draw all Parameters of a module from U(-b, b), where b is 1 / sqrt(hidden_size)."""
    bound = 1 / math.sqrt(hidden_size) if hidden_size > 0 else 0
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)


class RNNBase(Module):
    """What ``RNN``, ``LSTM`` and ``GRU`` have in common.

    The Parameters of layer k are ``weight_ih_lk``, ``weight_hh_lk``, with ``bias`` also ``bias_ih_lk`` and
    ``bias_hh_lk``, and with ``proj_size`` also ``weight_hr_lk``; those of the other direction have ``_reverse`` behind
    their names. All begin uniformly in +-1 / sqrt(hidden_size).

    Args:
        mode: ``"RNN_TANH"``, ``"RNN_RELU"``, ``"LSTM"`` or ``"GRU"``.
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size: as ``LSTM`` has them.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: sizes that are not positive, a ``dropout`` that is not from 0 to 1, an unknown mode.
        TypeError: arguments of other types.

    Source: ``torch.nn.RNNBase``.

    >>> import torchish_mlx as torch
    >>> list(torch.nn.RNNBase("GRU", 2, 3).state_dict())
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """

    __constants__: ClassVar = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dropout = float(dropout)
        _check_sizes(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights: list[list[str]] = []
        gates, units = _GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            width = units * (1 + bidirectional) if layer else input_size
            shapes: dict[str, Any] = {"weight_ih": (gates, width), "weight_hh": (gates, units)}
            if bias:
                shapes.update(bias_ih=gates, bias_hh=gates)
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[: 1 + bidirectional]:
                named = {f"{name}_l{layer}{suffix}": shape for name, shape in shapes.items()}
                for name, shape in named.items():
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
                self._all_weights.append(list(named))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all Parameters again."""
        begin_uniformly(self, self.hidden_size)

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Any]:
        """The Parameters in the order in which ``torch.lstm`` takes them."""
        return [getattr(self, name, None) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Any]]:
        """The Parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def _torch_state(self) -> dict[str, Any]:
        """The attributes in a file of torch's, which has all Parameters once more, in a list."""
        names = [name for layer in self._all_weights for name in layer]
        return {
            **self.__dict__,
            "_flat_weights_names": names,
            "_flat_weights": [getattr(self, name) for name in names],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({name: value for name, value in state.items() if not name.startswith("_flat_weight")})

    def flatten_parameters(self) -> None:
        """Nothing: torch lays the Parameters out for cuDNN here, which MLX has not, and does nothing on a CPU either.

        The call has no effect here, and is one of the names that the report of such names lists.
        """
        note("torch.nn.RNNBase.flatten_parameters")

    # Checks -----------------------------------------------------------------------------------------------------------

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Refuse an input of another dtype or size than the layer takes."""
        dtype = self._flat_weights[0].dtype
        if input.dtype != dtype and not AUTOCAST:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). Convert input: "
                f"input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        expected = 3 if batch_sizes is None else 2
        if input.ndim != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.ndim}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )

    def _expected(self, input: Tensor, batch_sizes: Tensor | None, units: int) -> tuple[int, int, int]:
        if batch_sizes is None:
            n = input.shape[0 if self.batch_first else 1]
        else:
            n = int(batch_sizes[0])
        return self.num_layers * (1 + self.bidirectional), n, units

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape that a state has for this input."""
        return self._expected(input, batch_sizes, self.proj_size or self.hidden_size)

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Refuse a state of another shape."""
        if tuple(hx.shape) != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Refuse an input or a state that does not fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The state, with its sequences in another order."""
        return hx if permutation is None else index_select(hx, 1, permutation)

    # Forward ----------------------------------------------------------------------------------------------------------

    def _begin(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        """The state at the beginning, where none is given."""
        shape = self.get_expected_hidden_size(input, batch_sizes)
        return zeros(shape, dtype=input.dtype, device=input.device)

    def _check_dimensions(self, input: Tensor, hx: Any) -> None:
        """Refuse a state with another number of dimensions than the input."""
        if hx.ndim != input.ndim:
            kind = "unbatched 2-D" if input.ndim == 2 else "batched 3-D"
            raise RuntimeError(f"For {kind} input, hx should also be {input.ndim}-D but got {hx.ndim}-D tensor")

    def _each(self, fn: Callable[..., Tensor], hx: Any) -> Any:
        """``fn`` of the state, or of both."""
        return fn(hx)

    def _run(self, run: Callable[..., Sequence[Any]], input: Any, hx: Any) -> tuple[Any, Any]:
        """The output and the last state, by ``run``, a function such as ``torch.gru``."""
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if isinstance(input, PackedSequence):
            data, batch_sizes, order, back = input
            hx = self._begin(data, batch_sizes) if hx is None else self.permute_hidden(hx, order)
            self.check_forward_args(data, hx, batch_sizes)
            output, *last = run(data, batch_sizes, hx, self._flat_weights, *options)
            packed = PackedSequence(output, batch_sizes, order, back)
            return packed, self.permute_hidden(last[0] if len(last) == 1 else tuple(last), back)
        if input.ndim not in (2, 3):
            tensor = " tensor" if self.mode.startswith("RNN") else ""
            raise ValueError(
                f"{self.mode.partition('_')[0]}: Expected input to be 2D or 3D, got {input.ndim}D{tensor} instead"
            )
        single, dim = input.ndim == 2, 0 if self.batch_first else 1
        if hx is not None:
            self._check_dimensions(input, hx)
        if single:
            input = unsqueeze(input, dim)
            hx = None if hx is None else self._each(lambda h: unsqueeze(h, 1), hx)
        hx = self._begin(input, None) if hx is None else hx
        self.check_forward_args(input, hx, None)
        output, *last = run(input, hx, self._flat_weights, *options, self.batch_first)
        after = last[0] if len(last) == 1 else tuple(last)
        return (squeeze(output, dim), self._each(lambda h: squeeze(h, 1), after)) if single else (output, after)

    def extra_repr(self) -> str:
        """The sizes, and what is not as by default."""
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        own = {"proj_size": self.proj_size} if self.proj_size else {}
        own |= {name: getattr(self, name) for name, value in defaults.items() if getattr(self, name) != value}
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *(f"{k}={v}" for k, v in own.items())])
