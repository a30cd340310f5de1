"""What more budget buys: regret by the number of checkpoints that may be adapted, and by the share of adapt-all's cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import UserError, choose_from
from bench.select.intervals import IN_GENERAL, interval
from bench.select.measures import COSTS, POOL, REFERENCE

COLUMNS = ("strategy", "budget", "tasks", "left_out", "regret", "low", "high", "share")


def budgets(checkpoints: int) -> list[int]:
    """Budgets to compare at: 1, 2, 3, 5, 8, 13 ... and all; steps that grow as the pool does.

    Raises:
      UserError: there is no checkpoint.
    """
    if checkpoints < 1:
        raise UserError("a pool without checkpoints has no budget")
    found = [1, 2]
    while found[-1] < checkpoints:
        found.append(found[-1] + found[-2])
    return sorted({min(budget, checkpoints) for budget in found})


def curves(
    comparisons: Mapping[int, pd.DataFrame], over: Collection[str] = IN_GENERAL, cost: str | None = None
) -> pd.DataFrame:
    """Mean regret of every strategy at every budget, with its interval and with the share of adapt-all's cost that it took.

    A task counts at all budgets or at none: where every strategy has a regret at every budget that it was compared at. So a
    curve never changes because its tasks do.

    Args:
      comparisons: what `compare` returned, by the budget that it was asked for. (A pool that is smaller than the budget is
        adapted as a whole; it counts at that budget as well.)
      over: what the intervals resample (`bench.select.intervals`).
      cost: the column of a comparison whose share is taken; None for FLOPs where all are known, else fine-tunes.

    Returns:
      One row per (strategy, budget), columns `COLUMNS`: number of (model, task) pairs and of those left out, mean regret (over
      tasks, then over models) and its interval, mean share of the reference's cost. The reference itself, which knows no
      budget, has one row. Shares are empty where the reference's cost is 0 or unknown.

    Raises:
      UserError: no comparison, a missing column, no `adapt_all`, an unknown cost, or no task that counts.
    """
    if not comparisons:
        raise UserError("no curve without a comparison at some budget")
    frame = pd.concat([found.assign(budget=budget) for budget, found in comparisons.items()], ignore_index=True)
    if missing := [c for c in (*POOL, "adapt_group", "strategy", "regret", "finetunes") if c not in frame]:
        raise UserError(f"no curve without the column {', '.join(map(repr, missing))}")
    if cost is not None and (cost not in COSTS or cost not in frame):
        raise UserError(f"no cost {cost!r} was compared; {choose_from(cost, [c for c in COSTS if c in frame])}")
    if not frame["strategy"].eq(REFERENCE).any():
        raise UserError(f"a curve shows shares of what {REFERENCE} costs; compare it as well")
    if cost is None:
        cost = "flops" if "flops" in frame and bool(frame["flops"].notna().all()) else "finetunes"
    scored = frame["regret"].notna().groupby([frame[c] for c in POOL]).transform("all")
    counted = frame[scored]
    if counted.empty:
        raise UserError("no task on which every strategy has a test score at every budget")
    pairs = len(frame.drop_duplicates(POOL))
    whole = counted[counted["strategy"] == REFERENCE].groupby(POOL)[cost].max().astype(float)
    found: list[dict[str, Any]] = []
    for strategy in dict.fromkeys(counted["strategy"]):
        mine = counted[counted["strategy"] == strategy]
        if strategy == REFERENCE:
            mine = mine.drop_duplicates([*POOL, *(["seed"] if "seed" in mine else [])])
            mine = mine.assign(budget=max(comparisons))
        for budget, rows in mine.groupby("budget"):
            mean = interval(rows, "regret", over)
            share = rows[cost].astype(float).to_numpy() / whole.where(whole > 0).reindex(rows.set_index(POOL).index).to_numpy()
            known = share[~np.isnan(share)]
            size = {"tasks": len(rows.drop_duplicates(POOL)), "left_out": pairs - len(rows.drop_duplicates(POOL))}
            ends = {"regret": mean.estimate, "low": mean.low, "high": mean.high}
            found.append(
                {"strategy": strategy, "budget": budget, **size, **ends, "share": known.mean() if len(known) else np.nan}
            )
    return pd.DataFrame(found, columns=list(COLUMNS))
