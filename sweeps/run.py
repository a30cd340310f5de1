"""The coordinator of a sweep: decides what runs next, hands it to an executor, accepts what is committed.

It alone writes the study. It keeps nothing that a crash could lose: a new one reads the records, adopts the workers that are
still alive (they hold their job's lock), and launches the rest again.
"""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.errors import UserError
from bench.points import Config, Execution, Transfer
from bench.records.record import Record
from bench.train.static import Static
from sweeps.executors import Executor
from sweeps.job import Job
from sweeps.layout import Workdir
from sweeps.lock import Lock
from sweeps.space import Sweep
from sweeps.study import Study

# A job may lose its worker this often without finishing a run or getting further in one before the sweep gives up on it.
PATIENCE = 20
POLL_SECONDS = 0.3
# Most runs in one job: few enough for workers to share a grid evenly, enough to make a worker's start cheap (imports, loading
# compiled programs: some seconds). Constants, not settings: a coordinator that starts again must form the same jobs.
LARGEST_JOB = {"upstream": 8, "transfer": 64}


@dataclass
class Status:
    """Where a sweep stands: runs in all and done by kind, what every live worker is at."""

    runs: dict[str, int] = field(default_factory=lambda: {"upstream": 0, "transfer": 0})
    done: dict[str, int] = field(default_factory=lambda: {"upstream": 0, "transfer": 0})
    diverged: list[str] = field(default_factory=list)
    workers: list[dict[str, Any]] = field(default_factory=list)

    def count(self, config: Config, record: Record | None) -> None:
        """Counts a run of the sweep and, where it has one, its record."""
        self.runs[config.kind] += 1
        if record is not None:
            self.done[config.kind] += 1
            if record.status == "diverged":
                self.diverged.append(config.name)

    @property
    def complete(self) -> bool:
        """Returns whether every run has its record."""
        return self.done == self.runs


def programs_of(config: Config) -> tuple[str, Static]:
    """Returns what identifies the compiled programs of a run; runs that agree in it share them."""
    return config.kind, Static.of(config)


def jobs_of(
    points: Iterable[Config],
    workdir: Workdir,
    checkpoint_seconds: float,
    largest: Mapping[str, int],
    execution: Execution = Execution(),
) -> list[Job]:
    """Groups runs that share compiled programs into jobs of at most `largest` runs of a kind, in the sweep's order."""
    groups: dict[tuple[str, Static], list[Config]] = defaultdict(list)
    for point in points:
        groups[programs_of(point)].append(point)
    jobs = []
    for (kind, _), members in groups.items():
        count = -(-len(members) // largest[kind])
        size = -(-len(members) // count)
        groups_of = (tuple(members[i : i + size]) for i in range(0, len(members), size))
        jobs += [Job(workdir, group, checkpoint_seconds, execution) for group in groups_of]
    return jobs


class Coordinator:
    """Runs a sweep to its end.

    Args:
      sweep: what to run.
      workdir: where; one coordinator at a time.
      executor: what places the workers.
      checkpoint_seconds: least time between two checkpoints of a run.
      execution: how programs are compiled and placed.

    Raises:
      UserError: another coordinator holds the folder, or it belongs to another sweep.
    """

    def __init__(
        self,
        sweep: Sweep,
        workdir: Workdir,
        executor: Executor,
        checkpoint_seconds: float,
        execution: Execution = Execution(),
    ) -> None:
        me = f"process {os.getpid()} on {platform.node()}"
        self._lock = Lock.require(workdir.path / "coordinator.lock", me)
        try:
            workdir.claim(sweep.name)
            self._workdir, self._executor = workdir, executor
            self._points = {p.name: p for p in sweep.points}
            self._jobs = jobs_of(sweep.points, workdir, checkpoint_seconds, LARGEST_JOB, execution)
            self._study = Study(workdir.path / "study.db", sweep)
            self._records: dict[str, Record] = {}
            self._compiled: set[tuple[str, Static]] = set()
            self._accept(self._points.values())
        except BaseException:
            self.close()
            raise
        self._active: list[Job] = []
        self._lost: dict[str, tuple[tuple[int, int], int]] = {}
        self._failed: dict[str, str] = {}

    def close(self) -> None:
        """Gives the folder up; another coordinator may have it."""
        self._lock.release()

    def status(self) -> Status:
        """Returns where the sweep stands."""
        found = Status()
        for name, point in self._points.items():
            found.count(point, self._records.get(name))
        found.workers = [p[-1] for j in self._active if (p := j.progress())]
        return found

    def run(self, show: Callable[[Status], None]) -> None:
        """Launches, accepts and relaunches until every run has its record.

        Args:
          show: called about three times a second.

        Raises:
          UserError: a worker failed, or was lost too often; the other jobs are finished first.
          KeyboardInterrupt: passed on after all workers have checkpointed and left.
        """
        try:
            while not self.status().complete:
                self._collect()
                self._launch()
                show(self.status())
                if not self._active:
                    break
                time.sleep(POLL_SECONDS)
            show(self.status())
        except KeyboardInterrupt:
            self._interrupt()
            raise
        finally:
            self.close()
        if self._failed:
            (name, error), *more = self._failed.items()
            others = f" ({len(more)} more jobs failed)" if more else ""
            raise UserError(f"job {name} failed: {error}; its log is {self._workdir.jobs / name / 'worker.log'}{others}")

    def _pending(self, job: Job) -> list[Config]:
        return [c for c in job.configs if c.name not in self._records]

    def _accept(self, configs: Iterable[Config]) -> None:
        for config in configs:
            record = self._workdir.run(config).record()
            if record is not None:
                self._records[config.name] = record
                self._compiled.add(programs_of(config))
                self._study.accept(record)

    def _collect(self) -> None:
        for job in list(self._active):
            alive = job.alive  # asked before the records, so that a record written between the two is not missed
            self._accept(self._pending(job))
            if not alive:
                self._active.remove(job)
                self._judge(job)

    def _judge(self, job: Job) -> None:
        pending, outcome, reports = len(self._pending(job)), job.outcome(), job.progress()
        if not pending:
            return
        if outcome and outcome["status"] == "failed":
            self._failed[job.id] = outcome["error"]
            return
        reached = (-pending, reports[-1]["step"] if reports else 0)
        furthest, times = self._lost.get(job.id, (reached, 0))
        times = times + 1 if reached <= furthest else 1
        self._lost[job.id] = (max(reached, furthest), times)
        if times > PATIENCE:
            self._failed[job.id] = f"its worker was lost {times} times without getting further"

    def _ready(self, job: Job) -> bool:
        needs = (c.upstream.name for c in job.configs if isinstance(c, Transfer))
        return all(name in self._records for name in needs)

    def _compiling(self, job: Job) -> bool:
        """Returns whether another worker is about to compile the job's programs, which the job can then load."""
        wanted = programs_of(job.configs[0])
        return wanted not in self._compiled and any(programs_of(other.configs[0]) == wanted for other in self._active)

    def _launch(self) -> None:
        busy = {j.id for j in self._active}
        for job in self._jobs:
            if job.id in busy or job.id in self._failed or not self._pending(job):
                continue
            if job.alive:
                self._active.append(job)
            elif len(self._active) < self._executor.capacity() and self._ready(job) and not self._compiling(job):
                job.write()
                self._executor.launch(job)
                self._active.append(job)
                for config in self._pending(job):
                    self._study.started(config)

    def _interrupt(self) -> None:
        for job in self._active:
            self._executor.interrupt(job)
        deadline = time.monotonic() + 30
        while any(j.alive for j in self._active) and time.monotonic() < deadline:
            time.sleep(0.1)
