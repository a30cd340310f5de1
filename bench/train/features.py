"""Features of images: what a model's classifier sees, for every example once and in order, whatever the batch size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data.split import Split
from bench.train.program import Programs


class Extracted(NamedTuple):
    """What was found of a split: features `float32[N, D]` and labels `int32[N]`, in the order of its examples."""

    features: NDArray[np.float32]
    labels: NDArray[np.int32]

    def wide(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Returns both in 64 bits, in which scores are computed."""
        return self.features.astype(np.float64), self.labels.astype(np.int64)


def batches(splits: Sequence[Split], size: int) -> int:
    """Returns the number of batches that `extract` takes."""
    return -(-sum(map(len, splits)) // size)


def extract(
    programs: Programs, weights: Any, splits: Sequence[Split], between: Callable[[int], None] = lambda _done: None
) -> list[Extracted]:
    """Returns the features of every split.

    Batches run on from one split into the next, so that only the very last one is padded: small splits would waste much.

    Args:
      programs: of the model.
      weights: of the model, where the programs expect them.
      splits: whose images are looked at as in evaluation.
      between: called before every batch with the number of those begun; what it raises ends the extraction.
    """
    size = programs.static.eval_batch
    labels: list[list[NDArray[np.int32]]] = [[] for _ in splits]

    def images() -> Iterator[NDArray[np.uint8]]:
        for split, kept in zip(splits, labels, strict=True):
            for seen in split.in_order(size):
                kept.append(seen.labels)
                yield seen.images

    program, found, running = programs.features, list[NDArray[np.float32]](), None
    for done, batch in enumerate(_full(images(), size)):
        between(done)
        padded = np.pad(batch, ((0, size - len(batch)), (0, 0), (0, 0), (0, 0)))
        begun = program(weights, programs.placement.spread(padded))
        # Only now, so that images are read while the device computes.
        if running is not None:
            found.append(np.asarray(running))
        running = begun
    whole = np.concatenate([*found, np.asarray(running)])
    ends = np.cumsum([len(split) for split in splits])
    parts = np.split(whole[: ends[-1]], ends[:-1])
    return [Extracted(part, np.concatenate(kept)) for part, kept in zip(parts, labels, strict=True)]


def _full(parts: Iterable[NDArray[np.uint8]], size: int) -> Iterator[NDArray[np.uint8]]:
    """Yields the images of all parts in order, `size` at once; only the last batch may be smaller."""
    left: list[NDArray[np.uint8]] = []
    for part in parts:
        left.append(part)
        while (count := sum(map(len, left))) >= size:
            joined = np.concatenate(left) if len(left) > 1 else left[0]
            yield joined[:size]
            left = [joined[size:]] if count > size else []
    if left:
        yield np.concatenate(left)
