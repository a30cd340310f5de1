"""Table 5: the recommended checkpoints on every task of VTAB, and the means of its groups.

Source: "How to train your ViT?", Table 5, on all training images of VTAB's 19 tasks.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.points.tasks import GROUPS, TASKS
from bench.report import order
from bench.report.augreg import face, text_grid
from bench.report.augreg.face import ORIGIN, TABLE
from bench.report.augreg.fig3 import of_vtab
from bench.select import chosen, published
from bench.select.runs import require

_MEAN = "mean_"


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """The table.

    Args:
      table: columns of `bench.records.schema`; None for the published one, whose means are computed again from its cells. Tasks
        of VTAB in full count alone where it has them, else those of VTAB-1k, else all.

    Returns:
      One row per (ds, name): a column per task, tasks by group, its test accuracy, a fraction; after each group `mean_GROUP`,
      empty where a task of the group has no score. At several resolutions the largest of each task counts.

    Raises:
      UserError: the table lacks a column, or nothing was transferred.
    """
    if table is None:
        rows, origin = published.vtab_full().rename(columns={"test": "value"}), face.published("Table 5")
    else:
        found = face.of_the_paper(chosen.tuned(table, chosen.of_table(table)))
        if found.empty:
            raise UserError("table 5: no recommended checkpoint of the table was transferred")
        _, found = of_vtab(found)
        last = found.sort_values("adapt_resolution").groupby(["name", "ds", "adapt_ds"]).tail(1)
        rows, origin = last.assign(task=last["adapt_ds"], group=chosen.groups(last)), TABLE
    wide = rows.pivot(index=["ds", "name"], columns="task", values="value")
    by_group = rows.groupby("group")["task"].unique()
    columns: dict[str, Any] = {}
    for group in [g for g in GROUPS if g in by_group] + sorted(set(by_group.index) - set(GROUPS)):
        tasks = [t for t in TASKS if t in by_group[group]] + sorted(set(by_group[group]) - set(TASKS))
        columns |= {task: wide[task] for task in tasks} | {f"{_MEAN}{group}": wide[tasks].mean(axis=1, skipna=False)}
    frame = pd.DataFrame(columns).reset_index()
    ranks = [order.upstream_sets(frame["ds"]), order.models(frame["name"])]
    keys = [frame[c].map(rank.index) for c, rank in zip(("ds", "name"), ranks, strict=True)]
    frame = frame.loc[pd.concat(keys, axis=1).sort_values(["ds", "name"]).index]
    return frame.reset_index(drop=True).assign(**{ORIGIN: origin})


def draw(frame: pd.DataFrame) -> Figure:
    """Draws the table, a block per upstream set, the best of each column within it in bold.

    Args:
      frame: as `data` returns it.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or there is no row.
    """
    require(frame, ("ds", "name", ORIGIN))
    shown = [str(c) for c in frame if c not in ("ds", "name", ORIGIN)]
    best = frame.groupby("ds")[shown].transform("max")
    rows = [
        [f"{row['name']}, {row['ds']}", *("-" if pd.isna(row[c]) else f"{100 * row[c]:.1f}" for c in shown)]
        for row in frame.to_dict("records")
    ]
    bold = [[False, *line] for line in (frame[shown] == best).to_numpy().tolist()]
    header = ["", *(c.removeprefix("vtab_").removeprefix("vtab1k_").replace("mean_", "MEAN ") for c in shown)]
    rules = [i for i in range(1, len(frame)) if frame["ds"].iloc[i] != frame["ds"].iloc[i - 1]]
    suite, _ = of_vtab(pd.DataFrame({"adapt_ds": shown}))
    fig = text_grid.draw(f"Recommended checkpoints, {suite}: test accuracy in %", header, rows, bold, rules, slanted=True)
    lost = frame[[c for c in shown if not c.startswith(_MEAN)]].isna()
    names = [f"{frame['name'].iloc[y]} {lost.columns[x]}" for y, x in zip(*lost.to_numpy().nonzero(), strict=True)]
    face.sign(fig, frame, [face.gaps(names, lost.size, "cells")])
    return fig
