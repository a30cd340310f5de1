"""The heatmap of the page: a table per upstream set whose cells lead to the runs behind them.

The cells, their order and what colour means are those of the figure (`bench.report.heatmap`, `bench.report.heatmap_figure`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.report import heatmap, order
from bench.report.figures import points
from bench.report.heatmap import KEYS
from bench.select.runs import best, ok

_SIDE = "reg - noreg"
_STRONGEST = 100
"""Share of the full colour that the largest difference of all panels gets, percent."""


@dataclass(frozen=True)
class Cell:
    """A cell of a heatmap.

    Attributes:
      text: what it shows: accuracy in percent, or a difference in points.
      about: level and dropout, in words.
      run: identifier of the run that it is of; None where it is of no single run.
      state: `up` or `down` against the row's leftmost cell, `even`, `diverged`, or `missing`.
      strength: of its colour, percent.
    """

    text: str
    about: str
    run: str | None
    state: str
    strength: int


@dataclass(frozen=True)
class Panel:
    """The heatmap of one upstream set: `groups` of columns (heading and width), their headings, and the rows by model.

    Where `narrow`, the last column is what regularisation adds, and in no group.
    """

    ds: str
    groups: list[tuple[str, int]]
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    narrow: bool


@dataclass(frozen=True)
class Heatmap:
    """All panels, the largest difference to a row's leftmost cell in points, and sentences about cells and gaps."""

    panels: list[Panel]
    widest: str
    notes: list[str]


def behind(runs: pd.DataFrame) -> dict[tuple[Any, ...], int]:
    """Which run every cell of the heatmap shows.

    Args:
      runs: as `bench.select.runs.upstream_runs` returns them.

    Returns:
      Number of the run by (ds, name, do, aug): of those that ended well the best in `final_val`, the first of them where
      several tie; no entry where none ended well.
    """
    scores = runs["final_val"].astype(float).where(ok(runs["status"]))
    found: dict[tuple[Any, ...], int] = {}
    for key, rows in runs.groupby(KEYS):
        if (first := best(scores.loc[rows.index])) is not None:
            found[tuple(key)] = int(first)
    return found


def heatmaps(table: pd.DataFrame, runs: pd.DataFrame, ids: list[str]) -> Heatmap:
    """The heatmaps of a table.

    Args:
      table: columns of `bench.records.schema`.
      runs: its upstream runs, as `bench.select.runs.upstream_runs` returns them.
      ids: identifier of every run.

    Raises:
      UserError: as `bench.report.heatmap.cells`.
    """
    cells = heatmap.cells(table)
    values = {tuple(key): float(value) for *key, value in cells.itertuples(index=False, name=None)}
    sides = {(d, n): float(value) for d, n, value in heatmap.narrow(cells).itertuples(index=False, name=None)}
    rates, levels, models = sorted(cells["do"].unique()), order.levels(cells["aug"]), order.models(cells["name"])
    columns = [(float(do), aug) for do in rates for aug in levels]
    chosen = {key: ids[i] for key, i in behind(runs).items()}
    first = {(ds, name): values.get((ds, name, *columns[0]), np.nan) for ds, name, *_ in values}
    differences = [*(v - first[key[0], key[1]] for key, v in values.items()), *sides.values()]
    widest = max(0.01, float(np.nanmax(np.abs(differences), initial=0)))

    def cell(ds: str, name: str, do: float, aug: str) -> Cell:
        key, about = (ds, name, do, aug), f"{order.paper_level(aug)}, dropout {do:g}"
        if key not in values:
            return Cell("", about, None, "missing", 0)
        if np.isnan(values[key]):
            return Cell("\N{MULTIPLICATION SIGN}", about, None, "diverged", 0)
        return Cell(f"{100 * values[key]:.1f}", about, chosen[key], *_colour(values[key] - first[ds, name], widest))

    def side(ds: str, name: str) -> Cell:
        value = sides.get((ds, name), np.nan)
        if np.isnan(value):
            return Cell("", _SIDE, None, "missing", 0)
        return Cell(points(value), _SIDE, None, *_colour(value, widest))

    groups = [(f"Regularization {do:g}" if do else "No regularization", len(levels)) for do in rates]
    # Without regularised runs, or without others, there is nothing to put into the narrow column.
    narrow = len(rates) > 1 and rates[0] == 0
    headings = [*(order.paper_level(aug) for _, aug in columns), *([_SIDE] if narrow else [])]

    def row(ds: str, name: str) -> list[Cell]:
        return [*(cell(ds, name, *column) for column in columns), *([side(ds, name)] if narrow else [])]

    panels = [
        Panel(ds, groups, headings, [(name, row(ds, name)) for name in models], narrow)
        for ds in order.upstream_sets(cells["ds"])
    ]
    return Heatmap(panels, f"{100 * widest:.1f}", _notes(cells, len(panels) * len(models) * len(columns)))


def _colour(difference: float, widest: float) -> tuple[str, int]:
    if np.isnan(difference):
        return "even", 0
    strength = round(_STRONGEST * abs(difference) / widest)
    return ("up" if difference > 0 else "down" if difference < 0 else "even"), strength


def _notes(cells: pd.DataFrame, total: int) -> list[str]:
    scored = cells[cells["value"].notna()]
    notes = [
        f"The best cell is {r['name']} on {r['ds']} with {order.paper_level(str(r['aug']))} and dropout {r['do']:g}: "
        f"{100 * r['value']:.1f}%."
        for r in scored.sort_values("value", ascending=False, kind="stable").head(1).to_dict("records")
    ]
    if missing := total - len(cells):
        notes.append(f"{missing} of {total} cells are missing (hatched).")
    if diverged := len(cells) - len(scored):
        notes.append(f"{diverged} of {total} cells diverged (\N{MULTIPLICATION SIGN}).")
    return notes
