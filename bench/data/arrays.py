"""Labelled images in memory, split once and for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.order import Chunk
from bench.data.sources.arrays import Arrays
from bench.data.sources.source import Source, fingerprint
from bench.data.split import Dataset, Seen, Split


@dataclass(frozen=True)
class InMemory(Split):
    """Images that are all of one size.

    Attributes:
      images: `uint8[N, H, W, 3]`.
      labels: `int32[N]`, or `int32[N, L]` padded with -1 where an image has several right ones.
      source: what the images were decoded from, if they were; the fingerprint is of it, whatever the resolution here.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    source: Source | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """Returns what identifies images, labels and their order."""
        return fingerprint(self.source or Arrays(self.images, self.labels))

    def batches(self, chunks: Iterable[Chunk], seed: int) -> Iterator[Seen]:  # noqa: ARG002 - nothing is random here
        """Yields the images of every chunk as they are."""
        for chunk in chunks:
            yield Seen(self.images[chunk.examples], self.labels[chunk.examples])

    def in_order(self, batch_size: int) -> Iterator[Seen]:
        """Yields all images once, in order."""
        for start in range(0, len(self), batch_size):
            yield Seen(self.images[start : start + batch_size], self.labels[start : start + batch_size])


def joined(first: InMemory, second: InMemory) -> InMemory:
    """Returns the images of both, one after the other."""
    images, labels = (np.concatenate([getattr(s, part) for s in (first, second)]) for part in ("images", "labels"))
    return InMemory(images, labels)


def cut(images: NDArray[np.uint8], labels: NDArray[Any], sizes: tuple[int, int, int], seed: int) -> Dataset:
    """Shuffles once with a fixed seed and cuts consecutive splits of the given sizes.

    Args:
      images: `uint8[N, H, W]` grey or `uint8[N, H, W, 3]`; grey images are repeated over three channels, as VTAB does.
      labels: integers `[N]`.
      sizes: number of train, val and test examples; their sum must not exceed N.
      seed: of the one shuffle.

    Raises:
      ValueError: the sizes ask for more than N examples.
    """
    if sum(sizes) > len(labels):
        raise ValueError(f"cannot cut {sizes} from {len(labels)} examples")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(labels))
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=-1)
    parts = np.split(order[: sum(sizes)], np.cumsum(sizes)[:-1])
    train, val, test = (InMemory(np.ascontiguousarray(images[p]), labels[p].astype(np.int32)) for p in parts)
    return Dataset(train, val, test)


def resize(images: NDArray[np.uint8], resolution: int) -> NDArray[np.uint8]:
    """Resizes `uint8[N, H, W]` to squares, bilinear without antialiasing and without keeping the aspect ratio (VTAB's way)."""
    if images.shape[1:3] == (resolution, resolution):
        return images
    from skimage.transform import resize as one

    small = [one(i, (resolution, resolution), order=1, mode="edge", anti_aliasing=False, preserve_range=True) for i in images]
    return np.round(np.stack(small)).astype(np.uint8)
