"""What the processes of one run agree on, so that all do the same at the same step; alone, a process agrees with itself.

Clocks, signals and disks differ between hosts. A process that took a longer dispatch than the others, or left alone, would stop
them all for ever.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from numpy.typing import NDArray


def alone() -> bool:
    """Returns whether this is the only process."""
    return int(jax.process_count()) == 1


def first() -> bool:
    """Returns whether this is the process that does what only one may do."""
    return int(jax.process_index()) == 0


def _gathered(mine: NDArray[Any]) -> NDArray[Any]:
    """Returns the arrays of all processes, stacked."""
    return np.asarray(multihost_utils.process_allgather(mine, tiled=False))


def everyone(mine: bool) -> bool:
    """Returns whether every process says so."""
    return mine if alone() else bool(_gathered(np.asarray([mine], np.int32)).all())


def told(mine: Any) -> Any:
    """Returns what the first process says, a JSON value."""
    if alone():
        return mine
    text = np.frombuffer(json.dumps(mine).encode(), np.uint8) if first() else np.zeros(0, np.uint8)
    size = int(_gathered(np.asarray([len(text)], np.int32))[0, 0])
    padded = np.pad(text, (0, size - len(text))).astype(np.int32)
    return json.loads(_gathered(padded)[0].astype(np.uint8).tobytes())


def whole(tree: Any) -> Any:
    """Returns a tree of arrays as NumPy arrays, also where each process has a part of them."""
    return jax.device_get(tree) if alone() else multihost_utils.process_allgather(tree, tiled=True)


def finite(tree: Any) -> bool:
    """Returns whether all elements of a tree of arrays are finite, on whatever process they lie."""
    shards = (shard.data for leaf in jax.tree.leaves(tree) for shard in leaf.addressable_shards)
    return everyone(all(np.isfinite(shard).all() for shard in shards))


class Moment(NamedTuple):
    """What a process knows after a dispatch.

    Attributes:
      stop: it was asked to leave.
      due: it is time for a checkpoint.
      seconds: that a step took.
    """

    stop: bool
    due: bool
    seconds: float

    def agreed(self) -> Moment:
        """Returns what holds for all: to leave when any must, to save when the first process says so, at the slowest's pace."""
        if alone():
            return self
        stop, due, seconds = _gathered(np.asarray(self, np.float32)).T
        return Moment(bool(stop.any()), bool(due[0]), float(seconds.max()))
