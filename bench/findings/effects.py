"""Effects with intervals, and what they say of a claim.

A paired effect is a mean of differences, of the kind that `bench.select.intervals` bootstraps: over tasks where there are six
or more, else over models, which say whether it would be so in general; else over the images that the accuracies were measured
on, which say whether it would come out again for these models and tasks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bench.findings.finding import CONTRADICTED, NOT_SEPARABLE, SUPPORTED, Untestable, Verdict
from bench.points.tasks import TASKS
from bench.select.intervals import EXAMPLES, LEVEL, Interval, fewest, interval

PAIR = ("model", "task", "a", "b")
"""What a paired effect needs: who, on what, and the two accuracies, fractions. It may have `n_a`, `n_b`, the images that they
were measured on, and `run_a`, `run_b`, the names of the runs."""


@dataclass(frozen=True)
class Effect:
    """A mean of differences a - b.

    Attributes:
      interval: in fractions.
      over: what was resampled, for people.
      runs: number of distinct runs.
    """

    interval: Interval
    over: str
    runs: int


def paired(pairs: pd.DataFrame, *, general: bool = True) -> Effect:
    """Returns the mean of a - b with its interval.

    Args:
      pairs: columns `PAIR`, one row per model and task.
      general: whether it may be asked if it would be so for other tasks or models; else of these alone.

    Raises:
      Untestable: there are no pairs.
    """
    if pairs.empty:
        raise Untestable("no two runs compare")
    n = len(pairs)
    blank = pd.Series(math.nan, index=pairs.index)
    frame = pd.DataFrame(
        {
            "name": pairs["model"].astype(str),
            "adapt_ds": pairs["task"].astype(str),
            "adapt_group": [TASKS[t].group if t in TASKS else "" for t in pairs["task"].astype(str)],
            "test": pairs["a"].astype(float),
            "test_against": pairs["b"].astype(float),
            "adapt_filename": pairs["run_a"] if "run_a" in pairs else [f"a{i}" for i in range(n)],
            "adapt_filename_against": pairs["run_b"] if "run_b" in pairs else [f"b{i}" for i in range(n)],
            "n_test": pairs.get("n_a", blank).astype("float64"),
            "n_test_against": pairs.get("n_b", blank).astype("float64"),
        }
    )
    runs = len({*frame["adapt_filename"], *frame["adapt_filename_against"]})
    models, tasks = frame["name"].nunique(), frame["adapt_ds"].nunique()
    columns = ("test", "test_against")
    if general and tasks >= fewest():
        return Effect(interval(frame, columns), f"{tasks} tasks", runs)
    if general and models >= fewest():
        turned = frame.assign(name=frame["adapt_ds"], adapt_ds=frame["name"], adapt_group="")
        return Effect(interval(turned, columns), f"{models} models", runs)
    said = f"{n} comparison{'' if n == 1 else 's'}"
    if frame[["n_test", "n_test_against"]].notna().all(axis=None):
        return Effect(interval(frame, columns, (EXAMPLES,)), f"the images of {said}", runs)
    estimate = float((frame["test"] - frame["test_against"]).mean())
    return Effect(Interval(estimate, math.nan, math.nan, n), said, runs)


def judged(effect: Effect, what: str, bar: float = 0.0, most: float = math.inf) -> Verdict:
    """Returns whether an effect is as the claim has it: above a bar, and not above the most that it speaks of.

    Args:
      effect: positive in the direction of the claim.
      what: what the effect is, a sentence without its full stop.
      bar: a fraction, the least effect that the claim speaks of; negative where "nearly as good" will do.
      most: a fraction.
    """
    found = effect.interval
    points = (100 * found.estimate, 100 * found.low, 100 * found.high)
    least = f"{100 * bar:+.3g} points" if bar else "0"
    if not found.known:
        verdict, why = NOT_SEPARABLE, f"{effect.over} are too few to say"
    elif found.high < bar:
        verdict, why = CONTRADICTED, f"below {least} over {effect.over}"
    elif found.low > most:
        verdict, why = CONTRADICTED, f"above {100 * most:+.3g} points over {effect.over}"
    elif found.low > bar and found.high <= most:
        verdict, why = SUPPORTED, f"above {least} over {effect.over}"
    else:
        held = least if found.low <= bar else f"{100 * most:+.3g} points"
        verdict, why = NOT_SEPARABLE, f"the interval over {effect.over} holds {held}"
    if bar == 0 and found.known and not found.separable and verdict != NOT_SEPARABLE:
        verdict, why = NOT_SEPARABLE, f"only {found.telling} of {effect.over} differ"
    return Verdict(verdict, f"{what}: {why}", *points, unit="points", runs=effect.runs)


@dataclass(frozen=True)
class Slope:
    """A coefficient of least squares with Student's interval of 95%; open where no point is left over to say how sure it is."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """The coefficient with its interval in brackets."""
        return f"{self.value:+.2f}" + (f" [{self.low:+.2f}, {self.high:+.2f}]" if not math.isnan(self.low) else "")


def slopes(y: ArrayLike, *x: ArrayLike) -> tuple[Slope, ...]:
    """Returns the coefficients of `x` in y = constant + x1 b1 + x2 b2 ... by least squares.

    Raises:
      Untestable: the columns do not determine them, as where one never varies.
    """
    columns = [np.asarray(each, float) for each in x]
    return _least_squares(y, np.column_stack([np.ones(len(columns[0])), *columns]))[1:]


def mean_of(y: ArrayLike) -> Slope:
    """Returns the mean of y with its interval."""
    return _least_squares(y, np.ones((len(np.asarray(y)), 1)))[0]


def line_at(y: ArrayLike, x: ArrayLike, at: float) -> Slope:
    """Returns the height at `at` of the line that least squares fit to y over x, with its interval.

    Raises:
      Untestable: as `slopes`.
    """
    place = np.asarray(x, float) - at
    # Without a constant of its own, the coefficient of a column of ones is the height where the other is 0.
    return _least_squares(y, np.column_stack([np.ones(len(place)), place]))[0]


def _least_squares(y: ArrayLike, design: NDArray[np.float64]) -> tuple[Slope, ...]:
    target = np.asarray(y, float)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise Untestable(f"{len(target)} points do not tell the influences apart")
    found: NDArray[np.float64] = np.linalg.lstsq(design, target, rcond=None)[0]
    free = len(target) - design.shape[1]
    if free < 1:
        return tuple(Slope(float(b), math.nan, math.nan) for b in found)
    variance = float(((target - design @ found) ** 2).sum()) / free
    errors = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    half = float(stats.t.ppf((1 + LEVEL) / 2, free)) * errors
    return tuple(Slope(float(b), float(b - h), float(b + h)) for b, h in zip(found, half, strict=True))
