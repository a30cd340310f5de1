"""Image files in folders: named by a list with labels (how VTAB-1k is passed on), or one folder a class."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.sources.source import Examples, Source, as_labels, within
from bench.errors import UserError

_READ = (".jpg", ".jpeg", ".png")
# Images, too: they would be left out without a word if every other file were ignored.
_NOT_READ = (".bmp", ".gif", ".tif", ".tiff", ".webp")


class Files(Source):
    """Encoded image files.

    Args:
      root: folder that the paths are relative to.
      paths: of the files, `[N]`.
      labels: integers `[N]`.
      origin: list file that names them, or None.
      lines: line of `origin` that names each file, from 1.
    """

    def __init__(
        self,
        root: str | Path,
        paths: Sequence[str],
        labels: NDArray[np.int32],
        origin: str | Path | None = None,
        lines: Sequence[int] = (),
    ) -> None:
        self._root, self._paths, self._labels, self._origin, self._lines = root, paths, labels, origin, lines

    def __len__(self) -> int:
        return len(self._labels)

    def read(self, indices: NDArray[np.integer]) -> Examples:
        """See `Source.read`."""
        indices = within(indices, len(self))
        return Examples(tuple(self._content(int(i)) for i in indices), self._labels[indices])

    def where(self, index: int) -> str:
        """See `Source.where`."""
        path = str(self.path(index))
        return path if self._origin is None else f"{path} (line {self._lines[index]} of {self._origin})"

    def path(self, index: int) -> Path:
        """Returns the file of an example."""
        return Path(self._root, self._paths[index])

    def names(self, indices: NDArray[np.integer]) -> list[str]:
        """Returns the files' paths, relative to the folder of the set."""
        return [self._paths[i] for i in within(indices, len(self)).tolist()]

    def verify(self, indices: NDArray[np.integer]) -> None:
        """Raises UserError where a file is missing or empty; reads none."""
        for i in within(indices, len(self)).tolist():
            try:
                size = Path(self._root, self._paths[i]).stat().st_size
            except OSError as error:
                raise self._unreadable(i, error) from None
            if not size:
                raise self._empty(i)

    def _content(self, index: int) -> bytes:
        try:
            content = Path(self._root, self._paths[index]).read_bytes()
        except OSError as error:
            raise self._unreadable(index, error) from None
        if not content:
            raise self._empty(index)
        return content

    def _unreadable(self, index: int, error: OSError) -> UserError:
        return UserError(
            f"{self.where(index)}: cannot be read: {error.strerror or error}; restore the file or correct the list"
        )

    def _empty(self, index: int) -> UserError:
        return UserError(f"{self.where(index)}: the file is empty; restore it")


def listed(root: str | Path, list_file: str | Path) -> Files:
    """Returns the images that a list names, in its order.

    Args:
      root: folder that the paths are relative to.
      list_file: lines "relative/path label", such as VTAB's train800.txt; the label is the last word, so paths may hold spaces.
        Empty lines are passed over.

    Raises:
      UserError: no such list, a line that is none of a list, or a root without the files: the first, the middle and the last
        one are looked for. `check` looks for all of them, `read` for those that it reads.
    """
    paths, labels, lines = [], [], []
    try:
        with Path(list_file).open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                path, _, label = line.strip().rpartition(" ") if "\t" not in line else line.strip().rpartition("\t")
                if not path.strip() or not re.fullmatch("[0-9]{1,9}", label):
                    what = f"expected 'path label' with a class number from 0, not {line.strip()[:80]!r}"
                    raise UserError(f"{list_file}, line {number}: {what}")
                paths.append(path.strip())
                labels.append(int(label))
                lines.append(number)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{list_file}: the list cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not paths:
        raise UserError(f"{list_file}: the list names no image")
    files = Files(root, paths, np.array(labels, np.int32), list_file, lines)
    files.verify(np.array([0, len(paths) // 2, len(paths) - 1]))
    return files


def class_folders(root: str | Path) -> Files:
    """Returns the images of one folder a class, folder by folder, in the order of their paths.

    Where every folder has a number for its name, the number is the label, whatever the order of the names as words (the folders
    of ImageNetV2 are 0, 1, 10, 100, ...). Otherwise the names in alphabetical order are classes 0, 1, 2, ... Hidden files and
    folders, and files that are no images, are passed over; folders within a class belong to it.

    Raises:
      UserError: no such folder, no classes, a class without images, two names for one number, or images of other types.
    """
    try:
        with os.scandir(root) as entries:
            names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise UserError(f"{root}: the folder cannot be read: {error.strerror or error}") from None
    if not names:
        raise UserError(f"{root}: no folders in it; one folder a class is expected, with the images of the class")
    numbered = all(re.fullmatch("[0-9]{1,9}", name) for name in names)
    if numbered:
        names.sort(key=int)
        for one, other in pairwise(names):
            if int(one) == int(other):
                raise UserError(f"{root}: the folders {one!r} and {other!r} have the same number: merge them")
    paths: list[str] = []
    counts = []
    for name in names:
        found = _images(Path(root), name)
        if not found:
            raise UserError(
                f"{Path(root, name)}: no images ({', '.join(_READ)}) of this class: restore them or remove the folder"
            )
        paths += found
        counts.append(len(found))
    classes = [int(name) for name in names] if numbered else range(len(names))
    return Files(root, paths, as_labels(np.repeat(np.array(classes), counts), str(root)))


def _images(root: Path, name: str) -> list[str]:
    """Returns the sorted paths, relative to `root`, of the images under `root / name`."""
    found = []
    for folder, inner, files in os.walk(root / name):
        inner[:] = [i for i in inner if not i.startswith(".")]
        for file in files:
            suffix = Path(file).suffix.lower()
            if file.startswith("."):
                continue
            if suffix in _NOT_READ:
                raise UserError(f"{Path(folder, file)}: {suffix} images are not read: convert them to PNG or JPEG")
            if suffix in _READ:
                found.append(str(Path(folder, file).relative_to(root)))
    return sorted(found)
