"""Accuracy against model size and amount of upstream data: "CoAtNet: Marrying Convolution and Attention for All Data Sizes"."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.cost.flops import weights
from bench.errors import UserError
from bench.points import VARIANTS
from bench.report import order, styles
from bench.report.catalogue import OWN, PUBLISHED, TABLE, FigureFacts
from bench.report.figures import plain
from bench.report.naming import Point, name_points
from bench.report.scaling import axes, source
from bench.select import published_scaling
from bench.select.runs import best, require, transfer_runs
from bench.select.validation import V2_OF, validation

COLUMNS = ("used", "note", "task", "ds", "model", "params", "accuracy", "best")
_LINE = "lines join the models that no smaller one beats"
_OWN = "CoAtNet-"


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """Test accuracy of every model and upstream set: columns `COLUMNS`; `best` marks the highest of a model and set.

    Of a table it is the run that is best by validation, on ImageNet-1k, or else on the task with the most transfers. Parameters
    are counted from the model's shape where it is known: the released column has a wrong value for R50+L/32.

    Raises:
      UserError: nothing was transferred, or no transfer has the scores.
    """
    if table is None:
        note = "Published numbers, CoAtNet (2106.04803); faint: lower resolutions and other recipes of the same model"
        rows = published_scaling.coatnet().assign(used=PUBLISHED, note=note, task=V2_OF)
        return rows.assign(best=rows.index.isin(rows.groupby(["model", "ds"])["accuracy"].idxmax()))[list(COLUMNS)]
    task = source.task_of(table)
    runs = transfer_runs(table)
    runs = runs[runs["adapt_ds"] == task]
    found = []
    # The validation scores of an upstream set's models compete; those of different sets do not.
    for ds, rows in runs.groupby("ds"):
        scores = validation(rows)[0].where(rows["adapt_final_test"].notna())
        for model, of_model in scores.groupby(rows["name"]):
            chosen = best(of_model)
            if chosen is not None:
                row = rows.loc[chosen]
                found.append((str(ds), str(model), _params(row), float(row["adapt_final_test"])))
    if not found:
        raise UserError(f"no transfer to {task} has both a validation and a test accuracy")
    note = f"Best by validation of {len(runs):,} transfers of the table to {task}"
    frame = pd.DataFrame(found, columns=["ds", "model", "params", "accuracy"])
    return frame.assign(used=source.used(table), note=note, task=task, best=True)[list(COLUMNS)]


def draw(rows: pd.DataFrame) -> Figure:
    """Draws accuracy against parameters; the line of an upstream set joins the models that no smaller one beats.

    The best marks carry the models' names, as far as they have room.

    Raises:
      UserError: a column is missing, or there are no rows.
    """
    require(rows, COLUMNS)
    sets = order.upstream_sets(rows["ds"])
    shown = styles.strategies(sets)
    top = rows[rows["best"].astype(bool)]
    foot = f"{rows['note'].iloc[0]}; {_LINE}"
    foot += f'; names without "{_OWN}"' if top["model"].str.startswith(_OWN).any() else ""
    fig, (ax,) = axes.panels([""], foot)
    for ds in sets:
        style = shown[ds]
        faint, line = rows[(rows["ds"] == ds) & ~rows["best"].astype(bool)], top[top["ds"] == ds].sort_values("params")
        look: dict[str, Any] = {"color": style.colour, "marker": style.marker}
        ax.plot(faint["params"], 100 * faint["accuracy"], linestyle="", markersize=4, alpha=0.35, zorder=2, **look)
        ax.plot(line["params"], 100 * line["accuracy"], linestyle="", markersize=6, zorder=3, **look)
        rising = line[line["accuracy"] == line["accuracy"].cummax()]
        ax.plot(rising["params"], 100 * rising["accuracy"], color=style.colour, linestyle=style.dash, linewidth=1.2, zorder=2)
    axes.logarithmic(ax, "x", rows["params"])
    ax.margins(y=0.1)
    name_points(
        ax,
        (
            Point(run["params"], 100 * run["accuracy"], run["model"].removeprefix(_OWN), shown[run["ds"]].colour)
            for run in top.sort_values("accuracy", ascending=False, kind="stable").to_dict("records")
        ),
    )
    ax.set_xlabel("parameters", fontsize=9)
    ax.set_ylabel(f"test accuracy on {plain(str(rows['task'].iloc[0]))}, %", fontsize=9)
    handles = [
        Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.dash, markersize=5, label=plain(ds))
        for ds, s in reversed(shown.items())
    ]
    axes.legend(fig, {}, handles)
    return fig


def _params(row: pd.Series) -> float:
    model, resolution = str(row["name"]), row["adapt_resolution"]
    return float(weights(model, int(resolution), 0)) if model in VARIANTS and pd.notna(resolution) else float(row["params"])


FACTS = FigureFacts(
    name="coatnet-size",
    about="accuracy against model size, a line per upstream set",
    source="CoAtNet (2106.04803), tables 4 and 5 and their like",
    uses=(OWN, TABLE, PUBLISHED),
    data=data,
    draw=draw,
)
