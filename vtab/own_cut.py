"""Cuts validation and test images out of those to learn from: stratified, and by the images' content alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError

# Share of all images that a split which has to be made gets, of each class at least one.
SHARE = 0.15


def shares(missing: Sequence[str]) -> dict[str, float]:
    """Returns the share of what there is to cut from that each missing split gets: 15% of all images, learnt from 70%."""
    left = 1 - 2 * SHARE + len(missing) * SHARE
    return dict.fromkeys(missing, SHARE / left)


def cut(
    labels: NDArray[np.int32], digests: Sequence[str], classes: Sequence[str], parts: Mapping[str, float]
) -> dict[str, NDArray[np.int64]]:
    """Returns the indices of the images that stay in `train`, and of those of every other part.

    The images of a class are put in the order of their digests, which is as good as chance and always the same; the first ones
    are cut off. Copies of an image stay together, so that nothing that is learnt is tested, also where their labels differ.

    Args:
      labels: class of each image, `int32[N]`.
      digests: of the content of each image.
      classes: names, for errors.
      parts: name and share of every part to cut.

    Returns:
      `int64[...]` indices by part, in the order of the digests.

    Raises:
      UserError: a class has fewer different images than there are parts.
    """
    kinds: dict[str, int] = {}
    for label, digest in zip(labels.tolist(), digests, strict=True):
        kinds[digest] = min(label, kinds.get(digest, label))
    goes: dict[str, str] = {}
    for number, name in enumerate(classes):
        different = sorted(digest for digest, label in kinds.items() if label == number)
        if len(different) <= len(parts):
            raise UserError(
                f"class {name!r} has {len(different)} different images: at least {len(parts) + 1} are needed, one for each of"
                f" {', '.join(('train', *parts))}; add some, or remove the class"
            )
        start = 0
        for part, share in parts.items():
            count = max(1, round(share * len(different)))
            goes |= dict.fromkeys(different[start : start + count], part)
            start += count
    order = sorted(range(len(digests)), key=lambda i: (digests[i], i))
    return {part: np.array([i for i in order if goes.get(digests[i], "train") == part], np.int64) for part in ("train", *parts)}
