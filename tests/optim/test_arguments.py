"""No argument of an optimizer is accepted and ignored: another value gives other numbers, or raises."""

from __future__ import annotations

import inspect
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import torchish_mlx
from torchish_mlx import optim

CLASSES = [
    cls
    for cls in vars(optim).values()
    if isinstance(cls, type) and issubclass(cls, optim.Optimizer) and cls.__module__.startswith("torchish_mlx.optim.")
]
TORCHS = [cls for cls in CLASSES if cls.__name__ not in ("Optimizer", "Lion", "MultiOptimizer")]
#: Other ways to the same numbers; what they change is in test_paths.py and, in the groups, in test_signatures.py.
SAME_NUMBERS = {"foreach", "fused", "capturable"}
#: Other arguments that must be on for an argument to say anything.
WITH: dict[tuple[str, str], dict[str, Any]] = {
    ("SGD", "dampening"): {"momentum": 0.9},
    ("SGD", "nesterov"): {"momentum": 0.9},
    ("Adam", "decoupled_weight_decay"): {"weight_decay": 0.1},
    ("NAdam", "decoupled_weight_decay"): {"weight_decay": 0.1},
    ("RAdam", "decoupled_weight_decay"): {"weight_decay": 0.1},
    ("ASGD", "t0"): {"lr": 1.0},
    ("LBFGS", "tolerance_grad"): {"max_iter": 40},
    ("LBFGS", "tolerance_change"): {"max_iter": 40},
    ("LBFGS", "max_eval"): {"max_iter": 40},
}
#: name of an argument -> another value than its default, where "twice as much" is none.
OTHER: dict[str, Any] = {
    "betas": (0.5, 0.6),
    "eps": 0.1,
    "weight_decay": 0.3,
    "momentum": 0.5,
    "dampening": 0.5,
    "initial_accumulator_value": 0.5,
    "lr_decay": 0.5,
    "etas": (0.3, 1.7),
    "step_sizes": (1e-3, 2e-2),
    "ns_coefficients": (3.0, -4.0, 2.0),
    "adjust_lr_fn": "match_rms_adamw",
    "t0": 1.0,
    "tolerance_grad": 10.0,
    "tolerance_change": 10.0,
    "max_eval": 2,
    "max_iter": 2,
    "history_size": 1,
    "line_search_fn": "strong_wolfe",
    "beta2_decay": -0.3,
    "rho": 0.5,
}
OTHER_OF = {
    ("Adafactor", "eps"): (10.0, 5.0),  # what is large enough to be seen
    ("Muon", "eps"): 100.0,
    ("LBFGS", "lr"): 0.5,
}


def arguments() -> list[tuple[type, str, Any]]:
    """(class, argument, another value) of all arguments of torch's fifteen classes."""
    found = []
    for cls in TORCHS:
        for name, parameter in list(inspect.signature(cls).parameters.items())[1:]:
            default = parameter.default
            if (cls.__name__, name) in OTHER_OF:
                other = OTHER_OF[cls.__name__, name]
            elif name in OTHER:
                other = OTHER[name]
            elif isinstance(default, bool) or name in SAME_NUMBERS:
                other = not default
            else:
                other = default * 2
            found.append((cls, name, other))
    return found


def trained(cls: type, **options: Any) -> list[np.ndarray]:
    """Parameters and arrays of the state after 12 steps on matrices."""
    rng = np.random.default_rng(0)
    params = [torchish_mlx.Parameter(mx.array(rng.standard_normal((4, 3)).astype("f4"))) for _ in range(2)]
    optimizer = cls(params, **options)
    for _ in range(12):
        grads = [mx.array(rng.standard_normal((4, 3)).astype("f4")) for _ in params]
        if cls is optim.LBFGS:

            def closure() -> Any:
                optimizer.zero_grad()
                loss = sum(((p - 3) ** 2).sum() + (p**4).sum() for p in params)
                loss.backward()
                return loss

            optimizer.step(closure)
            continue
        for p, g in zip(params, grads, strict=True):
            p.grad = torchish_mlx.sparse_coo_tensor(mx.array([[2, 0]]), g[:2], (4, 3)) if cls is optim.SparseAdam else g
        optimizer.step()
    kept = [a for p in params for a in optimizer.state[p].values() if isinstance(a, torchish_mlx.Tensor)]
    return [np.array(value.array) for value in [*params, *kept]]


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(map(np.array_equal, a, b))


def test_the_fifteen():
    assert len(TORCHS) == 15
    assert len(arguments()) > 120


@pytest.mark.parametrize(("cls", "name", "other"), arguments(), ids=lambda v: getattr(v, "__name__", str(v)))
def test_every_argument_counts(cls, name, other):
    more = WITH.get((cls.__name__, name), {})
    usual = trained(cls, **more)
    assert equal(usual, trained(cls, **more)), "the same arguments give the same numbers"
    if name == "differentiable":
        with pytest.raises(NotImplementedError, match="apply_gradients"):
            cls([torchish_mlx.Parameter(mx.ones((2, 2)))], differentiable=True)
    elif name in SAME_NUMBERS:
        for a, b in zip(usual, trained(cls, **more, **{name: other}), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6)
    else:
        assert not equal(usual, trained(cls, **more, **{name: other}))
