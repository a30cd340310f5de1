"""A few strategies, upstream-best against adapt-all say: accuracy, regret and cost of every model on every task.

Source: "How to train your ViT?", section 4.5 and Fig. 5 left, which shows the regret with the other sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from bench.report import figures, forest, order, styles
from bench.report.figures import plain, points
from bench.select.means import ALL_MODELS, OVER_TASKS, OVERALL, UNGROUPED, groups_of, means
from bench.select.measures import REFERENCE
from bench.select.runs import require

NEEDED = ("name", "adapt_ds", "adapt_group", "adapt_synthetic", "strategy", "val", "test", "finetunes", "regret")
FEW = 3
"""Strategies that a line of the figure can hold."""
_LINE = 0.21
_WIDTHS = (3.3, 1.9, 1.8)
_TOP, _BOTTOM, _GAP = 0.45, 0.55, 0.2


@dataclass(frozen=True)
class _Row:
    """A line of the figure: a heading where `values` is None, else a model's strategies on one task."""

    y: float
    label: str
    values: pd.DataFrame | None


def draw(comparison: pd.DataFrame) -> Figure:
    """Draws the comparison: test accuracy in %, regret in points and fine-tunes, side by side.

    A block per task, ordered by task group, rendered tasks labelled "(synthetic)"; a line per model and task. The last block
    is the mean over tasks of each model, over the tasks where all strategies have a test score. Hollow marks are `adapt_all`.
    Of more than `FEW` strategies it is the figure of `bench.report.forest`.

    Args:
      comparison: columns `NEEDED`, at one budget, as `compare` returns them.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing or there is nothing to compare.
    """
    require(comparison, NEEDED)
    strategies = list(dict.fromkeys(comparison["strategy"]))
    if len(strategies) > FEW:
        return forest.draw(comparison)
    rows = _rows(comparison)
    left = 0.5 + 0.075 * max(len(row.label) for row in rows if row.values is not None)
    width = left + sum(_WIDTHS) + 2 * _GAP + 0.2
    body = _LINE * (rows[-1].y + 1)
    height = _TOP + body + _BOTTOM
    fig = Figure(figsize=(width, height), facecolor="white")
    axes = []
    for i, w in enumerate(_WIDTHS):
        x = left + sum(_WIDTHS[:i]) + i * _GAP
        ax = fig.add_axes((x / width, _BOTTOM / height, w / width, body / height))
        ax.set_ylim(rows[-1].y + 0.8, -0.8)
        ax.spines[["left", "right", "top"]].set_visible(False)
        ax.grid(axis="x", color="#e3e3e3", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.tick_params(axis="x", labelsize=8)
        ax.set_yticks([])
        axes.append(ax)
    marks = {s: (style.colour, style.marker, s == REFERENCE) for s, style in styles.strategies(strategies).items()}
    for row in rows:
        if row.values is not None:
            _line(axes, row, marks)
    _labels(axes[0], rows, left)
    _finish(axes)
    handles = [
        Line2D([], [], color=c, marker=m, markerfacecolor="white" if hollow else c, linestyle="", label=plain(s))
        for s, (c, m, hollow) in marks.items()
    ]
    fig.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.1 / width, 1), ncols=len(handles), frameon=False, fontsize=9
    )
    return fig


def save(fig: Figure, path: Path | str) -> None:
    """Writes the figure as .png, .svg or .pdf; the bytes depend on nothing but the figure."""
    figures.save(fig, path)


def task_label(name: str, synthetic: object) -> str:
    """The task's name, marked where its images are rendered."""
    return f"{name} (synthetic)" if synthetic is True or synthetic == 1 else name


def _rows(comparison: pd.DataFrame) -> list[_Row]:
    tasks = comparison.assign(adapt_group=comparison["adapt_group"].fillna(UNGROUPED))
    blocks: list[tuple[str, pd.DataFrame]] = []
    for group in groups_of(tasks["adapt_group"]):
        for task, rows in tasks[tasks["adapt_group"] == group].groupby("adapt_ds"):
            synthetic = bool(rows["adapt_synthetic"].fillna(False).any())
            blocks.append((f"{task_label(str(task), synthetic)}, {group}", rows))
    mean = means(comparison, over=())
    mean = mean[(mean["scope"] == OVERALL) & (mean["convention"] == OVER_TASKS) & (mean["name"] != ALL_MODELS)]
    if len(blocks) > 1:
        blocks.append(("mean over tasks, fine-tunes in total", mean))
    out: list[_Row] = []
    y = 0.0
    for title, rows in blocks:
        out.append(_Row(y, title, None))
        for model in order.models(rows["name"]):
            y += 1
            out.append(_Row(y, model, rows[rows["name"] == model]))
        y += 1.6
    return out


def _line(axes: list[Axes], row: _Row, marks: dict[str, tuple[str, str, bool]]) -> None:
    accuracy, regret, cost = axes
    values = row.values
    assert values is not None
    tests = (100 * values["test"].astype(float)).dropna()
    if tests.empty:
        accuracy.text(0.02, row.y, "no score", transform=accuracy.get_yaxis_transform(), va="center", fontsize=7.5)
    else:
        accuracy.plot([tests.min(), tests.max()], [row.y, row.y], color="#9a9a9a", linewidth=1.6, zorder=1)
    for record in values.to_dict("records"):
        colour, marker, hollow = marks[str(record["strategy"])]
        # The hollow mark lies below and is larger, so that two equal values are seen as two marks.
        mark: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": ""}
        mark |= {"markerfacecolor": "white" if hollow else colour}
        mark |= {"zorder": 2, "markersize": 7.5} if hollow else {"zorder": 3, "markersize": 5.0}
        if pd.notna(record["test"]):
            accuracy.plot([100 * record["test"]], [row.y], **mark)
        if pd.notna(record["finetunes"]) and record["finetunes"] > 0:
            cost.plot([record["finetunes"]], [row.y], **mark)
            text = f"{int(record['finetunes'])}"
            cost.annotate(text, (record["finetunes"], row.y), (6, 0), textcoords="offset points", va="center", fontsize=7.5)
        if not hollow and pd.notna(record["regret"]):
            lost = 100 * record["regret"]
            regret.plot([0, lost], [row.y, row.y], color=colour, linewidth=1.6)
            regret.plot([lost], [row.y], **mark)
            side = -1 if lost < 0 else 1
            regret.annotate(
                points(record["regret"]),
                (lost, row.y),
                (7 * side, 0),
                textcoords="offset points",
                va="center",
                ha="right" if side < 0 else "left",
                fontsize=7.5,
            )


def _labels(ax: Axes, rows: list[_Row], left: float) -> None:
    for row in rows:
        # A heading starts at the figure's edge and may run into the empty line of the panel, so it never needs to be cut.
        heading = row.values is None
        ax.annotate(
            plain(row.label),
            (0, row.y),
            (-72 * (left - 0.12) if heading else -10, 0),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            ha="left" if heading else "right",
            va="center",
            fontsize=8.5,
            fontweight="bold" if heading else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5} if heading else None,
        )


def _finish(axes: list[Axes]) -> None:
    accuracy, regret, cost = axes
    accuracy.set_xlabel("test accuracy, %", fontsize=9)
    regret.set_xlabel("regret, points (right: loses)", fontsize=9)
    cost.set_xlabel("fine-tunes (log scale)", fontsize=9)
    accuracy.margins(x=0.06)
    regret.axvline(0, color="#555555", linewidth=0.9, zorder=0)
    low, high = regret.get_xlim()
    reach = max(high - low, 1.0)
    regret.set_xlim(low - 0.28 * reach, high + 0.28 * reach)
    cost.set_xscale("log")
    low, high = cost.get_xlim()
    cost.set_xlim(min(low, 0.8), max(high, 2) * 3.5)
    cost.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    cost.xaxis.set_minor_locator(NullLocator())
