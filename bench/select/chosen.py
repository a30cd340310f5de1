"""Which checkpoint and which of its fine-tunes figures show, for all models and tasks of a table at once.

Source: "How to train your ViT?", section 4.5: the recommended checkpoint has the highest upstream validation accuracy, and
validation chooses among fine-tunes; the test accuracy is shown. It is what the strategy `upstream_best` of
`bench.select.compare` chooses, without asking for runs one pool after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.errors import UserError
from bench.points.tasks import TASKS
from bench.select.means import UNGROUPED
from bench.select.runs import ok, over_transfer_seeds, require, transfer_runs, upstream_runs
from bench.select.validation import V2_OF, refuse_mixtures, validation

COLUMNS = ("filename", "adapt_filename", "adapt_ds", "adapt_resolution", "adapt_final_val", "adapt_final_test", "adapt_status")
_V2 = "adapt_final_val_v2"
PER_SET = ("name", "ds")
"""Whose checkpoints compete for being recommended: a model's from one upstream set, as accuracies of others do not compare."""


def recommended(runs: pd.DataFrame, per: Sequence[str] = PER_SET) -> pd.DataFrame:
    """The recommended checkpoints.

    Args:
      runs: as `bench.select.runs.upstream_runs` returns them.
      per: columns in which checkpoints that compete are equal.

    Returns:
      The row of `runs` with the highest `final_val` of those that ended well, the first by name where several tie.
    """
    ended = runs[ok(runs["status"]) & runs["final_val"].notna()]
    return ended.loc[ended.groupby(list(per))["final_val"].idxmax()].reset_index(drop=True)


def of_table(table: pd.DataFrame) -> pd.DataFrame:
    """The recommended checkpoint of every model and upstream set of a table.

    Raises:
      UserError: as `bench.select.runs.upstream_runs`.
    """
    return recommended(upstream_runs(table))


def task_of(table: pd.DataFrame) -> str:
    """The task that a figure of ImageNet-1k shows: that one, else the one with the most transfers, the first by name.

    Raises:
      UserError: a column is missing, or nothing was transferred.
    """
    require(table, COLUMNS)
    tasks = table["adapt_ds"].dropna()
    if tasks.empty:
        raise UserError("no row of the table is a transfer: nothing can be shown of what fine-tuning makes of its checkpoints")
    return V2_OF if tasks.eq(V2_OF).any() else str(tasks.value_counts().sort_index().idxmax())


def of_task(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """The rows of the table that are a transfer to one task."""
    return table[table["adapt_ds"].eq(task).fillna(False).astype(bool)]


def valued(table: pd.DataFrame, per: Sequence[str] = PER_SET) -> pd.DataFrame:
    """The transfers of a table, with what chooses among them.

    Args:
      table: columns `COLUMNS`, name and ds, some of `bench.records.schema`.
      per: columns in which transfers that compete on a task are equal; it decides whether ImageNetV2 can choose.

    Returns:
      Rows sorted by (filename, adapt_filename), one for all seeds (`bench.select.runs.over_transfer_seeds`), with two columns
      more: `val`, the validation score, which is ImageNetV2's where `bench.select.validation.validation` says so, and is empty
      where a run has none; `value`, the test accuracy.

    Raises:
      UserError: a column is missing, the table is empty, or transfers do not compare.
    """
    require(table, COLUMNS)
    rows = transfer_runs(over_transfer_seeds(table))
    refuse_mixtures(rows)
    rows["val"] = rows["adapt_final_val"].astype(float).where(ok(rows["adapt_status"]))
    # Nothing but an ImageNetV2 score can take the place of the task's own.
    judged = rows[rows["adapt_ds"].eq(V2_OF)] if _V2 in rows and rows[_V2].notna().any() else rows.iloc[:0]
    for _, group in judged.groupby(list(per)):
        rows.loc[group.index, "val"] = validation(group)[0]
    return rows.assign(value=rows["adapt_final_test"].astype(float))


def best(rows: pd.DataFrame, per: Sequence[str]) -> pd.DataFrame:
    """The rows of `valued` with the highest `val` for each value of the columns `per`; none where no run has one."""
    scored = rows[rows["val"].notna()]
    return scored.loc[scored.groupby(list(per))["val"].idxmax()].reset_index(drop=True)


def tuned(table: pd.DataFrame, checkpoints: pd.DataFrame, by_resolution: bool = True) -> pd.DataFrame:
    """The transfers that validation chooses of each (name, ds, adapt_ds), and resolution where asked.

    Args:
      table: columns of `bench.records.schema`.
      checkpoints: column `filename`, whose transfers compete.
      by_resolution: whether each resolution is chosen for by itself.

    Returns:
      As `best`; nothing where nothing was transferred.

    Raises:
      UserError: a column is missing, or transfers do not compare.
    """
    require(table, COLUMNS)
    mine = table[table["filename"].isin(checkpoints["filename"])]
    if mine["adapt_filename"].isna().all():
        return mine.iloc[:0].assign(val=0.0, value=0.0)
    return best(valued(mine), [*PER_SET, "adapt_ds", *(["adapt_resolution"] if by_resolution else [])])


def groups(rows: pd.DataFrame) -> pd.Series:
    """The task group of every row: as recorded, else (the released index records none) as `bench.points.tasks` has it."""
    recorded = rows["adapt_group"] if "adapt_group" in rows else pd.Series(pd.NA, index=rows.index, dtype="string")
    known = {task: TASKS[task].group for task in rows["adapt_ds"].dropna().unique() if task in TASKS}
    return recorded.astype("string").fillna(rows["adapt_ds"].map(known).astype("string")).fillna(UNGROUPED)
