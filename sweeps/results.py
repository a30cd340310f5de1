"""What a finished sweep leaves for people: table, figures, recommendation and page, all drawn from the table alone."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.records.atomic import export
from bench.records.table import from_records, write_table
from sweeps.layout import Workdir
from sweeps.space import Sweep

FILES = ("table.csv", "heatmap.png", "selection.png", "recommended.md", "report.html")


def expected(sweep: Sweep) -> list[str]:
    """Returns the files that a finished sweep leaves: where nothing is transferred, there is nothing to select."""
    return [file for file in FILES if file != "selection.png" or sweep.size[1]]


def table_of(workdir: Workdir) -> pd.DataFrame:
    """Returns the table of all committed records."""
    return from_records(workdir.records())


def write_results(workdir: Workdir, notes: Mapping[str, str]) -> pd.DataFrame:
    """Writes the files of `expected` and returns the recommended table.

    Args:
      workdir: whose records are drawn.
      notes: what the page says about the sweep, by heading.
    """
    from bench.report import heatmap, page, selection
    from bench.report.recommended import recommend
    from bench.report.text import to_text
    from bench.select.compare import compare

    folder, table = workdir.path, table_of(workdir)
    write_table(table, folder / "table.csv")
    heatmap.save(heatmap.draw(heatmap.cells(table)), folder / "heatmap.png")
    if table["adapt_filename"].notna().any():
        selection.save(selection.draw(compare(table)), folder / "selection.png")
    recommended = recommend(table)
    export(folder / "recommended.md", to_text(recommended, "md"))
    page.write_page(table, folder / "report.html", f"augreg-bench: {workdir.sweep()}", notes)
    return recommended
