"""The values of a comparison as arrays by model, task and seed, and how they are drawn again: the bootstrap's inside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bench.errors import UserError
from bench.records.check import rows

_STRATUM = 4
"""Fewest tasks of a group that is resampled by itself. Two hardly vary: over groups of 3, 2 and 2 tasks, intervals of 95% would
hold the mean of normal values in 88% of 300 trials, and 94% where tasks are drawn from all groups together."""
_HELD = 4_000_000
"""Values that are held in memory at a time."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Values by model, task and seed.

    Attributes:
      runs: f64[R], accuracies of the distinct runs.
      images: i64[R], images that each was measured on; 0 where that is not asked for.
      terms: for each summand, its sign and i64[P, T, S], the number of the run; -1 where there is none.
      strata: stratum of each task, T of them.
      groups: f64[T, G], one-hot.
    """

    runs: Floats
    images: NDArray[np.int64]
    terms: tuple[tuple[int, NDArray[np.int64]], ...]
    strata: tuple[int, ...]
    groups: Floats

    @classmethod
    def of(cls, frame: pd.DataFrame, columns: Sequence[str], examples: bool) -> Cells:
        """Arrays of the rows, which all have a value; `columns` are added up, the second with a minus.

        Raises:
          UserError: two rows of one cell, or, where `examples` are to be redrawn, a column that is no test accuracy or one
            whose number of images is unknown.
        """
        frame = frame.assign(adapt_group=frame["adapt_group"].astype("string").fillna(""))
        tasks = frame.groupby("adapt_ds")["adapt_group"].first()
        pool, task = (pd.factorize(frame[c], sort=True)[0] for c in ("name", "adapt_ds"))
        seed = pd.factorize(frame["seed"], sort=True)[0] if "seed" in frame else np.zeros(len(frame), int)
        place = pd.Series(list(zip(pool, task, seed, strict=True)))
        if bool(place.duplicated().any()):
            at = int(place.duplicated().to_numpy().argmax())
            raise UserError(f"several rows for {frame['name'].iloc[at]} on {frame['adapt_ds'].iloc[at]}")
        keys, accuracies, images = [], [], []
        for column in columns:
            count = np.zeros(len(frame), np.int64)
            key = [(column, i) for i in range(len(frame))]
            if examples:
                if not column.startswith("test"):
                    raise UserError(f"examples are redrawn for test accuracies, not for {column!r}")
                suffix = column.removeprefix("test")
                count = _images(frame, f"n_test{suffix}")
                key = list(zip(frame["adapt_ds"], frame[f"adapt_filename{suffix}"], strict=True))
            keys += key
            accuracies.append(frame[column].to_numpy(float))
            images.append(count)
        number, _ = pd.factorize(pd.Series(keys, dtype=object))
        first = pd.Series(number).drop_duplicates().index.to_numpy()
        shape = (pool.max() + 1, len(tasks), seed.max() + 1)
        terms: list[tuple[int, NDArray[np.int64]]] = []
        for i, sign in zip(range(len(columns)), (1, -1), strict=False):
            numbers = np.full(shape, -1)
            numbers[pool, task, seed] = number[i * len(frame) : (i + 1) * len(frame)]
            terms.append((sign, numbers))
        codes, names = pd.factorize(tasks, sort=True)
        strata = codes if np.bincount(codes).min() >= _STRATUM else np.zeros(len(tasks), int)
        return cls(
            np.concatenate(accuracies)[first],
            np.concatenate(images)[first],
            tuple(terms),
            tuple(int(c) for c in strata),
            np.eye(len(names))[codes],
        )

    @property
    def tasks(self) -> int:
        """Number of tasks, T."""
        return len(self.strata)

    @property
    def _there(self) -> NDArray[np.bool_]:
        return self.terms[0][1] >= 0

    @property
    def seeds(self) -> tuple[int, int]:
        """Number of values, and of those that are left when each cell's mean is known: none where no cell has two seeds."""
        count = self._there.sum(axis=-1)
        return int(count.sum()), int(np.maximum(count - 1, 0).sum())

    def blocks(self, weights: Floats) -> Iterator[Floats]:
        """The draws, as many at a time as memory is meant to hold."""
        size = max(1, _HELD // self._there.size)
        for start in range(0, len(weights), size):
            yield weights[start : start + size]

    def values(self, runs: Floats | None = None) -> Floats:
        """f64[..., P, T, S] of accuracies f64[..., R], 0 where there is no run."""
        runs = self.runs if runs is None else runs
        return sum((sign * runs[..., at] for sign, at in self.terms), np.zeros(())) * self._there

    def drawn(self, rng: np.random.Generator, draws: int, seeds: bool, examples: bool) -> Floats:
        """f64[draws or 1, P, T, S]: values under redrawn examples, times the times that each seed was drawn."""
        runs = self.runs
        if examples:
            runs = rng.binomial(self.images, self.runs, (draws, len(self.runs))) / self.images
        values = self.values(runs)
        if not seeds or not self.seeds[1]:
            return values
        times = np.zeros((draws, *self._there.shape))
        for p, t in zip(*np.nonzero(self._there.any(axis=-1)), strict=True):
            which = np.flatnonzero(self._there[p, t])
            times[:, p, t, which] = rng.multinomial(len(which), np.full(len(which), 1 / len(which)), draws)
        return values * times

    def mean(self, values: Floats, weights: Floats, by_group: bool) -> Floats:
        """f64[B] of values f64[B or 1, P, T, S] and the times f64[B, T] that each task was drawn."""
        count = self._there.sum(axis=-1)
        cell = values.sum(axis=-1) / np.maximum(count, 1)
        weight = weights[:, None, :] * (count > 0)
        into = self.groups if by_group else np.ones((self.tasks, 1))
        per_group, some = _ratio((weight * cell) @ into, weight @ into)
        per_pool, any_ = _ratio((per_group * some).sum(axis=-1), some.sum(axis=-1))
        return _ratio((per_pool * any_).sum(axis=-1), any_.sum(axis=-1))[0]


def _ratio(above: Floats, below: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The quotient, 0 where there is nothing to divide by, and where there is something."""
    some = below > 0
    return np.divide(above, below, out=np.zeros(above.shape), where=some), some


def _images(frame: pd.DataFrame, column: str) -> NDArray[np.int64]:
    if column not in frame:
        raise UserError(f"examples cannot be resampled: no column {column!r}")
    unknown = frame[column].isna()
    if bool(unknown.any()):
        raise UserError(f"examples cannot be resampled: {rows(unknown)} do not say how many images there are ({column!r})")
    return frame[column].to_numpy(np.int64)


@lru_cache(maxsize=16)
def task_counts(strata: tuple[int, ...], draws: int, seed: int) -> Floats:
    """f64[draws, T]: how often each task is drawn, each stratum by itself."""
    rng = np.random.default_rng([seed, 1])
    of = np.array(strata)
    counts = np.zeros((draws, len(of)))
    for stratum in np.unique(of):
        members = np.flatnonzero(of == stratum)
        counts[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), draws)
    return counts


def tail(level: float, members: int, degrees: int) -> float:
    """Probability beyond each end, so that on normal values the percentile interval is Student's."""
    student = float(stats.t.ppf((1 + level) / 2, degrees))
    return float(stats.norm.sf(student * math.sqrt(members / degrees)))
