"""How downstream tasks are loaded: from disk by their facts in `bench.points.tasks`, or, if embedded, by a module here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from bench.data.arrays import InMemory, joined
from bench.data.disk import find, missing, roots
from bench.data.load import load, load_extra
from bench.data.split import Dataset, Split
from bench.points.tasks import EXTRAS, TASKS, Task
from vtab.tasks import digits, lfw_faces, sprites

log = logging.getLogger(__name__)

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

    Extras, such as ImageNetV2 of imagenet2012, are there where they are on disk.

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
    folders: tuple[str, ...],
) -> Dataset:
    if loader and not both:
        return loader(resolution)
    if loader:
        data = _loaded(facts, resolution, False, loader, folders)
        assert isinstance(data.train, InMemory)
        assert isinstance(data.val, InMemory)
        return replace(data, train=joined(data.train, data.val))
    assert facts.files is not None, f"{facts.name} has neither files nor a loader"
    sizes = {"train": facts.train, "val": facts.val, "test": facts.test}
    data = load(facts.name, facts.files, sizes, facts.classes, resolution, crop=facts.crop, joined=both)
    return replace(data, extras=_extras(facts, resolution, folders)) if facts == TASKS.get(facts.name) else data


@cache
def _extras(facts: Task, resolution: int, _folders: tuple[str, ...]) -> dict[str, Split]:
    """Returns those sets with a task's classes that are on disk; says of the others, once, that they are not."""
    found = {}
    for name, extra in EXTRAS.items():
        if extra.of != facts.name:
            continue
        if find(name, extra.files):
            found[name] = load_extra(name, extra.files, extra.images, facts.classes, resolution, crop=facts.crop)
        else:
            log.warning("%s is not measured by %s: %s", facts.name, name, missing(name, extra.files))
    return found
