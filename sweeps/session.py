"""One `augreg run`, from the name of a sweep to its results, with what a person sees on the way."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from rich.console import Console

from bench.points import Execution
from sweeps.executors.local import Local
from sweeps.layout import Workdir
from sweeps.lock import Lock
from sweeps.named import find
from sweeps.results import FILES, write_results
from sweeps.run import Coordinator, Status
from sweeps.timing import timing
from sweeps.view import View, recommended


def _summary(status: Status) -> str:
    counts = ", ".join(f"{status.done[kind]}/{of} {kind}" for kind, of in status.runs.items() if of)
    return counts + (f", {len(status.diverged)} diverged" if status.diverged else "")


def run_sweep(name: str, path: Path, workers: int, checkpoint_seconds: float, execution: Execution = Execution()) -> None:
    """Runs (or goes on with) a sweep and writes its results.

    Raises:
      UserError: unknown sweep, folder in use or of another sweep, or a worker failed.
    """
    started = time.monotonic()
    console = Console(stderr=True)
    say = partial(console.print, highlight=False, soft_wrap=True)
    sweep, workdir = find(name), Workdir(path)
    coordinator = Coordinator(sweep, workdir, Local(workers), checkpoint_seconds, execution)
    before = coordinator.status()
    if before.complete and all((path / file).exists() for file in FILES):
        coordinator.close()
        say(f"{name}: all runs are done ({_summary(before)}); nothing to do. Results: {path}")
        return
    say(f"{name}: {_summary(before)} done; {path}")
    with View(console) as view:
        coordinator.run(view.show)
    reporting = time.monotonic()
    spent = timing(workdir)
    notes = {"sweep": name, "runs": _summary(coordinator.status()), **dict(line.split(": ", 1) for line in spent.lines())}
    best = write_results(workdir, notes)
    now = time.monotonic()
    for line in spent.lines():
        say(line)
    say(f"wall clock: {now - started:.0f} s, of which report {now - reporting:.0f} s")
    say(f"{name}: {_summary(coordinator.status())} done; results: {path}")
    Console().print(recommended(best))


def status_lines(path: Path) -> list[str]:
    """Returns how far the sweep in `path` is.

    Raises:
      UserError: the folder holds no sweep.
    """
    workdir = Workdir(path)
    sweep = find(workdir.sweep())
    status = Status()
    for point in sweep.points:
        status.count(point, workdir.run(point).record())
    alive = [f.parent.name for f in sorted(workdir.jobs.glob("*/lock")) if Lock.held(f)]
    lines = [f"{sweep.name}: {_summary(status)} done, {len(alive)} workers alive"]
    lines += [f"  {job}" for job in alive]
    lines += [f"  diverged: {name}" for name in status.diverged]
    return lines + (timing(workdir).lines() if workdir.jobs.exists() else [])
