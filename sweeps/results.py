"""What a finished sweep leaves for people: tables, figures, recommendation and page, all drawn from the tables alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.records.atomic import export
from bench.records.scores import from_records as scores_from_records
from bench.records.scores import write_scores
from bench.records.table import from_records, write_table
from sweeps.layout import Workdir
from sweeps.space import Sweep
from sweeps.upstream_scores import fill

TABLE, SCORES = "table.csv", "scores.csv"
HEATMAP, SELECTION, RECOMMENDED, PAGE = "heatmap.png", "selection.png", "recommended.md", "report.html"
FILES = (TABLE, SCORES, HEATMAP, SELECTION, RECOMMENDED, PAGE)


def expected(sweep: Sweep) -> list[str]:
    """Returns the files that a finished sweep leaves.

    Figures and a recommendation need upstream runs, and all transfers: where a rule chooses which are trained, checkpoints do
    not compare. Where nothing is transferred, there is nothing to select.
    """
    files = [TABLE, SCORES] if sweep.probe else [TABLE]
    trains, partial = bool(sweep.upstream_grids or sweep.search), sweep.follow is not None and sweep.follow.partial
    if not trains or partial:
        return files
    return [*files, HEATMAP, *([SELECTION] if sweep.size[1] else []), RECOMMENDED, PAGE]


def table_of(workdir: Workdir) -> pd.DataFrame:
    """Returns the table of all committed records, with what is known of given checkpoints."""
    return fill(from_records(workdir.records()), workdir)


def write_results(sweep: Sweep, workdir: Workdir, notes: Mapping[str, str]) -> pd.DataFrame | None:
    """Writes the files of `expected` and returns the recommended table, None where there is none.

    Args:
      sweep: which says what is expected.
      workdir: whose records are drawn.
      notes: what the page says about the sweep, by heading.
    """
    from bench.findings.verdicts import verdicts
    from bench.report import heatmap, page, selection
    from bench.report.recommended import recommend
    from bench.report.text import to_text
    from bench.select.compare import compare_seeds

    folder, table, files = workdir.path, table_of(workdir), expected(sweep)
    write_table(table, folder / TABLE)
    scores = scores_from_records(workdir.records()) if SCORES in files else None
    if scores is not None:
        write_scores(scores, folder / SCORES)
    if RECOMMENDED not in files:
        return None
    heatmap.save(heatmap.draw(heatmap.cells(table)), folder / HEATMAP)
    if table["adapt_filename"].notna().any():
        selection.save(selection.draw(compare_seeds(table, scores)), folder / SELECTION)
    recommended = recommend(table)
    export(folder / RECOMMENDED, to_text(recommended, "md"))
    commands = {name: [f"augreg run {workdir.sweep()}"] for name in table["filename"].dropna()}
    more: dict[str, Any] = {"scores": scores, "findings": verdicts(table), "commands": commands}
    page.write_page(table, folder / PAGE, f"augreg-bench: {workdir.sweep()}", notes, **more)
    return recommended
