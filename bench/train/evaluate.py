"""Exact evaluation: every example counts once, whatever the batch size, because the last batch is padded and masked."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.data.arrays import Split
from bench.train.program import Programs


def accuracy(programs: Programs, weights: Any, split: Split, classes: int) -> float:
    """Returns the share of right top-1 answers over the whole split, in [0, 1]."""
    size = programs.static.eval_batch
    right = []
    for start in range(0, len(split), size):
        images, labels = split.images[start : start + size], split.labels[start : start + size]
        missing = size - len(labels)
        valid = np.arange(size) < len(labels)
        images = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
        right.append(programs.evaluate(weights, images, np.pad(labels, (0, missing)), valid, np.int32(classes)))
    return sum(int(r) for r in right) / len(split)
