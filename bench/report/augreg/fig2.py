"""Figure 2: training from scratch against transfer, each run by itself, and as a random search over the runs would find them.

Source: "How to train your ViT?", Fig. 2 and appendix A: Pets and Resisc45 from scratch (the sweeps `augreg-scratch-pet37` and
`augreg-scratch-resisc45`), 1,000 random searches, of which the median and 90% are shown. Its points were never published as
numbers, and the released index records no times.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.errors import UserError
from bench.points.tasks import TASKS
from bench.report import ticks
from bench.report.augreg import face
from bench.report.augreg.face import ORIGIN, TABLE
from bench.report.figures import plain
from bench.report.styles import Style
from bench.select import chosen
from bench.select.runs import ok, require, upstream_runs

SEARCHES, BUDGETS = 1000, 60
_BAND = (0.05, 0.5, 0.95)
COLUMNS = ("kind", "task", "series", "hours", "value", "low", "high", ORIGIN)
POINT, SEARCH = "run", "search"
TRANSFER, OTHERS = "transfer, recommended", "transfer, others"
_SCRATCH = " from scratch"


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """The runs, and what random searches over them find.

    An upstream run is from scratch where its set is a task that the table or `bench.points.tasks` knows by this name; in a
    table without transfers every run is.

    Args:
      table: columns of `bench.records.schema`, with the times `train_seconds` and `adapt_train_seconds`.

    Returns:
      Rows of kind `run`: `hours` on one chip, and `value`, the test accuracy, 0 where the run diverged. Rows of kind `search`:
      `hours`, the budget, `value`, the median over `SEARCHES` searches of the test accuracy of the best run so far by
      validation, and `low` to `high`, the middle 90%. Series `OTHERS`, transfers of checkpoints that are not recommended, is
      not searched.

    Raises:
      UserError: no table, the table lacks a column, or has no timed run from scratch.
    """
    if table is None:
        raise UserError(
            "figure 2: its points were never published as numbers; give a table of runs from scratch with their times"
        )
    require(table, ("ds", "adapt_ds", "final_test", "train_seconds", "adapt_train_seconds"))
    runs = upstream_runs(table)
    tasks = set(TASKS) | set(table["adapt_ds"].dropna()) if table["adapt_ds"].notna().any() else set(runs["ds"].dropna())
    scratch = runs[runs["ds"].isin(tasks)]
    named = scratch["name"] + _SCRATCH
    scratch = _timed(scratch, "ds", "train_seconds", "final_val", "final_test", "status")
    scratch = scratch.assign(series=named.reindex(scratch.index))
    if scratch.empty:
        raise UserError(
            "figure 2: the table has no timed run from scratch, an upstream run whose set is a task; "
            "augreg-scratch-pet37 and augreg-scratch-resisc45 make them"
        )
    rows = table[table["adapt_ds"].isin(scratch["task"].unique()) & (table["ds"] != table["adapt_ds"])]
    transfers = _timed(rows, "adapt_ds", "adapt_train_seconds", "adapt_final_val", "adapt_final_test", "adapt_status")
    best = rows["filename"].isin(chosen.of_table(table)["filename"])
    transfers = transfers.assign(series=best.map({True: TRANSFER, False: OTHERS}))
    points = pd.concat([scratch, transfers], ignore_index=True)
    found = [points.assign(kind=POINT)]
    for (task, series), group in points.groupby(["task", "series"]):
        if series != OTHERS:
            found.append(search(group).assign(kind=SEARCH, task=str(task), series=str(series)))
    return pd.concat(found, ignore_index=True).assign(**{ORIGIN: TABLE}).reindex(columns=list(COLUMNS))


def _timed(rows: pd.DataFrame, task: str, seconds: str, val: str, test: str, status: str) -> pd.DataFrame:
    """Columns task, hours, val, value; no row for a run that took no time, or ended well and lacks a score."""
    ended = ok(rows[status])
    found = pd.DataFrame(
        {
            "task": rows[task],
            "hours": rows[seconds].astype(float) / 3600,
            # A run that diverged costs its time and gives nothing.
            "val": rows[val].astype(float).where(ended, -np.inf),
            "value": rows[test].astype(float).where(ended, 0.0),
        }
    )
    return found.where(found["hours"] > 0).dropna()


def search(runs: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What random searches without repetition find, by budget.

    Args:
      runs: columns hours, val and value, of one series.
      seed: of the order in which each search tries the runs.

    Returns:
      Columns hours (budgets, from that of the longest run, with which each search has tried one, to that of all), value, low,
      high.
    """
    hours, val, test = (runs[c].to_numpy(float) for c in ("hours", "val", "value"))
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(len(runs)), (SEARCHES, 1)), axis=1)
    spent = np.cumsum(hours[order], axis=1)
    highest = np.maximum.accumulate(val[order], axis=1)
    better = np.hstack([np.ones((SEARCHES, 1), bool), highest[:, 1:] > highest[:, :-1]])
    last = np.maximum.accumulate(np.where(better, np.arange(len(runs)), 0), axis=1)
    reached = np.take_along_axis(test[order], last, axis=1)
    # Rounding would keep some orders of all runs above their sum.
    budgets = np.geomspace(hours.max(), hours.sum(), BUDGETS if len(runs) > 1 else 1) * (1 + 1e-9)
    tried = np.stack([np.count_nonzero(spent <= budget, axis=1) for budget in budgets], axis=1)
    low, middle, high = np.quantile(np.take_along_axis(reached, tried - 1, axis=1), _BAND, axis=0)
    return pd.DataFrame({"hours": budgets, "value": middle, "low": low, "high": high})


def draw(frame: pd.DataFrame) -> Figure:
    """Draws a column per task: above, the error of every run over its time; below, what a search finds with a budget.

    Args:
      frame: columns `COLUMNS`.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or there is no run.
    """
    require(frame, COLUMNS)
    tasks = sorted(frame["task"].unique())
    fig = Figure(figsize=(max(3.5 * len(tasks), 5.2), 6.6), facecolor="white")
    panels = fig.subplots(2, len(tasks), squeeze=False)
    width = fig.get_figwidth()
    fig.subplots_adjust(left=0.68 / width, right=1 - 0.25 / width, top=0.9, bottom=0.135, hspace=0.3, wspace=0.22)
    names = sorted(s for s in frame["series"].unique() if s.endswith(_SCRATCH))
    looks = face.styles([TRANSFER, *names])
    for above, below, task in zip(*panels, tasks, strict=True):
        mine = frame[frame["task"] == task]
        _points(above, mine[mine["kind"] == POINT], looks)
        _searches(below, mine[mine["kind"] == SEARCH], looks)
        above.set_title(plain(task), fontsize=9.5)
    panels[0, 0].set_ylabel("test error, %", fontsize=9)
    panels[1, 0].set_ylabel("test accuracy, %", fontsize=9)
    fig.legend(
        handles=list(_handles(frame, looks)), loc="upper center", ncols=min(4, 2 * len(tasks)), frameon=False, fontsize=8
    )
    without = [task for task in tasks if TRANSFER not in set(frame.loc[frame["task"] == task, "series"])]
    note = f"Incomplete: no timed transfer of a recommended checkpoint to {', '.join(without)}." if without else ""
    face.sign(fig, frame, [f"Below: median of {SEARCHES:,} random searches over the runs above, and 90% of them.", note])
    return fig


def _points(ax: Axes, rows: pd.DataFrame, looks: dict[str, Style]) -> None:
    others = rows[rows["series"] == OTHERS]
    style = looks[TRANSFER]
    ax.scatter(others["hours"], 1 - others["value"], s=14, marker=style.marker, facecolor=style.colour, linewidth=0, alpha=0.45)
    for series, look in reversed(looks.items()):
        mine = rows[rows["series"] == series]
        edge: dict[str, Any] = (
            {"edgecolor": "black", "linewidth": 0.9} if series == TRANSFER else {"linewidth": 0, "alpha": 0.75}
        )
        ax.scatter(mine["hours"], 1 - mine["value"], s=24, marker=look.marker, facecolor=look.colour, **edge)
    face.tidy(ax)
    face.log_axis(ax, rows["hours"].min(), rows["hours"].max())
    ax.set_yscale("log")
    low, high = max((1 - rows["value"]).min(), 1e-4) / 1.2, 1.15
    ax.set_ylim(low, high)
    errors = ticks.logarithmic(low, high)
    ax.set_yticks(errors, [f"{100 * e:g}" for e in errors])
    ax.minorticks_off()
    ax.set_xlabel("training time, chip-hours", fontsize=9)


def _searches(ax: Axes, rows: pd.DataFrame, looks: dict[str, Style]) -> None:
    for series, look in looks.items():
        line = rows[rows["series"] == series]
        ax.fill_between(line["hours"], 100 * line["low"], 100 * line["high"], color=look.colour, alpha=0.2, linewidth=0)
        marks: dict[str, Any] = {"marker": look.marker, "markersize": 4, "markevery": 10}
        ax.plot(line["hours"], 100 * line["value"], color=look.colour, linewidth=1.5, **marks)
    face.tidy(ax)
    face.log_axis(ax, rows["hours"].min(), rows["hours"].max())
    ax.set_ylim(0, 100)
    ax.set_xlabel("search budget, chip-hours", fontsize=9)


def _handles(frame: pd.DataFrame, looks: dict[str, Style]) -> Iterator[Line2D]:
    series = set(frame["series"])
    for name, look in looks.items():
        if name in series:
            edge = "black" if name == TRANSFER else look.colour
            yield Line2D([], [], color=look.colour, marker=look.marker, markeredgecolor=edge, label=plain(name))
    if OTHERS in series:
        look = looks[TRANSFER]
        yield Line2D([], [], color=look.colour, marker=look.marker, linestyle="", alpha=0.45, markersize=4, label=OTHERS)
