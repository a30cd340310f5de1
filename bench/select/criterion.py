"""By what a strategy chose: a score of every checkpoint of a pool, who came second, and how far apart the first two are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from bench.points import TASKS
from bench.points.tasks import EXTRAS
from bench.select.drive import drive
from bench.select.gap import gap
from bench.select.intervals import Interval
from bench.select.pool import Pool
from bench.select.pools import Contest
from bench.select.strategy import FACTS, Strategy
from bench.select.validation import upstream_set


@dataclass(frozen=True)
class Criterion:
    """A score that chose.

    Attributes:
      name: of the column, of the score, or of the strategy that has a number of its own.
      words: what it is.
      scores: by `filename`, sorted; empty where a checkpoint has none.
      images: number of images that each was measured on, by `filename`; empty where that is not known, or the score is no
        accuracy.
    """

    name: str
    words: str
    scores: pd.Series
    images: pd.Series

    @property
    def first(self) -> str | None:
        """Returns the checkpoint with the highest score; ties: the first by name."""
        return _first(self.scores)

    @property
    def accuracy(self) -> bool:
        """Returns whether the score is an accuracy, so that its differences are points."""
        return bool(self.images.notna().any())

    def value(self, filename: str | None) -> float:
        """Returns the score of a checkpoint, nan where it has none."""
        return float(self.scores.get(filename, math.nan)) if filename is not None else math.nan

    def tied(self, filename: str | None) -> int:
        """Returns how many other checkpoints have the score of `filename`."""
        return max(0, int((self.scores == self.value(filename)).sum()) - 1)

    def runner_up(self, filename: str | None) -> str | None:
        """Returns the best of the other checkpoints that have a score; ties: the first by name."""
        return None if filename is None else _first(self.scores.drop(index=[filename], errors="ignore"))

    def gap(self, first: str | None, second: str | None) -> Interval | None:
        """Returns by how much an accuracy is ahead of another; None where one is missing or the score is no accuracy."""
        if first is None or second is None or not self.accuracy or math.isnan(self.value(first)):
            return None
        n_first, n_second = (float(self.images.get(f, math.nan)) for f in (first, second))
        return gap(self.value(first), n_first, self.value(second), n_second)


def comparable(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Returns the parts of a table whose upstream accuracies compare, those of one upstream set together, sorted by its name.

    Parts of a set, and other numbers of epochs on it, are validated on the same images. So are, for all that is known, weights
    from elsewhere that name no upstream set.
    """
    known = {ds: facts.name if (facts := upstream_set(ds)) else ds for ds in table["ds"].dropna().unique()}
    sets = table["ds"].map(known).astype("string").fillna("")
    return [table[sets == one] for one in sorted(sets.unique())]


def upstream(checkpoints: pd.DataFrame) -> Criterion:
    """Returns the final upstream validation accuracy of checkpoints, a pool of `bench.select.pools.pools`."""
    found = checkpoints.sort_values("filename").set_index("filename")
    known = {ds: facts.val for ds in found["ds"].dropna().unique() if (facts := upstream_set(ds)) is not None}
    images = found["ds"].map(known).astype(float)
    if "n_val" in found:
        images = found["n_val"].astype("Float64").astype(float).fillna(images)
    return Criterion("final_val", "upstream validation", found["final_val"].astype(float), images)


def criterion(strategy: Strategy, contest: Contest, scores: pd.DataFrame | None, budget: int | None) -> Criterion:
    """Returns what decided for a strategy on one task.

    That is what it ranks by, where it may adapt one checkpoint alone, else the best downstream validation score of each
    checkpoint that it adapted; nothing where it lacks what it needs.

    Args:
      strategy: that chooses.
      contest: of `bench.select.pools.contests`.
      scores: columns of `bench.records.scores`; None for none.
      budget: number of checkpoints that may be adapted; None for what is usual.
    """
    if lacking := strategy.lacks(contest.pool):
        nothing = pd.Series(math.nan, index=contest.pool.checkpoints.index)
        return Criterion(lacking[0], lacking[0].replace("_", " "), nothing, nothing)
    if strategy.rank is not None and strategy.budget(contest.pool, budget) == 1:
        return ranking(strategy, contest.pool, scores)
    asked = drive(strategy, contest.pool, budget, lambda runs: contest.val.loc[runs])[1]
    rows, val = contest.rows.loc[asked], contest.val.loc[asked]
    known = float(TASKS[contest.pool.task].val) if contest.pool.task in TASKS else math.nan
    images = pd.Series(known, index=rows.index)
    if contest.split in EXTRAS:
        images[:] = float(EXTRAS[contest.split].images)
    elif "adapt_n_val" in rows:
        images = rows["adapt_n_val"].astype("Float64").astype(float).fillna(known)
    reached = pd.DataFrame({"filename": rows["filename"].astype(str), "score": val, "images": images})
    reached = reached.sort_values("score", ascending=False, kind="stable", na_position="last").groupby("filename").first()
    name = "adapt_final_val" if contest.split == "val" else "adapt_final_val_v2"
    return Criterion(name, "downstream validation", reached["score"], reached["images"])


def ranking(strategy: Strategy, pool: Pool, scores: pd.DataFrame | None) -> Criterion:
    """Returns what a strategy that ranks orders the checkpoints of a pool by.

    Args:
      strategy: which must rank, and have what it needs.
      pool: of the task.
      scores: columns of `bench.records.scores`, for the number of images behind an accuracy; None for none.
    """
    assert strategy.rank is not None, strategy.name
    ranks = strategy.rank(pool.copy()).astype(float)
    measured = [need for need in strategy.needs if need not in FACTS]
    name = measured[0] if measured else strategy.name
    images = pd.Series(math.nan, index=ranks.index)
    if measured and scores is not None:
        rows = scores[(scores["adapt_ds"] == pool.task) & (scores["score"] == name) & (scores["split"] == "val")]
        images = rows.sort_values("adapt_resolution").groupby("filename")["n"].first().astype(float).reindex(ranks.index)
    return Criterion(name, name.replace("_", " ") if measured else f"rank by {name}", ranks, images)


def _first(scores: pd.Series) -> str | None:
    present = scores.dropna()
    return None if present.empty else str(present.index[int(present.to_numpy().argmax())])
