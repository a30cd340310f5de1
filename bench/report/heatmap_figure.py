"""The drawing of the heatmap.

Colour is the cell minus the row's leftmost cell, as in Fig. 4 of "How to train your ViT?". The paper's red and green are one
colour to every twelfth man, so the map is ColorBrewer's RdBu: worse stays red, better becomes blue, its two sides grow dark
evenly, and its limits are symmetric and shared by all panels. As no symmetric map shows a sign in grey, cells above the
reference are bold as well.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.report import order
from bench.report.figures import plain, points

_MAP = "RdBu"
_ROW, _GAP, _NARROW, _LEAST = 0.30, 0.08, 0.50, 4.4
_HEADER, _BAR, _LINE = 0.52, 0.42, 0.18
"""Inches: rows and columns, what is above the rows of a panel, the colour bar, and a line of text."""
_SLANTED = 0.05
"""Inches that a letter of a column's name takes to the left and downwards."""
_CROSS = "\N{MULTIPLICATION SIGN}"
_SMALL = 8
"""Up to this many columns the text has one decimal; beyond, an integer as in the paper."""
_TITLE = "Upstream validation accuracy in %, best over weight decay, learning rate and seed"
_SIDE = "reg - noreg"
_Panels = Mapping[str, np.ndarray]
"""By upstream set."""


@dataclass(frozen=True)
class _Grid:
    """What all panels share."""

    rows: list[str]
    columns: list[tuple[float, str]]
    norm: Normalize
    cmap: Colormap
    decimals: int


def draw(cells: pd.DataFrame, narrow: pd.DataFrame, foot: int = 0) -> Figure:
    """Draws the cells: a panel per upstream set, one below the other, a row per model, columns by dropout and level.

    Text is accuracy in percent, an integer, or with one decimal where a panel has up to eight columns. A cell without a run is
    hatched, a cell whose runs all diverged is grey with a cross, and the foot of the figure counts both. A row whose leftmost
    cell is empty is not coloured, for want of a reference. The narrow column is there where there are runs with dropout and
    runs without, and the colours' bar where there are two columns to compare.

    Args:
      cells: columns ds, name, do, aug, value in this order, as `bench.report.heatmap.cells` returns them.
      narrow: columns ds, name, value.
      foot: lines that are left free below.

    Returns:
      A figure of its own, unknown to pyplot.
    """
    sets, rows = order.upstream_sets(cells["ds"]), order.models(cells["name"])
    rates, levels = sorted(float(do) for do in cells["do"].unique()), order.levels(cells["aug"])
    columns = [(do, aug) for do in rates for aug in levels]
    known = {tuple(key): float(value) for *key, value in cells.itertuples(index=False, name=None)}
    keys = {ds: [[(ds, row, *column) for column in columns] for row in rows] for ds in sets}
    matrices = {ds: np.array([[known.get(key, np.nan) for key in row] for row in keys[ds]]) for ds in sets}
    sides = {ds: narrow[narrow["ds"] == ds].set_index("name")["value"].reindex(rows).to_numpy(float) for ds in sets}
    relative = {ds: m - m[:, :1] for ds, m in matrices.items()}
    widest = max(0.01, *(float(np.nanmax(np.abs(a), initial=0)) for d in (relative, sides) for a in d.values()))
    grid = _Grid(rows, columns, Normalize(-100 * widest, 100 * widest), colormaps[_MAP], 1 if len(columns) <= _SMALL else 0)
    absent = {ds: np.array([[key not in known for key in row] for row in keys[ds]]) for ds in sets}
    sided = len(rates) > 1 and rates[0] == 0
    cell = max(0.34 if grid.decimals == 0 else 0.48, 1.45 / len(levels))
    slanted = [_SLANTED * len(order.paper_level(aug)) for _, aug in columns]
    left = max(0.25 + 0.078 * max(map(len, rows)), *(0.15 + reach - cell * (i + 0.5) for i, reach in enumerate(slanted)))
    width = max(left + cell * len(columns) + (_GAP + _NARROW if sided else 0) + 0.15, _LEAST)
    title = textwrap.wrap(_TITLE, int((width - 0.2) / 0.075))
    note = textwrap.wrap(_note(matrices, absent, sides), int((width - 0.3) / 0.066))
    below = 0.1 + _LINE * (foot + len(note))
    block = _HEADER + _ROW * len(rows) + 0.2 + max(slanted + [_SLANTED * len(_SIDE)] * sided)
    bottom = below + (_BAR if len(columns) > 1 else 0)
    height = 0.12 + _LINE * len(title) + len(sets) * block + bottom
    fig = Figure(figsize=(width, height), facecolor="white")
    fig.text(0.1 / width, 1 - 0.08 / height, "\n".join(title), va="top", fontsize=10)
    tall = _ROW * len(rows) / height
    for i, ds in enumerate(sets):
        base = (bottom + (len(sets) - i) * block - _HEADER) / height - tall
        main = fig.add_axes((left / width, base, cell * len(columns) / width, tall), label=ds)
        _panel(main, grid, matrices[ds], relative[ds], absent[ds])
        main.set_title(plain(ds), fontsize=10, fontweight="bold", pad=22)
        main.set_yticks(np.arange(len(rows)) + 0.5, [plain(r) for r in rows], fontsize=8.5)
        if sided:
            x = left + cell * len(columns) + _GAP
            side = fig.add_axes((x / width, base, _NARROW / width, tall), label=f"{ds} {_SIDE}")
            _side(side, grid, sides[ds], np.isnan(matrices[ds]).any(axis=1))
    if len(columns) > 1:
        _bar(fig, grid, below)
    if note:
        fig.text(0.15 / width, (0.1 + _LINE * foot) / height, "\n".join(note), va="bottom", fontsize=8.5)
    return fig


def _note(matrices: _Panels, absent: _Panels, sides: _Panels) -> str:
    """What is not there: of all panels the values, whether there is no run, and the narrow column."""
    total, missing = sum(m.size for m in matrices.values()), sum(int(a.sum()) for a in absent.values())
    diverged = sum(int(np.isnan(m).sum()) for m in matrices.values()) - missing
    partial = any((np.isnan(m).any(axis=1) & ~np.isnan(sides[ds])).any() for ds, m in matrices.items())
    notes = (
        f"{missing:,} of {total:,} cells missing (hatched)" if missing else "",
        f"{diverged:,} of {total:,} cells diverged ({_CROSS})" if diverged else "",
        "* from an incomplete row" if partial else "",
    )
    return "; ".join(filter(None, notes))


def _panel(ax: Axes, grid: _Grid, values: np.ndarray, relative: np.ndarray, absent: np.ndarray) -> None:
    _colours(ax, grid, relative)
    for (y, x), value in np.ndenumerate(values):
        if absent[y, x]:
            _mark(ax, x, y, "white", hatch="////")
        elif np.isnan(value):
            _mark(ax, x, y, "#d0d0d0")
            _write(ax, x, y, _CROSS, "black", bold=False)
        else:
            difference = 100 * float(relative[y, x])
            text = f"{100 * value:.{grid.decimals}f}"
            _write(ax, x, y, text, _ink(grid, difference), bold=difference > 0)
    levels = len(grid.columns) // len({do for do, _ in grid.columns})
    names = [plain(order.paper_level(aug)) for _, aug in grid.columns]
    ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=45, ha="right", rotation_mode="anchor", fontsize=8.5)
    for first in range(0, len(names), levels):
        do = grid.columns[first][0]
        title = f"Regularization {do:g}" if do else "No regularization"
        ax.text(first + levels / 2, -0.22, title, ha="center", va="bottom", fontsize=8.5)
        if first:
            ax.axvline(first, color="black", linewidth=1.5)


def _side(ax: Axes, grid: _Grid, values: np.ndarray, incomplete: np.ndarray) -> None:
    _colours(ax, grid, values[:, None])
    for y, value in enumerate(values):
        if np.isnan(value):
            _mark(ax, 0, y, "white", hatch="////")
        else:
            text = points(value, grid.decimals) + ("*" if incomplete[y] else "")
            _write(ax, 0, y, text, _ink(grid, 100 * value), bold=bool(value > 0))
    ax.set_xticks([0.5], [_SIDE], rotation=45, ha="right", rotation_mode="anchor", fontsize=8.5)


def _colours(ax: Axes, grid: _Grid, relative: np.ndarray) -> None:
    seaborn.heatmap(
        100 * relative,
        ax=ax,
        cmap=grid.cmap,
        vmin=grid.norm.vmin,
        vmax=grid.norm.vmax,
        cbar=False,
        linewidths=0.6,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
    )
    ax.tick_params(length=0, pad=3)


def _mark(ax: Axes, x: int, y: int, colour: str, hatch: str | None = None) -> None:
    corner = (x + 0.02, y + 0.02)
    ax.add_patch(Rectangle(corner, 0.96, 0.96, linewidth=0, edgecolor="#9a9a9a", facecolor=colour, hatch=hatch))


def _write(ax: Axes, x: int, y: int, text: str, ink: str, bold: bool) -> None:
    weight = "bold" if bold else "normal"
    ax.text(x + 0.5, y + 0.5, text, ha="center", va="center_baseline", fontsize=8.5, color=ink, fontweight=weight)


def _ink(grid: _Grid, difference: float) -> str:
    if np.isnan(difference):
        return "black"
    red, green, blue, _ = grid.cmap(grid.norm(difference))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"


def _bar(fig: Figure, grid: _Grid, at: float) -> None:
    """Draws the colour bar, `at` inches above the ground, and what it is of."""
    width, height = fig.get_size_inches()
    bar = fig.add_axes((0.3 / width, (at + 0.24) / height, 1.7 / width, 0.11 / height), label="colours")
    fig.colorbar(ScalarMappable(grid.norm, grid.cmap), cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=7.5, length=2, pad=1)
    legend = "points above or below the row's\nleftmost cell (bold: above)"
    fig.text(2.25 / width, (at + 0.22) / height, legend, va="center", fontsize=8.5)
