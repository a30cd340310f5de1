"""One `augreg run`, from the name of a sweep to its results, with what a person sees on the way."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from rich.console import Console

from bench.errors import UserError
from sweeps import accounting, follow
from sweeps.budget import Spending
from sweeps.executors import Executor
from sweeps.job import Settings
from sweeps.layout import Workdir
from sweeps.limits import Limits
from sweeps.results import expected, write_results
from sweeps.run import Coordinator
from sweeps.search.results import write_trials
from sweeps.space import Sweep
from sweeps.study import Study
from sweeps.timing import timing
from sweeps.view import View, recommended


def run_sweep(
    sweep: Sweep,
    path: Path,
    executor: Executor,
    settings: Settings = Settings(),
    limits: Limits = Limits(),
    storage: str | None = None,
    spending: Spending | None = None,
) -> None:
    """Runs (or goes on with) a sweep and writes its results; with `spending` nothing is launched that would pass its limit.

    Raises:
      UserError: a proprietary set, folder in use or of another sweep, or runs failed (the others' results are
        written).
    """
    started = time.monotonic()
    console = Console(stderr=True)
    say = partial(console.print, highlight=False, soft_wrap=True)
    name, workdir = sweep.name, Workdir(path)
    sweep.check_sets()
    study = partial(Study, storage, sweep) if storage else None
    busy = accounting.waste(accounting.reports(workdir), ()).total
    if spending:
        spending.already(busy)
        remaining = [p for p in follow.start(sweep).begin() if workdir.run(p).record() is None]
        if sweep.search is not None:  # its points are not known: as many as may come
            remaining = list(sweep.planned[sum(1 for _ in workdir.records()) :])
        spending.check(sweep.name, remaining)
    coordinator = Coordinator(sweep, workdir, executor, settings, limits, study=study, spending=spending)
    before = coordinator.status()
    if coordinator.said:
        say(coordinator.said)
    if before.complete and all((path / file).exists() for file in expected(sweep)):
        coordinator.close()
        say(f"{name}: all runs are done ({before.summary()}); nothing to do. Results: {path}")
        return
    say(f"{name}: {before.summary()} done; {path}")
    failed = None
    with View(console) as view:
        try:
            coordinator.run(view.show)
        except UserError as error:
            failed = error
    status = coordinator.status()
    if not any(status.done.values()):
        raise failed or UserError(f"{name}: nothing was run")
    reporting = time.monotonic()
    spent = timing(workdir)
    used = accounting.waste(accounting.reports(workdir), workdir.records())
    idle = used.idle(executor.capacity(), reporting - started, busy)
    notes = {"sweep": name, "runs": status.summary(), **dict(line.split(": ", 1) for line in spent.lines())}
    drawn = write_results(sweep, workdir, notes)
    found = write_trials(sweep, workdir) if sweep.search else []
    now = time.monotonic()
    slots = f"idle: {idle:.0f} s of {executor.capacity()} slots"
    for line in (*spent.lines(), *accounting.lines(workdir), slots, *found, *drawn.left_out, *coordinator.decided()):
        say(line)
    say(f"wall clock: {now - started:.0f} s, of which report {now - reporting:.0f} s")
    say(f"{name}: {status.summary()} done; results: {path}")
    if drawn.recommended is not None:
        Console().print(recommended(drawn.recommended))
    if failed:
        raise failed
