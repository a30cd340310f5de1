"""Goodput of the real coordinator over a simulated fleet."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.perf.figure import Figure, once
from bench.points import Config
from bench.records.record import Record
from sweeps.grouping import flops
from sweeps.layout import Workdir
from sweeps.perf.world import Terms, World
from sweeps.run import Coordinator
from sweeps.space import Grid, Sweep

# Mean length of a run. Lengths go with the models' FLOPs, from a half to twice of it.
HOURS = 3.0
FLEET = Terms()


def run(quick: bool) -> list[Figure]:
    """Goodput over preemptible slices: a preemption in 6 slice-hours, two minutes to restart, checkpoints every five."""
    found = simulate(*((800, Terms(slices=16)) if quick else (50_000, FLEET)))
    about = f"{found.points:,} points, {found.preemptions:,} preemptions, {found.hours:.0f} h"
    rest = (("restarts", found.restarts), ("lost steps", found.lost), ("idle slices", found.idle))
    return [
        Figure("simulate", f"goodput: {about}", "x", once(found.goodput), "all slice-hours", "0.97 or more"),
        *(Figure("simulate", f"share of {name}", "x", once(share), "all slice-hours") for name, share in rest),
        Figure("simulate", "coordinator, a launch, files included", "ms", once(1e3 * found.seconds / found.launches)),
    ]


class Nobody:
    """Follows a sweep and writes nothing: the study has a benchmark of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def follow(self, params: Callable[[Config], Mapping[str, Any]]) -> None:
        """Does nothing."""

    def started(self, config: Config) -> None:
        """Does nothing."""

    def accept(self, record: Record, value: float | None = None) -> None:
        """Does nothing."""

    def flush(self) -> str:
        """Returns that nothing is in the way."""
        return ""


class Outcome(NamedTuple):
    """What a simulation found.

    Attributes:
      points: runs of the sweep; as many records were accepted.
      hours: virtual, from the first launch to the last record.
      goodput: useful training time over slices times `hours`.
      preemptions: of slices.
      launches: of jobs, counted.
      restarts, lost, idle: shares of slices times `hours` that went into restarts, into steps since the last checkpoint, and
        into slices without a job.
      seconds: real ones that the coordinator took, files included.
    """

    points: int
    hours: float
    goodput: float
    preemptions: int
    launches: int
    restarts: float
    lost: float
    idle: float
    seconds: float


def sweep_of(points: int) -> Sweep:
    """Returns a sweep of about so many points: four models, seeds without end."""
    models, levels = ["R+Ti/16", "S/32", "Ti/16", "S/16"], ["none", "light1", "medium1", "strong1", "strong2"]
    axes: dict[str, list[Any]] = {"model": models, "aug": levels}
    grid = {**axes, "do=sd": [0.0, 0.1], "wd": [0.03, 0.1], "seed": list(range(max(1, points // 80)))}
    return Sweep("simulated", "", Grid(grid, {"dataset": "i1k", "epochs": 300.0, "lr": 0.001}))


def lengths(sweep: Sweep) -> Callable[[Config], float]:
    """Returns how long each run of a sweep trains: with the square root of its FLOPs, `HOURS` on average."""
    roots = {c.model: flops(c) ** 0.5 for c in sweep.upstream_points}
    mean = sum(roots[c.model] for c in sweep.upstream_points) / len(sweep.upstream_points)
    return lambda config: HOURS * 3600 * roots[config.model] / mean  # type: ignore[attr-defined]


def simulate(points: int, terms: Terms = FLEET, seed: int = 0, show: Callable[[float], None] = lambda _: None) -> Outcome:
    """Runs a sweep over a simulated fleet, in memory where the machine has a file system there.

    Args:
      points: of the sweep, about.
      terms: of the fleet.
      seed: of the preemptions.
      show: called with the share that is done.
    """
    sweep = sweep_of(points)
    world = World(terms, lengths(sweep), seed)
    total = len(sweep.points)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        workdir = Workdir(Path(folder))
        coordinator = Coordinator(sweep, workdir, world, clock=world, study=Nobody)
        began = time.perf_counter()
        coordinator.run(lambda status: show(status.done["upstream"] / total))
        seconds = time.perf_counter() - began
        assert coordinator.status().complete
        launches = sum(1 for _ in workdir.jobs.glob("*/*/launch.json"))
        accepted = sum(1 for _ in workdir.path.glob("runs/*/record.json"))
    assert accepted == total
    whole = terms.slices * world.now()
    goodput, restarts, lost = (each / whole for each in (world.useful, world.starting, world.lost))
    idle = 1 - goodput - restarts - lost
    return Outcome(total, world.now() / 3600, goodput, world.preemptions, launches, restarts, lost, idle, seconds)
