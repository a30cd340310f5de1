"""The command `augreg figure`."""

from __future__ import annotations

from pathlib import Path

import click

from bench.errors import UserError, choose_from


@click.command()
@click.argument("name", required=False)
@click.argument("table", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A .png, .svg or .pdf file.")
@click.option("--csv", "rows_csv", type=click.Path(path_type=Path), help="Also write the rows that are drawn.")
def figure(name: str | None, table: Path | None, output: Path | None, rows_csv: Path | None) -> None:
    """Draw a figure of the papers, from a table or, without one, from published numbers; without a name, list them."""
    from bench.records.atomic import export
    from bench.records.table import read_table
    from bench.report import augreg, figures, scaling
    from bench.report.catalogue import PUBLISHED

    known = augreg.FIGURES | scaling.FIGURES
    if name is None:
        for each in known.values():
            click.echo(f"{each.name}: {each.about}\n    {each.source}; drawn from {', or '.join(each.uses)}")
        return
    if name not in known:
        raise UserError(f"no figure {name!r}; {choose_from(name, known)}")
    if output is None and rows_csv is None:
        raise UserError("nothing to write: give -o FIGURE, --csv ROWS, or both")
    asked = known[name]
    if table is None and PUBLISHED not in asked.uses:
        raise UserError(f"{name}: nothing was published to draw it from; give a TABLE with {' or '.join(asked.uses)}")
    rows = asked.data(None if table is None else read_table(table))
    if rows_csv is not None:
        export(rows_csv, rows.to_csv(index=False, lineterminator="\n"))
    if output is not None:
        figures.save(asked.draw(rows), output)
