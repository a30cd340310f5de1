"""The command `augreg figure`."""

from __future__ import annotations

from pathlib import Path

import click

from bench.errors import UserError
from sweeps.commands.options import apart


@click.command()
@click.argument("wanted", metavar="[NAME]", required=False)
@click.argument("table", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A .png, .svg or .pdf file.")
@click.option("--csv", "rows_csv", type=click.Path(path_type=Path), help="Also, or only, write the rows that are drawn.")
def figure(wanted: str | None, table: Path | None, output: Path | None, rows_csv: Path | None) -> None:
    """Draw a figure of the papers, from a TABLE or, without one, from published numbers; without a NAME, list them."""
    from bench.records.atomic import export
    from bench.records.table import read_table
    from bench.report import figures, gallery
    from bench.report.catalogue import PUBLISHED

    if wanted is None:
        for each in gallery.FIGURES.values():
            click.echo(f"{each.name}: {each.about}\n    {each.source}; drawn from {', or '.join(each.uses)}")
        return
    asked = gallery.find(wanted)
    if output is None and rows_csv is None:
        raise UserError("nothing to write: give -o FIGURE, --csv ROWS, or both")
    apart(table, output, rows_csv)
    if table is None and PUBLISHED not in asked.uses:
        raise UserError(f"{wanted} has no published numbers to be drawn from: give a TABLE ({' or '.join(asked.uses)})")
    rows = asked.data(None if table is None else read_table(table))
    if rows_csv is not None:
        export(rows_csv, rows.to_csv(index=False, lineterminator="\n"))
    if output is not None:
        figures.save(asked.draw(rows), output)
