"""A strategy of our own: it asks for the run with the largest expected gain for its FLOPs, while any is worth them.

What validation will say of run r, checkpoint c in setting s, is taken for Gaussian: the task's level, plus what is known of c
(upstream accuracy, linear probe, mean over the other tasks: standardised over the pool, with weights that are learnt from the
answers), plus what is peculiar to c, plus effects of the learning rate, the steps and the resolution that all checkpoints
share, plus what is peculiar to r. An answer conditions all of it. The gain of a run is the expected improvement over the best
answer so far (Jones, Schonlau and Welch 1998); its price is its share of the FLOPs of adapting everything.

Accuracies spread more on some tasks than on others. The unit of the constants is therefore the standard deviation of the linear
probe's accuracy over the pool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from bench.select.pool import Pool
from bench.select.runs import best
from bench.select.strategies.static import history_mean
from bench.select.strategy import Ask, Choice, Strategy

Array = npt.NDArray[np.float64]

_LEVEL = (0.5, 0.5)
"""Mean and standard deviation of the task's level, an accuracy: anything."""
_LEAST_UNIT = 0.005
"""Half a point, the least unit: where probes agree, checkpoints may still differ."""


@dataclass(frozen=True)
class Constants:
    """What `bench.select.tuning` tunes, and two that it leaves.

    Attributes:
      trust: by how many units one standard deviation of all that is known of a checkpoint is expected to raise it.
      surprise: standard deviation of what is peculiar to a checkpoint, units.
      price: what adapting the whole pool may cost: the gain in accuracy, a fraction, that it would have to bring.
      settings: standard deviation of the effect of a setting, units.
      peculiar: standard deviation of what is peculiar to a run, units.
    """

    trust: float = 1.0
    surprise: float = 1.0
    price: float = 0.01
    settings: float = 1.0
    peculiar: float = 0.3


def thrifty(constants: Constants, name: str = "thrifty") -> Strategy:
    """Returns the strategy with given constants."""

    def choose(pool: Pool, budget: int) -> Ask:
        return _choose(pool, budget, constants)

    about = "one run at a time: the largest expected gain for its FLOPs, while it is worth them"
    return Strategy(name, about, choose, ("final_val", "linear_probe"), usual=None)


def _choose(pool: Pool, budget: int, constants: Constants) -> Ask:
    runs = pool.runs
    if runs.empty:
        return Choice(None, None, "no run to ask for")
    mean, cov = _prior(pool, constants)
    costs = _costs(runs)
    scores = pd.Series(math.nan, index=runs.index)
    adapted: set[str] = set()
    open_ = np.ones(len(runs), bool)
    wanted = _first(runs, mean, costs)
    while wanted.any():
        asked = [str(run) for run in runs.index[wanted]]
        scores[asked] = (yield asked).reindex(asked)
        # A run that diverged is as bad as the worst that did not; while there is none, it teaches nothing.
        told = scores[asked].fillna(scores.min()).dropna()
        for at, score in zip(runs.index.get_indexer(told.index), told, strict=True):
            mean, cov = _condition(mean, cov, int(at), float(score))
        open_ &= ~wanted
        adapted |= set(runs["filename"][wanted])
        able = open_ & (len(adapted) < budget or runs["filename"].isin(adapted).to_numpy())
        gain = _gain(mean, cov, scores.max())
        # Rounded, so that equal runs stay equal on every machine, and the first by name is asked for.
        worth = np.where(able & (gain > constants.price * costs), np.round(gain / costs, 12), 0.0)
        wanted = np.zeros(len(runs), bool)
        wanted[worth.argmax()] = worth.max() > 0
    run = best(scores)
    filename = str(runs.at[run if run is not None else runs.index[int(mean.argmax())], "filename"])
    return Choice(
        filename, run, f"best of {int((~open_).sum())} runs of {len(adapted)} checkpoints; more are not worth their FLOPs"
    )


def _prior(pool: Pool, constants: Constants) -> tuple[Array, Array]:
    """Returns mean [R] and covariance [R, R] of the runs' validation scores before any answer."""
    at = pool.checkpoints.index.get_indexer(pd.Index(pool.runs["filename"]))
    known = _known(pool)[at]  # [R, P]
    probe = pool.scores["linear_probe"]
    unit = max(float(np.nan_to_num(probe.std(ddof=0))), _LEAST_UNIT)
    # The predictors share the trust: their sum has about that standard deviation where they are independent.
    weight = constants.trust * unit / math.sqrt(known.shape[1])
    mean = _LEVEL[0] + weight * known.sum(axis=1)
    cov = _LEVEL[1] ** 2 + weight**2 * known @ known.T
    cov += (constants.surprise * unit) ** 2 * np.equal.outer(at, at)
    for setting in ("adapt_lr", "adapt_steps", "adapt_resolution"):
        codes = pd.factorize(pool.runs[setting])[0]
        cov += (constants.settings * unit) ** 2 / 3 * np.equal.outer(codes, codes)
    return mean, cov + (constants.peculiar * unit) ** 2 * np.eye(len(at))


def _known(pool: Pool) -> Array:
    """Returns what is known of each checkpoint, [C, P]: standardised over the pool, 0 where it is not known."""
    columns = [pool.checkpoints["final_val"], pool.scores["linear_probe"]]
    if not pool.history.empty:
        columns.append(history_mean(pool.history).reindex(pool.checkpoints.index))
    values = np.stack([column.to_numpy(float) for column in columns], axis=1)
    spread = np.nanstd(values, axis=0)
    return np.asarray(np.nan_to_num((values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1.0)))


def _costs(runs: pd.DataFrame) -> Array:
    """Returns each run's share of the FLOPs of all; of the steps where FLOPs are not known, and equal shares without those."""
    for column in ("flops", "adapt_steps"):
        values = runs[column].to_numpy(float)
        if np.all(values > 0):
            return np.asarray(values / values.sum())
    return np.full(len(runs), 1 / len(runs))


def _first(runs: pd.DataFrame, mean: Array, costs: Array) -> npt.NDArray[np.bool_]:
    """Returns the cheapest runs of the checkpoint that promises most: they show what the settings do."""
    mine = (runs["filename"] == runs["filename"].iloc[int(np.round(mean, 12).argmax())]).to_numpy()
    return np.asarray(mine & np.isclose(costs, costs[mine].min()))


def _condition(mean: Array, cov: Array, at: int, score: float) -> tuple[Array, Array]:
    """Returns mean and covariance given the score of one run."""
    share = cov[:, at] / cov[at, at]
    return mean + share * (score - mean[at]), cov - np.outer(share, cov[at])


def _gain(mean: Array, cov: Array, best_yet: Any) -> Array:
    """Returns the expected improvement of every run over the best score so far; where there is none, over nothing."""
    deviation = np.sqrt(np.maximum(cov.diagonal(), 1e-18))
    over = (mean - (0.0 if pd.isna(best_yet) else float(best_yet))) / deviation
    density = np.exp(-0.5 * over**2) / math.sqrt(2 * math.pi)
    return np.asarray(deviation * (over * ndtr(over) + density))


THRIFTY = thrifty(Constants())
