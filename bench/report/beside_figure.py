"""The drawing of a table's cells beside the published ones: a column of panels per upstream set, the difference below.

Colours are the heatmap's: red is worse, blue is better, in the upper panels than the row's leftmost cell (differences: than
nothing), below than the published cell. The upper panels share their limits, and so do the lower ones; texts say the same, so
that grey is enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.report import order
from bench.report.beside import find, summary
from bench.report.figures import plain
from bench.select.runs import require

_CELL, _ROW, _GAP, _PAD = 0.36, 0.27, 0.42, 0.35
_TOP, _FOOT, _LEAST = 0.75, 0.8, 2.3
"""Inches; a panel is at least `_LEAST` wide, for its title."""
_LAST = "difference"
_PANELS = {"value": "the table", "published": "published", _LAST: "difference, points"}


def draw(cells: pd.DataFrame, reference: str) -> Figure:
    """Draws the table's cells, the published ones and the differences.

    Args:
      cells: as `bench.report.beside.compare` returns them.
      reference: a name of `bench.report.beside.REFERENCES`, that the cells were compared with.

    Returns:
      A figure of its own, unknown to pyplot. A cell that the table does not have is hatched, and counted below its set.

    Raises:
      UserError: unknown reference, a column is missing or there is no cell.
    """
    asked = find(reference)
    require(cells, (*asked.keys, *_PANELS, "same"))
    sets, names = list(dict.fromkeys(cells["ds"])), order.models(cells["name"])
    across = list(asked.keys[2:])
    columns: list[tuple[object, ...]] = [()]
    if across:
        columns = list(cells[across].drop_duplicates().itertuples(index=False, name=None))
    wide, tall = max(_CELL * len(columns), _LEAST), _ROW * len(names)
    left = 0.3 + 0.075 * max(map(len, names))
    labels = [_label(c) for c in columns]
    bottom = _FOOT + 0.15 + 0.055 * max(map(len, labels))
    width = max(left + len(sets) * wide + (len(sets) - 1) * _PAD + 0.15, 5.8)
    height = _TOP + 3 * tall + 2 * _GAP + bottom
    fig = Figure(figsize=(width, height), facecolor="white")
    head = f"{asked.about}: the table beside {asked.name}"
    fig.text(0.1 / width, 1 - 0.1 / height, plain(head), va="top", fontsize=9)
    said = summary(cells).set_index("ds")
    of: list[Any] = list(cells[across].itertuples(index=False, name=None))
    named = cells.assign(column=of)
    grids = {(ds, what): 100 * _grid(named[named["ds"] == ds], what, names, columns) for ds in sets for what in _PANELS}
    relative = "do" in across
    colours = {key: grid - grid[:, :1] if key[1] != _LAST and relative else grid for key, grid in grids.items()}
    widest = {last: _widest([c for (_, what), c in colours.items() if (what == _LAST) == last]) for last in (False, True)}
    for i, ds in enumerate(sets):
        x = left + i * (wide + _PAD)
        for j, (what, title) in enumerate(_PANELS.items()):
            y = bottom + (2 - j) * (tall + _GAP)
            ax = fig.add_axes((x / width, y / height, wide / width, tall / height), label=f"{ds} {what}")
            last = what == _LAST
            _panel(ax, grids[ds, what], colours[ds, what], widest[last], 1 if last else 0, signed=last or not relative)
            ax.set_title(plain(f"{ds}: {title}"), fontsize=9, fontweight="bold")
            ax.set_yticks(np.arange(len(names)) + 0.5, [plain(n) for n in names] if i == 0 else [""] * len(names), fontsize=8)
        ax.set_xticks(
            np.arange(len(columns)) + 0.5,
            [_label(c) for c in columns],
            rotation=60,
            ha="right",
            rotation_mode="anchor",
            fontsize=7.5,
        )
        ax.tick_params(axis="x", pad=0)
        fig.text(x / width, _FOOT / height, _foot(said.loc[ds]), va="top", fontsize=8)
    return fig


def _grid(of_set: pd.DataFrame, what: str, names: list[str], columns: list[tuple[object, ...]]) -> np.ndarray:
    known = {
        (name, column): value for name, column, value in of_set[["name", "column", what]].itertuples(index=False, name=None)
    }
    return np.array([[known.get((name, column), np.nan) for column in columns] for name in names], float)


def _widest(colours: list[np.ndarray]) -> float:
    return max(1.0, *(float(np.nanmax(np.abs(colour), initial=0)) for colour in colours))


def _panel(ax: Axes, grid: np.ndarray, colour: np.ndarray, widest: float, decimals: int, signed: bool) -> None:
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, fill=False, hatch="////", edgecolor="#b0b0b0", zorder=0))
    texts = [["" if np.isnan(v) else _number(v, decimals, signed) for v in row] for row in grid]
    seaborn.heatmap(
        # A row without its leftmost cell has no colour to go by, and its cells are told all the same.
        np.where(np.isnan(colour) & ~np.isnan(grid), 0.0, colour),
        ax=ax,
        mask=np.isnan(grid),
        annot=np.array(texts),
        fmt="",
        annot_kws={"fontsize": 7.5},
        cmap="RdBu",
        vmin=-widest,
        vmax=widest,
        cbar=False,
        linewidths=0.6,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
    )
    ax.tick_params(length=0, pad=3)


def _number(value: float, decimals: int, signed: bool) -> str:
    text = f"{value:{'+' if signed else ''}.{decimals}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def _label(column: tuple[object, ...]) -> str:
    rate = "".join(f", reg {c:g}" for c in column if isinstance(c, float) and c)
    return plain("".join(order.paper_level(c) for c in column if isinstance(c, str)) + rate) or "reg - noreg"


def _foot(said: pd.Series) -> str:
    missing = int(said["cells"] - said["compared"])
    rank = "" if np.isnan(said["spearman"]) else f"rank correlation {said['spearman']:.2f}"
    largest = "" if np.isnan(said["largest"]) else f"largest difference {100 * said['largest']:+.1f}"
    same = f"{int(said['same'])} of {int(said['compared'])} round alike"
    lost = f"{missing} cells missing (hatched)" if missing else ""
    return "\n".join(filter(None, (rank, largest, same, lost)))
