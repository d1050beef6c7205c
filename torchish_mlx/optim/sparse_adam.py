"""SparseAdam with torch's signature; the formula is in ``torchish_mlx.optimizers``."""

from __future__ import annotations

from typing import Any

from .. import optimizers as rules
from .._tensor.tensor import Tensor
from ._mixups import refuse_params
from .optimizer import Optimizer, ParamsT

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Lazy Adam for gradients of rows.

    The formula, the ranges of the arguments and the state: :class:`torchish_mlx.optimizers.SparseAdam`.

    Args:
        params: Parameters, (name, Parameter) pairs, an ``mlx.nn.Module``, or dicts of groups.
        lr (float, 1-element tensor or schedule): step length; a tensor may be changed in place, a schedule follows the
            steps (:class:`~torchish_mlx.optim.Optimizer`).
        betas, eps: as in the rule.
        maximize: as in :class:`~torchish_mlx.optim.Optimizer`.

    Raises:
        ValueError, TypeError, RuntimeError: in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim, sparse_coo_tensor
        >>> p = Parameter(mx.array([[1.0], [1.0]]))
        >>> optimizer = optim.SparseAdam([p], lr=0.5)
        >>> p.grad = sparse_coo_tensor([[0]], [[1.0]], (2, 1))
        >>> optimizer.step()
        >>> [[round(x, 5) for x in row] for row in p.tolist()]
        [[0.5], [1.0]]

    Source: ``torch.optim.SparseAdam``.
    """

    rule = rules.SparseAdam

    def __init__(
        self,
        params: ParamsT,
        lr: float | Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        refuse_params(params)
        groups = params if isinstance(params, dict) else list(params) or params
        if isinstance(groups, list):
            self._refuse(groups)
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    @staticmethod
    def _refuse(groups: Any) -> None:
        """torch's errors for parameters that are sparse or complex, by their places."""
        split = groups if groups and type(groups[0]) is dict else [{"params": groups}]
        sparse, complex_ = [], []
        for i, group in enumerate(split):
            params = group["params"]
            for j, p in enumerate(params if isinstance(params, (list, tuple)) else [params]):
                if isinstance(p, rules.RowSparse):
                    sparse.append([i, j])
                if isinstance(p, Tensor) and p.is_complex():
                    complex_.append([i, j])
        if sparse:
            raise ValueError(f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")
        if complex_:
            raise ValueError(f"Complex params at indices {complex_}: SparseAdam does not support complex parameters")
