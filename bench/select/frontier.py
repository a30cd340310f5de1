"""How loss falls with compute: the frontier of the best runs, power laws along it, and how sure they are.

A run is on the frontier where no cheaper run, nor another of its cost, has as low a loss. A power law is a straight line in
logarithms, fitted by least squares along the frontier: of the loss, of the epochs and of the model size against compute.
Source: "ConvNets Match Vision Transformers at Scale" (2310.16764), figure 2, which draws the line for the loss and states no
coefficients.

The interval is a bootstrap over runs: the grid is drawn again with replacement, and the frontier of every draw is found anew,
so that it holds what the choice of the best adds to the uncertainty. Below six points on the frontier there is none, as for
means over tasks (`bench.select.intervals`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import UserError
from bench.select.intervals import DRAWS, LEVEL, fewest
from bench.select.runs import require

Floats = NDArray[np.float64]
_BLOCK = 1 << 20
"""Numbers that the bootstrap holds at once."""
_LINE = 3
"""Points that a line needs before what is left over says anything."""


@dataclass(frozen=True)
class Estimate:
    """A fitted number with the ends of its interval, NaN where there is none."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there was enough to resample."""
        return not math.isnan(self.low)

    def text(self, form: str | Callable[[float], str] = ".3g") -> str:
        """The number with its interval in brackets, such as `-0.043 [-0.045, -0.041]`."""

        def show(value: float) -> str:
            return f"{value:{form}}" if isinstance(form, str) else form(value)

        return show(self.value) + (f" [{show(self.low)}, {show(self.high)}]" if self.known else "")


@dataclass(frozen=True)
class PowerLaw:
    """value = prefactor * compute ** exponent.

    Attributes:
      exponent, prefactor: with intervals; the prefactor is the value at one unit of compute.
      rms: root mean square of the residuals, in natural logarithms: 0.007 is 0.7% of the value.
      points: number of runs on the frontier.
      one: compute at which the value is 1, such as that above which more than one epoch is best; infinite where it is beyond
        all numbers, NaN for a flat line.
    """

    exponent: Estimate
    prefactor: Estimate
    rms: float
    points: int
    one: Estimate

    def at(self, compute: float | Floats) -> Floats:
        """The law's value at an amount of compute, in the unit it was fitted in."""
        return np.asarray(self.prefactor.value * np.asarray(compute, float) ** self.exponent.value)


def frontier(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that no run of the same or of less compute beats, by rising compute.

    Args:
      runs: columns `compute`, in any unit, and `loss`; both positive. Of runs that tie in both, the first counts.

    Returns:
      Rows of `runs` with all their columns and their index; losses fall strictly.

    Raises:
      UserError: a column is missing, there are no runs, or a number is not positive.
    """
    ordered = _ordered(runs)
    best = _on_frontier(np.ones((1, len(ordered))), ordered["loss"].to_numpy(float))[0]
    return ordered.iloc[np.flatnonzero(best)]


def power_law(runs: pd.DataFrame, value: str = "loss", *, level: float = LEVEL, draws: int = DRAWS, seed: int = 0) -> PowerLaw:
    """Fits a column as a power of compute along the frontier of the runs.

    Args:
      runs: columns `compute` and `loss`, as of `frontier`, and `value`.
      value: the column that is fitted: the loss itself, or what the best run has, such as its epochs. Positive.
      level: probability that the intervals are made for.
      draws: number of times that the runs are drawn again.
      seed: of the bootstrap; the same gives the same intervals.

    Raises:
      UserError: what `frontier` raises, or fewer than three runs are on the frontier.
    """
    ordered = _ordered(runs)
    require(ordered, (value,))
    _positive(ordered, value)
    loss = ordered["loss"].to_numpy(float)
    x, y = np.log(ordered["compute"].to_numpy(float)), np.log(ordered[value].to_numpy(float))
    best = _on_frontier(np.ones((1, len(x))), loss)
    points = int(best.sum())
    if points < _LINE:
        raise UserError(f"{points} of {len(x)} runs are on the frontier of loss and compute: a line needs {_LINE}")
    intercept, slope = (float(v[0]) for v in _lines(best.astype(float), x, y))
    rms = float(np.sqrt(np.mean((y - intercept - slope * x)[best[0]] ** 2)))
    law = np.array([[slope], [intercept], [_where_zero(intercept, slope)]])
    ends = np.full((3, 2), math.nan)
    if points >= fewest(level):
        rng = np.random.default_rng(seed)
        size = max(1, _BLOCK // len(x))
        blocks = [_drawn(rng, min(size, draws - start), loss, x, y) for start in range(0, draws, size)]
        # A draw whose frontier is a single run, which happens to hardly any, has no line.
        ends = np.nanquantile(np.concatenate(blocks, axis=1), ((1 - level) / 2, (1 + level) / 2), axis=1).T
    law = np.concatenate([law, ends], axis=1)
    with np.errstate(over="ignore"):
        law[1:] = np.exp(law[1:])
    exponent, prefactor, one = (Estimate(*map(float, row)) for row in law)
    return PowerLaw(exponent, prefactor, rms, points, one)


def _drawn(rng: np.random.Generator, draws: int, loss: Floats, x: Floats, y: Floats) -> Floats:
    """Exponents, logarithms of prefactors and of where the value is 1, [3, draws], of the runs drawn with replacement."""
    counts = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), draws).astype(float)
    intercept, slope = _lines(counts * _on_frontier(counts, loss), x, y)
    return np.stack([slope, intercept, _where_zero(intercept, slope)])


def _ordered(runs: pd.DataFrame) -> pd.DataFrame:
    require(runs, ("compute", "loss"))
    for column in ("compute", "loss"):
        _positive(runs, column)
    return runs.sort_values(["compute", "loss"], kind="stable")


def _positive(runs: pd.DataFrame, column: str) -> None:
    values = runs[column].to_numpy(float)
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        raise UserError(f"column {column!r} holds {values[wrong][0]:g}: a power law needs finite numbers above 0")


def _on_frontier(counts: Floats, loss: Floats) -> NDArray[np.bool_]:
    """Which runs are on the frontier of each draw, [draws, runs], of how often each is in it; runs by rising compute."""
    there = np.where(counts > 0, loss, np.inf)
    cheaper = np.minimum.accumulate(there, axis=1)
    before = np.concatenate([np.full((len(there), 1), np.inf), cheaper[:, :-1]], axis=1)
    return np.asarray(there < before)


def _lines(weights: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Intercepts and slopes, [draws], of weighted least squares; NaN where all the weight is at one x."""
    total = weights.sum(axis=1)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    several = (weights > 0).sum(axis=1) > 1
    spread = np.where(several, weights @ x**2 / total - mean_x**2, math.nan)
    slope = (weights @ (x * y) / total - mean_x * mean_y) / spread
    return mean_y - slope * mean_x, slope


def _where_zero(intercept: float | Floats, slope: float | Floats) -> Floats:
    """Logarithm of the compute at which a line is 0; NaN for a flat one."""
    slope = np.asarray(slope, float)
    return np.asarray(-np.asarray(intercept, float) / np.where(slope == 0, math.nan, slope))
