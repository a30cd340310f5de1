"""One HTML file with everything: recommended checkpoints, heatmap, comparison, runs and provenance."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from bench.records.atomic import export
from bench.report import heatmap, order, selection
from bench.report.figures import points, rendered
from bench.report.provenance import missing_cells, provenance, warnings
from bench.report.recommended import recommend
from bench.report.text import shown_strings
from bench.select.compare import compare
from bench.select.means import means
from bench.select.runs import upstream_runs

_RUN_COLUMNS = ("filename", "name", "ds", "aug", "wd", "do", "sd", "lr", "epochs", "seed", "status", "final_val", "final_test")
_PERCENT = ("val", "test", "final_val", "final_test")
_DPI = 96
"""CSS pixels per inch of a figure."""


@dataclass(frozen=True)
class _Table:
    caption: str
    columns: list[str]
    numbers: set[str]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class _Picture:
    caption: str
    alt: str
    data: str
    width: int
    height: int


def write_page(
    table: pd.DataFrame, path: Path | str, title: str, notes: Mapping[str, object], ds: Iterable[str] | None = None
) -> None:
    """Writes the report of a table as one HTML file that loads nothing: no script, no style sheet, figures inside.

    Equal tables, titles and notes give equal bytes. All text is escaped.

    Args:
      table: columns of `bench.records.schema`.
      path: the file; its folder is made.
      title: heading of the page.
      notes: further lines for the provenance, such as the sweep's name; keys in the order given.
      ds: upstream sets from which checkpoints are chosen; None for all. The heatmap and the list of runs show all.

    Raises:
      UserError: the table lacks a column or is empty, `ds` is unknown, or the file cannot be written.
    """
    export(Path(path), render(table, title, notes, ds))


def render(table: pd.DataFrame, title: str, notes: Mapping[str, object], ds: Iterable[str] | None = None) -> str:
    """The page of `write_page` as a string."""
    ds = None if ds is None else list(ds)
    compared, runs = compare(table, ds=ds), upstream_runs(table)
    recommended = recommend(table, ds)
    source = resources.files("bench.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    models, sets = order.models(runs["name"]), order.upstream_sets(runs["ds"])
    transfers = int(compared.loc[compared["strategy"] == "adapt_all", "finetunes"].sum())
    return environment.from_string(source).render(
        title=title,
        summary=f"{len(runs)} upstream runs of {', '.join(models)} on {', '.join(sets)}; {transfers} transfer runs compared.",
        warnings=warnings(table if ds is None else table[table["ds"].isin(ds)]),
        recommended=_grid(recommended, shown_strings(recommended), "Recommended checkpoint of each model; regret in points."),
        heatmap=_heatmap(table),
        selection=None if compared.empty else _selection(compared),
        compared=_of(compared, "Every model, task and strategy: scores in percent, regret in points, time in seconds."),
        means=_of(means(compared), "Means over tasks and of group means, over tasks that every strategy has a score on."),
        runs=_of(runs[[c for c in _RUN_COLUMNS if c in runs]], "Every upstream run, under the released level names."),
        provenance=[*provenance(table), *((str(key), str(value)) for key, value in notes.items())],
    )


def _heatmap(table: pd.DataFrame) -> _Picture:
    grid = heatmap.cells(table)
    missing, total = missing_cells(table)
    caption = "Final upstream validation accuracy by model, dropout and augmentation level, under the paper's level names."
    best = grid.loc[grid["value"].dropna().index].sort_values("value", ascending=False, kind="stable").head(1)
    top = [
        f" The best cell is {r['name']} on {r['ds']} with {order.paper_level(str(r['aug']))} and dropout {r['do']:g}: "
        f"{100 * r['value']:.1f}%."
        for r in best.to_dict("records")
    ]
    alt = f"Heatmap with {total} cells, {missing} of them missing." + "".join(top)
    return _picture(heatmap.draw(grid), caption, alt)


def _selection(compared: pd.DataFrame) -> _Picture:
    regret = compared.loc[compared["strategy"] == "upstream_best", "regret"].dropna()
    caption = "Test accuracy, regret and number of fine-tunes of each strategy, by task group, task and model."
    alt = f"Paired dots for {len(regret)} pairs of model and task."
    if len(regret):
        low, mean, high = (points(v) for v in (regret.min(), regret.mean(), regret.max()))
        alt += f" The regret of upstream_best lies between {low} and {high} points, {mean} on average."
    return _picture(selection.draw(compared), caption, alt)


def _picture(fig: Figure, caption: str, alt: str) -> _Picture:
    width, height = (round(_DPI * inches) for inches in fig.get_size_inches())
    return _Picture(caption, alt, base64.b64encode(rendered(fig, "svg")).decode("ascii"), width, height)


def _of(frame: pd.DataFrame, caption: str) -> _Table:
    shown = pd.DataFrame({c: [_shown(v, c) for v in frame[c]] for c in frame.columns}, columns=frame.columns)
    return _grid(frame, shown, caption)


def _grid(frame: pd.DataFrame, shown: pd.DataFrame, caption: str) -> _Table:
    numbers = set(frame.select_dtypes("number").columns)
    return _Table(caption, list(shown.columns), numbers, list(shown.itertuples(index=False, name=None)))


def _shown(value: Any, column: str) -> str:
    if pd.isna(value):
        return ""
    if column in _PERCENT:
        return f"{100 * value:.1f}%"
    if column == "regret":
        return points(value)
    if column in ("finetunes", "train_seconds"):
        return f"{value:,.0f}" if column == "finetunes" else f"{value:,.1f}"
    if column == "adapt_synthetic":
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
