"""One HTML file with everything: recommended checkpoints, heatmap, comparison, runs and provenance."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.records.atomic import export
from bench.report import heatmap, order, regret_map, selection, standings, text
from bench.report.figures import points, rendered
from bench.report.provenance import missing_cells, provenance, warnings
from bench.report.recommended import recommend
from bench.select.compare import compare
from bench.select.imagenet import rules
from bench.select.means import means
from bench.select.runs import upstream_runs
from bench.select.strategies import STRATEGIES
from bench.select.strategies.upstream_best import UPSTREAM_BEST

_RUN_COLUMNS = ("filename", "name", "ds", "aug", "wd", "do", "sd", "lr", "epochs", "seed", "status", "final_val", "final_test")
_PERCENT = ("val", "test", "test_low", "test_high", "final_val", "final_test")
_POINTS = ("regret", "regret_low", "regret_high")
_SENTENCES = {"reason", "why", "why this one", "fine-tune with", "chooses", "against upstream_best"}
_NAMES = {"checkpoint", "weights", "filename", "adapt_filename"}
"""Columns that hold names too long for a line."""
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
    table: pd.DataFrame,
    path: Path | str,
    title: str,
    notes: Mapping[str, object],
    ds: Iterable[str] | None = None,
    scores: pd.DataFrame | None = None,
) -> None:
    """Writes the report of a table as one HTML file that loads nothing: no script, no style sheet, figures inside.

    Equal tables, titles and notes give equal bytes. All text is escaped.

    Args:
      table: columns of `bench.records.schema`.
      path: the file; its folder is made.
      title: heading of the page.
      notes: further lines for the provenance, such as the sweep's name; keys in the order given.
      ds: upstream sets from which checkpoints are chosen; None for all. The heatmap and the list of runs show all.
      scores: columns of `bench.records.scores`, for the strategies that need them; None for no probes.

    Raises:
      UserError: the table lacks a column or is empty, `ds` is unknown, or the file cannot be written.
    """
    export(Path(path), render(table, title, notes, ds, scores))


def render(
    table: pd.DataFrame,
    title: str,
    notes: Mapping[str, object],
    ds: Iterable[str] | None = None,
    scores: pd.DataFrame | None = None,
) -> str:
    """The page of `write_page` as a string."""
    ds = None if ds is None else list(ds)
    compared, runs = compare(table, scores, ds), upstream_runs(table)
    recommended, both = recommend(table, ds), rules(table, ds)
    source = resources.files("bench.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    models, sets = order.models(runs["name"]), order.upstream_sets(runs["ds"])
    transfers = int(compared.loc[compared["strategy"] == "adapt_all", "finetunes"].sum())
    stand = standings.standings(compared)
    return environment.from_string(source).render(
        title=title,
        sentences=_SENTENCES,
        names=_NAMES,
        summary=f"{len(runs)} upstream runs of {', '.join(models)} on {', '.join(sets)}; {transfers} transfer runs compared.",
        warnings=warnings(table if ds is None else table[table["ds"].isin(ds)]),
        recommended=_people(recommended, "Recommended checkpoint of each model."),
        by_task=_by_task(recommended),
        rules=None if both.empty else _of(both, "What either validation score picks of all transfers to ImageNet-1k."),
        heatmap=_heatmap(table),
        standings=None if compared.empty else _standings(stand),
        pictures=[] if compared.empty else _pictures(compared),
        unmeasured=[] if compared.empty else sorted(set(STRATEGIES).difference(compared["strategy"])),
        compared=_of(compared, "Every model, task and strategy: scores in percent, regret in points, time in seconds."),
        means=_of(means(compared), "Means over tasks and of group means, over tasks that every strategy has a score on."),
        runs=_of(runs[[c for c in _RUN_COLUMNS if c in runs]], "Every upstream run, under the released level names."),
        provenance=[*provenance(table), *((str(key), str(value)) for key, value in notes.items())],
    )


def _people(recommended: pd.DataFrame, caption: str) -> _Table:
    numbers = {text.PEOPLE[c] for c in recommended.select_dtypes("number").columns if c in text.PEOPLE}
    return _grid(text.for_people(recommended), numbers, caption)


def _by_task(recommended: pd.DataFrame) -> _Table | None:
    """Test accuracy of the recommended checkpoints, a column per task."""
    columns = text.task_columns(recommended)
    if not columns:
        return None
    shown = text.shown_strings(recommended)[["name", *columns, "mean_test"]]
    tasks = [text.task_of(c) for c in columns]
    shown.columns = pd.Index(["model", *tasks, "mean"])
    return _grid(shown, {*tasks, "mean"}, "Test accuracy of the recommended checkpoints on every task.")


def _standings(found: pd.DataFrame) -> _Table:
    shown = standings.for_people(found)
    numbers = {"regret, points", "test", "fine-tunes", "of all", "models x tasks"}
    return _grid(
        shown, numbers, "Strategies over all models and tasks, the one that loses least first; 95% intervals over tasks."
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


def _pictures(compared: pd.DataFrame) -> list[_Picture]:
    regret = compared.loc[compared["strategy"] == UPSTREAM_BEST.name, "regret"].dropna()
    caption = "What every strategy loses, and how many fine-tunes it takes."
    alt = f"Regret of {compared['strategy'].nunique()} strategies on {len(regret)} pairs of model and task."
    if len(regret):
        low, mean, high = (points(v) for v in (regret.min(), regret.mean(), regret.max()))
        alt += f" The regret of upstream_best lies between {low} and {high} points, {mean} on average."
    drawn = [_picture(selection.draw(compared), caption, alt)]
    if compared["strategy"].nunique() > selection.FEW:
        caption = "Test accuracy of each strategy's choice minus that of adapt_all's, in points, by task."
        drawn.append(
            _picture(regret_map.draw(compared), caption, "A grid of strategies by tasks; the table below has its numbers.")
        )
    return drawn


def _picture(fig: Figure, caption: str, alt: str) -> _Picture:
    width, height = (round(_DPI * inches) for inches in fig.get_size_inches())
    return _Picture(caption, alt, base64.b64encode(rendered(fig, "svg")).decode("ascii"), width, height)


def _of(frame: pd.DataFrame, caption: str) -> _Table:
    shown = pd.DataFrame({c: [_shown(v, c) for v in frame[c]] for c in frame.columns}, columns=frame.columns)
    return _grid(shown, set(frame.select_dtypes("number").columns), caption)


def _grid(shown: pd.DataFrame, numbers: set[str], caption: str) -> _Table:
    return _Table(caption, list(shown.columns), numbers, list(shown.itertuples(index=False, name=None)))


def _shown(value: Any, column: str) -> str:
    if pd.isna(value):
        return ""
    if column in _PERCENT:
        return f"{100 * value:.1f}%"
    if column in _POINTS:
        return points(value)
    if column in ("finetunes", "train_seconds"):
        return f"{value:,.0f}" if column == "finetunes" else f"{value:,.1f}"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
