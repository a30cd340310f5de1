"""Where strategies lose: a grid of strategies by tasks, with the means over groups' tasks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.report import differences
from bench.report.figures import plain
from bench.report.forest import looked_back
from bench.select.means import OVER_TASKS, OVERALL, UNGROUPED, groups_of, means, task_means
from bench.select.measures import REFERENCE
from bench.select.runs import require

NEEDED = ("name", "adapt_ds", "adapt_group", "strategy", "val", "test", "regret", "finetunes")
_GAP = 0.12
# Inches of a letter of a panel's title.
_LETTER = 0.09


def draw(comparison: pd.DataFrame, averaged: pd.DataFrame | None = None) -> Figure:
    """Draws what each strategy wins against `adapt_all` on each task, in points, averaged over models; losses are negative.

    A panel per task group, and the mean over tasks last; strategies with the highest mean on top. Cells where not every
    strategy has a test score are hatched.

    Args:
      comparison: columns `NEEDED`, at one budget, as `compare` returns them.
      averaged: what `bench.select.means.means` makes of it, where that is known.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, there is nothing to compare, or a strategy has several rows on one task.
    """
    require(comparison, NEEDED)
    cells = task_means(comparison, over=())
    found = means(comparison, over=()) if averaged is None else averaged
    overall = found[(found["scope"] == OVERALL) & (found["convention"] == OVER_TASKS)].groupby("strategy")["regret"].last()
    names = [s for s in overall.sort_values(kind="stable", na_position="last").index if s != REFERENCE]
    grid = -cells.pivot(index="strategy", columns="adapt_ds", values="regret").reindex(names)
    group = dict(zip(cells["adapt_ds"], cells["adapt_group"], strict=True))
    panels = [(g, [t for t in grid if group[t] == g]) for g in groups_of(pd.Series(list(group.values())))]
    norm = differences.limits(grid.to_numpy(float))
    left = 0.35 + 0.075 * max(map(len, names), default=0)
    bottom = 0.2 + 0.047 * max(len(str(t)) for t in [*grid, "mean over tasks"])
    wide = [differences.CELL * len(tasks) for _, tasks in panels] + [differences.CELL]
    # The title of a panel with one task is wider than the panel.
    gaps = [max(_GAP, _LETTER * len(g) - w + _GAP) for (g, _), w in zip(panels, wide, strict=False)] + [0.0]
    width = max(left + sum(wide) + sum(gaps) + 0.2, 6.0)
    body = differences.ROW * len(names)
    height = bottom + body + 0.55
    fig = Figure(figsize=(width, height), facecolor="white")
    blocks = [*((plain(g) if g != UNGROUPED else "", grid[tasks].to_numpy(float), tasks) for g, tasks in panels)]
    blocks.append(("", -overall[names].to_numpy(float)[:, None], ["mean over tasks"]))
    x = left
    for i, (title, values, labels) in enumerate(blocks):
        ax = fig.add_axes((x / width, bottom / height, wide[i] / width, body / height))
        differences.panel(
            ax, np.asarray(values), norm, [str(label) for label in labels], names if i == 0 else [""] * len(names)
        )
        if title:
            ax.set_title(title, fontsize=9.5, fontweight="bold", pad=4, loc="left")
        x += wide[i] + gaps[i]
    head = f"Test accuracy minus that of {REFERENCE}, points{looked_back(comparison)}"
    fig.text(0.1 / width, 1 - 0.08 / height, head, va="top", fontsize=9.5)
    return fig
