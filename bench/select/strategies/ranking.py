"""What rankers share: adapt the checkpoints at the top of an order in all settings, take what validates best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from bench.select.pool import Pool
from bench.select.runs import best
from bench.select.strategy import Ask, Choice, Strategy


def top(ranks: pd.Series, budget: int) -> list[str]:
    """Returns the `budget` highest, best first; of equal ones the first by name. Checkpoints without a value are left out."""
    present = ranks.dropna().sort_index().sort_values(ascending=False, kind="stable")
    return [str(filename) for filename in present.index[:budget]]


def adapt(pool: Pool, filenames: Sequence[str], why: str) -> Ask:
    """Asks for all runs of some checkpoints and chooses the best; ties: the smallest (filename, adapt_filename).

    Args:
      pool: of the task.
      filenames: the checkpoints, the most promising first: it is the choice where no run has a score.
      why: of the choice.
    """
    if not filenames:
        return Choice(None, None, "nothing to choose by")
    runs = pool.runs_of(filenames)
    scores = (yield runs) if runs else pd.Series(dtype="float64")
    run = best(scores.reindex(runs))
    if run is None:
        return Choice(filenames[0], None, f"{why}; no run of it has a score")
    return Choice(str(pool.runs.at[run, "filename"]), run, why)


def ranker(name: str, about: str, rank: Callable[[Pool], pd.Series], needs: tuple[str, ...] = ()) -> Strategy:
    """Returns the strategy that adapts the `budget` checkpoints that `rank` has at the top.

    Args:
      name: as of `Strategy`.
      about: as of `Strategy`.
      rank: gives every checkpoint of a pool a number, the higher, the better, NaN where it cannot say.
      needs: as of `Strategy`.
    """

    def choose(pool: Pool, budget: int) -> Ask:
        chosen = top(rank(pool), budget)
        why = (
            f"first of {len(pool.checkpoints)} by {name}" if len(chosen) == 1 else f"best of the first {len(chosen)} by {name}"
        )
        return adapt(pool, chosen, why)

    return Strategy(name, about, choose, needs, rank)


def by_score(name: str, score: str, about: str) -> Strategy:
    """Returns the strategy that ranks checkpoints by a score, a column of `Pool.scores`."""
    return ranker(name, about, lambda pool: pool.scores[score], (score,))
