"""Figure 4: upstream validation accuracy by model, dropout and augmentation, and the column "reg - noreg".

Source: "How to train your ViT?", Fig. 4; `bench.report.heatmap` says how a cell joins its runs.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from bench.report import heatmap, heatmap_figure
from bench.report.augreg import face
from bench.report.augreg.face import ORIGIN, TABLE
from bench.select import published
from bench.select.runs import require

COLUMNS = (*heatmap.COLUMNS, "narrow", ORIGIN)


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """The cells.

    Args:
      table: columns of `bench.records.schema`; None for the published cells.

    Returns:
      Columns of `bench.report.heatmap.cells`, and `narrow`, the best cell with dropout minus the best without of the row.

    Raises:
      UserError: as `bench.report.heatmap.cells`.
    """
    if table is None:
        cells = published.fig4_cells()
        narrow, origin = published.fig4_narrow(), face.published("Fig. 4")
    else:
        cells, origin = heatmap.cells(face.of_the_paper(table)), TABLE
        narrow = heatmap.narrow(cells)
    joined = cells.merge(narrow.rename(columns={"value": "narrow"}), on=["ds", "name"], how="left", validate="many_to_one")
    return joined.assign(**{ORIGIN: origin})[list(COLUMNS)]


def draw(frame: pd.DataFrame) -> Figure:
    """Draws the heatmaps, as `bench.report.heatmap_figure.draw`.

    Args:
      frame: columns `COLUMNS`.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or there is no cell.
    """
    require(frame, COLUMNS)
    narrow = frame.drop_duplicates(["ds", "name"])[["ds", "name", "narrow"]].rename(columns={"narrow": "value"})
    fig = heatmap_figure.draw(frame[list(heatmap.COLUMNS)], narrow, foot=1)
    face.sign(fig, frame)
    return fig
