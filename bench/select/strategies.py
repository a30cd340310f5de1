"""Checkpoint-selection strategies, and what each one would have got on every task.

A pool is the checkpoints of one model: its upstream runs that did not diverge, of all upstream sets unless `ds` restricts them.
(The released recommendation takes i21k only, because validation accuracies of different upstream sets do not compare.) A
strategy chooses, for one task, a checkpoint of the pool and one of its transfer runs. It gets frames without test columns, so
it cannot read a test score; the test score of what it chose is looked up afterwards.

Sources: "How to train your ViT?", section 3.1 (hyper-parameters are chosen on validation, numbers are reported on test),
section 4.5 and Fig. 5 (upstream against downstream selection; ImageNetV2 as the validation score of imagenet2012, because
minival was seen upstream).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.errors import UserError, choose_from
from bench.points.tasks import TASKS
from bench.records.schema import COLUMNS
from bench.select.runs import best, ok, require, transfer_runs, upstream_runs

NEEDED = (
    *("name", "ds", "filename", "final_val", "status"),
    *("adapt_ds", "adapt_filename", "adapt_status", "adapt_final_val", "adapt_final_test"),
)
BLIND = tuple(c.name for c in COLUMNS if not c.name.endswith("_test"))
"""The columns that a strategy may see; a list of what is allowed, so that a column added to a table stays out."""

RESULT: dict[str, str] = {
    "name": "string",
    "adapt_ds": "string",
    "adapt_group": "string",
    "adapt_synthetic": "boolean",
    "strategy": "string",
    "filename": "string",
    "adapt_filename": "string",
    "val": "float64",
    "test": "float64",
    "finetunes": "int64",
    "train_seconds": "float64",
    "regret": "float64",
}


@dataclass(frozen=True)
class Choice:
    """What a strategy chose on one task.

    Attributes:
      filename: the checkpoint, None where no checkpoint has the score that the strategy needs.
      row: label in the transfer frame of the chosen run, None where the checkpoint has no scored transfer.
      trained: labels of all transfer runs that the strategy needs, diverged ones included.
    """

    filename: str | None
    row: int | None
    trained: tuple[int, ...]


Strategy = Callable[[pd.DataFrame, pd.DataFrame], Choice]
"""Chooses from (checkpoints, transfers): the pool, one row per checkpoint, sorted by `filename`; its transfer runs on one task,
sorted by (`filename`, `adapt_filename`), with `score`, the downstream validation score, empty where the run diverged."""


def upstream_best(checkpoints: pd.DataFrame, transfers: pd.DataFrame) -> Choice:
    """The checkpoint with the highest `final_val`; then the best of its transfer runs. Ties: the smallest name."""
    at = best(checkpoints["final_val"])
    if at is None:
        return Choice(None, None, ())
    filename = str(checkpoints.at[at, "filename"])
    own = transfers[transfers["filename"] == filename]
    return Choice(filename, best(own["score"]), tuple(own.index))


def adapt_all(checkpoints: pd.DataFrame, transfers: pd.DataFrame) -> Choice:  # noqa: ARG001
    """The best transfer run of all checkpoints. Ties: the smallest (filename, adapt_filename)."""
    at = best(transfers["score"])
    return Choice(None if at is None else str(transfers.at[at, "filename"]), at, tuple(transfers.index))


STRATEGIES: dict[str, Strategy] = {
    "upstream_best": upstream_best,
    "adapt_all": adapt_all,
}


def pools(table: pd.DataFrame, ds: Iterable[str] | None = None) -> dict[str, pd.DataFrame]:
    """The pool of every model of the table, models sorted by name; a pool is empty where all runs diverged.

    Args:
      table: columns of `bench.records.schema`.
      ds: upstream sets to restrict the pools to; None for all.

    Raises:
      UserError: an upstream set that the table does not have, or what `upstream_runs` raises.
    """
    runs = upstream_runs(table)
    if ds is not None:
        known = sorted(runs["ds"].dropna().unique())
        for wanted in (ds := list(ds)):
            if wanted not in known:
                raise UserError(f"no run of the table has ds {wanted!r}; {choose_from(wanted, known)}")
        runs = runs[runs["ds"].isin(ds)]
    return {str(name): rows[ok(rows["status"])] for name, rows in runs.groupby("name")}


def validation_score(transfers: pd.DataFrame) -> pd.Series:
    """Downstream validation score of the transfer runs of one pool on one task; empty where a run diverged.

    It is `adapt_final_val_v2` for imagenet2012, else `adapt_final_val`. The two scales differ by about 15 points, so they never
    compete: where any run of the pool that ended well lacks the ImageNetV2 score, all are compared by `adapt_final_val`.
    """
    usable = ok(transfers["adapt_status"])
    score = transfers["adapt_final_val"]
    if "adapt_final_val_v2" in transfers and bool(transfers["adapt_ds"].eq("imagenet2012").all()):
        v2 = transfers["adapt_final_val_v2"]
        scored = usable & (v2.notna() | score.notna())
        score = v2 if bool(scored.any()) and bool(v2[scored].notna().all()) else score
    return score.astype(float).where(usable)


def compare(
    table: pd.DataFrame, ds: Iterable[str] | None = None, strategies: Mapping[str, Strategy] | None = None
) -> pd.DataFrame:
    """What every strategy gets and costs, for every model and every task that its pool was transferred to.

    Args:
      table: columns of `bench.records.schema`.
      ds: upstream sets to restrict the pools to; None for all.
      strategies: None for `STRATEGIES`.

    Returns:
      One row per (name, adapt_ds, strategy), in this order, strategies in the order given; columns and dtypes of `RESULT`:
      `filename` and `adapt_filename` of the choice; `val` and `test`, its downstream validation score and test accuracy,
      fractions; `finetunes`, the number of transfer runs that the strategy needs on this task, and `train_seconds`, the sum of
      those of them that recorded their time; `regret`, test of `adapt_all` minus test of this strategy, a fraction that is
      negative where the cheaper choice is the better one. Empty where the strategy found nothing to choose.

    Raises:
      UserError: a column of `NEEDED` is missing, the table is empty or contradicts itself, or `ds` is unknown.
    """
    require(table, NEEDED)
    chosen_by = dict(STRATEGIES if strategies is None else strategies)
    by_model = pools(table, ds)
    transfers = transfer_runs(table)
    records: list[dict[str, Any]] = []
    for name, pool in by_model.items():
        checkpoints = _blind(pool.reset_index(drop=True))
        of_pool = transfers[transfers["filename"].isin(pool["filename"])]
        for task, rows in of_pool.groupby("adapt_ds"):
            shown = _blind(rows).assign(score=validation_score(rows))
            reference = _test(rows, adapt_all(checkpoints, shown))
            for strategy, choose in chosen_by.items():
                choice = choose(checkpoints.copy(), shown.copy())
                test = _test(rows, choice)
                records.append(
                    {
                        "name": name,
                        **_facts(str(task), rows),
                        "strategy": strategy,
                        "filename": choice.filename,
                        "adapt_filename": None if choice.row is None else rows.at[choice.row, "adapt_filename"],
                        "val": float("nan") if choice.row is None else shown.at[choice.row, "score"],
                        "test": test,
                        "finetunes": len(choice.trained),
                        "train_seconds": _seconds(rows, choice),
                        "regret": reference - test,
                    }
                )
    return pd.DataFrame(records, columns=list(RESULT)).astype(RESULT)


def _blind(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[[c for c in BLIND if c in frame.columns]]


def _test(rows: pd.DataFrame, choice: Choice) -> float:
    return float("nan") if choice.row is None else float(rows["adapt_final_test"].astype(float).loc[choice.row])


def _seconds(rows: pd.DataFrame, choice: Choice) -> float:
    if "adapt_train_seconds" not in rows:
        return float("nan")
    return float(rows.loc[list(choice.trained), "adapt_train_seconds"].astype(float).sum(min_count=1))


def _facts(task: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Group and kind of a task: as recorded, else (the released index records neither) as `bench.points.tasks` has them."""
    known = TASKS.get(task)
    group = rows["adapt_group"].dropna() if "adapt_group" in rows else pd.Series(dtype="string")
    synthetic = rows["adapt_synthetic"].dropna() if "adapt_synthetic" in rows else pd.Series(dtype="boolean")
    return {
        "adapt_ds": task,
        "adapt_group": group.iloc[0] if len(group) else known.group if known else None,
        "adapt_synthetic": bool(synthetic.iloc[0]) if len(synthetic) else known.synthetic if known else None,
    }
