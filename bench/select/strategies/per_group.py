"""What does well on tasks of the same group: natural, specialized or structured."""

from __future__ import annotations

import pandas as pd

from bench.select.pool import Pool
from bench.select.strategies.ranking import ranker
from bench.select.strategies.static import history_mean


def _rank(pool: Pool) -> pd.Series:
    """Where the pool knows no other task of the group, all tasks count, as for `static`."""
    alike = pool.history[pool.history["adapt_group"] == pool.group]
    return history_mean(pool.history if alike.empty else alike).reindex(pool.checkpoints.index)


PER_GROUP = ranker("per_group", "the best on average over the other tasks of the group", _rank, ("history",))
