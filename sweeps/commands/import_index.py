"""The command `augreg import`."""

from __future__ import annotations

from pathlib import Path

import click

from sweeps.commands.options import apart


@click.command("import")
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A .csv or .parquet file.")
@click.option("--sha256", default="", metavar="HEX", help="The checksum that the source must have.")
def import_index(source: str, output: Path, sha256: str) -> None:
    """Write the released index as a table, and print what is odd about it; no number is changed.

    SOURCE is a .csv or .parquet file, local or at a gs:// or https:// address.
    """
    from bench.records.released import read_released
    from bench.records.table import write_table

    apart(source, output)
    found = read_released(source, sha256)
    write_table(found.table, output)
    click.echo(found.report())
