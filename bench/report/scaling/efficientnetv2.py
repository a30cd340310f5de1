"""Accuracy against training time: "EfficientNetV2: Smaller Models and Faster Training", figure 1 and table 7."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.errors import UserError
from bench.points import parse_upstream
from bench.report import order, styles
from bench.report.catalogue import OWN, PUBLISHED, FigureFacts
from bench.report.figures import plain
from bench.report.naming import Point, name_points
from bench.report.scaling import axes
from bench.select import published_scaling
from bench.select.runs import ok, require, upstream_runs

COLUMNS = ("used", "note", "what", "ds", "schedule", "model", "hours", "accuracy", "checked", "best")
_FIXED, _GROWS = "one resolution", "progressive"
_LINE = "lines join the best run of each model by upstream validation"
_OWN = "EfficientNetV2-"
_UNITS = (("hours", 1.0), ("minutes", 60.0), ("seconds", 3600.0))


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """One row per run: columns `COLUMNS`.

    `what` says what the accuracy is of, `schedule` whether images grew during training (empty where published),
    `checked` is false where published hours could not be compared with the paper, `best` marks the best run of a model, set and
    schedule by upstream validation.

    Raises:
      UserError: no run of the table says how long it trained, or what `upstream_runs` raises.
    """
    if table is None:
        note = "Published numbers, EfficientNetV2 (2104.00298), table 7; hours on 32 TPU-v3 cores. Hollow: hours not checked"
        facts: dict[str, Any] = {
            "used": PUBLISHED,
            "note": note,
            "what": "test accuracy on imagenet2012",
            "schedule": "",
            "best": True,
        }
        return published_scaling.efficientnetv2().assign(**facts)[list(COLUMNS)]
    runs = upstream_runs(table)
    require(runs, ("train_seconds", "final_test"))
    runs = runs[ok(runs["status"]) & runs["train_seconds"].gt(0).fillna(False) & runs["final_test"].notna()]
    if runs.empty:
        raise UserError(
            "no upstream run of the table has both a training time (train_seconds) and a test accuracy (final_test)"
        )
    devices = ", ".join(sorted(runs["device"].dropna().unique())) or "an unknown device"
    note = f"{len(runs):,} runs of the table, on {devices}; {_LINE}"
    found = pd.DataFrame({"ds": runs["ds"].astype(str), "model": runs["name"].astype(str), "checked": True})
    found["schedule"] = runs["filename"].map(_schedule)
    found["hours"] = runs["train_seconds"].astype(float) / 3600
    val = runs["final_val"].astype(float).fillna(-math.inf)
    found["best"] = found.index.isin(val.groupby([found[c] for c in ("ds", "schedule", "model")]).idxmax())
    found = found.assign(accuracy=runs["final_test"].astype(float), used=OWN, note=note, what="upstream test accuracy")
    return found[list(COLUMNS)].reset_index(drop=True)


def draw(runs: pd.DataFrame) -> Figure:
    """Draws accuracy against time, a mark per run, its colour and shape the upstream set and the schedule.

    The best runs are joined by a line in order of time and carry the models' names, as far as they have room; others are faint.

    Raises:
      UserError: a column is missing, or there are no runs.
    """
    require(runs, COLUMNS)
    groups = {f"{ds}, {how}" if how else ds: rows for ds in order.upstream_sets(runs["ds"]) for how, rows in _of(runs, ds)}
    shown = styles.strategies(groups)
    unit, each = next((u for u in _UNITS if runs["hours"].median() * u[1] >= 1), _UNITS[-1])
    foot = str(runs["note"].iloc[0])
    foot += f'; names without "{_OWN}"' if runs["model"].str.startswith(_OWN).any() else ""
    fig, (ax,) = axes.panels([""], foot)
    names: list[Point] = []
    for name, rows in groups.items():
        style, best = shown[name], rows[rows["best"].astype(bool)].sort_values("hours")
        ax.plot(each * best["hours"], 100 * best["accuracy"], color=style.colour, linestyle=style.dash, linewidth=1.2, zorder=2)
        for (filled, joined), some in rows.groupby([rows[c].astype(bool) for c in ("checked", "best")]):
            mark = _mark(style, bool(filled)) | {"alpha": 1 if joined else 0.35}
            ax.plot(each * some["hours"], 100 * some["accuracy"], linestyle="", zorder=3, **mark)
        for run in best.to_dict("records"):
            names.append(Point(each * run["hours"], 100 * run["accuracy"], run["model"].removeprefix(_OWN), style.colour))
    axes.logarithmic(ax, "x", each * runs["hours"])
    ax.margins(y=0.12)
    name_points(ax, names)
    ax.set_xlabel(f"training time, {unit}", fontsize=9)
    ax.set_ylabel(f"{plain(str(runs['what'].iloc[0]))}, %", fontsize=9)
    handles = [
        Line2D([], [], linestyle=shown[name].dash, label=plain(name.replace(", ", ",\n")), **_mark(shown[name], filled))
        for name, filled in ((name, bool(rows["checked"].any())) for name, rows in groups.items())
    ]
    axes.legend(fig, {}, handles)
    return fig


def _of(runs: pd.DataFrame, ds: str) -> list[tuple[str, pd.DataFrame]]:
    return [(str(how), rows) for how, rows in runs[runs["ds"] == ds].groupby("schedule", sort=True)]


def _mark(style: styles.Style, filled: bool) -> dict[str, Any]:
    face = style.colour if filled else "white"
    return {"color": style.colour, "marker": style.marker, "markerfacecolor": face, "markeredgewidth": 1.4, "markersize": 6}


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
