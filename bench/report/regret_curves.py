"""What more budget buys, drawn: mean regret by the number of adapted checkpoints and by the share of adapt-all's cost."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.errors import UserError, choose_from
from bench.report import styles
from bench.report.figures import plain
from bench.report.forest import contests
from bench.select.curves import COLUMNS
from bench.select.measures import REFERENCE
from bench.select.runs import require

SHOWN = 7
"""Strategies that get a colour where none are named: more cannot be told apart."""


def draw(curves: pd.DataFrame, highlight: Collection[str] | None = None, pooled: bool = False) -> Figure:
    """Draws regret against budget and against cost, a line per strategy, with the 95% interval of those highlighted.

    Args:
      curves: as `bench.select.curves.curves` returns it.
      highlight: strategies in colour, the others stay grey; None for those that lose least over all budgets, `SHOWN` at most,
        and in any case upstream_best and random_k, which need no look at the task.
      pooled: whether the checkpoints of all models competed with each other.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, there is nothing to draw, or a highlighted strategy is not there.
    """
    require(curves, COLUMNS)
    lines = curves[curves["strategy"] != REFERENCE]
    require(lines, ())
    names = list(lines.groupby("strategy")["regret"].mean().sort_values(kind="stable").index)
    for name in highlight or ():
        if name not in names:
            raise UserError(f"no curve of {name!r}; {choose_from(name, names)}")
    if highlight is None:
        plainest = [s for s in ("upstream_best", "random_k") if s in names]
        others = [s for s in names if s not in plainest]
        highlight = {*plainest, *others[: SHOWN - len(plainest)]}
    shown = styles.strategies(s for s in names if s in highlight)
    fig = Figure(figsize=(9.6, 4.0), facecolor="white")
    left, right = fig.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.06})
    fig.subplots_adjust(left=0.075, right=0.775, top=0.95, bottom=0.175)
    for ax, x in ((left, "budget"), (right, "share")):
        for name in [*(s for s in names if s not in shown), *reversed(shown)]:
            _line(ax, lines[lines["strategy"] == name].sort_values(x), x, shown.get(name))
        ax.axhline(0, color="#555555", linewidth=0.9, zorder=0)
        ax.grid(color="#e3e3e3", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.spines[["right", "top"]].set_visible(False)
        ax.tick_params(labelsize=8)
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    left.set_xlabel("checkpoints adapted", fontsize=9)
    left.set_ylabel(f"mean regret against {REFERENCE}, points", fontsize=9)
    left.xaxis.set_major_locator(FixedLocator(sorted(lines["budget"].astype(float).unique())))
    left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.set_xlabel(f"share of the cost of {REFERENCE}", fontsize=9)
    right.xaxis.set_major_locator(FixedLocator([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]))
    right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    # The reference's own cost is the end of the scale.
    low = lines["share"].min()
    right.set_xlim(*((0.8 * low, 1.15) if pd.notna(low) and low < 1 else (0.3, 1.15)))
    handles = [Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.dash, label=plain(n)) for n, s in shown.items()]
    if rest := [s for s in names if s not in shown]:
        label = "others:\n" + "\n".join(plain(s) for s in rest)
        handles.append(Line2D([], [], color=styles.OTHER, linewidth=1, label=label))
    fig.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.78, 0.97), frameon=False, fontsize=8)
    foot = contests(int(lines["tasks"].max()), pooled)
    foot += "; bands: 95% intervals over tasks and seeds" if lines["low"].notna().any() else ""
    fig.text(0.01, 0.015, foot, va="bottom", fontsize=8)
    return fig


def _line(ax: Axes, rows: pd.DataFrame, x: str, style: styles.Style | None) -> None:
    rows = rows.dropna(subset=[x])
    at, regret = rows[x].astype(float), 100 * rows["regret"]
    if style is None:
        ax.plot(at, regret, color=styles.OTHER, linewidth=0.9, alpha=0.55, zorder=1)
        return
    ax.plot(at, regret, color=style.colour, marker=style.marker, linestyle=style.dash, markersize=4.5, linewidth=1.6, zorder=3)
    ax.fill_between(at, 100 * rows["low"], 100 * rows["high"], color=style.colour, alpha=0.08, linewidth=0, zorder=2)
