"""Arguments and options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench.errors import UserError
from bench.points import files

TABLE = click.argument("table", type=click.Path(path_type=Path))
FOLDER = click.argument("workdir", type=click.Path(path_type=Path))
SEED = click.IntRange(0, 2**32, max_open=True)
UPSTREAM = click.option("--upstream", metavar="SET", help="Put another upstream set in the place of the sweep's.")

DEVICE = click.option("--device", default="cpu-core", show_default=True, help="The kind of chip, such as tpu-v4.")
PRICE = click.option("--price", type=click.FloatRange(0), help="Dollars for an hour of a chip; its list price by default.")

Decorator = Callable[[Any], Any]


def _look_there(_context: click.Context, _option: click.Parameter, folder: str | None) -> None:
    # Workers inherit the environment, so it is the one place that says where data is.
    if folder:
        os.environ[files.DATA] = folder


def apart(source: Path | str | None, *outputs: Path | None) -> None:
    """Checks that no output would take the place of the file that is read.

    Raises:
      UserError: one would.
    """
    for output in outputs:
        if source is not None and output is not None and output.exists() and Path(source).exists() and output.samefile(source):
            raise UserError(f"{output} is the very file that is read: give another one to write")


def sets(option: str) -> Decorator:
    """Returns the option that says where sets lie, under the name that is free for it."""
    return click.option(
        option,
        metavar="FOLDER",
        callback=_look_there,
        expose_value=False,
        help="Where sets lie, local or gs://; several are separated as in PATH. AUGREG_DATA or TFDS's folder by default.",
    )


DATA = sets("--data")
