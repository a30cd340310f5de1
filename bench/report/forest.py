"""Many strategies at a glance: what each loses on every task, on average with its interval, and what it costs.

The regret axis is linear within a point of zero and logarithmic beyond, because most choices lose little and a few lose a lot.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, NullLocator

from bench.report import styles
from bench.report.figures import plain, points
from bench.select.intervals import IN_GENERAL, Interval, interval
from bench.select.matrix import LOOKING_BACK
from bench.select.means import UNGROUPED, groups_of
from bench.select.measures import REFERENCE
from bench.select.runs import require

NEEDED = ("name", "adapt_ds", "adapt_group", "strategy", "test", "regret", "finetunes")
_ROW, _TOP, _BOTTOM, _GAP = 0.30, 0.55, 0.62, 0.15
_REGRET, _TEXT, _COST = 3.9, 1.45, 1.7
_TICKS = (-30, -10, -3, -1, 0, 1, 3, 10, 30, 100)
_AMOUNT = EngFormatter(sep="")  # 1k, 10k, 1M: long numbers run into each other


def draw(comparison: pd.DataFrame) -> Figure:
    """Draws a line per strategy, the one that loses least on top: regret, its mean with the 95% interval, fine-tunes.

    A faint mark is a model on a task, its shape and colour the task's group; the black one is the mean over tasks, then over
    models, its bar the interval over tasks and seeds. It is over the pairs on which every strategy has a test score; how many
    are not is said. The cost is the number of fine-tunes in all, and its share of what `adapt_all` takes.

    Args:
      comparison: columns `NEEDED`, at one budget, as `compare` returns them.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, there is nothing to compare, or a strategy has several rows on one task.
    """
    require(comparison, NEEDED)
    scored = comparison["regret"].notna().groupby([comparison["name"], comparison["adapt_ds"]]).transform("all")
    counted = comparison[scored].assign(adapt_group=comparison["adapt_group"].astype("string").fillna(UNGROUPED))
    names = list(dict.fromkeys(comparison["strategy"]))
    means = {str(s): interval(rows, "regret", IN_GENERAL) for s, rows in counted.groupby("strategy")}
    names.sort(key=lambda s: (means[s].estimate if s in means else math.inf, s == REFERENCE))
    left = 0.35 + 0.078 * max(map(len, names))
    widths = (_REGRET, _TEXT, _COST)
    width = left + sum(widths) + 2 * _GAP + 0.25
    body = _ROW * len(names)
    height = _TOP + body + _BOTTOM
    fig = Figure(figsize=(width, height), facecolor="white")
    axes = []
    for i, wide in enumerate(widths):
        x = left + sum(widths[:i]) + i * _GAP
        ax = fig.add_axes((x / width, _BOTTOM / height, wide / width, body / height))
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.spines[["left", "right", "top"]].set_visible(False)
        ax.tick_params(axis="x", labelsize=8)
        ax.tick_params(axis="y", length=0, labelsize=9)
        axes.append(ax)
    regret, text, cost = axes
    regret.set_yticks(range(len(names)), [plain(s) for s in names])
    cost.set_yticks([])
    text.axis("off")
    for y in range(0, len(names), 2):
        for ax in axes:
            ax.axhspan(y - 0.5, y + 0.5, color="#f4f4f4", zorder=0, linewidth=0)
    _regrets(regret, counted, means, names)
    for y, name in enumerate(names):
        text.text(0.98, y, _said(means.get(name)), transform=text.get_yaxis_transform(), ha="right", va="center", fontsize=8)
    heading = "mean [95% interval]" if any(m.known for m in means.values()) else "mean"
    text.text(0.98, 1.01, heading, transform=text.transAxes, ha="right", va="bottom", fontsize=8)
    _costs(cost, comparison, names)
    _legend(fig, groups_of(counted["adapt_group"]), width)
    pairs, left_out = (len(f.drop_duplicates(["name", "adapt_ds"])) for f in (counted, comparison[~scored]))
    note = f"{pairs} pairs of model and task{looked_back(comparison)}"
    note += f"; {left_out} left out, where not every strategy has a score" if left_out else ""
    fig.text(0.1 / width, 0.06 / height, note, va="bottom", fontsize=8)
    return fig


def looked_back(comparison: pd.DataFrame) -> str:
    """What a figure adds to its foot where choices were made on the test scores that they are measured by."""
    back = "basis" in comparison and comparison["basis"].eq(LOOKING_BACK).any()
    return f"; {LOOKING_BACK}: there are no validation scores" if back else ""


def _regrets(ax: Axes, counted: pd.DataFrame, means: dict[str, Interval], names: list[str]) -> None:
    ax.axvline(0, color="#555555", linewidth=0.9, zorder=1)
    lows, highs = [-0.5], [0.5]
    for (strategy, group), rows in counted.groupby(["strategy", "adapt_group"]):
        style = styles.group(str(group))
        values = 100 * rows["regret"].astype(float)
        marks: dict[str, Any] = {"marker": style.marker, "color": style.colour, "alpha": 0.45, "markeredgewidth": 0}
        ax.plot(values, [names.index(str(strategy))] * len(rows), linestyle="", markersize=4.5, zorder=2, **marks)
        lows.append(values.min())
        highs.append(values.max())
    for strategy, mean in means.items():
        y = names.index(strategy)
        if mean.known:
            ax.plot([100 * mean.low, 100 * mean.high], [y, y], color="black", linewidth=1.6, zorder=3)
        ax.plot([100 * mean.estimate], [y], color="black", marker="D", markersize=5, linestyle="", zorder=4)
    ax.set_xscale("symlog", linthresh=1, linscale=1)
    low, high = min(lows), max(highs)
    ax.set_xlim(1.4 * low, 1.4 * high)
    ax.set_xticks([t for t in _TICKS if 1.4 * low <= t <= 1.4 * high])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(axis="x", color="#dddddd", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.set_xlabel("regret, points (right: loses)", fontsize=9)


def _costs(ax: Axes, comparison: pd.DataFrame, names: list[str]) -> None:
    # What each seed costs, on average over the seeds.
    keys = ["name", "adapt_ds", "strategy"]
    total = comparison.groupby(keys)["finetunes"].mean().groupby("strategy").sum()
    whole = float(total.get(REFERENCE, math.nan))
    shown = {s: float(total[s]) for s in names if total[s] > 0}
    for name, value in shown.items():
        y = names.index(name)
        ax.plot([value], [y], color="#0072B2", marker="o", markersize=5, linestyle="")
        share = "" if math.isnan(whole) or name == REFERENCE else f" ({100 * value / whole:.0f}%)"
        ax.annotate(
            f"{value:,.0f}{share}",
            (value, y),
            (7, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            annotation_clip=False,
        )
    ax.set_xscale("log")
    if shown:
        low, high = min(shown.values()), max(shown.values())
        ax.set_xlim(low / 1.6, high * (high / low * 4) ** 0.75)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _AMOUNT(value) if value >= 1 else ""))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("fine-tunes (log scale)", fontsize=9)


def _legend(fig: Figure, groups: list[str], width: float) -> None:
    handles = [
        Line2D([], [], color=(s := styles.group(g)).colour, marker=s.marker, alpha=0.6, linestyle="", label=plain(g))
        for g in groups
    ]
    handles.append(Line2D([], [], color="black", marker="D", markersize=5, label="mean"))
    fig.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.05 / width, 1), ncols=len(handles), frameon=False, fontsize=8.5
    )


def _said(mean: Interval | None) -> str:
    if mean is None:
        return "no score"
    return f"{points(mean.estimate)} [{points(mean.low)}, {points(mean.high)}]" if mean.known else points(mean.estimate)
