"""How host time grows with the number of tensors, total time with bytes, and how fast memory is."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import linear_regression, median

import mlx.core as mx
import numpy as np

from .on_mlx import COMPILED, EAGER, FUSED, OURS, on_gpu, wait
from .rounds import Clock, Rows
from .sets import Case, equal
from .sides import contestants

COUNTS = (100, 300, 1000, 3000, 10_000)
MILLIONS = (4, 8, 16, 32, 64)


def numbers(clock: Clock) -> Rows:
    """AdamW in float32 on 100 to 10,000 tensors of 64 numbers."""
    rows: Rows = []
    for count in (10, 20, 40) if clock.quick else COUNTS:
        given = Case("adamw", "tensors", "float32", equal(count, 64))
        rows += clock.rows(f"{count} tensors", contestants(given, (OURS, FUSED, EAGER)), tensors=count)
    return rows


def sizes(clock: Clock) -> Rows:
    """AdamW in float32 on one tensor of 4 to 64 M numbers."""
    rows: Rows = []
    for millions in (0.001, 0.002, 0.004) if clock.quick else MILLIONS:
        given = Case("adamw", "tensor", "float32", equal(1, int(millions * (1 << 20))))
        named = contestants(given, (OURS, FUSED, EAGER, COMPILED))
        rows += clock.rows(f"one tensor of {millions:g} M numbers", named, megabytes=given.megabytes)
    return rows


def exponent(points: list[tuple[float, float]]) -> float | None:
    """The slope of a line through the logarithms: 1 is linear growth, 2 quadratic."""
    if len(points) < 2:
        return None
    return linear_regression([math.log(x) for x, _ in points], [math.log(y) for _, y in points]).slope


def steepest(points: list[tuple[float, float]]) -> float | None:
    """The largest exponent between neighbours: what is quadratic only at the far end does not hide in it."""
    return max((found for pair in pairwise(points) if (found := exponent(list(pair))) is not None), default=None)


def bandwidth(quick: bool) -> dict[str, float]:
    """GB/s, read and written, of a copy of 128 MB into memory that is there: NumPy, on one core and on all; on a GPU
    MLX.
    """
    size = 1 << (16 if quick else 25)

    def clocked(call: Callable[[], object]) -> float:
        seconds = []
        for _ in range(4 if quick else 10):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return 2 * 4 * size / median(seconds[1:]) / 1e9

    if on_gpu():
        array = mx.ones(size)
        wait(array)
        return {"MLX": clocked(lambda: wait(array + 1))}
    source, target = np.ones(size, np.float32), np.zeros(size, np.float32)
    cores = os.cpu_count() or 1
    pieces = list(zip(np.array_split(target, cores), np.array_split(source, cores), strict=True))
    with ThreadPoolExecutor(cores) as pool:
        return {
            "one core": clocked(lambda: np.copyto(target, source)),
            f"{cores} cores": clocked(lambda: list(pool.map(lambda piece: np.copyto(*piece), pieces))),
        }
