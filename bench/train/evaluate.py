"""Exact evaluation: every example counts once, whatever the batch size or the number of devices; the last batch is padded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.split import Split
from bench.train.program import Programs


def correct(
    programs: Programs, weights: Any, split: Split, classes: int, between: Callable[[], None] = lambda: None
) -> NDArray[np.bool_]:
    """Returns whether the top-1 answer is right, bool[N], for every example that has a right answer, in order.

    Where several labels are right (ImageNet ReaL), one of them is enough; images without any (-1 only) are left out, as its
    authors do. Programs of several lanes give bool[lanes, N]. `between` is called before every batch; what it raises ends the
    evaluation.
    """
    size, found = programs.static.eval_batch, []
    for seen in split.in_order(size):
        between()
        count = len(seen.images)
        images = np.pad(seen.images, ((0, size - count), (0, 0), (0, 0), (0, 0)))
        answers = np.asarray(programs.evaluate(weights, programs.placement.spread(images), np.int32(classes)))[..., :count]
        labels = seen.labels.reshape(count, -1)
        found.append((answers[..., None] == labels).any(-1)[..., (labels >= 0).any(1)])
    return np.concatenate(found, axis=-1)
