"""Configurations of the pure schedules, ``step -> learning rate``, by the names and arguments of torch's schedulers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from torchish_mlx.optimizers import schedules

from .rates import THEIRS, hyperbola, inverse_root, rates, their_optimizer

Config = tuple[str, float, dict[str, Any]]


CONFIGS: list[Config] = [
    *(("LambdaLR", lr, {"lr_lambda": f}) for lr in (0.1, 3.0) for f in (inverse_root, hyperbola)),
    ("StepLR", 0.1, {"step_size": 1000}),
    ("StepLR", 0.1, {"step_size": 1, "gamma": 0.999}),
    ("StepLR", 3e-4, {"step_size": 7, "gamma": 0.9}),
    ("StepLR", 1.0, {"step_size": 30, "gamma": 1.05}),
    ("MultiStepLR", 0.1, {"milestones": [3, 50, 50, 5000]}),
    ("MultiStepLR", 0.1, {"milestones": [0, 1, 9999], "gamma": 0.3}),
    ("MultiStepLR", 3e-4, {"milestones": range(-500, 10_000, 97), "gamma": 0.93}),
    ("MultiStepLR", 1.0, {"milestones": []}),
    ("ConstantLR", 0.1, {}),
    ("ConstantLR", 0.1, {"factor": 0.1, "total_iters": 5000}),
    ("ConstantLR", 3e-4, {"factor": 1.0, "total_iters": 3}),
    ("ConstantLR", 1.0, {"factor": 0.25, "total_iters": 0}),
    ("LinearLR", 0.1, {}),
    ("LinearLR", 0.1, {"start_factor": 1e-3, "total_iters": 9999}),
    ("LinearLR", 3e-4, {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 7000}),
    ("LinearLR", 1.0, {"start_factor": 0.9, "end_factor": 0.001, "total_iters": 333}),
    ("LinearLR", 1.0, {"total_iters": 0}),
    ("ExponentialLR", 0.1, {"gamma": 0.999}),
    ("ExponentialLR", 0.1, {"gamma": 0.9999}),
    ("ExponentialLR", 3e-4, {"gamma": 0.9983}),
    ("ExponentialLR", 1.0, {"gamma": 1.0005}),
    ("ExponentialLR", 1.0, {"gamma": 0.5}),
    ("PolynomialLR", 0.1, {}),
    ("PolynomialLR", 0.1, {"total_iters": 10_000, "power": 0.9}),
    ("PolynomialLR", 3e-4, {"total_iters": 7777, "power": 2.0}),
    ("PolynomialLR", 1.0, {"total_iters": 9000, "power": 10.0}),
    ("PolynomialLR", 1.0, {"total_iters": 9000, "power": 0.5}),
    ("PolynomialLR", 1.0, {"total_iters": 0}),
    ("CosineAnnealingLR", 0.1, {"T_max": 10_000}),
    ("CosineAnnealingLR", 0.1, {"T_max": 50}),
    ("CosineAnnealingLR", 3e-4, {"T_max": 8192}),
    ("CosineAnnealingLR", 1.0, {"T_max": 777, "eta_min": 1e-4}),
    ("CosineAnnealingLR", 0.1, {"T_max": 3, "eta_min": 0.2}),
    ("CosineAnnealingLR", 1.0, {"T_max": 1}),
    ("CosineAnnealingWarmRestarts", 0.1, {"T_0": 50}),
    ("CosineAnnealingWarmRestarts", 0.1, {"T_0": 1, "T_mult": 2}),
    ("CosineAnnealingWarmRestarts", 3e-4, {"T_0": 10, "T_mult": 3, "eta_min": 1e-5}),
    ("CosineAnnealingWarmRestarts", 1.0, {"T_0": 20_000}),
    ("CyclicLR", 0.1, {"base_lr": 1e-3, "max_lr": 0.1}),
    ("CyclicLR", 0.1, {"base_lr": 0.0, "max_lr": 0.1, "step_size_up": 30, "step_size_down": 77}),
    ("CyclicLR", 0.1, {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5, "mode": "triangular2"}),
    ("CyclicLR", 0.1, {"base_lr": 1e-4, "max_lr": 0.1, "step_size_up": 500, "mode": "exp_range", "gamma": 0.9995}),
    ("CyclicLR", 0.1, {"base_lr": 0.9, "max_lr": 0.5, "step_size_up": 100, "step_size_down": 0}),
    ("CyclicLR", 0.1, {"base_lr": 0.0, "max_lr": 0.1, "step_size_up": 50, "scale_fn": hyperbola}),
    (
        "CyclicLR",
        0.1,
        {"base_lr": 1e-3, "max_lr": 0.1, "step_size_up": 50, "scale_fn": inverse_root, "scale_mode": "iterations"},
    ),
    ("OneCycleLR", 0.1, {"max_lr": 0.1, "total_steps": 10_000}),
    (
        "OneCycleLR",
        0.1,
        {"max_lr": 0.1, "epochs": 33, "steps_per_epoch": 303, "pct_start": 0.137, "three_phase": True},
    ),
    ("OneCycleLR", 0.1, {"max_lr": 1.0, "total_steps": 9973, "pct_start": 0.25, "anneal_strategy": "linear"}),
    ("OneCycleLR", 0.1, {"max_lr": 1.0, "total_steps": 999, "pct_start": 0.0}),
    (
        "OneCycleLR",
        0.1,
        {"max_lr": 3e-4, "total_steps": 10_000, "pct_start": 0.6, "three_phase": True, "final_div_factor": 7.0},
    ),
    ("OneCycleLR", 0.1, {"max_lr": 1.0, "total_steps": 2, "div_factor": 2.0}),
    ("SWALR", 0.1, {"swa_lr": 0.05}),
    ("SWALR", 0.1, {"swa_lr": 1e-3, "anneal_epochs": 9000}),
    ("SWALR", 0.1, {"swa_lr": 0.3, "anneal_epochs": 777, "anneal_strategy": "linear"}),
    ("SWALR", 0.1, {"swa_lr": 0.05, "anneal_epochs": 0}),
    ("SWALR", 1.0, {"swa_lr": 0.0, "anneal_epochs": 5000}),
]


def label(config: Config) -> str:
    described = (f"{key}={getattr(value, '__name__', value)}" for key, value in config[2].items())
    return f"{config[0]}-{config[1]}-{'-'.join(described)}"


def snake(camel: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", camel).lower()


def factory(config: Config) -> schedules.Schedule:
    """The schedule of the class's name, with its arguments and the learning rate before them."""
    cls, lr, kwargs = config
    make = getattr(schedules, snake(cls).replace("swalr", "swa_lr"))
    return make(**kwargs) if cls in ("CyclicLR", "OneCycleLR") else make(lr, **kwargs)


def torchs_rates(config: Config, steps: int) -> np.ndarray:
    """What torch's scheduler of this configuration gives."""
    cls, lr, kwargs = config
    optimizer = their_optimizer(lr)
    return rates(getattr(THEIRS, cls)(optimizer, **kwargs), optimizer, steps)
