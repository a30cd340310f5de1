"""What is known of every downstream task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.points.fields import from_mapping
from bench.points.files import Files

GROUPS = ("natural", "specialized", "structured")


@dataclass(frozen=True)
class Task:
    """Facts of a downstream task.

    Attributes:
      name: as in names of runs and on disk.
      group: one of `GROUPS`, or `own`.
      classes: number of classes.
      train, val, test: number of images of each split.
      synthetic: whether the images are rendered.
      files: where images are that are not embedded.
      crop: whether training images are Inception-cropped and flipped; they are plainly resized otherwise, as VTAB's are.
      version: raised whenever images, labels or splits change.
    """

    name: str
    group: str
    classes: int
    train: int
    val: int
    test: int
    synthetic: bool = False
    files: Files | None = None
    crop: bool = False
    version: int = 1

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Task:
        """Builds a task from plain values; raises `UserError` (see `from_mapping`)."""
        files = values.get("files")
        return from_mapping(cls, {**values, "files": from_mapping(Files, files) if isinstance(files, Mapping) else files})
