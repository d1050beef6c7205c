"""Choices among given scores."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from ._draws import exponential
from ._rounding import rounded, silent
from ._stream import Stream


@silent
def multinomial(stream: Stream, scores: np.ndarray, samples: int, replacement: bool, dtype: mx.Dtype) -> np.ndarray:
    """Places in each row of ``scores``, drawn in proportion to them; scores of halves are in float32.

    Without replacement, and for one sample, a score is divided by an exponential number: the largest quotients are
    chosen. Of equal quotients the first one is, where torch's sort may choose another.
    """
    if not replacement or samples == 1:
        divisors = exponential(stream, scores.size, 1.0, dtype).reshape(scores.shape)
        quotients = rounded(scores / divisors.astype(scores.dtype), dtype)
        if samples == 1:
            return quotients.argmax(-1)[:, None]
        return np.argsort(-quotients.astype(scores.dtype), -1, kind="stable")[:, :samples]
    out = np.empty((len(scores), samples), np.int64)
    for row, chosen in zip(scores, out, strict=True):
        sums = np.cumsum(row, dtype=row.dtype)
        sums /= sums[-1]
        sums[-1] = 1
        chosen[:] = np.searchsorted(sums.astype(np.float64), stream.doubles(samples), side="left")
    return out
