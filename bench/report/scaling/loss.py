"""Loss against compute with the power law of the frontier: "ConvNets Match Vision Transformers at Scale", figure 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.errors import UserError
from bench.report import order
from bench.report.catalogue import OWN, PUBLISHED, TABLE, FigureFacts
from bench.report.scaling import axes, source
from bench.report.styles import Style
from bench.select.frontier import PowerLaw, frontier, power_law
from bench.select.intervals import LEVEL, fewest
from bench.select.runs import require

NO_INTERVAL = f"no interval: fewer than {fewest(LEVEL)} runs on the frontier"


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """The runs, and whether each is on the frontier of its upstream set.

    Returns:
      Columns `source.RUNS` and `frontier`.

    Raises:
      UserError: what `source.losses` raises.
    """
    runs = source.losses(table)
    best = {i for _, rows in runs.groupby("ds") for i in frontier(rows).index}
    return runs[list(source.RUNS)].assign(frontier=runs.index.isin(best))


def draw(runs: pd.DataFrame) -> Figure:
    """Draws a panel per upstream set: a mark per run, ringed on the frontier, a line per model through the best of each budget.

    The black line is the power law of the frontier; its coefficients with 95% intervals stand below the panel.

    Raises:
      UserError: a column is missing, or there are no runs.
    """
    require(runs, (*source.RUNS, "frontier"))
    sets = order.upstream_sets(runs["ds"])
    fig, panels = axes.panels(sets, str(runs["note"].iloc[0]), remarks=2)
    shown = axes.by_model(runs["model"])
    law = False
    for ax, ds in zip(panels, sets, strict=True):
        law |= _panel(ax, runs[runs["ds"] == ds], shown)
        ax.set_ylabel(str(runs["measure"].iloc[0]), fontsize=9)
    extra = [Line2D([], [], color="black", marker="o", markerfacecolor="none", markersize=8, linestyle="", label="frontier")]
    extra += [Line2D([], [], color="black", linewidth=1.4, label="its power law")] if law else []
    axes.legend(fig, shown, extra)
    return fig


def _panel(ax: Axes, runs: pd.DataFrame, shown: dict[str, Style]) -> bool:
    """Draws the runs of an upstream set, and says whether there is a power law among them."""
    for name, rows in runs.groupby("model"):
        style = shown[str(name)]
        ax.plot(rows["compute"], rows["loss"], color=style.colour, marker=style.marker, linestyle="", markersize=4, zorder=3)
        best = rows.loc[rows.groupby("epochs")["loss"].idxmin()].sort_values("compute")
        ax.plot(best["compute"], best["loss"], color=style.colour, linestyle=style.dash, linewidth=1.1, zorder=2)
    on = runs[runs["frontier"]]
    ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 0.8}
    ax.plot(on["compute"], on["loss"], marker="o", linestyle="", markersize=8, zorder=4, **ring)
    losses = list(runs["loss"])
    law = None
    try:
        law = power_law(runs)
    except UserError as error:
        said = f"no power law: {error}"
    else:
        ends = np.array([on["compute"].min(), on["compute"].max()])
        ax.plot(ends, law.at(ends), color="black", linewidth=1.4, zorder=1)
        losses += list(law.at(ends))
        said = _said(law, len(runs))
    axes.logarithmic(ax, "x", runs["compute"])
    axes.logarithmic(ax, "y", losses, share=runs["unit"].iloc[0] == "FLOPs")
    ax.set_xlabel(f"compute of pre-training, {runs['unit'].iloc[0]}", fontsize=9)
    axes.remark(ax, said)
    return law is not None


def _said(law: PowerLaw, runs: int) -> str:
    line = f"L = {law.prefactor.value:.3g} C$^{{{law.exponent.value:.3f}}}$, rms {100 * law.rms:.1f}%"
    ends = f"exponent {law.exponent.text('.3f')}, prefactor {law.prefactor.text('.3g')}" if law.exponent.known else NO_INTERVAL
    return f"{line}; {law.points:,} of {runs:,} runs on the frontier\n{ends}"


FACTS = FigureFacts(
    name="nfnet-loss",
    about="loss against compute, and the power law of the frontier with its interval",
    source=f"{source.PAPER}, figure 2",
    uses=(OWN, TABLE, PUBLISHED),
    data=data,
    draw=draw,
)
