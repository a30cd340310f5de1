"""Looks closely at a set: counts, labels, every image or a sample of them, and whether one image is in two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.data.decode import Decoder, Undecodable
from bench.data.geometry import Geometry
from bench.data.sources.source import Checked, Source, chunks, fingerprint
from bench.errors import UserError

# Told a split's purpose, what is done with it, and how much of how much of that is done.
Progress = Callable[[str, str, int, int], None]
# Images of a split that are looked at unless all are: 2 GB of ImageNet, under a minute of one core.
SAMPLE = 20_000
# Decoding is the test; nobody looks at the result, so it may be small.
_THUMBNAIL = Geometry("resize", 8)
# Classes that are empty although all is right: of the 21,843 classes of published models, the fall 2011 release of ImageNet-21k
# has no images of two, n03931044 and n09859684.
EMPTY = {name: frozenset({9205, 15027}) for name in ("i21k", "i21k_bv")}
# Absent classes that an error names.
_NAMED = 5


@dataclass(frozen=True)
class Looked:
    """What was seen of a split.

    Attributes:
      size: images there are.
      read: images that were looked at, evenly spaced.
      labels: how many of them have each class, `int64[classes]`; an image with several labels counts for each.
      unlabelled: how many of them have no label.
      digests: of the bytes of each, `uint64[read]`.
      fingerprint: of the split, see `bench.data.sources.source.fingerprint`.
    """

    size: int
    read: int
    labels: NDArray[np.int64]
    unlabelled: int
    digests: NDArray[np.uint64]
    fingerprint: str

    @property
    def whole(self) -> bool:
        """Whether every image was looked at."""
        return self.read == self.size

    def line(self) -> str:
        """Returns what was seen, for people."""
        seen = "all read" if self.whole else f"{self.read:,} of them read (--all reads every one)"
        present = self.labels[self.labels > 0]
        least, median, most = (f"{n:,.0f}" for n in (present.min(), np.median(present), present.max()))
        classes = f"{len(present):,} of {len(self.labels):,} classes with {least} to {most} images, median {median}"
        without = f", {self.unlabelled:,} images without a label" if self.unlabelled else ""
        return f"{self.size:,} images, {seen}; {classes}{without}; fingerprint {self.fingerprint}"


def counts(name: str, place: str, sources: Mapping[str, Source], sizes: Mapping[str, int | None]) -> None:
    """Raises UserError where a split has another number of images than the facts say; the error has the numbers of all."""
    said, right = [], True
    for purpose, source in sources.items():
        expected = sizes.get(purpose)
        wrong = expected is not None and expected != len(source)
        said.append(f"{purpose} has {len(source):,} images" + (f" instead of {expected:,}" if wrong else ""))
        right = right and not wrong
    if not right:
        raise UserError(
            f"{name} at {place}: {', '.join(said)}: another version of the set, or not all of it; fetch or prepare it again"
        )


def look(name: str, purpose: str, source: Source, classes: int, sample: int | None, progress: Progress) -> Looked:
    """Reads and decodes the images of a split, verifying what its container can (TFRecord: a checksum of every record).

    Args:
      name: of the set.
      purpose: of the split.
      source: of its images.
      classes: number of classes.
      sample: number of images to look at, evenly spaced; None for all.
      progress: told the purpose, what is done, the number of images that are done, and of how many.

    Raises:
      UserError: an image is missing, damaged or cannot be decoded, or has a label outside 0..classes - 1, or none has a label.
    """
    n = len(source)
    taken = np.arange(n) if sample is None or sample >= n else np.arange(sample) * n // sample
    decoder, checked = Decoder(_THUMBNAIL), Checked(source, classes)
    labels, unlabelled = np.zeros(classes, np.int64), 0
    digests: list[bytes] = []
    broken: list[tuple[int, str]] = []
    for chunk in chunks(taken):
        source.verify(chunk)
        images, found = checked.read(chunk)
        rows = found.reshape(len(found), -1)
        labels += np.bincount(rows[rows >= 0], minlength=classes)
        unlabelled += int((rows < 0).all(axis=1).sum())
        digests += [hashlib.blake2b(image, digest_size=8).digest() for image in images]
        if isinstance(images, tuple):
            broken += [(int(chunk[i]), why) for i, why in _undecodable(decoder, images)]
        progress(purpose, "images", len(digests), len(taken))
    if broken:
        index, why = broken[0]
        several = f"{len(broken):,} images cannot be decoded, the first: " if len(broken) > 1 else ""
        raise UserError(
            f"{name}, {purpose}: {several}{source.where(index)}: {why}; fetch it again, or convert it to JPEG or PNG"
        )
    if not labels.any():
        raise UserError(f"{name}, {purpose}: none of {len(taken):,} images has a label: a split without labels")
    mark = fingerprint(source, lambda done, of: progress(purpose, "fingerprint", done, of))
    return Looked(n, len(taken), labels, unlabelled, np.frombuffer(b"".join(digests), np.uint64), mark)


def all_classes(name: str, splits: Mapping[str, Looked]) -> None:
    """Raises UserError where every image was looked at and none of any split is of some class.

    One split may lack a class: the 102 images that validate `oxford_flowers102` do not show each of its 102 flowers.
    """
    images = sum(split.labels for split in splits.values())
    absent = [label for label in np.flatnonzero(images == 0).tolist() if label not in EMPTY.get(name, ())]
    if absent and all(split.whole for split in splits.values()):
        shown = ", ".join(map(str, absent[:_NAMED])) + (", ..." if len(absent) > _NAMED else "")
        raise UserError(
            f"{name}: {len(absent):,} classes have no image in any split ({shown}): not all of the set, or another numbering of"
            " its classes"
        )


def duplicates(splits: Mapping[str, Looked]) -> dict[tuple[str, str], int]:
    """Returns how many of the images that were looked at in a later split are in an earlier one, byte for byte; no zeros."""
    found = {}
    for (first, one), (second, other) in combinations(splits.items(), 2):
        if same := int(np.isin(other.digests, one.digests).sum()):
            found[second, first] = same
    return found


def _undecodable(decoder: Decoder, images: tuple[bytes, ...]) -> Iterator[tuple[int, str]]:
    """Yields every image that cannot be decoded, and why."""
    start = 0
    while start < len(images):
        try:
            decoder(images[start:])
        except Undecodable as bad:
            yield start + bad.index, bad.reason
            start += bad.index + 1
        else:
            return
