"""How well strategies that rank order the checkpoints, before anything is adapted.

A ranking is set against what the checkpoints reach: the test accuracy of the run that validation chose of each. It reads test
scores, hence it is for looking back only.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from bench.errors import UserError
from bench.records import scores as scoring
from bench.records.check import rows
from bench.select.intervals import interval
from bench.select.measures import POOL, need, recall_at, rel_at, weighted_tau
from bench.select.pools import Contest, contests, pools
from bench.select.runs import best, transfer_runs
from bench.select.strategies import STRATEGIES
from bench.select.validation import refuse_mixtures

_AVERAGED = ("tau", "rel_1", "rel_3", "recall_1", "recall_3")
COLUMNS = (*POOL, "adapt_group", "score", "checkpoints", *_AVERAGED)


def of_strategies(
    table: pd.DataFrame, scores: pd.DataFrame | None = None, ds: Iterable[str] | None = None, pool: str = "model"
) -> pd.DataFrame:
    """The rankings of all strategies that rank and have what they need, on every pool and task of a table.

    Args:
      table: columns of `bench.records.schema`.
      scores: columns of `bench.records.scores`; None for no probes.
      ds: upstream sets to restrict the pools to; None for all.
      pool: as of `bench.select.compare.compare`.

    Returns:
      As `rankings`; `score` is the strategy's name.

    Raises:
      UserError: as `bench.select.compare.compare`.
    """
    by_name = pools(table, ds, pool)
    transfers = transfer_runs(table)
    refuse_mixtures(transfers)
    measured = None if scores is None else scoring.check(scores)
    predicted, found = [], []
    for contest in contests(by_name, transfers, measured, seed=0):
        head = {"name": contest.name, "adapt_ds": contest.pool.task}
        found.append(_reached(contest).assign(adapt_group=contest.group, **head))
        for strategy in STRATEGIES.values():
            if strategy.rank is not None and not strategy.lacks(contest.pool):
                ranks = strategy.rank(contest.pool.copy()).dropna()
                ranked = pd.DataFrame({"filename": ranks.index, "value": ranks.to_numpy(float), "score": strategy.name})
                predicted.append(ranked.assign(**head))
    if not predicted:
        return pd.DataFrame(columns=list(COLUMNS))
    return rankings(pd.concat(predicted, ignore_index=True), pd.concat(found, ignore_index=True))


def rankings(predicted: pd.DataFrame, reached: pd.DataFrame) -> pd.DataFrame:
    """How well every score ranks the checkpoints of every pool on every task.

    A ranking is measured on the checkpoints that have both the score and an accuracy; `checkpoints` counts them. Where fewer
    than two have, there is nothing to rank, and no row.

    Args:
      predicted: columns name, adapt_ds, filename, score (its name), value (the higher the better).
      reached: columns name, adapt_ds, adapt_group, filename, test: the test accuracy of each checkpoint's run that validation
        chose.

    Returns:
      One row per (name, adapt_ds, score), sorted; columns `COLUMNS`.

    Raises:
      UserError: a missing column, a score of a checkpoint that stands there twice, or a value that is no finite number.
    """
    need(predicted, (*POOL, "filename", "score", "value"), "scores to rank by")
    need(reached, (*POOL, "adapt_group", "filename", "test"), "accuracies")
    for frame, keys in ((predicted, [*POOL, "filename", "score"]), (reached, [*POOL, "filename"])):
        if bool((twice := frame.duplicated(keys)).any()):
            raise UserError(f"{rows(twice)}: this checkpoint has two values of one score")
    both = predicted.merge(reached[[*POOL, "adapt_group", "filename", "test"]], on=[*POOL, "filename"])
    found = []
    for key, part in both.dropna(subset=["test"]).groupby([*POOL, "score"], sort=True):
        if len(part) < 2:
            continue
        x, y = (part.set_index("filename")[column].astype(float) for column in ("value", "test"))
        at = [rel_at(x, y, 1), rel_at(x, y, 3), recall_at(x, y, 1), recall_at(x, y, 3)]
        name, task, score = key
        found.append([name, task, part["adapt_group"].iloc[0], score, len(part), weighted_tau(x, y), *at])
    return pd.DataFrame(found, columns=list(COLUMNS))


def mean_rankings(found: pd.DataFrame) -> pd.DataFrame:
    """Means over tasks, then over models, of what `rankings` returned.

    Returns:
      One row per score, highest tau first: score, tasks (pairs of model and task), tau with its 95% interval over tasks
      (tau_low, tau_high; empty where there are too few), rel_1, rel_3, recall_1, recall_3.

    Raises:
      UserError: a column is missing.
    """
    need(found, (*POOL, "adapt_group", "score", *_AVERAGED), "rankings")
    means = []
    for score, part in found.groupby("score"):
        tau = interval(part, "tau")
        others = {column: interval(part, column, over=()).estimate for column in _AVERAGED[1:]}
        ends = {"tau": tau.estimate, "tau_low": tau.low, "tau_high": tau.high}
        means.append({"score": score, "tasks": len(part), **ends, **others})
    columns = ["score", "tasks", "tau", "tau_low", "tau_high", *_AVERAGED[1:]]
    return pd.DataFrame(means, columns=columns).sort_values("tau", ascending=False, kind="stable", ignore_index=True)


def _reached(contest: Contest) -> pd.DataFrame:
    """Columns filename, test: each checkpoint's test accuracy of its best run by validation, empty where none ended well."""
    tests = contest.rows["adapt_final_test"].astype(float)
    chosen = {}
    for filename, runs in contest.rows.groupby("filename"):
        run = best(contest.val.loc[runs.index])
        chosen[str(filename)] = float("nan") if run is None else float(tests.loc[run])
    return pd.DataFrame({"filename": list(chosen), "test": list(chosen.values())})
