"""The command `augreg select`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.errors import UserError

# The views of `sweeps.selecting`, whose import takes a second.
SHOWN = ("choices", "means", "differences", "curves", "upstream", "rankings")


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--scores", type=click.Path(path_type=Path), help="The scores.csv of probes, for strategies that go by them.")
@click.option("--strategy", "strategies", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@click.option("--budget", type=click.IntRange(1), help="Checkpoints that each may adapt; what is usual for each by default.")
@click.option(
    "--pool", type=click.Choice(("model", "all")), default="model", show_default=True, help="Who competes: a model's, or all."
)
@click.option("--draws", type=click.IntRange(1), default=1, show_default=True, help="Repetitions of what is drawn at random.")
@click.option("--show", type=click.Choice(SHOWN), default="choices", show_default=True, help="What to print and draw.")
@click.option("--against", "baseline", metavar="NAME", default="upstream_best", show_default=True, help="For differences.")
@click.option("--tune", metavar="GROUP", help="Tune thrifty on a task group, and judge it on the others.")
@click.option("--matrix", is_flag=True, help="TABLE is a matrix in long form: candidate, task, test, and val if there is.")
@click.option("--prior", metavar="COLUMN", help="Of a matrix: the upstream score of a candidate, for upstream_best.")
@click.option("--test-on-test", is_flag=True, help="Look back: a matrix without val is selected on its test scores.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also draw it, as a .png, .svg or .pdf file.")
def select(
    table: Path,
    scores: Path | None,
    strategies: tuple[str, ...],
    show: str,
    tune: str | None,
    matrix: bool,
    prior: str | None,
    test_on_test: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Compare ways of choosing a checkpoint: test score, regret and cost per model and task, as CSV."""
    from bench.records.scores import read_scores
    from bench.records.table import read_table
    from bench.report import figures, selection
    from bench.select.matrix import read_matrix, to_table
    from bench.select.tuning import tune as tuned
    from bench.select.validation import notices
    from sweeps.selecting import VIEWS, Selection

    if not matrix and (prior or test_on_test):
        raise UserError("--prior and --test-on-test are of a matrix: give --matrix as well")
    if matrix:
        rows, chosen["pool"] = to_table(read_matrix(table), prior, test_on_test), "all"
    else:
        rows = read_table(table)
    measured = None if scores is None else read_scores(scores)
    if test_on_test:
        click.echo("test-on-test: chosen on the very scores that it is judged by; regrets flatter", err=True)
    for notice in notices(rows):
        click.echo(notice, err=True)
    if tune is not None:
        if measured is None:
            raise UserError("--tune needs --scores: the thrifty strategy goes by probes")
        found = tuned(rows, measured, tune, pool=chosen["pool"])
        if output is not None:
            figures.save(selection.draw(found.comparison), output)
        click.echo("\n".join(found.lines()))
        return
    frame, draw = VIEWS[show](Selection(rows, measured, strategies, **chosen))
    if output is not None:
        if draw is None:
            raise UserError(f"there is no figure of {show}: leave out -o")
        figures.save(draw(), output)
    click.echo(frame.to_csv(index=False, lineterminator="\n"), nl=False)
