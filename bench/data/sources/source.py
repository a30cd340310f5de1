"""Labelled images by index: what every container offers, views that select, join and check, and a fingerprint.

An example's identity is its index in its source. A source gives images as they are stored, encoded or decoded; it knows nothing
of what becomes of them.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError

# Told how much of how much is done.
Progress = Callable[[int, int], None]

# Up to so many examples are fingerprinted whole; of more, so many evenly spaced ones: seconds to minutes even from a bucket.
_ALL_UP_TO = 20_000
_SPACED = 4096
# Examples in memory at once while a whole source is gone through.
_CHUNK = 64


class Examples(NamedTuple):
    """What a source gives.

    Attributes:
      images: encoded files (JPEG or PNG), or decoded `uint8[B, H, W, 3]`.
      labels: `int32[B]`, or `int32[B, L]` where an image may have several right labels (padded with -1).
    """

    images: tuple[bytes, ...] | NDArray[np.uint8]
    labels: NDArray[np.int32]


class Source(ABC):
    """Random access to the labelled images of one split; safe from several threads."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, indices: NDArray[np.integer]) -> Examples:
        """Returns examples in any order, repeats allowed.

        Args:
          indices: `[B]`, 0 <= index < len.

        Raises:
          UserError: an example is missing or damaged; names the place.
          IndexError: an index is out of range.
        """

    @abstractmethod
    def where(self, index: int) -> str:
        """Returns where an example lies, for errors."""

    def names(self, indices: NDArray[np.integer]) -> list[str]:
        """Returns what the container calls each example, on every machine that has it; "" where it has no names."""
        return [""] * len(within(indices, len(self)))

    def verify(self, indices: NDArray[np.integer]) -> None:
        """Raises UserError where an example is missing or damaged, also where `read` would not notice."""
        self.read(indices)

    def check(self, progress: Progress | None = None) -> None:
        """Verifies every example; `progress` is told the number of examples.

        Raises:
          UserError: the first one that is missing or damaged.
        """
        for chunk in chunks(np.arange(len(self)), progress):
            self.verify(chunk)


class Part(Source):
    """Some examples of a source, in an order of their own."""

    def __init__(self, source: Source, indices: NDArray[np.integer] | range) -> None:
        if isinstance(indices, range):
            indices = np.arange(indices.start, indices.stop, indices.step)
        self._source, self._indices = source, within(indices, len(source))

    def __len__(self) -> int:
        return len(self._indices)

    def read(self, indices: NDArray[np.integer]) -> Examples:
        """See `Source.read`."""
        return self._source.read(self._indices[within(indices, len(self))])

    def where(self, index: int) -> str:
        """See `Source.where`."""
        return self._source.where(int(self._indices[index]))

    def names(self, indices: NDArray[np.integer]) -> list[str]:
        """See `Source.names`."""
        return self._source.names(self._indices[within(indices, len(self))])

    def verify(self, indices: NDArray[np.integer]) -> None:
        """See `Source.verify`."""
        self._source.verify(self._indices[within(indices, len(self))])


class Joined(Source):
    """Sources one after the other, as `+` joins splits.

    Raises:
      UserError: they cannot be joined, because images or labels come in different forms.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(s for s in sources if len(s)) or tuple(sources[:1])
        self._ends = np.cumsum([len(s) for s in self._sources])
        first, *others = ((s, _form(s)) for s in self._sources)
        for source, form in others:
            if form != first[1]:
                raise UserError(
                    f"cannot join {first[0].where(0)} ({first[1]}) and {source.where(0)} ({form}): "
                    "bring both sets into one form, best as JPEG or PNG files"
                )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, indices: NDArray[np.integer]) -> Examples:
        """See `Source.read`."""
        indices = within(indices, len(self))
        found = [(at, source.read(local)) for at, source, local in self._spread(indices)]
        if not found:
            return self._sources[0].read(indices)
        order = np.argsort(np.concatenate([at for at, _ in found]))
        labels = np.concatenate([examples.labels for _, examples in found])[order]
        arrays = [examples.images for _, examples in found if isinstance(examples.images, np.ndarray)]
        if arrays:
            return Examples(np.concatenate(arrays)[order], labels)
        images = [image for _, examples in found for image in examples.images]
        return Examples(tuple(images[i] for i in order), labels)

    def where(self, index: int) -> str:
        """See `Source.where`."""
        which = int(np.searchsorted(self._ends, index, side="right"))
        source = self._sources[which]
        return source.where(index - int(self._ends[which]) + len(source))

    def names(self, indices: NDArray[np.integer]) -> list[str]:
        """See `Source.names`."""
        found = [""] * len(indices)
        for at, source, local in self._spread(within(indices, len(self))):
            for place, name in zip(at.tolist(), source.names(local), strict=True):
                found[place] = name
        return found

    def verify(self, indices: NDArray[np.integer]) -> None:
        """See `Source.verify`."""
        for _, source, local in self._spread(within(indices, len(self))):
            source.verify(local)

    def _spread(self, indices: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Source, NDArray[np.int64]]]:
        """Yields places in `indices`, the source they fall into, and the indices there."""
        which = np.searchsorted(self._ends, indices, side="right")
        for k in np.unique(which):
            at = np.flatnonzero(which == k)
            source = self._sources[k]
            yield at, source, indices[at] - int(self._ends[k]) + len(source)


class Checked(Source):
    """A source whose every label is checked as it is read.

    Args:
      source: what to read.
      classes: number of classes.
    """

    def __init__(self, source: Source, classes: int) -> None:
        self._source, self._classes = source, classes

    def __len__(self) -> int:
        return len(self._source)

    def read(self, indices: NDArray[np.integer]) -> Examples:
        """See `Source.read`."""
        examples = self._source.read(indices)
        # Where an image may have several labels, -1 only pads.
        lowest = 0 if examples.labels.ndim == 1 else -1
        wrong = np.argwhere((examples.labels < lowest) | (examples.labels >= self._classes))
        if len(wrong):
            first = tuple(wrong[0])
            raise UserError(
                f"{self.where(int(indices[first[0]]))}: label {examples.labels[first]} lies outside 0..{self._classes - 1}: "
                "another data set, another numbering of the classes, or a split without labels"
            )
        return examples

    def where(self, index: int) -> str:
        """See `Source.where`."""
        return self._source.where(index)

    def names(self, indices: NDArray[np.integer]) -> list[str]:
        """See `Source.names`."""
        return self._source.names(indices)

    def verify(self, indices: NDArray[np.integer]) -> None:
        """See `Source.verify`."""
        self._source.verify(indices)
        self.read(indices)


def fingerprint(source: Source, progress: Progress | None = None) -> str:
    """Returns 16 hex digits that depend on the examples and their order, and not on the container.

    The digits are those of the SHA-256 of the number of examples and, for each example that takes part, its labels and its
    image, with their sizes. All take part in a source of up to 20,000, else 4,096 evenly spaced ones.
    """
    n = len(source)
    taken = np.arange(n) if n <= _ALL_UP_TO else np.arange(_SPACED) * n // _SPACED
    digest = hashlib.sha256(f"{n} examples\n".encode())
    for chunk in chunks(taken, progress):
        images, labels = source.read(chunk)
        for image, row in zip(images, _rows(labels), strict=True):
            right = ",".join(str(label) for label in row if label >= 0)
            size = image.shape if isinstance(image, np.ndarray) else len(image)
            digest.update(f"{right} {size}\n".encode())
            digest.update(image)
    return digest.hexdigest()[:16]


def within(indices: NDArray[np.integer], n: int) -> NDArray[np.int64]:
    """Returns the indices as int64.

    Raises:
      IndexError: one of them is not in [0, n).
    """
    if len(indices) and not 0 <= indices.min() <= indices.max() < n:
        raise IndexError(f"indices {indices.min()}..{indices.max()} of {n} examples")
    return indices.astype(np.int64, copy=False)


def as_labels(values: NDArray[np.generic], place: str) -> NDArray[np.int32]:
    """Returns labels as int32.

    Args:
      values: `[N]`.
      place: where they come from, for the error.

    Raises:
      UserError: they are not one integer an image, or do not fit.
    """
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise UserError(f"{place}: labels must be one integer an image, not {values.dtype}{list(values.shape)}")
    labels = values.astype(np.int32)
    if not np.array_equal(labels, values):
        raise UserError(f"{place}: labels up to {values.max()} do not fit into 32 bits: not class numbers")
    return labels


def chunks(indices: NDArray[np.int64], progress: Progress | None = None) -> Iterator[NDArray[np.int64]]:
    """Yields indices, as many at once as may be in memory with their images; `progress` is told how many are done."""
    for start in range(0, len(indices), _CHUNK):
        yield indices[start : start + _CHUNK]
        if progress:
            progress(min(start + _CHUNK, len(indices)), len(indices))


def _rows(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    return labels.reshape(len(labels), -1) if labels.size else np.empty((len(labels), 0), np.int32)


def _form(source: Source) -> str:
    if not len(source):
        return "empty"
    images, labels = source.read(np.arange(1))
    pixels = f"decoded {images.shape[1]}x{images.shape[2]}" if isinstance(images, np.ndarray) else "encoded"
    return f"{pixels} images" + (f" with up to {labels.shape[1]} labels" if labels.ndim == 2 else "")
