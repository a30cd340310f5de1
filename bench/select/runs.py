"""Views of the table: its upstream runs, each once, and its transfer runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.points.names import transfer_fields
from bench.records.schema import COLUMNS

_OF_THE_RUN = ("name", "ds", "aug", "wd", "do", "final_val", "status")
"""What must not differ between two rows of the same upstream run."""
_UPSTREAM = tuple(
    c.name for c in COLUMNS if not c.name.startswith("adapt_") and c.name not in ("filename", "params", "infer_samples_per_sec")
)
"""Parameters and speed are those at the downstream resolution, hence of the transfer."""
_MEASURED = ("adapt_final_val", "adapt_final_val_v2", "adapt_final_test", "adapt_train_seconds", "infer_samples_per_sec")
"""What differs between two transfers of one setting."""


def require(table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Checks that `table` has `columns` and at least one row.

    Raises:
      UserError: names the first column that is missing, or says that the table is empty.
    """
    for column in columns:
        if column not in table.columns:
            raise UserError(f"the table has no column {column!r}")
    if table.empty:
        raise UserError("the table has no rows: run a sweep first, or check which results were read")


def ok(status: pd.Series) -> pd.Series:
    """Whether a run ended well: status `ok`, or none recorded (the released index records none, and has ended runs only)."""
    return status.astype("string").fillna("ok").eq("ok").astype(bool)


def upstream_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The upstream runs of the table, one row each although a run has as many rows as it has transfers.

    Args:
      table: columns of `bench.records.schema`; needs `filename` and name, ds, aug, wd, do, final_val, status.

    Returns:
      One row per `filename`, sorted by it, newly numbered from 0, with the columns that belong to the upstream run. Where rows
      of a run leave a column empty and others do not, the value counts.

    Raises:
      UserError: a column is missing, the table is empty, or two rows of one run contradict each other.
    """
    require(table, ("filename", *_OF_THE_RUN))
    by_run = table.groupby("filename")
    distinct = by_run[list(_OF_THE_RUN)].nunique()
    for column in _OF_THE_RUN:
        several = distinct.index[distinct[column] > 1]
        if len(several):
            raise UserError(f"rows of upstream run {several[0]!r} differ in {column!r}")
    return by_run[[c for c in _UPSTREAM if c in table.columns]].first().reset_index()


def transfer_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `table` that are a transfer run, sorted by (filename, adapt_filename), newly numbered from 0.

    Raises:
      UserError: a column is missing, the table is empty, or a transfer run occurs twice.
    """
    require(table, ("filename", "adapt_ds", "adapt_filename"))
    rows = table[table["adapt_filename"].notna() & table["adapt_ds"].notna()]
    twice = rows["adapt_filename"].duplicated()
    if bool(twice.any()):
        raise UserError(f"transfer run {rows.loc[twice, 'adapt_filename'].iloc[0]!r} occurs twice in the table")
    return rows.sort_values(["filename", "adapt_filename"], ignore_index=True)


def by_transfer_seed(table: pd.DataFrame) -> list[pd.DataFrame]:
    """The table once for each seed of its transfers, in their order; runs without a transfer are in each of them."""
    seeds = table["adapt_seed"] if "adapt_seed" in table else pd.Series(pd.NA, index=table.index, dtype="Int64")
    transfers = table["adapt_filename"].notna() if "adapt_filename" in table else pd.Series(False, index=table.index)
    found = sorted(seeds[transfers].dropna().unique())
    if len(found) < 2:
        return [table]
    return [table[~transfers | seeds.eq(seed).fillna(False).astype(bool)] for seed in found]


def over_transfer_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with one row for all transfers that differ in nothing but their seed: a seed repeats a run, it is no setting.

    The row has the name of the run with the lowest seed and the means of what was measured. Where a run did not end well, its
    status counts for all of them.
    """
    seeds = table["adapt_seed"] if "adapt_seed" in table else pd.Series(dtype="Int64")
    if seeds.nunique() < 2:
        return table
    transfers = table[table["adapt_filename"].notna()].sort_values("adapt_seed", kind="stable")
    repeated = pd.Series([_without_seed(str(name)) for name in transfers["adapt_filename"]], index=transfers.index)
    fine = ok(transfers["adapt_status"])
    measured = transfers[[c for c in _MEASURED if c in transfers]].astype("float64")
    means = measured.where(fine).groupby(repeated).transform("mean")
    worst = transfers["adapt_status"].mask(fine).groupby(repeated).transform("first").fillna(transfers["adapt_status"])
    merged = transfers.assign(**means, adapt_status=worst)[~repeated.duplicated()]
    return pd.concat([table[table["adapt_filename"].isna()], merged]).sort_index()


def _without_seed(name: str) -> tuple[Any, ...]:
    try:
        upstream, fields = transfer_fields(name)
    except UserError:  # a name of another scheme repeats none
        return (name,)
    return upstream, *sorted((key, value) for key, value in fields.items() if key != "seed")


def best(scores: pd.Series) -> Any:
    """Label of the highest score, the first of them where several tie; None where there is no score."""
    present = scores.dropna().astype(float)
    return None if present.empty else present.index[int(present.to_numpy().argmax())]
