"""Figure 7: what dropout and stochastic depth add at each augmentation level.

Source: "How to train your ViT?", Fig. 7 (appendix D): the right half of Fig. 4 minus its left half, before rounding.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.report import differences, heatmap, order
from bench.report.augreg import face
from bench.report.augreg.face import ORIGIN, TABLE
from bench.report.figures import plain
from bench.select import published
from bench.select.runs import require

COLUMNS = ("ds", "name", "aug", "value", ORIGIN)
_HEAD, _TITLE, _NAMES, _FOOT, _LEAST = 0.42, 0.3, 0.62, 0.4, 4.0
"""Inches: above all, above and below each panel, below all; the least width."""


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """The cells.

    Args:
      table: columns of `bench.records.schema`; None for the published cells.

    Returns:
      One row per (ds, name, aug) that has a run, in the order of Fig. 4: `value`, the best accuracy with dropout minus the best
      without, a fraction; empty where one of the two is not there.

    Raises:
      UserError: as `bench.report.heatmap.cells`.
    """
    if table is None:
        cells = published.fig7_cells()
        return cells.assign(**{ORIGIN: face.published("Fig. 7")})[list(COLUMNS)]
    gains = heatmap.gains(heatmap.cells(face.of_the_paper(table)))
    return gains.assign(**{ORIGIN: TABLE})[list(COLUMNS)]


def draw(frame: pd.DataFrame) -> Figure:
    """Draws a panel per upstream set, one below the other; a cell without both of its sides is hatched, the foot counts these.

    Args:
      frame: columns `COLUMNS`.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or no cell has both of its sides.
    """
    require(frame, COLUMNS)
    if frame["value"].isna().all():
        raise UserError("figure 7: no cell has runs with dropout and runs without")
    sets, names, levels = order.upstream_sets(frame["ds"]), order.models(frame["name"]), order.levels(frame["aug"])
    grids = {
        ds: frame[frame["ds"] == ds].pivot(index="name", columns="aug", values="value").reindex(names, columns=levels)
        for ds in sets
    }
    values = {ds: np.asarray(grid.to_numpy(float)) for ds, grid in grids.items()}
    norm = differences.limits(np.concatenate([v.ravel() for v in values.values()]))
    left = 0.3 + 0.075 * max(map(len, names))
    cell = max(0.34, 1.5 / len(levels))
    wide, tall = cell * len(levels), differences.ROW * len(names)
    columns = [order.paper_level(level) for level in levels]
    block = _TITLE + tall + max(_NAMES, 0.1 + 0.05 * max(map(len, columns)))
    width, height = max(left + wide + 0.15, _LEAST), _HEAD + len(sets) * block + _FOOT
    fig = Figure(figsize=(width, height), facecolor="white")
    head = "Upstream validation accuracy, regularised minus not,\npoints (bold: better)"
    fig.text(0.1 / width, 1 - 0.08 / height, head, va="top", fontsize=9)
    for i, ds in enumerate(sets):
        y = height - _HEAD - i * block - _TITLE - tall
        ax = fig.add_axes((left / width, y / height, wide / width, tall / height), label=ds)
        differences.panel(ax, values[ds], norm, columns, names, decimals=0)
        ax.set_title(plain(ds), fontsize=9.5, fontweight="bold")
    cells = len(sets) * len(names) * len(levels)
    missing = cells - int(frame["value"].notna().sum())
    face.sign(fig, frame, [f"Incomplete: {missing:,} of {cells:,} cells missing (hatched)." if missing else ""])
    return fig
