"""scikit-learn's handwritten digits, and the order of the batches, for the scripts that measure on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_digits

BATCH = 32
TRAIN = 1437  # the first four fifths; the rest was written by other people
EPOCH = -(-TRAIN // BATCH)  # steps

Data = tuple[np.ndarray, np.ndarray]


def digits() -> tuple[Data, Data]:
    """(images, labels) to train on and to test on; images (n, 64) in [0, 1]."""
    images, labels = load_digits(return_X_y=True)
    images, labels = (images / 16).astype(np.float32), labels.astype(np.int64)
    return (images[:TRAIN], labels[:TRAIN]), (images[TRAIN:], labels[TRAIN:])


def batches(steps: int, seed: int) -> Iterator[np.ndarray]:
    """The indices of each batch, a new order each epoch; the last of an epoch is smaller."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(TRAIN)
        for start in range(0, TRAIN, BATCH):
            if steps == 0:
                return
            yield order[start : start + BATCH]
            steps -= 1


def loss_and_accuracy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean cross-entropy and the share that is right, in doubles."""
    logits = logits.astype(np.float64)
    logits -= logits.max(1, keepdims=True)
    of_label = logits[np.arange(len(labels)), labels]
    loss = np.log(np.exp(logits).sum(1)) - of_label
    return float(loss.mean()), float((logits.argmax(1) == labels).mean())
