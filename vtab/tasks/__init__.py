"""How downstream tasks are loaded: from disk by their facts in `bench.points.tasks`, or, if embedded, by a module here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from bench.data.arrays import InMemory, joined
from bench.data.disk import roots
from bench.data.load import load
from bench.data.split import Dataset
from bench.points.task import Task
from vtab.tasks import digits, lfw_faces, sprites

EMBEDDED_LOADERS: dict[str, Callable[[int], Dataset]] = {
    "digits": digits.load,
    "lfw_faces": lfw_faces.load,
    "synthetic_sprites_position": sprites.load_position,
    "synthetic_sprites_orientation": sprites.load_orientation,
}


def load_task(facts: Task, resolution: int, fit: str = "train") -> Dataset:
    """Returns a task's splits; the same object as long as facts, pixels, splits and the folders of sets are the same.

    Args:
      facts: of the task, from `TASKS` or a user's own.
      resolution: pixels.
      fit: as of `Transfer`; with `trainval`, train is train and val together, in this order. val and test are always there.

    Raises:
      UserError: it is not on disk, or not what it should be.
    """
    loader = EMBEDDED_LOADERS.get(facts.name) if facts.files is None else None
    return _loaded(facts, resolution, fit == "trainval", loader, tuple(roots()))


@cache
def _loaded(
    facts: Task,
    resolution: int,
    both: bool,
    loader: Callable[[int], Dataset] | None,
    _folders: tuple[str, ...],
) -> Dataset:
    if loader:
        data = loader(resolution)
        if not both:
            return data
        assert isinstance(data.train, InMemory)
        assert isinstance(data.val, InMemory)
        return replace(data, train=joined(data.train, data.val))
    assert facts.files is not None, f"{facts.name} has neither files nor a loader"
    sizes = {"train": facts.train, "val": facts.val, "test": facts.test}
    return load(facts.name, facts.files, sizes, facts.classes, resolution, crop=facts.crop, joined=both)
