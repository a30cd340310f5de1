"""What the figures show of each model and upstream set: its recommended checkpoint, and what fine-tuning makes of it.

Source: "How to train your ViT?", section 4.5: the checkpoint has the highest upstream validation accuracy, and validation
chooses among its fine-tunes; the test accuracy is shown.
"""

from __future__ import annotations

import pandas as pd

from bench.select.runs import ok, require, transfer_runs, upstream_runs
from bench.select.validation import V2_OF, refuse_mixtures, validation

COLUMNS = ("name", "ds", "adapt_ds", "adapt_resolution", "adapt_final_val", "adapt_final_test", "adapt_status")


def recommended(table: pd.DataFrame) -> pd.DataFrame:
    """The recommended checkpoint of every model and upstream set.

    Returns:
      One row per (name, ds) of which a run ended well, with the columns of `bench.select.runs.upstream_runs`; the first by name
      where several tie.

    Raises:
      UserError: as `upstream_runs`.
    """
    runs = upstream_runs(table)
    ended = runs[ok(runs["status"]) & runs["final_val"].notna()]
    return ended.loc[ended.groupby(["name", "ds"])["final_val"].idxmax()].reset_index(drop=True)


def task_of(table: pd.DataFrame) -> str:
    """The task that a figure of ImageNet-1k shows: that one, else the one with the most transfers, the first by name.

    Raises:
      UserError: a column is missing, or nothing was transferred.
    """
    require(table, COLUMNS)
    tasks = table["adapt_ds"].dropna()
    require(tasks.to_frame(), ())
    return V2_OF if tasks.eq(V2_OF).any() else str(tasks.value_counts().sort_index().idxmax())


def tuned(table: pd.DataFrame, checkpoints: pd.DataFrame, by_resolution: bool = True) -> pd.DataFrame:
    """The transfers that validation chooses.

    Args:
      table: columns of `bench.records.schema`.
      checkpoints: column `filename`, whose transfers compete.
      by_resolution: whether each resolution is chosen for by itself.

    Returns:
      The chosen row of the table for each (name, ds, adapt_ds), and resolution where asked; ImageNet-1k is chosen by ImageNetV2
      where `bench.select.validation.validation` can. Columns are added: `val`, by what it was chosen; `value`, its test
      accuracy. Nothing where nothing was transferred.

    Raises:
      UserError: a column is missing, or transfers do not compare.
    """
    require(table, COLUMNS)
    rows = transfer_runs(table[table["filename"].isin(checkpoints["filename"])])
    if rows.empty:
        return rows.assign(val=pd.Series(dtype="float64"), value=pd.Series(dtype="float64"))
    refuse_mixtures(rows)
    keys = ["name", "ds", "adapt_ds"]
    rows["val"] = pd.concat([validation(group)[0] for _, group in rows.groupby(keys)])
    keys += ["adapt_resolution"] if by_resolution else []
    found = rows[rows["val"].notna()]
    best = found.loc[found.groupby(keys)["val"].idxmax()]
    return best.assign(value=best["adapt_final_test"].astype(float)).reset_index(drop=True)
