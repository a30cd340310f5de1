"""Successive halving: every checkpoint is trained for the fewest steps, and only the best of them for more.

Source: "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (arXiv 1502.07943). The arms are checkpoints,
each with all of its settings; the resource is the number of steps. A rung keeps so many that it costs as much as the one
before: where the steps grow fivefold, a fifth of the checkpoints stays.
"""

from __future__ import annotations

import math

import pandas as pd

from bench.select.pool import Pool
from bench.select.runs import best
from bench.select.strategies.ranking import top
from bench.select.strategy import Ask, Choice, Strategy


def _choose(pool: Pool, budget: int) -> Ask:
    entrants = alive = _entrants(pool, budget)
    scores = pd.Series(math.nan, index=pool.runs.index)
    reached: dict[str, float] = {}  # the best score so far of every checkpoint that was tried
    before = 0.0
    for steps, rung in pool.runs.groupby(_steps(pool.runs)):
        tried = pd.Series({c: reached[c] for c in alive if c in reached}, dtype="float64")
        kept = top(tried, math.ceil(len(tried) * before / float(steps)))
        # A checkpoint without a run of few steps is not judged by others' many.
        alive = [c for c in alive if c in kept or c not in reached]
        wanted = [str(run) for run in rung.index[rung["filename"].isin(alive)]]
        if wanted:
            scores.loc[wanted] = (yield wanted).reindex(wanted)
            so_far = scores.groupby(pool.runs["filename"]).max()
            reached |= {c: so_far[c] if pd.notna(so_far[c]) else -math.inf for c in rung["filename"].unique() if c in alive}
            before = float(steps)
    run = best(scores)
    filename = None if run is None else str(pool.runs.at[run, "filename"])
    return Choice(filename, run, f"best of {len(entrants)} checkpoints, {len(alive)} of which were trained to the end")


def _steps(runs: pd.DataFrame) -> pd.Series:
    """Where the table does not say how many steps a run takes, it is as many as the longest."""
    known = runs["adapt_steps"].max()
    return runs["adapt_steps"].fillna(1.0 if pd.isna(known) else known)


def _entrants(pool: Pool, budget: int) -> list[str]:
    """The checkpoints that can be adapted; where the budget is smaller, the best upstream, those without a score last."""
    able = pool.checkpoints.loc[pool.checkpoints.index.isin(pool.runs["filename"]), "final_val"]
    return top(able.fillna(-math.inf), budget)


HALVING = Strategy("halving", "successive halving of all checkpoints over the number of steps", _choose, usual=None)
