"""Images in memory: arrays of pixels, and `.npz` files of pixels or of JPEG files put end to end; nothing is unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.sources.source import Examples, Source, as_labels, within
from bench.errors import UserError, choose_from

_LAYOUTS = "<split>_x with <split>_y, or <split>_jpg with <split>_off and <split>_y"


class Arrays(Source):
    """Decoded images in memory.

    Args:
      images: `uint8[N, H, W, 3]`, or `uint8[N, H, W, 1]`: grey is repeated over three channels when read.
      labels: integers `[N]`.
      name: of the whole, for errors.

    Raises:
      UserError: types, shapes or lengths do not fit.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[Any], name: str = "arrays") -> None:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
            raise UserError(
                f"{name}: images must be uint8[N, H, W, 3] or uint8[N, H, W, 1], not {images.dtype}{list(images.shape)}"
            )
        self._images, self._labels, self._name = images, as_labels(labels, name), name
        if len(images) != len(labels):
            raise UserError(f"{name}: {len(images):,} images but {len(labels):,} labels")

    def __len__(self) -> int:
        return len(self._labels)

    def read(self, indices: NDArray[np.integer]) -> Examples:
        """See `Source.read`."""
        indices = within(indices, len(self))
        images = self._images[indices]
        return Examples(np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images, self._labels[indices])

    def where(self, index: int) -> str:
        """See `Source.where`."""
        return f"{self._name}, image {index}"


class Encoded(Source):
    """Encoded images in memory, end to end.

    Args:
      data: `uint8[T]`; image i is `data[offsets[i]:offsets[i + 1]]`.
      offsets: integers `[N + 1]`, ascending from 0 to T.
      labels: integers `[N]`.
      name: of the whole, for errors.

    Raises:
      UserError: types, shapes or lengths do not fit.
    """

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[Any], labels: NDArray[Any], name: str = "arrays") -> None:
        if data.dtype != np.uint8 or data.ndim != 1:
            raise UserError(f"{name}: encoded images must be uint8[N], not {data.dtype}{list(data.shape)}")
        self._data, self._labels, self._name = data, as_labels(labels, name), name
        if offsets.shape != (len(labels) + 1,) or not np.issubdtype(offsets.dtype, np.integer):
            raise UserError(
                f"{name}: offsets must be {len(labels) + 1:,} integers for {len(labels):,} labels, "
                f"not {offsets.dtype}{list(offsets.shape)}"
            )
        self._offsets = offsets.astype(np.int64)
        if self._offsets[0] != 0 or self._offsets[-1] != len(data):
            raise UserError(
                f"{name}: offsets run from {offsets[0]} to {offsets[-1]}, not from 0 to the {len(data):,} bytes there are"
            )
        if not (np.diff(self._offsets) > 0).all():
            raise UserError(f"{name}: offsets do not ascend at image {int(np.argmax(np.diff(self._offsets) <= 0))}")

    def __len__(self) -> int:
        return len(self._labels)

    def read(self, indices: NDArray[np.integer]) -> Examples:
        """See `Source.read`."""
        indices = within(indices, len(self))
        images = (self._data[a:b].tobytes() for a, b in zip(self._offsets[indices], self._offsets[indices + 1], strict=True))
        return Examples(tuple(images), self._labels[indices])

    def where(self, index: int) -> str:
        """See `Source.where`."""
        return f"{self._name}, image {index}"


def read_npz(path: str | Path, split: str) -> Source:
    """Reads a split of an `.npz` file into memory.

    Args:
      path: of the file. It holds, for each split, either `<split>_x` (`uint8[N, H, W, 1 or 3]`) and `<split>_y` (integers
        `[N]`), or `<split>_jpg` (`uint8[T]`, JPEG files end to end), `<split>_off` (integers `[N + 1]`) and `<split>_y`.
      split: such as "train".

    Raises:
      UserError: missing, damaged or inconsistent.
    """
    place = f"{path}, split {split!r}"
    try:
        # Opened here because NumPy leaves a damaged file open.
        with Path(path).open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UserError(f"{path}: one bare array, not an .npz file of {_LAYOUTS}")
            splits = {key.removesuffix("_y") for key in file if key.endswith("_y")}
            if split not in splits:
                raise UserError(f"{path}: no labels {split}_y of split {split!r}: " + _offered(split, splits))
            keys = [key for key in (f"{split}_x", f"{split}_jpg", f"{split}_off") if key in file]
            held = {key.removeprefix(f"{split}_"): file[key] for key in (*keys, f"{split}_y")}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as an .npz file of plain arrays: {why}; fetch or write it again") from None
    if held.keys() == {"x", "y"}:
        return Arrays(held["x"], held["y"], place)
    if held.keys() == {"jpg", "off", "y"}:
        return Encoded(held["jpg"], held["off"], held["y"], place)
    raise UserError(f"{place}: holds {', '.join(f'{split}_{key}' for key in sorted(held))}; expected {_LAYOUTS}")


def _offered(split: str, splits: set[str]) -> str:
    return choose_from(split, sorted(splits)) if splits else f"the file must hold {_LAYOUTS}"
