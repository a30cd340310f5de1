"""The command `augreg run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sweeps.commands import running
from sweeps.commands.options import DATA, UPSTREAM


@click.command()
@click.argument("name")
@UPSTREAM
@DATA
@click.option("--workdir", type=click.Path(path_type=Path), help="Where everything goes; results/NAME by default.")
@running.options
def run(name: str, upstream: str | None, workdir: Path | None, **chosen: Any) -> None:
    """Run a sweep, or go on with it, and write its table, figures, recommendation and page.

    Safe to stop at any moment (Ctrl-C, kill -9, a lost machine): the same command goes on, and ends in the same table.
    """
    from sweeps.named import find

    name = f"{name}@{upstream}" if upstream else name
    running.run_with(find(name), workdir or Path("results") / name, chosen)
