"""The command `augreg recommend`."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import click

from bench.errors import UserError

_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}


class Amount(click.ParamType[float]):
    """A positive number, or thousands, millions or billions: 5000, 2.5e7, 25M."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Returns the number."""
        match = re.fullmatch(r"([\d.]+(?:[eE]\d+)?)([kKmMbB]?)", str(value))
        try:
            found = float(match[1]) * _FACTORS[match[2].lower()] if match else 0.0
        except ValueError:
            found = 0.0
        if found <= 0:
            self.fail(f"{value!r} is not a positive number such as 5000 or 25M", param, ctx)
        return found


PATH = click.Path(path_type=Path)


@click.command()
@click.argument("table", type=PATH)
@click.option("--ds", multiple=True, metavar="SET", help="Choose from this upstream set only; may be given several times.")
@click.option("--scores", type=PATH, help="Scores of probes, as a sweep's scores.csv, for strategies that need them.")
@click.option("--strategy", help="What chooses; upstream_best by default, hybrid with --data.")
@click.option(
    "--budget", type=click.IntRange(1), help="Checkpoints that the strategy may adapt; what is usual for it by default."
)
@click.option("--max-params", type=Amount(), metavar="N", help="At most so many parameters, such as 25M.")
@click.option("--min-speed", type=Amount(), metavar="N", help="At least so many images per second.")
@click.option(
    "--weights", "place", metavar="PLACE", help="Where weights lie; the table's folder, else the released ones, by default."
)
@click.option("--data", "images", metavar="FOLDER", type=PATH, help="Images of your own: advice for them, by probes run here.")
@click.option("--name", help="What your images are called; follows from the folder's name by default.")
@click.option("--probes", type=click.IntRange(1), default=16, show_default=True, help="Checkpoints to probe, the best first.")
@click.option("--resolution", type=click.IntRange(1), help="Pixels of your images; those of the upstream run by default.")
@click.option("--workdir", type=PATH, help="Where probes are kept; results/advice by default.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "md", "json"]), default="md", show_default=True, help="CSV, Markdown or JSON."
)
def recommend(
    table: Path,
    ds: tuple[str, ...],
    scores: Path | None,
    strategy: str | None,
    budget: int | None,
    max_params: float | None,
    min_speed: float | None,
    place: str | None,
    images: Path | None,
    name: str | None,
    probes: int,
    resolution: int | None,
    workdir: Path | None,
    form: str,
) -> None:
    """Print which checkpoint to take of every model, best first, and why; with --data, which to adapt to your images.

    Test accuracies are printed and never choose. What the choice may lose is what it loses on the tasks of the table.
    """
    from bench.records.scores import read_scores
    from bench.records.table import read_table
    from bench.report.recommended import recommend as choose
    from bench.report.text import rule_lines, to_text
    from bench.select.imagenet import rules
    from bench.select.limits import Limits, within
    from bench.select.pools import of_sets
    from sweeps.advice import advise
    from sweeps.whereabouts import Whereabouts

    for option, given in (("--name", name), ("--resolution", resolution), ("--workdir", workdir)):
        if given and images is None:
            raise UserError(f"{option} is about images of your own: give --data as well")
    say = partial(click.echo, err=True)
    whereabouts = Whereabouts(table, place)
    rows, left_out = within(of_sets(read_table(table), ds), Limits(max_params, min_speed))
    measured = read_scores(scores) if scores else None
    for line in left_out:
        say(line)
    if images is None:
        found = choose(rows, None, strategy or "upstream_best", budget, measured, whereabouts)
        for line in rule_lines(rules(rows)):
            say(line)
    else:
        place_for = workdir or Path("results") / "advice"
        found = advise(
            rows, images, name or "", probes, resolution or 0, place_for, strategy, budget, measured, whereabouts, say
        )
    click.echo(to_text(found, form).rstrip("\n"))
