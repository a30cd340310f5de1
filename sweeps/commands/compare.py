"""The command `augreg compare`."""

from __future__ import annotations

from pathlib import Path

import click

from sweeps.commands.options import TABLE, apart


@click.command()
@TABLE
@click.option("--with", "reference", required=True, metavar="NAME", help="augreg-fig4, augreg-fig4-narrow or augreg-fig7.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Draw both and the differences: a .png, .svg or .pdf file."
)
@click.option(
    "--csv", "cells_csv", type=click.Path(path_type=Path), help="Write the cells, the table's and the published ones."
)
def compare(table: Path, reference: str, output: Path | None, cells_csv: Path | None) -> None:
    """Compare a table's cells with published ones: differences and rank correlation, by upstream set."""
    from bench.records.atomic import export
    from bench.records.table import read_table
    from bench.report import beside, beside_figure, figures
    from bench.report.text import markdown

    beside.find(reference)
    apart(table, output, cells_csv)
    cells = beside.compare(read_table(table), reference)
    if cells_csv is not None:
        export(cells_csv, cells.to_csv(index=False, lineterminator="\n"))
    if output is not None:
        figures.save(beside_figure.draw(cells, reference), output)
    said = beside.for_people(beside.summary(cells))
    click.echo(markdown(said, set(said.columns[1:])).rstrip("\n"))
