"""The command line of benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import jax
from rich.console import Console

from bench.errors import UserError
from bench.perf import runner


def command(benchmarks: runner.Benchmarks) -> click.Command:
    """Returns the command that runs some benchmarks."""

    @click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
    @click.option("--only", multiple=True, metavar="NAME", help=f"One benchmark; may be repeated: {', '.join(benchmarks)}.")
    @click.option("--quick", is_flag=True, help="Less of everything: a check that it runs, not a measurement.")
    @click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the figures to this .json or .csv file.")
    def main(only: tuple[str, ...], quick: bool, output: Path | None) -> None:
        """Measure how fast the project is, against a ceiling or an alternative measured in the same run."""
        try:
            if output:
                runner.check_suffix(output)
            # What a compilation costs must not depend on an earlier run.
            jax.config.update("jax_enable_compilation_cache", False)
            figures = runner.run(only, quick, Console(stderr=True), benchmarks)
            # Away from a terminal a table would be squeezed into 80 columns.
            Console(width=None if sys.stdout.isatty() else 160).print(runner.table(figures))
            if output:
                runner.save(figures, output)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)

    return main
