"""What a step sees: sets in memory or on disk, their splits, the stateless order.

A new upstream set is one line of facts in `bench.points.datasets`; an embedded one is also a module here and a line below.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from bench.data import mnist5k
from bench.data.load import load
from bench.data.split import Dataset
from bench.errors import UserError
from bench.points import UPSTREAM
from bench.points.datasets import PROPRIETARY_SETS

EMBEDDED_LOADERS: dict[str, Callable[[int], Dataset]] = {"mnist5k": mnist5k.load}


@cache
def load_upstream(name: str, resolution: int) -> Dataset:
    """Returns an upstream set, its evaluation splits at `resolution` pixels.

    Raises:
      UserError: it is proprietary, not on disk, or not what it should be.
    """
    if name in EMBEDDED_LOADERS:
        return EMBEDDED_LOADERS[name](resolution)
    facts = UPSTREAM[name]
    if name in PROPRIETARY_SETS or facts.files is None:
        raise UserError(
            f"upstream set {name!r} is proprietary, nobody outside its owner can read it: put another one in its place with"
            " --upstream, such as i21k, or a set of your own (docs/how-to/add-a-task.md)"
        )
    sizes = {"train": facts.train, "val": facts.val, "test": facts.test}
    return load(name, facts.files, sizes, facts.classes, resolution, crop=facts.crop, side=facts.side)
