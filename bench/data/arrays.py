"""Labelled images in memory, split once and for all, with a fingerprint that goes into every record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Images `uint8[N, H, W, 3]` and labels `int32[N]`; an example's identity is its index here."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """The three splits: `train` is learnt from, `val` selects, `test` is read once, at the end of a run."""

    train: Split
    val: Split
    test: Split

    def facts(self) -> dict[str, Any]:
        """Returns the number of examples of each split and the fingerprint of their pixels, labels and order."""
        digest = hashlib.sha256()
        for name in SPLITS:
            split = getattr(self, name)
            digest.update(f"{name}{split.images.shape}".encode())
            digest.update(split.images.tobytes())
            digest.update(split.labels.astype("<i4").tobytes())
        return {**{name: len(getattr(self, name)) for name in SPLITS}, "fingerprint": digest.hexdigest()[:16]}


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
    return Dataset(*(Split(np.ascontiguousarray(images[p]), labels[p].astype(np.int32)) for p in parts))


def resize(images: NDArray[np.uint8], resolution: int) -> NDArray[np.uint8]:
    """Resizes `uint8[N, H, W]` to squares, bilinear without antialiasing and without keeping the aspect ratio (VTAB's way)."""
    if images.shape[1:3] == (resolution, resolution):
        return images
    from skimage.transform import resize as one

    small = [one(i, (resolution, resolution), order=1, mode="edge", anti_aliasing=False, preserve_range=True) for i in images]
    return np.round(np.stack(small)).astype(np.uint8)
