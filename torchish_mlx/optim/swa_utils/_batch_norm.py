"""``update_bn``: BatchNorm's running statistics for averaged weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..._core.device import check_placement
from ..._tensor.modes import no_grad
from ..._tensor.tensor import Tensor
from ...nn.modules.batchnorm import _BatchNorm
from ...nn.modules.module import Module as TorchModule


def update_bn(loader: Iterable[Any], model: nn.Module | TorchModule, device: Any = None) -> None:
    """Set the running statistics of every BatchNorm to their average over the batches of ``loader``.

    Averaged weights have seen no data, so the statistics that came with them belong to other weights. Every call of a
    layer counts the same: its mean, and its variance with ``n - 1``, as MLX and torch keep it. Without BatchNorm in
    the model ``loader`` is not read.

    Args:
        loader (iterable): batches: an array or Tensor, or a list or tuple that begins with it.
        model: a model of ``mlx.nn``, or of the modules of this package. It is called with each batch in training mode,
            and its mode is set back at the end.
        device (optional): one that this machine has, or None. There is only one memory, so nothing is moved.

    If something raises, the momenta, the mode and the statistics are as they were.

    Example:
        >>> import mlx.core as mx, mlx.nn as nn
        >>> model = nn.BatchNorm(1)
        >>> update_bn([mx.array([[0.0], [2.0]]), mx.array([[4.0], [8.0]])], model)
        >>> model.running_mean, model.running_var
        (array([3.5], dtype=float32), array([5], dtype=float32))

    Source: ``torch.optim.swa_utils.update_bn``.
    """
    check_placement(device)
    if isinstance(model, TorchModule):
        _update_modules(loader, model, device)
        return
    norms = list({id(m): m for m in model.modules() if isinstance(m, nn.BatchNorm)}.values())
    if not norms:
        return
    was_training = model.training
    with _cumulative(norms), no_grad():
        model.train()
        try:
            for batch in loader:
                first = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(first.array if isinstance(first, Tensor) else first)
                mx.async_eval(model.state, mx.random.state)  # all that a forward pass may have written
        finally:
            model.train(was_training)


def _update_modules(loader: Iterable[Any], model: TorchModule, device: Any) -> None:
    """:func:`update_bn` of a model of this package's modules: with ``momentum=None`` a BatchNorm takes the mean."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    before, was_training = [norm.momentum for norm in norms], model.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    try:
        with no_grad():
            for batch in loader:
                first = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(first if device is None else first.to(device))
    except BaseException:
        model.load_state_dict(kept)
        raise
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
        model.train(was_training)


@contextmanager
def _cumulative(norms: list[nn.BatchNorm]) -> Iterator[None]:
    """Reset BatchNorm layers, and average over their calls; one may be called twice for a batch, or never."""
    before = [(norm, type(norm), norm.momentum) for norm in norms]
    statistics = [(norm, norm.running_mean, norm.running_var) for norm in norms if norm.track_running_stats]
    try:
        for norm, mean, var in statistics:
            norm.running_mean, norm.running_var = mx.zeros_like(mean), mx.ones_like(var)
        for norm in norms:
            norm.__class__ = _counting(type(norm))
        yield
    except BaseException:
        for norm, mean, var in statistics:
            norm.running_mean, norm.running_var = mean, var
        raise
    finally:
        for norm, kind, momentum in before:
            norm.__class__, norm.momentum = kind, momentum


def _counting(kind: type[nn.BatchNorm]) -> type[nn.BatchNorm]:
    """``kind`` with ``momentum`` 1 at the first call that trains, then 1/2, 1/3, ...; MLX has no ``momentum=None``."""
    calls = 0

    def call(self: nn.BatchNorm, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        if self.training:
            calls += 1
            self.momentum = 1 / calls
        return kind.__call__(self, *args, **kwargs)

    return type(kind.__name__, (kind,), {"__call__": call})
