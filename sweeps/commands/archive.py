"""The command `augreg archive`."""

from __future__ import annotations

from pathlib import Path

import click

from bench.errors import UserError
from sweeps.commands.options import FOLDER


@click.command()
@FOLDER
@click.option("-o", "--output", metavar="FOLDER", type=click.Path(path_type=Path), help="Where the archive goes.")
@click.option("--check", is_flag=True, help="WORKDIR holds an archive: draw everything again and fail on any difference.")
def archive(workdir: Path, output: Path | None, check: bool) -> None:
    """Put the records of a sweep into one small file, beside the tables and figures that are drawn from it; or check these.

    \b
    augreg archive results/demo -o kept/demo
    augreg archive --check kept/demo
    """  # noqa: D301 - click wants the character backspace
    from sweeps import archive as records

    if check == (output is not None):
        raise UserError("give either -o FOLDER, which may be WORKDIR itself, or --check")
    if output is not None:
        packed = records.pack(workdir, output)
        click.echo(f"{output / records.FILE}: {len(packed.records)} records of {packed.sweep}", err=True)
        return
    found = records.differences(workdir)
    for line in found:
        click.echo(line)
    if found:
        raise UserError(f"{workdir}: {len(found)} of its files {'is' if len(found) == 1 else 'are'} not what the records give")
    click.echo(f"{workdir}: as its records say", err=True)
