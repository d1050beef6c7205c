"""``AveragedModel``: a copy of a model that holds the average of its weights."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar

import mlx.core as mx
import mlx.nn as nn

from ..._core.alone import Alone
from ..._core.device import check_placement
from ..._core.evaluation import schedule
from ..._core.promotion import INEXACT
from ..._core.trace import value
from ..._docs import see
from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ...bridge._copies import copied, rebuilt
from ...bridge.module_state import _IncompatibleKeys, load_state_dict, state_dict
from ...bridge.parameters import named
from ...nn.modules.module import Module
from ._averaged_module import AveragedModule
from ._averages import AvgFn, MultiAvgFn, get_swa_avg_fn


class _OfEither(type):
    """The class of ``AveragedModel``: a model of this package's ``nn.Module`` gets one that is such a module itself."""

    def __call__(cls, model: Any = None, *args: Any, **kwargs: Any) -> Any:
        if cls is AveragedModel and isinstance(model, Module):
            return AveragedModule(model, *args, **kwargs)
        return super().__call__(model, *args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return super().__instancecheck__(instance) or (cls is AveragedModel and isinstance(instance, AveragedModule))


class AveragedModel(nn.Module, metaclass=_OfEither):
    """A copy of a model that holds the average of its weights.

    The first ``update_parameters(model)`` copies. Each further one averages: ``average + (weight - average) / (n + 1)``
    (SWA), unless ``avg_fn`` or ``multi_avg_fn`` says otherwise. Parameters that hold integers (of quantized layers) are
    no numbers to average, and are copied.

    It works inside ``mx.compile`` as well, with ``model.state`` and ``ema.state`` among the captured inputs and
    outputs. One trace serves all updates, so there the function is also called at the first one, whose result is not
    used.

    Args:
        model: what to average, an ``mlx.nn.Module`` or an ``nn.Module`` of this package; it is copied, and the averaged
            model is a module of the same of the two.
        device (optional): one that this machine has, or None. There is only one memory, so nothing is moved.
        avg_fn (callable, optional): ``(average, weight, n) -> new average``, for each parameter, of Tensors; ``n``,
            how many are averaged already, is a Tensor without dimensions. Frozen parameters are averaged too.
        multi_avg_fn (callable, optional): ``(averages, weights, n)``, for lists of Tensors of one dtype, in place.
        use_buffers (bool): average BatchNorm's running statistics too; otherwise they are copied at each update.

    Attributes:
        module: the averaged model.
        n_averaged: how many models are averaged, an integer array; a buffer, which is saved and never trained.

    Raises:
        AssertionError: both ``avg_fn`` and ``multi_avg_fn``.
        TypeError: ``model`` is neither.

    Example:
        >>> import mlx.core as mx, mlx.nn as nn
        >>> from torchish_mlx.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
        >>> model = nn.Linear(2, 1)
        >>> ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        >>> for value in (1.0, 2.0):
        ...     model.weight = mx.full((1, 2), value)
        ...     ema.update_parameters(model)
        >>> ema.module.weight, ema.n_averaged.item()
        (array([[1.1, 1.1]], dtype=float32), 2)
        >>> list(ema.state_dict())
        ['n_averaged', 'module.weight', 'module.bias']

    Source: ``torch.optim.swa_utils.AveragedModel``; "Averaging Weights Leads to Wider Optima and Better
    Generalization", Izmailov et al., arXiv:1803.05407.
    """

    _torchish_buffers: ClassVar[tuple[str, ...]] = ("n_averaged",)

    def __init__(
        self,
        model: nn.Module,
        device: Any = None,
        avg_fn: AvgFn | None = None,
        multi_avg_fn: MultiAvgFn | None = None,
        use_buffers: bool = False,
    ) -> None:
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        if not isinstance(model, nn.Module):
            raise TypeError(f"AveragedModel() takes an mlx.nn.Module, not {type(model).__name__}")
        check_placement(device)
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_averaged = mx.array(0, mx.int64)
        self.module = copied(model)
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers
        schedule(self.state)

    @property
    def _no_grad(self) -> set[str]:
        """MLX's set of frozen names; a model's ``unfreeze()`` clears its submodules' sets past their methods."""
        frozen: set[str] = self.__dict__["_no_grad"]
        frozen.update(self._torchish_buffers)
        return frozen

    @_no_grad.setter
    def _no_grad(self, names: set[str]) -> None:
        own: dict[str, Any] = vars(self)
        own["_no_grad"] = names

    def __deepcopy__(self, memo: dict[int, Any]) -> AveragedModel:
        new: AveragedModel = rebuilt(self, memo)  # Python's own way fails on most models of MLX
        return new

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the averaged model."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights of ``model`` into the average.

        Parameters are matched by name, or by order where the names differ (a wrapped model). What it computes is
        evaluated, without waiting for it, so that a loop that never calls ``mx.eval`` does not grow.

        Raises:
            ValueError: ``model`` has other parameters, or of other shapes; nothing is changed.
            RuntimeError: it is traced by ``mx.compile`` without ``ema.state`` among the captured inputs.
        """
        pairs = _paired(self.module, model)
        with Alone("update_parameters()", self, lambda: [place for pair in pairs for place in pair]):
            self._update(pairs)

    def _update(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        held = [place.array for place, _ in pairs]
        # in array objects of their own: MLX changes the model's in place in `model.weight += 1`
        given = [mx.array(other.array) for _, other in pairs]
        new = [mx.array(array, old.dtype) for array, old in zip(given, held, strict=True)]
        count = _number(self.n_averaged)
        if count != 0:
            chosen = [i for i, (place, _) in enumerate(pairs) if self._averages(place)]
            number = mx.array(self.n_averaged)
            averages = self._average([held[i] for i in chosen], [given[i] for i in chosen], number)
            for i, average in zip(chosen, averages, strict=True):
                # a trace serves every count
                new[i] = average if count else mx.where(self.n_averaged == 0, new[i], average)
        if count is not None and not schedule(new):
            raise RuntimeError(
                "update_parameters() is traced, and the averaged model is not: give its state (ema.state) to "
                "mx.compile in inputs= and outputs=, next to model.state" + see("an-averaged-model-in-a-compiled-step")
            )
        for (place, _), array in zip(pairs, new, strict=True):
            place.array = array
        # an array made of a Python number needs no evaluation: reading it in the next call waits for nothing
        self.n_averaged = self.n_averaged + 1 if count is None else mx.array(count + 1, mx.int64)

    def _averages(self, place: Tensor) -> bool:
        return place.dtype in INEXACT if isinstance(place, Parameter) else self.use_buffers

    def _average(self, held: list[mx.array], given: list[mx.array], number: mx.array) -> list[mx.array]:
        """The new averages, in the shapes and dtypes of the old ones."""
        averages, weights, n = [Tensor(a) for a in held], [Tensor(a) for a in given], Tensor(number)
        if self.multi_avg_fn is None:
            avg_fn = get_swa_avg_fn() if self.avg_fn is None else self.avg_fn
            for average, weight in zip(averages, weights, strict=True):
                result = avg_fn(average, weight, n)
                if isinstance(result, mx.array):
                    result = Tensor(result)
                elif not isinstance(result, (Tensor, int, float)):
                    kind = type(result).__name__
                    raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {kind}")
                average.copy_(result)
        else:
            groups: dict[mx.Dtype, list[int]] = {}
            for i, average in enumerate(averages):
                groups.setdefault(average.array.dtype, []).append(i)
            for members in groups.values():
                self.multi_avg_fn([averages[i] for i in members], [weights[i] for i in members], n)
        for average, old in zip(averages, held, strict=True):
            if (average.array.shape, average.array.dtype) != (old.shape, old.dtype):
                raise ValueError(
                    f"multi_avg_fn made a {average.array.dtype} tensor of shape {tuple(average.shape)} of an average "
                    f"of {old.dtype} and shape {tuple(old.shape)}: it may change its values only"
                )
        return [average.array for average in averages]

    def state_dict(self) -> OrderedDict[str, Tensor]:
        """``n_averaged`` and the averaged model's arrays by name, as Tensors that follow the model, as torch's do."""
        return state_dict(self)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, layout: str | None = None
    ) -> _IncompatibleKeys:
        """Take the values of ``state_dict`` (Tensors, or arrays of MLX, NumPy or torch), in the dtypes that are here.

        Args:
            state_dict (Mapping): what :meth:`state_dict` gives.
            strict (bool): refuse names that are missing or too many; otherwise they are passed over, and returned.
            layout (str): how it has the weights of convolutions, "mlx" or "torch", where that can't be told.

        Raises:
            RuntimeError: names or shapes do not fit; nothing is changed.
            TypeError: ``state_dict`` is no mapping.
            ValueError: ``layout`` is none of these.
        """
        return load_state_dict(self, state_dict, strict, layout)


def _paired(averaged: nn.Module, model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """(place in the averaged model, the same in ``model``): parameters, and then buffers."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"update_parameters() takes an mlx.nn.Module, not {type(model).__name__}")
    mine, theirs = dict(_ordered(averaged)), dict(_ordered(model))
    pairs = list(zip(mine, mine if mine.keys() == theirs.keys() else theirs, strict=False))
    wrong = [
        f"{a} of shape {tuple(mine[a].shape)} would take {b} of shape {tuple(theirs[b].shape)}"
        for a, b in pairs
        if mine[a].shape != theirs[b].shape or isinstance(mine[a], Parameter) != isinstance(theirs[b], Parameter)
    ]
    if len(mine) != len(theirs):
        lacking, more = [k for k in mine if k not in theirs], [k for k in theirs if k not in mine]
        wrong = [f"it {verb} {names}" for verb, names in (("lacks", lacking), ("has", more)) if names]
    if wrong:
        raise ValueError(f"the model given is not like the averaged one: {'; '.join(wrong)}. Nothing was averaged.")
    return [(mine[a], theirs[b]) for a, b in pairs]


def _ordered(module: nn.Module) -> list[tuple[str, Tensor]]:
    return sorted(named(module), key=lambda entry: not isinstance(entry[1], Parameter))


def _number(array: mx.array) -> int | None:
    """The number in ``array``; None while it is traced, when there is no number yet."""
    return None if (number := value(array)) is None else int(number)


# What ``inspect`` shows: the class is called through its own class, which takes anything.
_class: Any = AveragedModel
_class.__signature__ = inspect.signature(AveragedModel.__init__).replace(
    parameters=list(inspect.signature(AveragedModel.__init__).parameters.values())[1:]
)
