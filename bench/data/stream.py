"""A split whose images stay in their files: read, decoded and cropped on the way, ahead of where they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.data import reader
from bench.data.arrays import InMemory
from bench.data.geometry import Geometry
from bench.data.order import Chunk
from bench.data.sources.source import Source, fingerprint
from bench.data.split import Seen, Split

# Bytes of a decoded split that is decoded once and kept: CIFAR-100 at 64 px, 6,000 images at 224 px.
KEPT = 2**30


@dataclass(frozen=True)
class Streamed(Split):
    """A source with the two ways of looking at it.

    Attributes:
      source: random access to encoded or decoded images of any size.
      training: geometry of training batches.
      evaluation: geometry in which every image is seen once, in order.
    """

    source: Source
    training: Geometry
    evaluation: Geometry

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def fingerprint(self) -> str:
        """Returns what identifies the images as they are stored, labels and their order."""
        return fingerprint(self.source)

    def batches(self, chunks: Iterable[Chunk], seed: int) -> Iterator[Seen]:
        """Yields decoded and cropped chunks."""
        for images, labels in reader.batches(self.source, self.training, seed, chunks):
            yield Seen(images, labels)

    def in_order(self, batch_size: int) -> Iterator[Seen]:
        """Yields decoded images."""
        for images, labels in reader.in_order(self.source, self.evaluation, batch_size):
            yield Seen(images, labels)


def kept(split: Streamed) -> Split:
    """Returns the split decoded once into memory where that changes nothing but the time: nothing is random, and it fits."""
    size = len(split) * split.evaluation.resolution**2 * 3
    if split.training != split.evaluation or size > KEPT:
        return split
    parts = list(split.in_order(256))
    return InMemory(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]), split.source)
