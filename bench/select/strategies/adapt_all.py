"""The reference: adapt every checkpoint in every setting.

Source: "How to train your ViT?", section 4.5.
"""

from __future__ import annotations

import pandas as pd

from bench.select.pool import Pool
from bench.select.runs import best
from bench.select.strategy import Ask, Choice, Strategy


def _choose(pool: Pool, budget: int) -> Ask:  # noqa: ARG001 - it is the reference for all budgets
    runs = pool.runs_of(list(pool.checkpoints.index))
    scores = (yield runs) if runs else pd.Series(dtype="float64")
    run = best(scores.reindex(runs))
    why = f"best of {len(pool.checkpoints)} checkpoints and {len(runs)} runs"
    return Choice(None if run is None else str(pool.runs.at[run, "filename"]), run, why)


ADAPT_ALL = Strategy("adapt_all", "all checkpoints in all settings, whatever the budget", _choose, usual=None, limited=False)
