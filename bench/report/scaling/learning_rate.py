"""The best learning rate against epochs: "ConvNets Match Vision Transformers at Scale", figure 3."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.report import order
from bench.report.catalogue import PUBLISHED, TABLE, FigureFacts
from bench.report.scaling import axes, source
from bench.select import published_scaling
from bench.select.runs import best, ok, require, upstream_runs

COLUMNS = ("used", "note", "ds", "model", "epochs", "lr", "tried")


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """The learning rate of the best run by upstream validation, of each model and budget that tried several.

    Returns:
      Columns `COLUMNS`; `tried` is the number of learning rates, empty where it was not published.

    Raises:
      UserError: no model tried two learning rates at one budget, or what `upstream_runs` raises.
    """
    if table is None:
        note = f"Published numbers, read off figure 3 of {source.PAPER}; grid of factors of 2, batch 4,096"
        rates = published_scaling.nfnet_rates().assign(used=PUBLISHED, note=note, tried=pd.array([pd.NA] * 18, dtype="Int64"))
        return rates[list(COLUMNS)]
    runs = upstream_runs(table)
    runs = runs[ok(runs["status"]) & runs["final_val"].notna()]
    rows: list[tuple[Any, ...]] = []
    for (ds, model, epochs), group in runs.groupby(["ds", "name", "epochs"]):
        tried = int(group["lr"].nunique())
        if tried > 1:
            rows.append((ds, model, epochs, float(group.loc[best(group["final_val"]), "lr"]), tried))
    if not rows:
        raise UserError("no model of the table tried two learning rates with the same number of epochs")
    note = f"Best by upstream validation of {len(runs):,} runs of the table"
    return pd.DataFrame(rows, columns=list(COLUMNS[2:])).assign(used=TABLE, note=note)[list(COLUMNS)]


def draw(rates: pd.DataFrame) -> Figure:
    """Draws a panel per upstream set and a line per model; where lines coincide, the marks of the smaller models are larger.

    Raises:
      UserError: a column is missing, or there are no rates.
    """
    require(rates, COLUMNS)
    sets = order.upstream_sets(rates["ds"])
    fig, panels = axes.panels(sets, str(rates["note"].iloc[0]))
    shown = axes.by_model(rates["model"])
    for ax, ds in zip(panels, sets, strict=True):
        mine = rates[rates["ds"] == ds]
        models = [m for m in shown if m in set(mine["model"])]
        for i, model in enumerate(models):
            rows, style = mine[mine["model"] == model].sort_values("epochs"), shown[model]
            size = 4.5 + 2.5 * min(len(models) - 1 - i, 3)
            look: dict[str, Any] = {"color": style.colour, "markerfacecolor": "none", "markeredgewidth": 1.3, "linewidth": 1.2}
            ax.plot(rows["epochs"], rows["lr"], marker=style.marker, linestyle=style.dash, markersize=size, **look)
        axes.logarithmic(ax, "x", mine["epochs"], every=True)
        axes.logarithmic(ax, "y", mine["lr"], every=True)
        ax.set_xlabel("epochs of pre-training", fontsize=9)
        ax.set_ylabel("best peak learning rate", fontsize=9)
    axes.legend(fig, shown, hollow=True)
    return fig


FACTS = FigureFacts(
    name="nfnet-learning-rate",
    about="the best peak learning rate against epochs, by model",
    source=f"{source.PAPER}, figure 3",
    uses=(TABLE, PUBLISHED),
    data=data,
    draw=draw,
)
