"""The values of a comparison as arrays by model, task and seed, and how they are drawn again: the bootstrap's inside."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bench.errors import UserError

_STRATUM = 4
"""Fewest tasks of a group that is resampled by itself. Two hardly vary: over groups of 3, 2 and 2 tasks, intervals of 95% would
hold the mean of normal values in 88% of 300 trials, and 94% where tasks are drawn from all groups together."""
_ROUNDING = 1e-12
"""Accuracies that differ by less are equal: an image more or less in a set of a million changes one by 1e-6."""
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
        place = [pd.factorize(frame[c], sort=True)[0] for c in ("name", "adapt_ds", "seed") if c in frame]
        place += [np.zeros(len(frame), np.int64)] * (3 - len(place))
        shape = tuple(int(axis.max()) + 1 for axis in place)
        at = np.ravel_multi_index(place, shape)
        order = np.argsort(at, kind="stable")
        if bool((twice := np.diff(at[order]) == 0).any()):
            raise UserError(f"several rows for {_where(frame, order[1:][twice])}")
        runs = [_runs(frame, column, order, examples) for column in columns]
        keys: dict[Hashable, int] = {}
        terms = []
        for (names, _, _), sign in zip(runs, (1, -1), strict=False):
            numbers = np.full(shape, -1)
            numbers.flat[at[order]] = [keys.setdefault(name, len(keys)) for name in names]
            terms.append((sign, numbers))
        known = {name: value for names, *values in runs for name, *value in zip(names, *values, strict=True)}
        accuracies, images = zip(*(known[name] for name in keys), strict=True)
        _, first = np.unique(place[1], return_index=True)
        codes, groups = pd.factorize(frame["adapt_group"].astype("string").fillna("").to_numpy()[first], sort=True)
        strata = codes if np.bincount(codes).min() >= _STRATUM else np.zeros(len(first), np.int64)
        return cls(
            np.array(accuracies), np.array(images), tuple(terms), tuple(int(c) for c in strata), np.eye(len(groups))[codes]
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

    def telling(self) -> int:
        """Number of tasks whose value, added up over models and seeds, is not 0."""
        return int(np.count_nonzero(np.abs(self.values()).sum(axis=(0, 2)) > _ROUNDING))

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


def _runs(
    frame: pd.DataFrame, column: str, order: NDArray[np.int64], examples: bool
) -> tuple[Sequence[Hashable], Sequence[float], Sequence[int]]:
    """Runs, accuracies and numbers of images of a column's values; without examples every value is a run of its own."""
    accuracies = frame[column].to_numpy(float)[order].tolist()
    if not examples:
        return [(column, i) for i in range(len(frame))], accuracies, [0] * len(frame)
    if not column.startswith("test"):
        raise UserError(f"examples are redrawn for test accuracies, not for {column!r}")
    run, images = (f"{name}{column.removeprefix('test')}" for name in ("adapt_filename", "n_test"))
    for needed in (run, images):
        if needed not in frame:
            raise UserError(f"examples cannot be resampled: no column {needed!r}")
        if bool((unknown := frame[needed].isna().to_numpy()).any()):
            raise UserError(f"examples cannot be resampled: {needed!r} is empty for {_where(frame, np.flatnonzero(unknown))}")
    named = frame[["name", "adapt_ds", run]].to_numpy()[order].tolist()
    return [tuple(name) for name in named], accuracies, frame[images].to_numpy(np.int64)[order].tolist()


def _where(frame: pd.DataFrame, positions: NDArray[np.int64]) -> str:
    name, task = frame[["name", "adapt_ds"]].iloc[int(positions[0])]
    return f"{name} on {task}"


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
