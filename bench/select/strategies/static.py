"""What does well elsewhere: one ranking for all tasks, from every task but the one at hand.

Sources: "How NOT to benchmark your SITE metric" (arXiv 2510.06448); "A Large-scale Study of Representation Learning with the
Visual Task Adaptation Benchmark", whose table of means is used like this.
"""

from __future__ import annotations

import pandas as pd

from bench.select.pool import Pool
from bench.select.strategies.ranking import ranker


def history_mean(history: pd.DataFrame) -> pd.Series:
    """Returns the mean of each checkpoint over tasks, each task's scores less their mean, so that gaps do not favour anybody.

    Args:
      history: columns of `bench.select.pool.HISTORY`.
    """
    centred = history["score"] - history.groupby("adapt_ds")["score"].transform("mean")
    return centred.groupby(history["filename"]).mean()


def _rank(pool: Pool) -> pd.Series:
    return history_mean(pool.history).reindex(pool.checkpoints.index)


STATIC = ranker("static", "the best on average over the other tasks", _rank, ("history",))
