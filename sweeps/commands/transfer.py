"""The command `augreg transfer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.errors import UserError
from sweeps.commands import running
from sweeps.commands.options import sets


@click.command()
@click.argument("ckpt", nargs=-1, required=True)
@click.option("--data", "images", metavar="FOLDER", type=click.Path(path_type=Path), help="Images of your own.")
@click.option("--name", help="What they are called; follows from the folder's name by default.")
@click.option("--task", "names", multiple=True, metavar="TASK", help="A task that is known here; may be given several times.")
@sets("--sets")
@click.option("--protocol", default="own", show_default=True, help="How checkpoints are adapted: settings, splits, scores.")
@click.option("--lr", "lrs", multiple=True, type=float, help="A learning rate, in the place of the protocol's; repeatable.")
@click.option("--steps", multiple=True, type=click.IntRange(1), help="Training steps, likewise; repeatable.")
@click.option("--resolution", "resolutions", multiple=True, type=click.IntRange(1), help="Pixels, likewise; repeatable.")
@click.option("--batch-size", type=click.IntRange(1), help="Images of a step, in the place of the protocol's.")
@click.option("--model", default="", help="What all CKPT are; found out by their names or their weights by default.")
@click.option("--best", is_flag=True, help="Of a sweep's folder take the best run of each model only.")
@click.option(
    "--upstream-scores", "scores_file", type=click.Path(path_type=Path), help="A .csv file of filename and final_val."
)
@click.option("--strategy", default="", help="Adapt only what this strategy asks for; everything by default.")
@click.option("--budget", type=click.IntRange(1), help="Checkpoints that the strategy may adapt.")
@click.option("--scores-only", is_flag=True, help="Probe the checkpoints and adapt none.")
@click.option("--workdir", type=click.Path(path_type=Path), required=True, help="Where everything goes.")
@running.options
def transfer(
    ckpt: tuple[str, ...],
    images: Path | None,
    name: str | None,
    names: tuple[str, ...],
    protocol: str,
    lrs: tuple[float, ...],
    steps: tuple[int, ...],
    resolutions: tuple[int, ...],
    batch_size: int | None,
    model: str,
    best: bool,
    scores_file: Path | None,
    strategy: str,
    budget: int | None,
    scores_only: bool,
    workdir: Path,
    **chosen: Any,
) -> None:
    """Try checkpoints of any origin on your images, or on known tasks, and recommend one.

    CKPT is a file of weights (.npz, .safetensors), a gs:// or https:// address, the name of a released checkpoint, or the
    folder of a finished `augreg run`. Images are a folder with one folder a class, lists of "path label", or an .npz file.

    Safe to stop at any moment: the same command goes on.
    """
    from rich.console import Console

    from sweeps import outcome, upstream_scores
    from sweeps import transfer as make
    from sweeps.data import Bar
    from sweeps.given import take
    from sweeps.layout import Workdir
    from vtab import own

    if name and not images:
        raise UserError("--name says what the images of --data are called: give both")
    if budget and not strategy:
        raise UserError("--budget says how many checkpoints a --strategy may adapt: give both")
    if strategy and scores_only:
        raise UserError("--strategy and --scores-only exclude each other: give one of them")
    how, folder, facts = make.protocol(protocol), Workdir(workdir), None
    make.refuse_others(folder)
    if images:
        make.known(names)
        root = folder.path / "data"
        with Bar(Console(stderr=True)) as bar:
            facts = own.prepare(images, root, name or "", bar.show)
        click.echo(own.line(root, facts.name), err=True)
        make.look_first_in(root)
    tasks = make.tasks_of(names, facts, how)
    given = take(ckpt, folder, model, best=best)
    checkpoints = [each.checkpoint for each in given]
    upstream_scores.note(folder, given, upstream_scores.read(scores_file, checkpoints) if scores_file else {})
    rule = make.rule(strategy, budget, scores_only, upstream_scores.accuracies(folder, checkpoints))
    sweep = make.put_together(checkpoints, tasks, how, make.Wanted(lrs, steps, resolutions, batch_size or 0), rule)
    failed = None
    try:
        running.run_with(sweep, workdir, chosen)
    except UserError as error:
        failed = error
    if failed is None or any(folder.records()):  # of what did not fail
        for line in outcome.write(sweep, folder, how):
            click.echo(line)
    if failed:
        raise failed
