"""Which examples a step sees: a pure function of (seed, step), so a run resumes from its step number alone.

Positions 0, 1, 2, ... run through the epochs; within an epoch a position is mapped to an example by a stateless permutation, so
every example comes exactly once per epoch however often the run was interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError

U64 = NDArray[np.uint64]
# Four rounds, enough for large sets, leave sets of ten examples measurably uneven.
_ROUNDS = 8


def mix(x: U64) -> U64:
    """Returns a 64-bit hash of each element (the finaliser of SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def permute(index: NDArray[np.integer], n: int, seed: int, epoch: NDArray[np.integer]) -> NDArray[np.int64]:
    """Maps each index in [0, n) to its place in the permutation that (seed, epoch) stands for.

    A balanced Feistel network over the next even power of two, walked until the value falls below n (cycle walking), so it is a
    bijection for every n up to 2**62 and needs no memory.

    Args:
      index: positions within the epoch, any shape, 0 <= index < n.
      n: size of the set.
      seed: of the run.
      epoch: number of the epoch of each position, same shape.

    Returns:
      int64 array of the same shape.
    """
    half = max(1, (max(n - 1, 1).bit_length() + 1) // 2)
    shift, mask = np.uint64(half), np.uint64((1 << half) - 1)
    epochs, which = np.unique(epoch, return_inverse=True)
    key = mix(mix(np.full(epochs.shape, seed, np.uint64)) ^ epochs.astype(np.uint64))
    schedule = [mix(key ^ np.uint64(r)) for r in range(_ROUNDS)]
    value = index.astype(np.uint64)
    walking = np.ones(index.shape, bool)
    while walking.any():
        x, of = value[walking], which[walking]
        left, right = x >> shift, x & mask
        for key in schedule:
            left, right = right, left ^ (mix(right ^ key[of]) & mask)
        value[walking] = (left << shift) | right
        walking &= value >= np.uint64(n)
    return value.astype(np.int64)


def subset(n: int, fraction: float) -> NDArray[np.int64]:
    """Returns the ascending indices of the examples that belong to a fraction of a set of n.

    An example belongs by the hash of its own index alone, so a smaller fraction lies within every larger one and any host
    that holds any part of the set decides alike. The count is therefore near `n * fraction`, not exactly it.
    """
    share = mix(np.arange(n, dtype=np.uint64)) >> np.uint64(11)
    return np.flatnonzero(share.astype(np.float64) * 2.0**-53 < fraction)


class Chunk(NamedTuple):
    """What consecutive steps see.

    Attributes:
      examples: int64[steps, batch], indices into the training set.
      passes: int32[steps, batch], how often the run has seen the example before; the epoch, unless examples repeat within one.
    """

    examples: NDArray[np.int64]
    passes: NDArray[np.int32]


@dataclass(frozen=True)
class Order:
    """The order of a run over `fraction` of a training set of `n` examples.

    Attributes:
      n: size of the whole training set.
      batch_size: examples per step, over all hosts.
      seed: of the run.
      fraction: share of the set that takes part, see `subset`.
      multiplicity: how often an example stands in its batch, augmented anew each time ("Drawing multiple augmentation samples
        per image during training efficiently decreases test error", Fort et al. 2021; 4 in the NFNet fine-tuning). A step
        costs what it did, an epoch lasts as many times longer.
    """

    n: int
    batch_size: int
    seed: int
    fraction: float = 1.0
    multiplicity: int = 1

    @cached_property
    def _members(self) -> NDArray[np.int64] | None:
        return None if self.fraction >= 1 else subset(self.n, self.fraction)

    @cached_property
    def size(self) -> int:
        """Returns the number of examples that take part.

        Raises:
          UserError: the fraction is so small that none does.
        """
        found = self.n if self._members is None else len(self._members)
        if not found:
            raise UserError(f"a fraction of {self.fraction:g} of {self.n} training examples leaves none: use a larger one")
        return found

    def chunk(self, step: int, steps: int, host: int = 0, hosts: int = 1) -> Chunk:
        """Returns what steps `step`, ..., `step + steps - 1` see on one of several hosts: its block of every batch.

        Hosts need not talk to each other, and their number may change at any step: side by side, their blocks are the batch.

        Raises:
          UserError: the hosts cannot share a batch equally.
        """
        if self.batch_size % hosts:
            raise UserError(
                f"a batch of {self.batch_size} cannot be shared equally by {hosts} hosts: use a multiple of {hosts}"
            )
        share = self.batch_size // hosts
        first = np.arange(step, step + steps, dtype=np.int64)[:, None] * self.batch_size + host * share
        drawn, copy = np.divmod(first + np.arange(share, dtype=np.int64), self.multiplicity)
        epoch, place = np.divmod(drawn, self.size)
        examples = permute(place, self.size, self.seed, epoch)
        if self._members is not None:
            examples = self._members[examples]
        return Chunk(examples, (epoch * self.multiplicity + copy).astype(np.int32))
