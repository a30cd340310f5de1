"""Feeds a run: what its dispatches see, made ahead of them and laid where the compiled step expects it.

Every process makes its own part of each batch. A training split that fits is copied to the devices once and gathered there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding
from numpy.typing import NDArray

from bench.augment import mixing
from bench.data.ahead import ahead
from bench.data.arrays import InMemory
from bench.data.order import Chunk, Order
from bench.data.split import Split
from bench.train.program import Batches, Programs

# Bytes of a training split that is kept on every device: a small part of an accelerator's memory.
RESIDENT = 2**31
# Dispatches whose images are made before they are needed.
DEPTH = 2

Span = tuple[int, int]


def spans(step: int, total: int, chunk: int, stops: Sequence[int]) -> list[Span]:
    """Returns the steps (first, end) of every dispatch from `step` to `total`: at most `chunk`, none across a stop."""
    found = []
    while step < total:
        end = min(step + chunk, total, *(s for s in stops if s > step))
        found.append((step, end))
        step = end
    return found


@cache
def _gather(sharding: Sharding) -> Callable[..., tuple[jax.Array, jax.Array]]:
    # Kept, because a function made anew for every run would be compiled anew.
    return jax.jit(lambda held, examples: jax.tree.map(lambda x: x[examples], held), out_shardings=sharding)


class Resident:
    """Images and labels that lie on the devices and are gathered there."""

    def __init__(self, split: InMemory, programs: Programs) -> None:
        place = programs.placement
        self._held = place.copied((split.images, split.labels))
        self._take = _gather(place.batch(1))

    def __call__(self, examples: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns images and labels of `examples`, integers of any shape."""
        return self._take(self._held, examples)


def _ids(examples: NDArray[np.int64]) -> NDArray[np.int32]:
    # Devices count in 32 bits; folded, an index beyond them still gives its example a key of its own, but for coincidences.
    return ((examples ^ (examples >> 31)) & 0x7FFFFFFF).astype(np.int32)


def held(programs: Programs, split: Split) -> Resident | None:
    """Copies a split to the devices, where it fits."""
    return Resident(split, programs) if isinstance(split, InMemory) and split.images.nbytes <= RESIDENT else None


def examples(
    programs: Programs, split: Split, order: Order, due: Sequence[Span], resident: Resident | None
) -> Iterator[tuple[jax.Array, jax.Array, jax.Array, jax.Array]]:
    """Yields images, labels, examples and passes of every dispatch as `Batches` has them; `feed` says of what."""
    place, size = programs.placement, programs.static.chunk

    def chunks() -> Iterator[Chunk]:
        host, hosts = jax.process_index(), jax.process_count()
        return (order.chunk(first, end - first, host, hosts) for first, end in due)

    def laid(array: NDArray[Any]) -> jax.Array:
        padded = np.pad(array, ((0, size - len(array)), *((0, 0),) * (array.ndim - 1)))
        placed: jax.Array = jax.make_array_from_process_local_data(place.batch(1), padded)
        return placed

    reading = split.batches(chunks(), order.seed)
    for chunk in chunks():
        ids = laid(_ids(chunk.examples))
        if resident:
            images, labels = resident(ids)
        else:
            seen = next(reading)
            images, labels = laid(seen.images), laid(seen.labels)
        yield images, labels, ids, laid(chunk.passes)


def mixed(programs: Programs, order: Order, mixup: float, cutmix: float, first: int) -> mixing.Mixing:
    """Returns what the steps from `first` on mix; drawn also for those that a short dispatch lacks, which nobody looks at."""
    static = programs.static
    steps = range(first, first + static.chunk)
    return mixing.draw(order.seed, steps, mixup, cutmix, static.resolution, static.draws)


def feed(
    programs: Programs,
    split: Split,
    order: Order,
    mixup: float,
    cutmix: float,
    due: Sequence[Span],
    waiting: Callable[[], None] | None = None,
) -> Generator[Batches]:
    """Yields the arguments of every dispatch in turn; those of steps that a short dispatch lacks are zeros.

    Args:
      programs: whose placement and chunk they are for.
      split: the training split.
      order: of its examples; its seed is also that of crops and mixing.
      mixup: alpha of Mixup's Beta distribution, 0 for none.
      cutmix: the same of CutMix.
      due: the dispatches, see `spans`.
      waiting: called now and then while images are waited for; may raise to leave.
    """
    place = programs.placement

    def made() -> Iterator[Batches]:
        seen = examples(programs, split, order, due, held(programs, split))
        for (first, _), batch in zip(due, seen, strict=True):
            yield Batches(*batch, place.copied(mixed(programs, order, mixup, cutmix, first)))

    return ahead(made(), DEPTH, waiting)
