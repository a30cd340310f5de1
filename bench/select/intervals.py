"""How sure a mean over tasks is: intervals by bootstrap, paired differences, and whether two strategies can be told apart.

Three things are resampled, alone or together. *Tasks*, within their group where every group has four or more, because other
tasks might have been asked for: that is the spread which says whether a strategy is better in general. *Seeds*, because a
strategy may draw otherwise. *Examples*, because a test set is finite: an accuracy a on n images is redrawn as
Binomial(n, a) / n, once for each run, so that two strategies which chose the same run differ by exactly nothing. Two different
runs are redrawn independently although they share their images, which makes the interval wider than it would be if it was known
which images each gets right.

A bootstrap percentile is too narrow for few tasks: it has the divisor n for n - 1 and the normal's tails for Student's. The
percentiles are moved outwards by just that ("expanded percentile", Hesterberg 2014, arXiv 1411.5279). Below six tasks not even
the whole range of their values holds the median with a probability of 95%, so there is no interval: low and high are empty. For
the same reason two strategies are called separable only where they differ on six tasks: where they chose the same run, a task
says nothing, and a bootstrap of three differences among many zeros would.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bench.errors import UserError, choose_from
from bench.select.cells import Cells, tail, task_counts
from bench.select.measures import one_each, paired

TASKS, SEEDS, EXAMPLES = "tasks", "seeds", "examples"
LEVELS = (TASKS, SEEDS, EXAMPLES)
IN_GENERAL = (TASKS, SEEDS)
"""What is resampled when strategies are compared: would it hold on other tasks?"""
ON_THESE = (SEEDS, EXAMPLES)
"""What is resampled for the mean accuracy on given tasks: would it come out again?"""
DRAWS = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with the interval that it lies in.

    Attributes:
      estimate: the mean itself, a fraction.
      low, high: ends of the interval; NaN where there is too little to resample.
      tasks: number of tasks behind it.
      level: probability that the interval is made for.
      telling: number of tasks whose value is not 0; None for all of them.
    """

    estimate: float
    low: float
    high: float
    tasks: int
    level: float = LEVEL
    telling: int | None = None

    @property
    def known(self) -> bool:
        """Whether there was enough to resample."""
        return not math.isnan(self.low)

    @property
    def separable(self) -> bool:
        """Whether the interval leaves zero out, on enough tasks that are not 0."""
        enough = self.telling is None or self.telling >= min(self.tasks, fewest(self.level))
        return self.known and not self.low <= 0 <= self.high and enough

    def __str__(self) -> str:
        """Points with the interval in brackets, such as `+1.20 [-0.34, +2.81]`."""
        ends = f"[{_points(self.low)}, {_points(self.high)}]" if self.known else "[no interval]"
        return f"{_points(self.estimate)} {ends}"


def verdict(difference: Interval, first: str, second: str) -> str:
    """What the interval of (first minus second) says, in one line."""
    if not difference.known:
        return f"not separable: {difference.tasks} tasks are too few to say (difference {_points(difference.estimate)} points)"
    if difference.low <= 0 <= difference.high:
        return f"not separable: {difference} points on {difference.tasks} tasks, the interval holds 0"
    if not difference.separable:
        return f"not separable: {difference} points, but only {difference.telling} of {difference.tasks} tasks differ"
    better, worse = (first, second) if difference.estimate > 0 else (second, first)
    sign = 1 if difference.estimate > 0 else -1
    ends = sorted((sign * difference.low, sign * difference.high))
    said = replace(difference, estimate=abs(difference.estimate), low=ends[0], high=ends[1])
    return f"{better} is better than {worse} by {said} points on {said.tasks} tasks"


def fewest(level: float = LEVEL) -> int:
    """Fewest tasks whose range holds the median with this probability: 1 - 2 ** (1 - n) >= level; 6 for 95%."""
    return math.ceil(1 - math.log2(1 - level) - 1e-9)


def interval(
    frame: pd.DataFrame,
    value: str | tuple[str, str] = "test",
    over: Collection[str] = IN_GENERAL,
    *,
    by_group: bool = False,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Mean over tasks of a column, or of the difference of two, with its interval.

    The mean is over seeds, then over tasks (`by_group`: over the means of task groups), then over models; a task of several
    models is drawn for all of them together.

    Args:
      frame: one row per (name, adapt_ds), and per seed where it has a column `seed`; column adapt_group. Rows without a value
        are left out. For `examples` each value needs the columns that say which run it is of and how many images it counts:
        `test` needs adapt_filename and n_test, `test_against` needs adapt_filename_against and n_test_against.
      value: a column, or two for the first minus the second.
      over: what is resampled, of `LEVELS`.
      by_group: whether every task group weighs the same, instead of every task.
      level: probability that the interval is made for.
      draws: number of times that everything is resampled.
      seed: of the bootstrap; the same gives the same interval.

    Raises:
      UserError: a missing column, an unknown level of resampling, no values, or a value whose number of images is unknown.
    """
    for what in over:
        if what not in LEVELS:
            raise UserError(f"cannot resample {what!r}; {choose_from(what, LEVELS)}")
    columns = (value,) if isinstance(value, str) else value
    if missing := [c for c in ("name", "adapt_ds", "adapt_group", *columns) if c not in frame]:
        raise UserError(f"nothing to take a mean of: no column {', '.join(map(repr, missing))}")
    there = frame[list(columns)].notna().to_numpy().all(axis=1)
    present = frame if there.all() else frame.iloc[np.flatnonzero(there)]
    if present.empty:
        raise UserError(f"nothing to take a mean of: {' and '.join(columns)} are empty in all rows")
    cells = Cells.of(present, columns, EXAMPLES in over)
    estimate = float(cells.mean(cells.values(), np.ones((1, cells.tasks)), by_group)[0])
    telling = cells.telling() if TASKS in over else None
    inner = EXAMPLES in over or (SEEDS in over and cells.seeds[1] > 0)
    if (TASKS in over and cells.tasks < fewest(level)) or not (TASKS in over or inner):
        return Interval(estimate, math.nan, math.nan, cells.tasks, level, telling)
    rng = np.random.default_rng(seed)
    weights = task_counts(cells.strata, draws, seed) if TASKS in over else np.ones((draws, cells.tasks))
    means = [
        cells.mean(cells.drawn(rng, len(block), SEEDS in over, EXAMPLES in over), block, by_group)
        for block in cells.blocks(weights)
    ]
    members, degrees = (cells.tasks, cells.tasks - len(set(cells.strata))) if TASKS in over else cells.seeds
    beyond = tail(level, members, degrees) if TASKS in over or EXAMPLES not in over else (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), (beyond, 1 - beyond))
    return Interval(estimate, float(low), float(high), cells.tasks, level, telling)


def difference(
    comparison: pd.DataFrame, first: str, second: str, over: Collection[str] = IN_GENERAL, *, by_group: bool = False
) -> Interval:
    """Test accuracy of one strategy minus that of another, task by task, where both have one; see `interval`.

    Raises:
      UserError: what `bench.select.measures.paired` or `interval` raises.
    """
    return interval(paired(comparison, first, second), ("test", "test_against"), over, by_group=by_group)


def against(
    comparison: pd.DataFrame, baseline: str, over: Collection[str] = IN_GENERAL, *, by_group: bool = False
) -> pd.DataFrame:
    """Every strategy against one of them.

    Each interval is made for itself: where nothing differs, one of twenty strategies is expected to look as if it did.

    Returns:
      One row per other strategy, in order of appearance: strategy, baseline, tasks, difference (fraction; positive where the
      strategy is better), low, high, separable, verdict. A strategy that shares no scored task with the baseline has 0 tasks.

    Raises:
      UserError: `baseline` was not compared, or what `difference` raises.
    """
    one_each(comparison, baseline)
    found = []
    for strategy in dict.fromkeys(comparison["strategy"]):
        if strategy == baseline:
            continue
        both = paired(comparison, strategy, baseline)
        if both.empty:
            none = Interval(math.nan, math.nan, math.nan, 0)
            said, between = "not separable: no task on which both have a score", none
        else:
            between = interval(both, ("test", "test_against"), over, by_group=by_group)
            said = verdict(between, strategy, baseline)
        found.append((strategy, baseline, between.tasks, between.estimate, between.low, between.high, between.separable, said))
    columns = ["strategy", "baseline", "tasks", "difference", "low", "high", "separable", "verdict"]
    return pd.DataFrame(found, columns=columns)


def _points(fraction: float) -> str:
    text = f"{100 * fraction:+.2f}"
    return text[1:] if float(text) == 0 else text
