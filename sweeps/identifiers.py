"""Which images are in which split, as a file that one can pass on: what containers call them, labels, hashes of the images."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.data import check
from bench.data.sources.source import Source, chunks
from bench.errors import UserError
from bench.points.vtab import TRAIN, VAL
from bench.records.atomic import export
from sweeps.data import known, sources

# Of the CSV file.
COLUMNS = ("purpose", "index", "identifier", "label", "image")


class Row(NamedTuple):
    """An image of a split.

    Attributes:
      purpose: of the split.
      number: of the image, from 0.
      identifier: what the container calls it; empty where it has no names.
      label: its class, or several, joined by semicolons.
      image: first 16 hex digits of the SHA-256 of its file, or of its pixels where those are stored.
    """

    purpose: str
    number: int
    identifier: str
    label: str
    image: str


def rows(purpose: str, source: Source, progress: check.Progress) -> list[Row]:
    """Returns the rows of a split, in its order; `progress` as of `bench.data.check.look`."""
    found: list[Row] = []
    for chunk in chunks(np.arange(len(source)), lambda done, of: progress(purpose, "identifiers", done, of)):
        images, labels = source.read(chunk)
        right = labels.reshape(len(chunk), -1).tolist()
        texts = [";".join(str(label) for label in row if label >= 0) for row in right]
        digests = [hashlib.sha256(image).hexdigest()[:16] for image in map(bytes, images)]
        found += map(Row, [purpose] * len(chunk), chunk.tolist(), source.names(chunk), texts, digests)
    return found


def write(name: str, output: Path | None, lists: Path | None, progress: check.Progress) -> list[Path]:
    """Writes identifiers of all images of a set.

    Args:
      name: of the set.
      output: CSV file to write, with a line for every `Row`.
      lists: folder for lists of "identifier label", as VTAB-1k is passed on: train800.txt, val200.txt, train800val200.txt and
        test.txt where 800 images are learnt from and 200 select, else train.txt, val.txt, trainval.txt and test.txt.
      progress: as of `bench.data.check.look`.

    Returns:
      the files that were written.

    Raises:
      UserError: no such set, it is not on disk, a file cannot be written, or, for lists, images have no names, share them, or
        have several labels.
    """
    if output is None and lists is None:
        raise UserError("nothing to write: give -o FILE.csv, --lists FOLDER, or both")
    each = known(name)
    _, opened = sources(each, progress)
    check.counts(name, "its place", opened, each.sizes)
    splits = {purpose: rows(purpose, source, progress) for purpose, source in opened.items()}
    texts: dict[Path, str] = {}
    if lists is not None:
        texts |= {lists / file: text for file, text in _lists(name, splits).items()}
    if output is not None:
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        for split in splits.values():
            writer.writerows(split)
        texts[output] = table.getvalue()
    for path, text in texts.items():
        export(path, text)
    return list(texts)


def _lists(name: str, splits: dict[str, list[Row]]) -> dict[str, str]:
    every = [row for split in splits.values() for row in split]
    if not all(row.identifier for row in every):
        raise UserError(f"{name}: its images have no names here, so no list can name them; -o FILE.csv has their hashes")
    [(shared, times)] = Counter(row.identifier for row in every).most_common(1)
    if times > 1:
        raise UserError(f"{name}: {times} images are called {shared!r}, so no list can name them; -o FILE.csv has their hashes")
    if any(not row.label.isdecimal() for row in every):
        raise UserError(f"{name}: an image has no label or several, which a list cannot say; -o FILE.csv can")
    small = [len(splits.get(purpose, ())) for purpose in ("train", "val")] == [TRAIN, VAL]
    names = {"train": f"train{TRAIN}", "val": f"val{VAL}"} if small else {}
    texts = {f"{names.get(purpose, purpose)}.txt": _text(split) for purpose, split in splits.items()}
    if {"train", "val"} <= set(splits):
        both = f"train{TRAIN}val{VAL}.txt" if small else "trainval.txt"
        texts[both] = _text([*splits["train"], *splits["val"]])
    return texts


def _text(split: Sequence[Row]) -> str:
    return "".join(f"{row.identifier} {row.label}\n" for row in split)
