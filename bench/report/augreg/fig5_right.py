"""Figure 5, right: what minival and ImageNetV2 say of fine-tuned models, against the accuracy that counts.

Source: "How to train your ViT?", Fig. 5 right: the 100 best runs of L/16 and of S/16 by either validation score. Its points
were never published as numbers, and the release has no ImageNetV2 scores.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.report import order
from bench.report.augreg import face
from bench.report.augreg.face import ORIGIN, TABLE
from bench.report.figures import plain
from bench.report.styles import Style
from bench.select.imagenet import MINIVAL, V2
from bench.select.runs import ok, require, transfer_runs
from bench.select.validation import V2_OF

MODELS = ("L/16", "S/16")
BEST = 100
"""Runs of each model that are shown."""
COLUMNS = ("name", "validation", "adapt_filename", "val", "test", "best", ORIGIN)
_SCORES = {MINIVAL: "adapt_final_val", V2: "adapt_final_val_v2"}
_SET = "i21k"


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """The best runs on ImageNet-1k by each validation score.

    Args:
      table: columns of `bench.records.schema`. Runs from i21k count where it has them, else all; the models are the figure's
        two where it has one of them, else its smallest and its largest.

    Returns:
      At most `BEST` rows per model and score: `validation`, minival or ImageNetV2; `val` and `test`, fractions; `best`, whether
      the run is the one that the score picks. A score that the table lacks has no rows.

    Raises:
      UserError: no table, the table lacks a column, or has no transfer to ImageNet-1k.
    """
    if table is None:
        raise UserError(
            "figure 5 right: its points were never published as numbers; give a table with transfers to imagenet2012"
        )
    require(table, ("name", "ds", "adapt_ds", "adapt_status", "adapt_final_val", "adapt_final_test"))
    rows = table[table["adapt_ds"].eq(V2_OF).fillna(False).astype(bool)]
    rows = rows[ok(rows["adapt_status"]) & rows["adapt_final_test"].notna()]
    if rows.empty:
        raise UserError(f"figure 5 right: the table has no transfer to {V2_OF} with a test accuracy")
    rows = transfer_runs(rows)
    one = rows["ds"].eq(_SET).fillna(False).astype(bool)
    rows = rows[one] if one.any() else rows
    names = order.models(rows["name"])
    names = [n for n in MODELS if n in names] or list(dict.fromkeys((names[-1], names[0])))
    parts = []
    for validation, column in _SCORES.items():
        for name in names if column in rows else ():
            mine = rows[(rows["name"] == name) & rows[column].notna()]
            first = mine.assign(val=mine[column].astype(float)).sort_values("val", ascending=False, kind="stable").head(BEST)
            first = first.assign(validation=validation, test=first["adapt_final_test"].astype(float))
            parts.append(first.assign(best=[i == 0 for i in range(len(first))]))
    return pd.concat(parts, ignore_index=True).assign(**{ORIGIN: TABLE})[list(COLUMNS)]


def draw(frame: pd.DataFrame) -> Figure:
    """Draws a panel per validation score, test accuracy over it; a ring is around the run that the score picks.

    Args:
      frame: columns `COLUMNS`.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or there is no run.
    """
    require(frame, COLUMNS)
    fig = Figure(figsize=(6.6, 3.9), facecolor="white")
    panels = fig.subplots(1, 2, sharey=True)
    fig.subplots_adjust(left=0.1, right=0.985, top=0.88, bottom=0.235, wspace=0.08)
    looks = face.styles(dict.fromkeys(frame["name"]))
    for ax, validation in zip(panels, _SCORES, strict=True):
        _panel(ax, frame[frame["validation"] == validation], validation, looks)
    panels[0].set_ylabel("ImageNet-1k test accuracy, %", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="upper center", ncols=3, frameon=False, fontsize=8.5)
    counts = frame.groupby(["name", "validation"]).size().rename("runs").reset_index().to_dict("records")
    few = [f"{row['name']}: {row['runs']} by {row['validation']}" for row in counts if row["runs"] < BEST]
    face.sign(fig, frame, [f"Fewer than {BEST} runs: {'; '.join(few)}." if few else ""])
    return fig


def _panel(ax: Axes, rows: pd.DataFrame, validation: str, looks: dict[str, Style]) -> None:
    face.tidy(ax)
    ax.set_xlabel(f"{validation} accuracy, %", fontsize=9)
    if rows.empty:
        ax.text(
            0.5, 0.5, f"the table has no\n{validation} scores", transform=ax.transAxes, ha="center", va="center", fontsize=9
        )
        ax.set_xticks([])
        return
    for name, look in looks.items():
        mine = rows[rows["name"] == name]
        marks: dict[str, Any] = {
            "marker": look.marker,
            "facecolor": look.colour,
            "edgecolor": "white",
            "linewidth": 0.3,
            "s": 22,
        }
        ax.scatter(100 * mine["val"], 100 * mine["test"], label=plain(f"{name}, best {len(mine)} by this score"), **marks)
    picked = rows[rows["best"]]
    ring: dict[str, Any] = {"marker": "o", "facecolor": "none", "edgecolor": "black", "linewidth": 1.3, "s": 90}
    ax.scatter(100 * picked["val"], 100 * picked["test"], label="picked by this score", **ring)
