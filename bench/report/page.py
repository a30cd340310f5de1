"""One HTML file with everything: recommended checkpoints, heatmap, comparison, findings, runs and provenance."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from bench.records.atomic import export
from bench.report import order, page_choices, page_tables, regret_map, selection, standings
from bench.report.figures import points, rendered
from bench.report.page_heatmap import heatmaps
from bench.report.provenance import provenance, warnings
from bench.report.recommended import recommend
from bench.report.text import bounded
from bench.select.compare import compare
from bench.select.imagenet import rules
from bench.select.means import means
from bench.select.runs import over_transfer_seeds, upstream_runs
from bench.select.strategies import STRATEGIES
from bench.select.strategies.upstream_best import UPSTREAM_BEST

_RUN_COLUMNS = ("filename", "name", "ds", "aug", "wd", "do", "sd", "lr", "epochs", "seed", "status", "final_val", "final_test")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{}'; base-uri 'none'; form-action 'none'"
"""Content Security Policy: the browser itself refuses to load anything, or to run a script other than ours."""
_DPI = 96
"""CSS pixels per inch of a figure."""


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
    findings: pd.DataFrame | None = None,
    commands: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Writes the report of a table as one HTML file that loads nothing: script, style and figures are inside.

    The script sorts and filters tables and shows the run behind a cell; without it the page is whole. Equal arguments give
    equal bytes. All text is escaped.

    Args:
      table: columns of `bench.records.schema`.
      path: the file; its folder is made.
      title: heading of the page.
      notes: further lines for the provenance, such as the sweep's name; keys in the order given.
      ds: upstream sets from which checkpoints are chosen; None for all. The heatmap and the list of runs show all.
      scores: columns of `bench.records.scores`, for the strategies that need them; None for no probes.
      findings: what `bench.report.page_tables.findings` shows, a row a claim; None for no such section.
      commands: what repeats or uses an upstream run, by its `filename`; None where that is not known.

    Raises:
      UserError: the table lacks a column or is empty, `ds` is unknown, or the file cannot be written.
    """
    export(Path(path), render(table, title, notes, ds, scores, findings, commands))


def render(
    table: pd.DataFrame,
    title: str,
    notes: Mapping[str, object],
    ds: Iterable[str] | None = None,
    scores: pd.DataFrame | None = None,
    findings: pd.DataFrame | None = None,
    commands: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The page of `write_page` as a string."""
    ds = None if ds is None else list(ds)
    merged = over_transfer_seeds(table)
    compared, runs = compare(merged, scores, ds), upstream_runs(table)
    recommended, both = recommend(merged, ds), rules(merged, ds)
    ids = [f"run-{i}" for i in range(len(runs))]
    averaged = means(compared)
    stand = standings.standings(compared, averaged)
    models, sets = order.models(runs["name"]), order.upstream_sets(runs["ds"])
    transfers = int(compared.loc[compared["strategy"] == "adapt_all", "finetunes"].sum())
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    script = _part("page.js")
    return environment.from_string(_part("page.html.j2")).render(
        title=title,
        policy=_POLICY.format(_hash(f"\n{script}")),
        style=Markup(_part("page.css")),
        script=Markup(script),
        summary=f"{len(runs)} upstream runs of {', '.join(models)} on {', '.join(sets)}; {transfers:,} transfers compared.",
        cards=_cards(runs, models, transfers, stand),
        warnings=warnings(table if ds is None else table[table["ds"].isin(ds)]),
        recommended=page_tables.people(recommended, "Recommended checkpoint of each model."),
        by_task=page_tables.by_task(recommended, "Test accuracy of the recommended checkpoints on every task."),
        sets=order.upstream_sets(recommended["ds"].dropna()),
        rules=page_choices.rules(both),
        heatmap=heatmaps(table, runs, ids),
        standings=None if compared.empty else page_choices.standing(stand),
        pictures=[] if compared.empty else _pictures(compared, averaged),
        unmeasured=[] if compared.empty else sorted(set(STRATEGIES).difference(compared["strategy"])),
        compared=page_choices.comparisons(compared),
        means=page_choices.means(averaged),
        findings=None if findings is None else page_tables.findings(findings, "Every claim, and what this table says of it."),
        runs=_runs(runs, commands or {}, ids),
        provenance=[*provenance(table), *((str(key), str(value)) for key, value in notes.items())],
    )


def _part(name: str) -> str:
    return resources.files("bench.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _cards(runs: pd.DataFrame, models: list[str], transfers: int, stand: pd.DataFrame) -> list[tuple[str, str]]:
    cards = [("upstream runs", f"{len(runs):,}"), ("models", f"{len(models)}"), ("transfers compared", f"{transfers:,}")]
    for row in stand[stand["strategy"] == UPSTREAM_BEST.name].dropna(subset="regret").to_dict("records"):
        cards.append(_lost(row["regret"], row["regret_low"], row["regret_high"]))
        cards.append(("of the fine-tunes of adapting all that this takes", f"{100 * row['share']:.3g}%"))
    return cards


def _lost(regret: float, low: float, high: float) -> tuple[str, str]:
    """What the cheap choice loses or gains, as an amount, so that no minus stands before what is lost."""
    if points(regret) == "0.0":
        return "points between adapting all and taking the best upstream", bounded(regret, low, high)
    lost, ends = ("lost", (low, high)) if regret > 0 else ("gained", (-high, -low))
    return f"points {lost} by taking the best upstream instead of adapting all", bounded(abs(regret), *ends).removeprefix("+")


def _runs(runs: pd.DataFrame, commands: Mapping[str, Sequence[str]], ids: list[str]) -> page_tables.Table:
    shown = runs[[c for c in _RUN_COLUMNS if c in runs and (c == "final_val" or runs[c].notna().any())]]
    known = [tuple(commands.get(f, ())) for f in runs["filename"]]
    if any(known):
        shown = shown.assign(commands=pd.Series(known, index=shown.index, dtype="object"))
    return page_tables.of(shown, "Every upstream run, under the released level names.", ids)


def _pictures(compared: pd.DataFrame, averaged: pd.DataFrame) -> list[_Picture]:
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
            _picture(
                regret_map.draw(compared, averaged), caption, "A grid of strategies by tasks; the table below has its numbers."
            )
        )
    return drawn


def _picture(fig: Figure, caption: str, alt: str) -> _Picture:
    width, height = (round(_DPI * inches) for inches in fig.get_size_inches())
    return _Picture(caption, alt, base64.b64encode(rendered(fig, "svg")).decode("ascii"), width, height)
