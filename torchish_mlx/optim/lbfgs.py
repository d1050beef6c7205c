"""L-BFGS. Written as an optimizer of its own: it needs a closure, and one flat vector of all parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import mlx.core as mx

from .._core.sparse import RowSparse
from .._tensor.modes import enable_grad
from .._tensor.tensor import Tensor
from ..optimizers._hyper import Hyper, nonneg
from ._line_search import strong_wolfe
from .optimizer import Optimizer, ParamsT

__all__ = ["LBFGS"]

_LR = Hyper(1, nonneg("learning rate"), "lr")
_OPTIONS = {"lr", "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size", "line_search_fn"}


class LBFGS(Optimizer):
    """L-BFGS (Liu & Nocedal 1989, https://doi.org/10.1007/BF01589116), all parameters as one vector x.

    Each iteration goes along d = -H g, where H, built by the two-loop recursion from the last ``history_size`` pairs
    (s, y) of steps and gradient changes, approximates the inverse Hessian; the step length is lr, or found by a
    search for the strong Wolfe conditions (Nocedal & Wright, Numerical Optimization, algorithms 3.5 and 3.6).

    Args:
        params: Parameters of one group.
        lr (float or 1-element tensor): step length; >= 0. Default: 1.
        max_iter (int): iterations in one step. Default: 20.
        max_eval (int, optional): evaluations of the closure in one step. Default: max_iter * 5 // 4.
        tolerance_grad (float): stop where max ``|g|`` is not above it. Default: 1e-7.
        tolerance_change (float): stop where the step, or the change of the loss, is below it. Default: 1e-9.
        history_size (int): pairs to keep; each is as large as all parameters. Default: 100.
        line_search_fn (str, optional): None or "strong_wolfe".

    State, under the first parameter: ``func_evals``, ``n_iter`` (ints), ``d``, ``t``, ``old_dirs`` (the y),
    ``old_stps`` (the s), ``ro``, ``H_diag``, ``prev_flat_grad``, ``prev_loss``, ``al``, as torch has them.

    Unlike the other optimizers it reads numbers, and so evaluates arrays, in every iteration. It can't be used inside
    ``mx.compile``.

    Raises:
        ValueError: several groups, or a negative lr.
        RuntimeError: another line search.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([1.0, -2.0]))
        >>> optimizer = optim.LBFGS([p], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = ((p - 3) ** 2).sum()
        ...     loss.backward()
        ...     return loss
        >>> _ = optimizer.step(closure)
        >>> [round(x, 5) for x in p.tolist()]
        [3.0, 3.0]

    Source: ``torch.optim.LBFGS``.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        _LR.check(lr)
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As for every optimizer; raises ValueError for groups and entries of another class or another model."""
        lacking = sorted(_OPTIONS - state["param_groups"][0].keys())
        if lacking:
            raise ValueError(
                f"param_groups[0] lacks {lacking} of LBFGS; it has {sorted(map(str, state['param_groups'][0]))}. Load "
                "the state dict of an LBFGS, or add the options to its group."
            )
        super().__setstate__(state)
        wrong = self._misfits(self.state.get(self._params[0], {}), "state[0]")
        if wrong:
            raise ValueError(" ".join(wrong))

    _in_order = True

    @classmethod
    def _options(cls) -> Collection[str]:
        return _OPTIONS

    def _misfits(self, entries: Mapping[str, Any], where: str) -> list[str]:
        size, wrong = sum(p.numel() for p in self._params), []
        for name in ("d", "prev_flat_grad", "old_dirs", "old_stps"):
            held, several = entries.get(name), name in ("old_dirs", "old_stps")
            if held is None:
                continue
            if several and not isinstance(held, (list, tuple)):
                wrong.append(
                    f'{where}["{name}"] is a {type(held).__name__}, expected a list of tensors: give what '
                    "optimizer.state_dict() had there."
                )
                continue
            for i, vector in enumerate(held if several else [held]):
                if isinstance(vector, Tensor) and vector.numel() == size:
                    continue
                has = f"{vector.numel()} elements" if isinstance(vector, Tensor) else f"a {type(vector).__name__}"
                wrong.append(
                    f'{where}["{name}"]{f"[{i}]" if several else ""} has {has}, expected a tensor of the {size} '
                    "elements that all parameters have. It was saved for another model: build the model as it was."
                )
                break
        return wrong

    def _check_tree(self, tree: Mapping[Any, Any]) -> None:
        if tree is not self._tree and len(tree) > 1:
            raise ValueError(
                "LBFGS keeps counts and lists of directions, and a tree of arrays (tree_flatten(optimizer.state)) does "
                "not hold them: it would start over, without an error. Save optimizer.state_dict() with "
                "torchish_mlx.save(), and give it to load_state_dict()."
            )

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    def _flat_grad(self) -> mx.array:
        parts = []
        for p in self._params:
            grad = p.grad
            if grad is None:
                parts.append(mx.zeros((p.numel(),), p.array.dtype))
            else:
                parts.append((grad.dense() if isinstance(grad, RowSparse) else grad.array).reshape(-1))
        return mx.concatenate(parts)

    def _move(self, origin: list[mx.array], t: Any, d: mx.array) -> None:
        """x <- origin + t d"""
        offset = 0
        for p, start in zip(self._params, origin, strict=True):
            part = d[offset : offset + start.size].reshape(start.shape)
            p.array = start + (t * part).astype(start.dtype)
            offset += start.size

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Minimize for up to ``max_iter`` iterations.

        Args:
            closure: clears the gradients, computes the loss and its gradients, and returns the loss.

        Returns:
            The loss before the first iteration, as the closure returned it.
        """
        group, state = self.param_groups[0], self.state[self._params[0]]

        def evaluate() -> tuple[Any, float, mx.array]:
            with enable_grad():
                loss = closure()
            return loss, float(loss), self._flat_grad()

        lr = group["lr"].array.reshape(()) if isinstance(group["lr"], Tensor) else group["lr"]
        max_iter, max_eval, tolerance_change = group["max_iter"], group["max_eval"], group["tolerance_change"]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss, loss, g = evaluate()
        evals = 1
        state["func_evals"] += 1
        if _max_abs(g) <= group["tolerance_grad"]:
            return first_loss
        memory = _Memory(state, group["history_size"])
        for iteration in range(1, max_iter + 1):
            state["n_iter"] += 1
            memory.direct(g, begin=state["n_iter"] == 1)
            d = memory.d
            memory.prev_loss = prev_loss = loss
            t = mx.minimum(1.0, 1.0 / mx.sum(mx.abs(g))) * lr if state["n_iter"] == 1 else lr
            memory.t = t
            slope = mx.sum(g * d)
            if slope.item() > -tolerance_change:
                break
            origin, new_evals = [p.array for p in self._params], 0
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")

                def along(t: Any, origin: list[mx.array] = origin, d: mx.array = d) -> tuple[float, mx.array]:
                    self._move(origin, t, d)
                    try:
                        _, f, grad = evaluate()
                    finally:
                        self._move(origin, 0.0, d)
                    return f, grad

                loss, g, t, new_evals = strong_wolfe(along, t, d, loss, g, slope, max_ls=max_eval - evals)
                memory.t = t
                self._move(origin, t, d)
                flat = _max_abs(g) <= group["tolerance_grad"]
            else:
                self._move(origin, t, d)
                flat = False
                if iteration != max_iter:
                    _, loss, g = evaluate()
                    flat = _max_abs(g) <= group["tolerance_grad"]
                    new_evals = 1
            evals += new_evals
            state["func_evals"] += new_evals
            if (
                iteration == max_iter
                or evals >= max_eval
                or flat
                or _max_abs(d * t) <= tolerance_change
                or abs(loss - prev_loss) < tolerance_change
            ):
                break
        memory.save(state)
        mx.async_eval([p.array for p in self._params])
        return first_loss


class _Memory:
    """What L-BFGS remembers of its past: directions, steps, and what the two-loop recursion makes of them."""

    def __init__(self, state: Any, size: int) -> None:
        self.size = size
        self.d, self.t, self.H_diag = (_raw(state.get(name)) for name in ("d", "t", "H_diag"))
        self.old_dirs, self.old_stps, self.ro = (
            [_raw(v) for v in state.get(n) or []] for n in ("old_dirs", "old_stps", "ro")
        )
        self.prev_flat_grad, self.prev_loss = _raw(state.get("prev_flat_grad")), state.get("prev_loss")
        self.al: list[Any] | None = [_raw(v) for v in state["al"]] if "al" in state else None

    def direct(self, g: mx.array, begin: bool) -> None:
        """Set ``d`` to -H g."""
        if begin:
            self.d, self.old_dirs, self.old_stps, self.ro, self.H_diag = -g, [], [], [], 1
        else:
            y, s = g - self.prev_flat_grad, self.d * self.t
            ys = mx.sum(y * s)
            if bool(ys > 1e-10):
                if len(self.old_dirs) == self.size:
                    for history in (self.old_dirs, self.old_stps, self.ro):
                        history.pop(0)
                self.old_dirs.append(y)
                self.old_stps.append(s)
                self.ro.append(1.0 / ys)
                self.H_diag = ys / mx.sum(y * y)
            self.al = self.al or [None] * self.size
            q = -g
            for i in reversed(range(len(self.old_dirs))):
                self.al[i] = mx.sum(self.old_stps[i] * q) * self.ro[i]
                q = q - self.al[i] * self.old_dirs[i]
            r = q * self.H_diag
            for i in range(len(self.old_dirs)):
                r = r + (self.al[i] - mx.sum(self.old_dirs[i] * r) * self.ro[i]) * self.old_stps[i]
            self.d = r
        self.prev_flat_grad = g

    def save(self, state: Any) -> None:
        names = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")
        entries = {name: getattr(self, name) for name in names} | ({} if self.al is None else {"al": self.al})
        for name, value in entries.items():
            state[name] = [_boxed(v) for v in value] if isinstance(value, list) else _boxed(value)


def _max_abs(x: mx.array) -> float:
    return float(mx.max(mx.abs(x)).item())  # type: ignore[arg-type]


def _raw(value: Any) -> Any:
    return value.array if isinstance(value, Tensor) else value


def _boxed(value: Any) -> Any:
    return Tensor(value) if isinstance(value, mx.array) else value
