"""How a sweep is run: the options of every command that runs one, and what they come to."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.errors import UserError
from sweeps.commands.options import DEVICE, PRICE

if TYPE_CHECKING:
    from sweeps.space import Sweep

_OPTIONS = (
    click.option("--executor", default="local", show_default=True, help="What runs the workers; augreg executors lists them."),
    click.option(
        "--option", "options", multiple=True, metavar="KEY=VALUE", help="Of the executor; may be given several times."
    ),
    click.option("--workers", type=int, default=0, help="Jobs at once, as --option workers=N; one a core by default."),
    click.option("--storage", metavar="ADDRESS", help="The study's database; SQLite in the workdir by default."),
    click.option("--checkpoint-seconds", type=float, default=30.0, show_default=True, help="Least time between checkpoints."),
    click.option("--max-failures", type=click.IntRange(1), default=2, show_default=True, help="Exceptions that end a run."),
    click.option(
        "--max-losses",
        type=click.IntRange(0),
        default=20,
        show_default=True,
        help="Lost workers without progress that end a job.",
    ),
    click.option(
        "--silence",
        type=click.FloatRange(10),
        default=300.0,
        show_default=True,
        help="Seconds after which a silent worker is given up.",
    ),
    click.option("--max-cost", type=float, metavar="DOLLARS", help="Spend no more, at the device's price of a chip-hour."),
    click.option("--max-hours", type=float, metavar="HOURS", help="Spend no more chip-hours."),
    DEVICE,
    PRICE,
    click.option("--examples", type=click.IntRange(1), help="Images of an upstream set whose size was never published."),
    click.option(
        "--remat", is_flag=True, help="Recompute activations in the backward pass: less memory, a third more compute."
    ),
    click.option("--scan", is_flag=True, help="Compile equal blocks once: deep models compile faster."),
    click.option("--fsdp", is_flag=True, help="Split weights and optimiser state over the devices instead of copying them."),
    click.option("--lanes", metavar="auto|K", default="auto", show_default=True, help="How many runs train as one program."),
    click.option(
        "--track", multiple=True, metavar="TRACKER", help="Where metrics go too: tensorboard, wandb, mlflow; repeatable."
    ),
)


def options(command: Any) -> Any:
    """Gives a command the options of `run_with`, in their order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_with(sweep: Sweep, workdir: Path, chosen: dict[str, Any]) -> None:
    """Runs a sweep as the values of `options` say; see `sweeps.session.run_sweep`.

    Raises:
      UserError: values that go together badly, or as `run_sweep`.
    """
    from bench.cost.devices import find as find_device
    from bench.points import Execution
    from bench.train import trackers
    from sweeps.budget import Budget, Spending
    from sweeps.executors import build, read_options
    from sweeps.job import Settings
    from sweeps.lanes import check
    from sweeps.limits import Limits
    from sweeps.predict import Predictor
    from sweeps.session import run_sweep

    every, workers = chosen["checkpoint_seconds"], chosen["workers"]
    if not 0 <= every < math.inf:
        raise UserError(f"--checkpoint-seconds is {every:g}, but must be at least 0 and finite")
    if workers < 0:
        raise UserError(f"--workers is {workers}, but must be at least 1 (or 0 for as many as there is room for)")
    places = build(chosen["executor"], read_options(chosen["options"]) | ({"workers": str(workers)} if workers else {}))
    execution = Execution(chosen["remat"], chosen["scan"], chosen["fsdp"])
    settings = Settings(every, execution, check(chosen["lanes"]), places.describe().hosts, chosen["track"])
    trackers.check(chosen["track"])
    limits = Limits(chosen["max_failures"], chosen["max_losses"], chosen["silence"])
    predictor = Predictor(find_device(chosen["device"]), chosen["examples"] or 0)
    price = predictor.device.price if chosen["price"] is None else chosen["price"]
    budget = Budget.of(price, chosen["max_cost"], chosen["max_hours"])
    spending = Spending(budget, predictor) if budget else None
    run_sweep(sweep, workdir, places, settings, limits, chosen["storage"], spending)
