"""What a finished sweep leaves for people: tables, figures, recommendation and page, all drawn from the tables alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.records.atomic import export
from bench.records.record import Record
from bench.records.scores import from_records as scores_from_records
from bench.records.scores import write_scores
from bench.records.table import from_records, write_table
from sweeps.layout import Workdir
from sweeps.space import Sweep
from sweeps.upstream_scores import fill, known

TABLE, SCORES = "table.csv", "scores.csv"
CELLS, HEATMAP, SELECTION, RECOMMENDED, PAGE = "cells.csv", "heatmap.png", "selection.png", "recommended.md", "report.html"
FILES = (TABLE, SCORES, CELLS, HEATMAP, SELECTION, RECOMMENDED, PAGE)


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
      table: of the records.
      scores: of the probes, None without any.
      recommended: the recommended table, None where it is not expected.
      left_out: a line for each figure that the records are not enough for.
    """

    table: pd.DataFrame
    scores: pd.DataFrame | None
    recommended: pd.DataFrame | None
    left_out: tuple[str, ...]


def expected(sweep: Sweep) -> list[str]:
    """Returns the files that a finished sweep leaves.

    Heatmap and recommendation need upstream runs, and all transfers: where a rule chooses which are trained, checkpoints do
    not compare. Where nothing is transferred, there is nothing to select.
    """
    figures = [file for name in sweep.figures for file in _files(name)]
    files = [TABLE, SCORES, *figures] if sweep.probe else [TABLE, *figures]
    trains, partial = bool(sweep.upstream_grids or sweep.search), sweep.follow is not None and sweep.follow.partial
    if not trains or partial:
        return files
    return [*files, CELLS, HEATMAP, *([SELECTION] if sweep.size[1] else []), RECOMMENDED, PAGE]


def table_of(*workdirs: Workdir) -> pd.DataFrame:
    """Returns the table of all committed records of some sweeps, with what is known of given checkpoints.

    Raises:
      UserError: a run that two of the sweeps have came out differently: its checkpoint is not the same in both.
    """
    found: dict[str, tuple[Workdir, Record]] = {}
    accuracies: dict[str, float] = {}
    for workdir in workdirs:
        accuracies = known(workdir) | accuracies
        for record in workdir.records():
            first, same = found.setdefault(record.config.name, (workdir, record))
            if (same.config, same.status, same.measurements) != (record.config, record.status, record.measurements):
                raise UserError(
                    f"{record.config.name} has other results in {workdir.path} than in {first.path}: make a table of each"
                )
    return fill(from_records(record for _, record in found.values()), accuracies)


def write_results(sweep: Sweep, workdir: Workdir, notes: Mapping[str, str]) -> Drawn:
    """Writes the files of `expected`.

    Args:
      sweep: which says what is expected.
      workdir: whose records are drawn.
      notes: what the page says about the sweep, by heading.
    """
    from bench.findings.verdicts import verdicts
    from bench.report import page

    folder, records = workdir.path, list(workdir.records())
    drawn = draw(sweep, records, known(workdir), folder)
    if drawn.recommended is not None:
        commands = {name: [f"augreg run {workdir.sweep()}"] for name in drawn.table["filename"].dropna()}
        more: dict[str, Any] = {"scores": drawn.scores, "findings": verdicts(drawn.table), "commands": commands}
        page.write_page(drawn.table, folder / PAGE, f"augreg-bench: {workdir.sweep()}", notes, **more)
    return drawn


def draw(sweep: Sweep, records: Sequence[Record], accuracies: Mapping[str, float], folder: Path) -> Drawn:
    """Writes the files of `expected` but for the page, as the records alone say.

    Args:
      sweep: which says what is expected.
      records: of its runs.
      accuracies: upstream validation accuracies of given checkpoints, by name.
      folder: where the files go.
    """
    from bench.report import heatmap, selection
    from bench.report.recommended import recommend
    from bench.report.text import to_text
    from bench.select.compare import compare
    from bench.select.runs import over_transfer_seeds

    table, files = fill(from_records(records), accuracies), expected(sweep)
    write_table(table, folder / TABLE)
    scores = scores_from_records(records) if SCORES in files else None
    if scores is not None:
        write_scores(scores, folder / SCORES)
    left_out = tuple(line for name in sweep.figures for line in _figure(name, table, folder))
    if RECOMMENDED not in files:
        return Drawn(table, scores, None, left_out)
    cells = heatmap.cells(table)
    export(folder / CELLS, cells.to_csv(index=False, lineterminator="\n"))
    heatmap.save(heatmap.draw(cells), folder / HEATMAP)
    if table["adapt_filename"].notna().any():
        selection.save(selection.draw(compare(over_transfer_seeds(table), scores)), folder / SELECTION)
    recommended = recommend(table)
    export(folder / RECOMMENDED, to_text(recommended, "md"))
    return Drawn(table, scores, recommended, left_out)


def _files(figure: str) -> tuple[str, str]:
    """The rows that a figure of a paper shows, and the figure."""
    return f"{figure}.csv", f"{figure}.png"


def _figure(name: str, table: pd.DataFrame, folder: Path) -> list[str]:
    from bench.report import figures, gallery

    figure, (rows_csv, picture) = gallery.find(name), _files(name)
    try:
        rows = figure.data(table)
    except UserError as why:  # half of a sweep may be too little for it, and is no reason to lose the rest
        return [f"{name} is not drawn: {why}"]
    export(folder / rows_csv, rows.to_csv(index=False, lineterminator="\n"))
    figures.save(figure.draw(rows), folder / picture)
    return []
