"""How downstream tasks are loaded. A new task is one module, one line here and one line of facts in `bench.points.tasks`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from bench.data.arrays import Dataset
from bench.errors import UserError
from vtab.tasks import digits, lfw_faces, sprites

LOADERS: dict[str, Callable[[int], Dataset]] = {
    "digits": digits.load,
    "lfw_faces": lfw_faces.load,
    "synthetic_sprites_position": sprites.load_position,
    "synthetic_sprites_orientation": sprites.load_orientation,
}


@cache
def load_task(name: str, resolution: int) -> Dataset:
    """Returns a task's splits, resized plainly to `resolution` pixels.

    Raises:
      UserError: this version cannot read the task.
    """
    if name not in LOADERS:
        raise UserError(f"task {name!r} is known by name only: this version reads {', '.join(LOADERS)}")
    return LOADERS[name](resolution)
