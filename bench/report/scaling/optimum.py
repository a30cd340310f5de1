"""How large a model and how many epochs are best at a given compute: both along the frontier of loss and compute.

Source: "ConvNets Match Vision Transformers at Scale", section 2: size and epochs are to grow at the same rate, and more than
one epoch is best above about 5,000 TPU-v4 core-hours.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.report import order
from bench.report.catalogue import OWN, PUBLISHED, TABLE, FigureFacts
from bench.report.scaling import axes, source
from bench.report.scaling.loss import NO_INTERVAL, data
from bench.report.styles import Style
from bench.select.frontier import PowerLaw, power_law
from bench.select.runs import require

_ALL_DIGITS = 1e6
_WHAT = {"epochs": "epochs", "size": "one epoch, {unit}"}


def draw(runs: pd.DataFrame) -> Figure:
    """Draws, for each upstream set, the epochs and the size of the runs on the frontier, each with its power law.

    Raises:
      UserError: a column is missing, or there are no runs.
    """
    require(runs, (*source.RUNS, "frontier"))
    sets = order.upstream_sets(runs["ds"])
    fig, panels = axes.panels([f"{ds}: best {what}" for ds in sets for what in _WHAT], str(runs["note"].iloc[0]), remarks=2)
    shown = axes.by_model(runs.loc[runs["frontier"], "model"])
    for i, ds in enumerate(sets):
        for ax, value in zip(panels[len(_WHAT) * i :], _WHAT, strict=False):
            _panel(ax, runs[runs["ds"] == ds], value, shown)
    axes.legend(fig, shown, lines=False)
    return fig


def _panel(ax: Axes, runs: pd.DataFrame, value: str, shown: dict[str, Style]) -> None:
    unit = str(runs["unit"].iloc[0])
    on = runs[runs["frontier"]]
    for name, rows in on.groupby("model"):
        style = shown[str(name)]
        ax.plot(rows["compute"], rows[value], color=style.colour, marker=style.marker, linestyle="", markersize=5, zorder=3)
    axes.logarithmic(ax, "x", on["compute"])
    ax.set_xlabel(f"compute of pre-training, {unit}", fontsize=9)
    ax.set_ylabel(_WHAT[value].format(unit=unit), fontsize=9)
    lines = list(on[value])
    try:
        law = _law(runs, value)
    except UserError as error:
        said = f"no power law: {error}"
    else:
        ends = np.array([on["compute"].min(), on["compute"].max()])
        ax.plot(ends, law.at(ends), color="black", linewidth=1.4, zorder=1)
        lines += list(law.at(ends))
        said = f"grows as C to the {law.exponent.text('.2f')}"
        if value == "epochs" and ends[0] < law.one.value < ends[1]:
            ax.axhline(1, color="#555555", linewidth=0.8, linestyle=":", zorder=0)
            ax.axvline(law.one.value, color="#555555", linewidth=0.8, linestyle=":", zorder=0)
            said += f", one epoch at {law.one.text(_of_compute)}"
        said += "" if law.exponent.known else f"\n{NO_INTERVAL}"
    axes.logarithmic(ax, "y", lines)
    axes.remark(ax, said)


def _law(runs: pd.DataFrame, value: str) -> PowerLaw:
    """The power law of a column, where it can be another than compute itself or a constant."""
    for column, what in (("epochs", "the epochs were"), ("model", "the model was")):
        if runs[column].nunique() == 1:
            raise UserError(f"{what} not varied")
    return power_law(runs, value)


def _of_compute(value: float) -> str:
    """Core-hours with all their digits, FLOPs with their unit."""
    return f"{value:,.0f}" if value < _ALL_DIGITS else axes.short(value)


FACTS = FigureFacts(
    name="nfnet-optimum",
    about="the best size and number of epochs as functions of compute",
    source=f"{source.PAPER}, section 2",
    uses=(OWN, TABLE, PUBLISHED),
    data=data,
    draw=draw,
)
