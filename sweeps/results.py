"""What a finished sweep leaves for people: tables, figures, recommendation and page, all drawn from the tables alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

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


def expected(sweep: Sweep) -> list[str]:
    """Returns the files that a finished sweep leaves.

    Figures and a recommendation need upstream runs, and all transfers: where a rule chooses which are trained, checkpoints do
    not compare. Where nothing is transferred, there is nothing to select.
    """
    files = [TABLE, SCORES] if sweep.probe else [TABLE]
    trains, partial = bool(sweep.upstream_grids or sweep.search), sweep.follow is not None and sweep.follow.partial
    if not trains or partial:
        return files
    return [*files, CELLS, HEATMAP, *([SELECTION] if sweep.size[1] else []), RECOMMENDED, PAGE]


def table_of(workdir: Workdir) -> pd.DataFrame:
    """Returns the table of all committed records, with what is known of given checkpoints."""
    return fill(from_records(workdir.records()), known(workdir))


def write_results(sweep: Sweep, workdir: Workdir, notes: Mapping[str, str]) -> pd.DataFrame | None:
    """Writes the files of `expected` and returns the recommended table, None where there is none.

    Args:
      sweep: which says what is expected.
      workdir: whose records are drawn.
      notes: what the page says about the sweep, by heading.
    """
    from bench.findings.verdicts import verdicts
    from bench.report import page

    folder, records = workdir.path, list(workdir.records())
    table, scores, recommended = draw(sweep, records, known(workdir), folder)
    if recommended is not None:
        commands = {name: [f"augreg run {workdir.sweep()}"] for name in table["filename"].dropna()}
        more: dict[str, Any] = {"scores": scores, "findings": verdicts(table), "commands": commands}
        page.write_page(table, folder / PAGE, f"augreg-bench: {workdir.sweep()}", notes, **more)
    return recommended


def draw(
    sweep: Sweep, records: Sequence[Record], accuracies: Mapping[str, float], folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame | None]:
    """Writes the files of `expected` but for the page, as the records alone say.

    Args:
      sweep: which says what is expected.
      records: of its runs.
      accuracies: upstream validation accuracies of given checkpoints, by name.
      folder: where the files go.

    Returns:
      The table, the scores and the recommended table; None for what is not expected.
    """
    from bench.report import heatmap, selection
    from bench.report.recommended import recommend
    from bench.report.text import to_text
    from bench.select.compare import compare_seeds

    table, files = fill(from_records(records), accuracies), expected(sweep)
    write_table(table, folder / TABLE)
    scores = scores_from_records(records) if SCORES in files else None
    if scores is not None:
        write_scores(scores, folder / SCORES)
    if RECOMMENDED not in files:
        return table, scores, None
    cells = heatmap.cells(table)
    export(folder / CELLS, cells.to_csv(index=False, lineterminator="\n"))
    heatmap.save(heatmap.draw(cells), folder / HEATMAP)
    if table["adapt_filename"].notna().any():
        selection.save(selection.draw(compare_seeds(table, scores)), folder / SELECTION)
    recommended = recommend(table)
    export(folder / RECOMMENDED, to_text(recommended, "md"))
    return table, scores, recommended
