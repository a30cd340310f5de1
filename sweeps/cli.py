"""The command line: parses, calls, prints. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from bench import __version__
from bench.errors import UserError
from sweeps.commands.archive import archive
from sweeps.commands.compare import compare
from sweeps.commands.figure import figure
from sweeps.commands.findings import findings
from sweeps.commands.import_index import import_index
from sweeps.commands.options import DATA, DEVICE, FOLDER, PRICE, SEED, TABLE, UPSTREAM, apart
from sweeps.commands.recommend import recommend
from sweeps.commands.run import run
from sweeps.commands.select import select
from sweeps.commands.transfer import transfer


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="augreg")
def cli() -> None:
    """Run AugReg sweeps, draw their heatmaps, pick the checkpoint to transfer.

    \b
    Start with:  augreg sweeps           what can be run
                 augreg plan demo        what it would cost
                 augreg run demo         run it (again: continue it)

    The other commands read the table that a run writes (table.csv) or the released index of 51,509 runs.
    """  # noqa: D301 - click wants the character backspace


@cli.command()
@click.argument("name", required=False)
def sweeps(name: str | None) -> None:
    """List the named sweeps, or show the axes of one."""
    from sweeps.named import find
    from sweeps.show import list_lines, sweep_lines

    for line in list_lines() if name is None else sweep_lines(find(name)):
        click.echo(line)


@cli.command()
@click.argument("model", required=False)
@click.option("--family", help="List the variants of one family only.")
@click.option("--resolution", type=int, default=224, show_default=True, help="Pixels of the images that layers are shown for.")
@click.option("--depth", type=int, default=2, show_default=True, help="Levels of layers to show.")
def models(model: str | None, family: str | None, resolution: int, depth: int) -> None:
    """List the models with parameters, FLOPs and memory, or show the layers of one."""
    from sweeps.zoo import layer_lines, model_lines

    for line in model_lines(family) if model is None else layer_lines(model, resolution, depth):
        click.echo(line)


@cli.command()
@click.argument("source")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The model that the weights are of; `augreg models` lists them.")
@click.option("--layout", default="ours", show_default=True, help="Of the target: ours, released (ViT and hybrids) or timm.")
def convert(source: str, target: Path, model: str, layout: str) -> None:
    """Convert weights between this project's files, the released .npz and timm's safetensors.

    SOURCE is a path, a gs:// or an https:// address; its layout is found out. TARGET is an .npz or .safetensors file.
    """
    from bench.weights import convert as to

    arrays = to(source, target, model, layout)
    click.echo(f"{target}: {arrays} arrays", err=True)


@cli.group(invoke_without_command=True)
@DATA
@click.pass_context
def data(context: click.Context) -> None:
    """List the data sets, check one, or look at how it is augmented.

    \b
    augreg data                              which sets there are, and what is on disk
    augreg data check NAME                   is everything there, and right
    augreg data ids NAME -o FILE.csv         which images are in which split
    augreg data show NAME --aug strong1 ...  a sheet of augmented images
    """  # noqa: D301 - click wants the character backspace
    if context.invoked_subcommand is None:
        context.invoke(data_list, name=None)


@data.command("list")
@click.argument("name", required=False)
@DATA
def data_list(name: str | None) -> None:
    """List all sets, what is on disk and how to get the rest, or all that is known of one."""
    from sweeps.data import detail_lines, list_lines

    for line in list_lines() if name is None else detail_lines(name):
        click.echo(line)


@data.command("check")
@click.argument("name")
@DATA
@click.option("--sample", type=click.IntRange(1), help="Images of each split to read, evenly spaced; 20000 by default.")
@click.option("--all", "every", is_flag=True, help="Read every image instead.")
def data_check(name: str, sample: int | None, every: bool) -> None:
    """Check a set on disk: counts, labels, images, duplicates; print its fingerprints."""
    from rich.console import Console

    from bench.data.check import SAMPLE
    from sweeps.data import Bar, check_lines

    if every and sample is not None:
        raise UserError("--all and --sample exclude each other: give one of them")
    with Bar(Console(stderr=True)) as bar:
        for line in check_lines(name, None if every else SAMPLE if sample is None else sample, bar.show):
            click.echo(line)


@data.command("ids")
@click.argument("name")
@DATA
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A .csv file: split, index, identifier, label, hash.")
@click.option("--lists", type=click.Path(path_type=Path), help="Folder for lists of identifiers and labels.")
def data_ids(name: str, output: Path | None, lists: Path | None) -> None:
    """Write down which images are in which split, so that others can be sure to have the same."""
    from rich.console import Console

    from sweeps.data import Bar
    from sweeps.identifiers import write

    with Bar(Console(stderr=True)) as bar:
        written = write(name, output, lists, bar.show)
    for path in written:
        click.echo(path)


@data.command("show")
@click.argument("name")
@DATA
@click.option("--aug", required=True, help="The augmentation level, such as strong1.")
@click.option("--split", help="The split; train by default, or the only one.")
@click.option("-n", "--number", type=click.IntRange(1), default=64, show_default=True, help="Images.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the run whose first batch is shown.")
@click.option("--resolution", type=click.IntRange(1), help="Pixels; those of the upstream set by default, 224 for a task.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A .png, .svg or .pdf file.")
def data_show(name: str, aug: str, split: str | None, number: int, seed: int, resolution: int | None, output: Path) -> None:
    """Draw images of a set as they are stored, beside what training with an augmentation level makes of them."""
    # A few images: not worth the memory of an accelerator that may be at work.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from sweeps.contact import show

    show(name, aug, split, number, seed, resolution, output)


@cli.command()
@click.argument("name")
@UPSTREAM
@DEVICE
@PRICE
@click.option("--examples", type=click.IntRange(1), help="Images of an upstream set whose size was never published.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Workers at once.")
@click.option("--chips", type=click.IntRange(1), default=1, show_default=True, help="Chips of a worker.")
@click.option("--probe", is_flag=True, help="Time a few steps of every program here, a worker's start and compilation.")
@click.option("--compiled", is_flag=True, help="Compile every program here and show what the compiler counts as FLOPs.")
@click.option("--names", is_flag=True, help="Print the name of every run instead of the summary.")
def plan(
    name: str,
    upstream: str | None,
    device: str,
    price: float | None,
    examples: int | None,
    workers: int,
    chips: int,
    probe: bool,
    compiled: bool,
    names: bool,
) -> None:
    """Say what a sweep would compute and cost, without running it."""
    from sweeps.named import find
    from sweeps.plan import Fleet, lines
    from sweeps.planning import plan as make

    name = f"{name}@{upstream}" if upstream else name
    if names:
        for point in find(name).points:
            click.echo(point.name)
        return
    made, notes = make(name, device, price, examples or 0, Fleet(workers, chips), probe=probe, compiled=compiled)
    for line in (*lines(made), *notes):
        click.echo(line)


@cli.command()
@click.argument("model")
@click.option("--images", type=float, required=True, help="Images seen in training, repeats included.")
@click.option("--resolution", type=click.IntRange(1), default=224, show_default=True, help="Pixels.")
@click.option("--classes", type=click.IntRange(1), default=30_000, show_default=True, help="Outputs of the head.")
@DEVICE
@click.option("--core-hours", type=float, help="The stated time, in hours of a core.")
@click.option("--dtype", type=click.Choice(("bfloat16", "float32")), default="bfloat16", show_default=True, help="Activations.")
def utilisation(
    model: str, images: float, resolution: int, classes: int, device: str, core_hours: float | None, dtype: str
) -> None:
    """Say what training a model takes, and how well a device was used if it took a stated time."""
    from sweeps.planning import utilisation as found

    for line in found(model, images, resolution, classes, device, core_hours, dtype):
        click.echo(line)


@cli.command()
@click.argument("executor", required=False)
def executors(executor: str | None) -> None:
    """List what can run workers, what it needs and where it has ever run, or the options of one."""
    from sweeps.executors import listing

    for line in listing.list_lines() if executor is None else listing.detail_lines(executor):
        click.echo(line)


@cli.command()
@FOLDER
@click.option("--follow", is_flag=True, help="Say it again every few seconds, until nobody is at work any more.")
def status(workdir: Path, follow: bool) -> None:
    """Say how far the sweep in a folder is."""
    from sweeps.story import FOLLOW_SECONDS, busy, status_lines

    while True:
        lines = status_lines(workdir)
        if follow and sys.stdout.isatty():
            click.clear()
        for line in lines:
            click.echo(line)
        if not follow or not busy(workdir):
            return
        time.sleep(FOLLOW_SECONDS)


@cli.command()
@FOLDER
@click.argument("run")
def why(workdir: Path, run: str) -> None:
    """Tell the story of one run: its state, its launches, what went wrong."""
    from sweeps.story import Story

    for line in Story(workdir).why(run):
        click.echo(line)


@cli.command()
@FOLDER
@click.argument("runs", nargs=-1)
def retry(workdir: Path, runs: tuple[str, ...]) -> None:
    """Have failed and cancelled runs tried again by the next `augreg run`: the named ones, or all."""
    from sweeps.story import retry as forgive

    for name in forgive(workdir, runs):
        click.echo(name)


@cli.command()
@FOLDER
@click.argument("runs", nargs=-1, required=True)
def cancel(workdir: Path, runs: tuple[str, ...]) -> None:
    """Take runs out of a sweep, also of one that is under way."""
    from sweeps.story import cancel as call_off

    call_off(workdir, runs)


@cli.command()
@click.argument("workdirs", metavar="WORKDIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A .csv or .parquet file.")
def table(workdirs: tuple[Path, ...], output: Path) -> None:
    """Write the table of all finished runs of a sweep, or one table of several sweeps."""
    from bench.records.table import write_table
    from sweeps.layout import Workdir
    from sweeps.results import table_of

    folders = [Workdir(path) for path in workdirs]
    for folder in folders:
        folder.sweep()
    found = table_of(*folders)
    write_table(found, output)
    click.echo(f"{output}: {len(found)} rows", err=True)


@cli.command()
@TABLE
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A .png, .svg or .pdf file.")
@click.option("--csv", "cells_csv", type=click.Path(path_type=Path), help="Also write the cells (ds, name, do, aug, value).")
def heatmap(table: Path, output: Path | None, cells_csv: Path | None) -> None:
    """Draw the AugReg heatmap, figure 4 of the paper, from a table."""
    from bench.records.atomic import export
    from bench.records.table import read_table
    from bench.report import heatmap as drawing

    if output is None and cells_csv is None:
        raise UserError("nothing to write: give -o FIGURE, --csv CELLS, or both")
    apart(table, output, cells_csv)
    cells = drawing.cells(read_table(table))
    if cells_csv is not None:
        export(cells_csv, cells.to_csv(index=False, lineterminator="\n"))
    if output is not None:
        drawing.save(drawing.draw(cells), output)


@cli.command()
@TABLE
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="An .html file.")
@click.option("--title", default="augreg-bench", show_default=True, help="The page's heading.")
@click.option("--scores", type=click.Path(path_type=Path), help="Scores of probes, for the strategies that need them.")
def report(table: Path, output: Path, title: str, scores: Path | None) -> None:
    """Write one self-contained page: recommendation, heatmap, selection, findings, all runs, provenance."""
    from bench.findings.verdicts import verdicts
    from bench.records.scores import read_scores
    from bench.records.table import read_table
    from bench.report.page import write_page
    from sweeps.repeating import commands

    if output.suffix != ".html":
        raise UserError(f"{output}: a page is an .html file")
    found = read_table(table)
    measured = read_scores(scores) if scores else None
    known = commands(found["filename"].dropna()) if "filename" in found else {}
    notes = {"table": table.name}
    write_page(found, output, title, notes, scores=measured, findings=verdicts(found), commands=known)


for _command in (archive, compare, figure, findings, import_index, recommend, run, select, transfer):
    cli.add_command(_command)


def main(arguments: list[str] | None = None) -> Any:
    """Runs the command line: one line on standard error and exit code 2 for bad input, 130 after Ctrl-C."""
    started = time.monotonic()
    try:
        cli.main(arguments, prog_name="augreg", standalone_mode=False)
        code = 0
    except UserError as error:
        click.echo(f"augreg: {error}", err=True)
        code = 2
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = 2
    except click.UsageError as error:
        hint = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        click.echo(f"augreg: {error.format_message()}{hint}", err=True)
        code = 2
    except click.ClickException as error:
        click.echo(f"augreg: {error.format_message()}", err=True)
        code = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"augreg: stopped after {time.monotonic() - started:.0f} s; the same command goes on from here", err=True)
        code = 130
    except OSError as error:
        click.echo(f"augreg: {error.filename or 'system'}: {error.strerror or error}", err=True)
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
