"""Upstream validation accuracy over model, dropout and augmentation: AugReg's Fig. 4 from the table.

Source: "How to train your ViT?", Fig. 4 and Table 6. The paper does not say how a cell joins its two weight decays; the maximum
of `final_val` is the only rule that agrees with the published single runs.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.report import figures, heatmap_figure, order
from bench.select.runs import ok, require, upstream_runs

KEYS = ["ds", "name", "do", "aug"]
COLUMNS = (*KEYS, "value")


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """The cells of the heatmap.

    Args:
      table: columns of `bench.records.schema`; every upstream run counts once, however many transfers it has.

    Returns:
      One row per (ds, name, do, aug) of which the table has a run that ended, in the order of the figure. `value`: the highest
      `final_val`, a fraction, of the runs with status ok over everything that is not a key: weight decay, learning rate,
      stochastic depth and seed (a maximum over seeds is optimistic; give the table of one seed where that matters). `value` is
      empty where all runs of the cell diverged; a cell without any run, or with pruned ones only, has no row.

    Raises:
      UserError: a column is missing, the table is empty or contradicts itself, or no run of it has a score or diverged.
    """
    require(table, COLUMNS[:-1])
    runs = upstream_runs(table)
    runs = runs.assign(value=runs["final_val"].astype(float).where(ok(runs["status"])))
    diverged = runs["status"].astype("string").eq("diverged").fillna(False).astype(bool)
    grouped = runs[runs["value"].notna() | diverged].groupby(KEYS)["value"].max().reset_index()
    if grouped.empty:
        raise UserError("no cell to draw: column 'final_val' is empty for every upstream run of the table")
    ranks = {
        "ds": order.upstream_sets(grouped["ds"]),
        "name": order.models(grouped["name"]),
        "do": sorted(grouped["do"].unique()),
        "aug": order.levels(grouped["aug"]),
    }
    by = pd.DataFrame({key: grouped[key].map({v: i for i, v in enumerate(ranks[key])}) for key in KEYS})
    return grouped.loc[by.sort_values(KEYS).index, list(COLUMNS)].reset_index(drop=True)


def narrow(cells: pd.DataFrame) -> pd.DataFrame:
    """The column "reg - noreg": the best cell with dropout minus the best cell without, per (ds, name).

    Returns:
      Columns ds, name and `value`, a fraction; empty where one of the two sides has no value.

    Raises:
      UserError: a column is missing or there is no cell.
    """
    require(cells, COLUMNS)
    pairs = cells[["ds", "name"]].drop_duplicates(ignore_index=True)
    sides = [
        cells[side].groupby(["ds", "name"])["value"].max().rename(label).reset_index()
        for side, label in ((cells["do"] > 0, "reg"), (cells["do"] == 0, "noreg"))
    ]
    both = pairs.merge(sides[0], how="left").merge(sides[1], how="left")
    return pairs.assign(value=both["reg"] - both["noreg"])


def gains(cells: pd.DataFrame) -> pd.DataFrame:
    """What dropout adds at each level, Fig. 7: the best cell with dropout minus the one without, per (ds, name, aug).

    Returns:
      Columns ds, name, aug and `value`, a fraction; empty where one of the two sides has no value.

    Raises:
      UserError: a column is missing or there is no cell.
    """
    require(cells, COLUMNS)
    keys = ["ds", "name", "aug"]
    pairs = cells[keys].drop_duplicates(ignore_index=True)
    reg, noreg = (cells[side].groupby(keys)["value"].max() for side in (cells["do"] > 0, cells["do"] == 0))
    return pairs.assign(value=(reg - noreg).reindex(pd.MultiIndex.from_frame(pairs)).to_numpy(float))


def draw(cells: pd.DataFrame) -> Figure:
    """Draws the heatmap in the layout of Fig. 4; `bench.report.heatmap_figure` says how.

    Raises:
      UserError: a column is missing or there is no cell.
    """
    require(cells, COLUMNS)
    return heatmap_figure.draw(cells, narrow(cells))


def save(fig: Figure, path: Path | str) -> None:
    """Writes the figure as .png, .svg or .pdf; the bytes depend on nothing but the figure."""
    figures.save(fig, path)
