"""What a step sees: datasets in memory, their splits, the stateless order.

A new upstream set is one module and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from bench.data import mnist5k
from bench.data.arrays import Dataset
from bench.errors import UserError

UPSTREAM_LOADERS: dict[str, Callable[[], Dataset]] = {"mnist5k": mnist5k.load}


@cache
def load_upstream(name: str) -> Dataset:
    """Returns an upstream set.

    Raises:
      UserError: this version cannot read the set.
    """
    if name not in UPSTREAM_LOADERS:
        raise UserError(
            f"upstream set {name!r} is known by name only: this version reads {', '.join(UPSTREAM_LOADERS)}, not files on disk"
        )
    return UPSTREAM_LOADERS[name]()
