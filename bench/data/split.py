"""What training and evaluation ask of a split, whether its images lie in memory or are decoded on the way."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data.order import Chunk
from bench.points.files import PURPOSES


class Seen(NamedTuple):
    """Images `uint8[..., H, W, 3]` and their labels `int32[...]`; `int32[..., L]`, padded with -1, where there are several."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]


class Split(ABC):
    """The labelled images of one purpose; an example's identity is its index."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Returns 16 hex digits that identify images, labels and their order."""

    @abstractmethod
    def batches(self, chunks: Iterable[Chunk], seed: int) -> Iterator[Seen]:
        """Yields what every chunk of an order sees, shapes `[steps, batch, ...]`.

        Args:
          chunks: of `bench.data.order`; asked for as far ahead as reading is.
          seed: of the run; crops that are made while reading follow from it, the pass and the example.
        """

    @abstractmethod
    def in_order(self, batch_size: int) -> Iterator[Seen]:
        """Yields every example once, in order, `[batch, ...]`; the last batch may be smaller."""


@dataclass(frozen=True)
class Dataset:
    """The three splits: `train` is learnt from, `val` selects, `test` is read once, at the end of a run.

    `extras` are other sets of images of the same classes, which only evaluate, by name.
    """

    train: Split
    val: Split
    test: Split
    extras: Mapping[str, Split] = field(default_factory=dict)

    def part(self, name: str) -> Split:
        """Returns a split by its purpose, or one of the extras by its name."""
        split: Split = getattr(self, name) if name in PURPOSES else self.extras[name]
        return split

    def facts(self) -> dict[str, Any]:
        """Returns the number of examples and the fingerprint of each split, and one fingerprint of the three."""
        splits: dict[str, Split] = {purpose: getattr(self, purpose) for purpose in PURPOSES}
        prints = {purpose: split.fingerprint for purpose, split in splits.items()}
        whole = hashlib.sha256("".join(map("".join, prints.items())).encode()).hexdigest()[:16]
        prints |= {name: split.fingerprint for name, split in self.extras.items()}
        return {**{p: len(split) for p, split in splits.items()}, "fingerprint": whole, "fingerprints": prints}
