"""What the folder of a sweep says, with or without a coordinator: where the sweep stands, and the story of one run."""

from __future__ import annotations

import difflib
import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.points import Config, Probe
from sweeps import accounting
from sweeps.board import needed
from sweeps.follow import Ended, start, unfold
from sweeps.growth import sweep_of
from sweeps.job import FILE, Job
from sweeps.launch import Launch
from sweeps.layout import Workdir
from sweeps.limits import Limits
from sweeps.lock import Lock
from sweeps.search.files import configs as proposed
from sweeps.space import Sweep
from sweeps.states import CANCELLED, FAILED, FINISHED, RUNNING, WAITING, Status, of_record
from sweeps.timing import timing

# Names that are compared with a misspelt one: comparing takes a fraction of a millisecond each.
SEARCHED = 5_000
# How often `augreg status --follow` looks.
FOLLOW_SECONDS = 5.0


@dataclass(frozen=True)
class Trace:
    """What is known of one launch of a job that a run belongs to.

    Attributes:
      launch: which.
      alive: whether its lock is held.
      report: what it reported last.
      outcome: how it ended, where it could say.
    """

    launch: Launch
    alive: bool
    report: dict[str, Any]
    outcome: dict[str, Any]

    def at(self, name: str) -> bool:
        """Returns whether it is at a run."""
        return self.alive and self.report.get("run") == name

    def line(self) -> str:
        """Returns how it went, in one line."""
        seen = self.report
        where = f", last seen at step {seen['step']} of {seen['steps'] or '?'} of {seen['run']}" if seen.get("run") else ""
        if self.launch.fenced:
            how = f"given up: {self.launch.why_fenced()}"
        elif self.alive:
            how = "at work"
        elif self.outcome:
            how = self.outcome["status"] + (f": {self.outcome['error']}" if self.outcome["error"] else "")
        else:
            how = "lost: killed before it could say why"
        return f"launch {self.launch.attempt}: {how}{where}"


class Story:
    """A sweep's folder, read.

    Args:
      path: the folder.

    Raises:
      UserError: it holds no sweep.
    """

    def __init__(self, path: Path) -> None:
        self.workdir = Workdir(path)
        self.sweep: Sweep = sweep_of(self.workdir)
        self._begun, self._off = self.workdir.begun(), self.workdir.called_off()
        self.follow = start(self.sweep)
        points = unfold(self.follow, self._ended) if self.sweep.search is None else proposed(path)
        self.points = {p.name: p for p in points}
        self._jobs: dict[str, list[Path]] = defaultdict(list)
        for file in sorted(self.workdir.jobs.glob(f"*/{FILE}")):
            for name, _ in Job.members(file.parent):
                self._jobs[name].append(file.parent)
        self._traces: dict[Path, list[Trace]] = {}

    def find(self, name: str) -> Config:
        """Returns the run of a name.

        Raises:
          UserError: the sweep has none.
        """
        if name not in self.points:
            near = difflib.get_close_matches(name, itertools.islice(self.points, SEARCHED), n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"`augreg plan {self.sweep.name} --names` lists them"
            raise UserError(f"sweep {self.sweep.name!r} has no run {name!r}; {hint}")
        return self.points[name]

    def traces(self, config: Config) -> list[Trace]:
        """Returns all launches of the jobs that a run belongs to, oldest first."""
        found = []
        for folder in self._jobs.get(config.name, []):
            if folder not in self._traces:
                launches = [] if not folder.exists() else self._launches(folder)
                self._traces[folder] = [
                    Trace(each, Lock.held(each.lock), each.progress() or {}, each.outcome() or {}) for each in launches
                ]
            found += self._traces[folder]
        return found

    def _launches(self, folder: Path) -> list[Launch]:
        members = [self.points[name] for name, _ in Job.members(folder) if name in self.points]
        job = Job(self.workdir, tuple(members))
        return Launch.all(job) if job.folder == folder else []

    def _ended(self, config: Config) -> Ended | None:
        begun = config.name in self._begun
        record = self.workdir.run(config).record() if begun else None
        over = record or config.name in self._off or (begun and self._given_up(config))
        return Ended(record) if over else None

    def state(self, config: Config) -> str:
        """Returns the state of a run."""
        if ended := self._ended(config):
            if ended.record:
                return of_record(ended.record.status)
            return CANCELLED if config.name in self._off else FAILED
        return RUNNING if any(trace.at(config.name) for trace in self.traces(config)) else WAITING

    def _given_up(self, config: Config) -> bool:
        limits = Limits(self.workdir.about().get("failures", Limits().failures))
        return limits.given_up(self.workdir.run(config).failures())

    def status(self) -> Status:
        """Returns where the sweep stands."""
        status = Status()
        if self.sweep.search is not None:
            status.unknown = max(self.sweep.search.trials - len(self.points), 0)
        for config in self.points.values():
            status.count(config, self.state(config))
        return status

    def alive(self) -> list[Trace]:
        """Returns all launches that are at work."""
        traces = {t.launch.attempt: t for config in self.points.values() for t in self.traces(config)}
        return [t for t in traces.values() if t.alive]

    def why(self, name: str) -> list[str]:
        """Returns the story of one run, for people.

        Raises:
          UserError: the sweep has no such run.
        """
        config = self.find(name)
        run, state = self.workdir.run(config), self.state(config)
        lines = [f"{name}: {state}{self._reason(config, state)}"]
        lines += [f"  {trace.line()}" for trace in self.traces(config)]
        for failure in run.failures():
            lines.append(f"  attempt {failure['attempt']} failed: {failure['error']}")
            lines += [f"    {line}" for line in failure["traceback"].rstrip().splitlines()]
        if (record := run.record()) is not None:
            cost, last = record.cost, record.last("val")
            scored = f"validation accuracy {last.value:.4f}, " if last else ""
            spent = f"{cost.train_seconds:.0f} s of training" + (f" in {cost.attempts} attempts" if cost.attempts > 1 else "")
            lines += [f"  passed over checkpoint {skipped}" for skipped in cost.skipped]
            work = f"{scored}{cost.steps} steps, {spent}"
            if isinstance(config, Probe):
                work = f"{len(record.measurements)} scores, {cost.eval_seconds:.0f} s"
            lines.append(f"  accepted from attempt {cost.attempt}: {work}")
        return lines

    def _reason(self, config: Config, state: str) -> str:
        record = self.workdir.run(config).record()
        if record is not None:
            return f" ({record.why})" if record.why else ""
        if state == FAILED:
            return f"; `augreg retry {self.workdir.path} {config.name}` has it tried again"
        if state != WAITING:
            return ""
        if (upstream := needed(config)) and (at := self.state(upstream)) not in FINISHED:
            return f" for its upstream run, which is {at}: {upstream.name}"
        traces = self.traces(config)
        if not traces:
            return " for a free place: no worker has had it yet"
        last = traces[-1]
        if last.alive:
            done, of = last.report.get("done", 0), last.report.get("runs", "?")
            return f" for the runs before it in its job: {done} of {of} are done"
        return " to be launched again by `augreg run`"


def busy(path: Path) -> bool:
    """Returns whether a coordinator or a worker is at work in a folder."""
    return any(Lock.held(lock) for lock in (path / "coordinator.lock", *Workdir(path).jobs.glob("*/*/lock*")))


def status_lines(path: Path) -> list[str]:
    """Returns how far the sweep in `path` is.

    Raises:
      UserError: the folder holds no sweep.
    """
    story = Story(path)
    status, alive = story.status(), story.alive()
    holder = path / "coordinator.lock"
    led = f"led by {holder.read_text()}" if Lock.held(holder) else "no coordinator"
    lines = [f"{story.sweep.name}: {status.summary()} done, {len(alive)} workers alive, {led}"]
    lines += [f"  {trace.line()}" for trace in alive]
    for state, names in status.named.items():
        lines += [f"  {state}: {name}" for name in names]
    lines += [f"  {line}" for line in story.follow.lines()]
    if not story.workdir.jobs.exists():
        return lines
    return lines + timing(story.workdir).lines() + accounting.lines(story.workdir)


def retry(path: Path, names: tuple[str, ...]) -> list[str]:
    """Has failed and cancelled runs tried again: the named ones, or all; returns their names.

    Raises:
      UserError: the folder holds no sweep, or the sweep has no such run, or a named one neither failed nor was cancelled.
    """
    story = Story(path)
    chosen = [story.find(name) for name in names] or list(story.points.values())
    found = [c.name for c in chosen if story.workdir.run(c).record() is None and story.workdir.run(c).forgive()]
    for name in names:
        if name not in found:
            raise UserError(f"{name} is {story.state(story.find(name))}: only what failed or was cancelled can be tried again")
    return found


def cancel(path: Path, names: tuple[str, ...]) -> None:
    """Takes runs out of a sweep, also of one that is under way.

    Raises:
      UserError: the folder holds no sweep, or the sweep has no such run, or it is finished.
    """
    story = Story(path)
    for config in [story.find(name) for name in names]:
        if (state := story.state(config)) in FINISHED:
            raise UserError(f"{config.name} is {state}: there is nothing to cancel")
        story.workdir.run(config).cancel()
