"""Figure 5, left: the checkpoint that is best upstream against the one that is best downstream, on five tasks.

Source: "How to train your ViT?", Fig. 5 left; `bench.report.upstream_best` says how a cell is made.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from bench.report import upstream_best
from bench.report.augreg import face
from bench.report.augreg.face import ORIGIN, TABLE
from bench.select import published
from bench.select.runs import require
from bench.select.validation import notices

COLUMNS = ("name", "adapt_ds", "value", ORIGIN)
_FOOT = 0.3
_BY_MINIVAL = ", where runs of imagenet2012 have no ImageNetV2 score and are chosen by minival"
_SET = "i21k"
"""Which upstream sets compete is not stated; accuracies of several do not compare, and this one has the most to choose from."""


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """The cells.

    Args:
      table: columns of `bench.records.schema`; None for the published cells. Checkpoints from i21k compete where it has them,
        else all of a model.

    Returns:
      One row per model and task: `value`, test accuracy of the choice upstream minus that of the choice downstream.

    Raises:
      UserError: as `bench.report.upstream_best.of_table`.
    """
    if table is None:
        cells, origin = published.upstream_vs_downstream(), face.published("Fig. 5 left")
    else:
        require(table, ("ds", "name"))
        one = table["ds"].eq(_SET).fillna(False).astype(bool)
        shown = face.of_the_paper(table[one] if one.any() else table)
        cells, origin = upstream_best.of_table(shown), TABLE + (_BY_MINIVAL if notices(shown) else "")
    return cells.assign(**{ORIGIN: origin})[list(COLUMNS)]


def draw(frame: pd.DataFrame) -> Figure:
    """Draws the cells, as `bench.report.upstream_best.draw`.

    Args:
      frame: columns `COLUMNS`.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or there are no cells.
    """
    require(frame, COLUMNS)
    fig = upstream_best.draw(frame[["name", "adapt_ds", "value"]], foot=_FOOT)
    empty = frame[frame["value"].isna()]
    notes = [face.gaps((empty["name"] + " " + empty["adapt_ds"]).tolist(), len(frame), "cells")]
    # The file's README says why.
    unsure = not frame[ORIGIN].str.startswith(TABLE).all()
    face.sign(fig, frame, [*notes, "Which of resisc45 and kitti is which is not certain." if unsure else ""])
    return fig
