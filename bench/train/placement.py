"""Where arrays lie on several devices: batches are split over them; weights are copied to each or, with FSDP, split as well.

One rule serves every family and every optimiser, because it looks at shapes alone: a moment lies where its parameter lies.
Programs are written for the global batch; XLA inserts the sums over devices, so batch normalisation and Mixup are global too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding
from numpy.typing import NDArray

AXIS = "devices"
# Elements of the smallest array that FSDP splits: gathering less costs more time than copies cost memory.
SMALLEST = 2**14


def split_axis(shape: Sequence[int], devices: int) -> int | None:
    """Returns the axis along which FSDP splits an array: the longest that the devices divide, the later of equals."""
    if math.prod(shape) < SMALLEST:
        return None
    axes = [axis for axis, size in enumerate(shape) if size % devices == 0]
    return max(axes, key=lambda axis: (shape[axis], axis), default=None)


class Placement:
    """Shardings over one axis of devices.

    Args:
      devices: in mesh order; on one device everything simply lies there.
      batches: batch sizes that must divide evenly; the first devices whose number divides all of them are used.
      fsdp: whether weights and optimiser state are split.
    """

    def __init__(self, devices: Sequence[jax.Device], batches: Sequence[int], fsdp: bool) -> None:
        self.count = math.gcd(len(devices), *batches)
        self._fsdp = fsdp
        self._mesh = Mesh(np.asarray(devices[: self.count]), (AXIS,))

    def _on(self, *spec: str | None) -> Sharding:
        return NamedSharding(self._mesh, PartitionSpec(*spec))

    @property
    def everywhere(self) -> Sharding:
        """Returns the sharding of what every device has whole."""
        return self._on()

    def batch(self, axis: int) -> Sharding:
        """Returns the sharding of an array whose examples lie along `axis`."""
        return self._on(*(None,) * axis, AXIS)

    def spread(self, array: NDArray[Any]) -> jax.Array:
        """Returns a batch that every process has whole, split over the devices of them all."""
        spread: jax.Array = jax.make_array_from_callback(array.shape, self.batch(0), lambda part: array[part])
        return spread

    def copied(self, tree: Any) -> Any:
        """Returns a tree of arrays that every process has whole, whole on every device.

        Unlike `jax.device_put`, which lets the processes compare what they have, this may be called from a thread while another
        one computes: the processes must enter what they do together in one order.
        """

        def one(array: NDArray[Any]) -> jax.Array:
            return jax.make_array_from_callback(array.shape, self.everywhere, lambda part: array[part])

        return jax.tree.map(one, tree)

    def tree(self, shapes: Any) -> Any:
        """Returns the shardings of a tree of weights or of a whole training state."""

        def one(leaf: Any) -> Sharding:
            axis = split_axis(leaf.shape, self.count) if self._fsdp and self.count > 1 else None
            return self.everywhere if axis is None else self.batch(axis)

        return jax.tree.map(one, shapes)
