"""Error after fine-tuning against compute, with the ViTs: "ConvNets Match Vision Transformers at Scale", figure 1."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report import order
from bench.report.catalogue import OWN, PUBLISHED, TABLE, FigureFacts
from bench.report.figures import plain
from bench.report.scaling import axes, source
from bench.select.published_scaling import references
from bench.select.runs import require

COLUMNS = ("used", "unit", "note", "task", "ds", "model", "epochs", "compute", "error", "reference")
_AT_SCALE = ("ViT-g/14", "ViT-G/14", "SoViT-400m/14")
"""Of the points that the paper compares with those whose compute it states and that are not its own."""
_BLACK = ("*", "h", "p")


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """One row per fine-tuned run: columns `COLUMNS`, error = 1 - accuracy on the task.

    `reference` marks ViTs of other papers. Their compute is in core-hours, so they are not beside runs of a table.

    Raises:
      UserError: what `source.accuracies` raises.
    """
    runs = source.accuracies(table).assign(reference=False)
    if table is None:
        vits = references()
        vits = vits[vits["model"].isin(_AT_SCALE)].assign(reference=True)
        facts = {column: runs[column].iloc[0] for column in ("used", "unit", "note", "task")}
        runs = pd.concat([runs, vits.assign(**facts)], ignore_index=True)
        runs["note"] += "; ViTs: compute in TPU-v4 core-hours as it estimates it, upstream set JFT-3B"
    return runs.assign(error=1 - runs["accuracy"])[list(COLUMNS)]


def draw(runs: pd.DataFrame) -> Figure:
    """Draws a panel per upstream set: a line per model through the best of each budget, a black mark per reference.

    Raises:
      UserError: a column is missing, or there are no runs.
    """
    require(runs, COLUMNS)
    own, others = runs[~runs["reference"].astype(bool)], runs[runs["reference"].astype(bool)]
    sets = order.upstream_sets(own["ds"])
    fig, panels = axes.panels(sets, str(runs["note"].iloc[0]))
    shown = axes.by_model(own["model"])
    marks = dict(zip(others["model"], _BLACK, strict=False))
    for ax, ds in zip(panels, sets, strict=True):
        mine = own[own["ds"] == ds]
        for name, rows in mine.groupby("model"):
            style = shown[str(name)]
            ax.plot(rows["compute"], rows["error"], color=style.colour, marker=style.marker, linestyle="", markersize=4.5)
            best = rows.loc[rows.groupby("epochs")["error"].idxmin()].sort_values("compute")
            ax.plot(best["compute"], best["error"], color=style.colour, linestyle=style.dash, linewidth=1.2)
        for _, vit in others.iterrows():
            ax.plot([vit["compute"]], [vit["error"]], color="black", marker=marks[vit["model"]], linestyle="", markersize=8)
        both = pd.concat([mine, others])
        axes.logarithmic(ax, "x", both["compute"])
        axes.logarithmic(ax, "y", both["error"], share=True)
        ax.set_xlabel(f"compute of pre-training, {runs['unit'].iloc[0]}", fontsize=9)
        ax.set_ylabel(f"test error on {plain(str(runs['task'].iloc[0]))} after fine-tuning", fontsize=9)
    extra = [Line2D([], [], color="black", marker=m, linestyle="", markersize=8, label=name) for name, m in marks.items()]
    axes.legend(fig, shown, extra)
    return fig


FACTS = FigureFacts(
    name="nfnet-imagenet",
    about="error after fine-tuning against compute of pre-training, NFNets and ViTs",
    source=f"{source.PAPER}, figure 1",
    uses=(OWN, TABLE, PUBLISHED),
    data=data,
    draw=draw,
)
