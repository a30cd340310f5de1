"""How downstream tasks are loaded: from disk by their facts in `bench.points.tasks`, or, if embedded, by a module here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from bench.data.load import load
from bench.data.split import Dataset
from bench.errors import UserError
from bench.points import TASKS
from bench.points.vtab import UNMADE_LABELS
from vtab.tasks import digits, lfw_faces, sprites

EMBEDDED_LOADERS: dict[str, Callable[[int], Dataset]] = {
    "digits": digits.load,
    "lfw_faces": lfw_faces.load,
    "synthetic_sprites_position": sprites.load_position,
    "synthetic_sprites_orientation": sprites.load_orientation,
}


@cache
def load_task(name: str, resolution: int) -> Dataset:
    """Returns a task's splits, resized plainly to `resolution` pixels.

    Raises:
      UserError: this version cannot make its labels, or it is not on disk, or not what it should be.
    """
    if name in EMBEDDED_LOADERS:
        return EMBEDDED_LOADERS[name](resolution)
    facts = TASKS[name]
    if facts.files is not None and facts.files.label in UNMADE_LABELS:
        raise UserError(
            f"task {name!r}: this version has no function that makes its labels ({facts.files.label}) from the features of"
            f" {facts.files.tfds}; `augreg data` lists the tasks, leave this one out"
        )
    assert facts.files is not None, f"{name} has neither files nor a loader"
    sizes = {"train": facts.train, "val": facts.val, "test": facts.test}
    return load(name, facts.files, sizes, facts.classes, resolution, crop=False)
