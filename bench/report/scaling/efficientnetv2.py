"""Accuracy against training time: "EfficientNetV2: Smaller Models and Faster Training", figure 1 and table 7."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.errors import UserError
from bench.points import parse_upstream
from bench.report import order, styles
from bench.report.catalogue import OWN, PUBLISHED, FigureFacts
from bench.report.figures import plain
from bench.report.scaling import axes
from bench.select import published_scaling
from bench.select.runs import ok, require, upstream_runs

COLUMNS = ("used", "note", "what", "ds", "schedule", "model", "hours", "accuracy", "checked")
_FIXED, _GROWS = "one resolution", "progressive"


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """One row per run: columns `COLUMNS`.

    `what` says what the accuracy is of, `schedule` whether images grew during training (empty where published),
    `checked` is false where published hours could not be compared with the paper.

    Raises:
      UserError: no run of the table says how long it trained, or what `upstream_runs` raises.
    """
    if table is None:
        note = "Published numbers, EfficientNetV2 (2104.00298), table 7; hours on 32 TPU-v3 cores. Hollow: hours not checked"
        facts = {"used": PUBLISHED, "note": note, "what": "test accuracy on imagenet2012", "schedule": ""}
        return published_scaling.efficientnetv2().assign(**facts)[list(COLUMNS)]
    runs = upstream_runs(table)
    require(runs, ("train_seconds", "final_test"))
    runs = runs[ok(runs["status"]) & runs["train_seconds"].gt(0).fillna(False) & runs["final_test"].notna()]
    if runs.empty:
        raise UserError(
            "no upstream run of the table has both a training time (train_seconds) and a test accuracy (final_test)"
        )
    devices = ", ".join(sorted(runs["device"].dropna().unique())) or "an unknown device"
    facts = {"used": OWN, "note": f"{len(runs)} runs of the table, on {devices}", "what": "upstream test accuracy"}
    found = pd.DataFrame({"ds": runs["ds"].astype(str), "model": runs["name"].astype(str), "checked": True})
    found["schedule"] = runs["filename"].map(_schedule)
    found["hours"] = runs["train_seconds"].astype(float) / 3600
    return found.assign(accuracy=runs["final_test"].astype(float), **facts)[list(COLUMNS)].reset_index(drop=True)


def draw(runs: pd.DataFrame) -> Figure:
    """Draws accuracy against hours, a mark per run, its colour and shape the upstream set; labels name the models.

    Up to 12 runs are labelled and joined by a line in order of time; more are marks alone, one style per set and schedule.

    Raises:
      UserError: a column is missing, or there are no runs.
    """
    require(runs, COLUMNS)
    groups = {f"{ds}, {how}" if how else ds: rows for ds in order.upstream_sets(runs["ds"]) for how, rows in _of(runs, ds)}
    shown = styles.strategies(groups)
    fig, (ax,) = axes.panels([""], str(runs["note"].iloc[0]))
    few = len(runs) <= 12
    for name, rows in groups.items():
        rows, style = rows.sort_values("hours"), shown[name]
        if few:
            ax.plot(rows["hours"], 100 * rows["accuracy"], color=style.colour, linestyle=style.dash, linewidth=1.2, zorder=2)
        for filled, some in rows.groupby(rows["checked"].astype(bool)):
            face = style.colour if filled else "white"
            look: dict[str, Any] = {
                "markerfacecolor": face,
                "markeredgecolor": style.colour,
                "markeredgewidth": 1.4,
                "markersize": 6,
            }
            ax.plot(some["hours"], 100 * some["accuracy"], marker=style.marker, linestyle="", zorder=3, **look)
        for _, run in rows.iterrows() if few else ():
            at, text = (run["hours"], 100 * run["accuracy"]), plain(run["model"].rpartition("-")[2])
            ax.annotate(text, at, (0, 6), textcoords="offset points", ha="center", fontsize=8)
    axes.logarithmic(ax, "x", runs["hours"])
    ax.margins(y=0.12)
    ax.set_xlabel("training time, hours", fontsize=9)
    ax.set_ylabel(f"{plain(str(runs['what'].iloc[0]))}, %", fontsize=9)
    axes.legend(fig, {}, [_handle(name.replace(", ", ",\n"), style) for name, style in shown.items()])
    return fig


def _of(runs: pd.DataFrame, ds: str) -> list[tuple[str, pd.DataFrame]]:
    return [(str(how), rows) for how, rows in runs[runs["ds"] == ds].groupby("schedule", sort=True)]


def _handle(name: str, style: styles.Style) -> Line2D:
    return Line2D([], [], color=style.colour, marker=style.marker, linestyle=style.dash, markersize=5, label=plain(name))


def _schedule(filename: str) -> str:
    try:
        return _GROWS if parse_upstream(filename).progressive else _FIXED
    except UserError:
        return _FIXED


FACTS = FigureFacts(
    name="efficientnetv2-time",
    about="accuracy against training time, of one's own runs by schedule",
    source="EfficientNetV2 (2104.00298), figure 1 and table 7",
    uses=(OWN, PUBLISHED),
    data=data,
    draw=draw,
)
