"""The coordinator of a sweep: decides what runs next, hands it to an executor, accepts what is committed.

It alone writes the study and publishes records. It keeps nothing that a crash could lose: a new one reads the records, adopts
the launches that are still alive, and launches the rest again in the same groups. It trusts no wall clock, and what it does at
each turn depends on what has changed, not on the size of the sweep.
"""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError
from bench.points import Config
from bench.records.record import Record
from sweeps import follow
from sweeps.board import Board, Group
from sweeps.budget import Spending
from sweeps.clock import Clock
from sweeps.executors import Executor
from sweeps.grouping import Program, jobs_of, programs_of
from sweeps.growth import claim
from sweeps.job import FILE, Job, Settings
from sweeps.launch import FAILED, Launch
from sweeps.layout import Workdir
from sweeps.limits import Limits
from sweeps.lock import Lock
from sweeps.projected import Projected
from sweeps.search.proposals import Proposals
from sweeps.space import Sweep
from sweeps.states import CANCELLED, PRUNED, RUNNING, WAITING, Status, of_record
from sweeps.states import FAILED as FAILED_RUN
from sweeps.study import Study

POLL_SECONDS = 0.3
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class _Active:
    launch: Launch
    beat: int = -1
    heard: float = 0.0
    done: int = -1


class Coordinator:
    """Runs a sweep to its end.

    Args:
      sweep: what to run.
      workdir: where; one coordinator at a time.
      executor: what places the workers.
      settings: of the jobs.
      limits: when to give up.
      clock: monotonic seconds.
      study: returns what follows the sweep under a name; studies in the folder's SQLite file by default.
      spending: what keeps within a limit of cost; None for no limit.

    Attributes:
      said: what has become of the sweep since the folder began, "" where nothing has.

    Raises:
      UserError: another coordinator holds the folder, or it belongs to another sweep.
    """

    def __init__(
        self,
        sweep: Sweep,
        workdir: Workdir,
        executor: Executor,
        settings: Settings = Settings(),
        limits: Limits = Limits(),
        clock: Clock = Clock(),
        study: Callable[[str], Projected] | None = None,
        spending: Spending | None = None,
    ) -> None:
        me = f"process {os.getpid()} on {platform.node()}"
        self._lock = Lock.require(workdir.path / "coordinator.lock", me)
        try:
            self._follow = follow.start(sweep)  # first: a rule that cannot be kept is no reason to claim the folder
            name, self.said = claim(workdir, sweep)
            if workdir.about().get("failures") != limits.failures:
                workdir.remember({**workdir.about(), "failures": limits.failures})  # for whoever asks how runs stand
            self._sweep, self._workdir, self._executor = sweep, workdir, executor
            self._settings, self._limits, self._clock = settings, limits, clock
            self._status = Status(workers=self._reports)
            self._board = Board(self._status)
            self._active: dict[str, _Active] = {}
            self._errors: dict[str, str] = {}
            self._full = ""
            self._spending = spending
            self._study = study(name) if study else Study(f"sqlite:///{workdir.path / 'study.db'}", sweep, name)
            self._proposals = None if sweep.search is None else Proposals.of(sweep, workdir)
            if self._proposals:
                self._study.follow(self._proposals.params)
            self._following: list[Config] = []
            self._loose: list[Config] = []
            self._take(self._proposals.configs if self._proposals else self._follow.begin())
            self._form()
            while self._following:
                self._take_what_follows()
                self._form()
            self._propose()
            self._status.note = self._study.flush()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives the folder up; another coordinator may have it."""
        self._lock.release()

    def status(self) -> Status:
        """Returns where the sweep stands."""
        return self._status

    def decided(self) -> list[str]:
        """Returns what has been decided by results, for people."""
        return self._follow.lines()

    def _reports(self) -> list[dict[str, Any]]:
        return [p for a in self._active.values() if (p := a.launch.progress())]

    # The loop

    def run(self, show: Callable[[Status], None]) -> None:
        """Launches, accepts and relaunches until nothing more can be done.

        Args:
          show: called after every turn.

        Raises:
          UserError: runs failed, or wait for ones that did; everything else is finished first.
          KeyboardInterrupt: passed on after all workers have checkpointed and left.
        """
        try:
            self._launch()
            while self._active or self._board.ready or self._full:
                self._status.note = self._study.flush() or self._full
                show(self.status())
                self._full = ""
                changed = self._executor.wait(POLL_SECONDS)
                self._obey()
                self._collect(changed)
                self._launch()
            self._status.note = self._study.flush()
            show(self.status())
        except KeyboardInterrupt:
            self._interrupt()
            raise
        finally:
            self.close()
        self._complain()

    def _collect(self, changed: Iterable[Launch] | None) -> None:
        chosen = list(self._active) if changed is None else [launch.attempt for launch in changed]
        for attempt in chosen:
            active = self._active.get(attempt)
            if active is None:
                continue
            alive = self._executor.alive(active.launch)  # asked before the records: none that is written in between is missed
            try:
                self._hear(active, alive)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                self._full = "the disk is full: waiting for space"
                continue
            if not alive:
                self._end(active)
            elif active.beat < 0 and not active.launch.lock.exists():
                active.heard = self._clock.now()  # it waits for a place, and has nothing to say
            elif self._clock.now() - active.heard > self._limits.silence:
                self._fence(active, f"no sign of life for {self._limits.silence:g} s")

    def _hear(self, active: _Active, alive: bool) -> None:
        """Takes in what a launch has reported and committed."""
        report = active.launch.progress()
        if report and report["beat"] != active.beat:
            active.beat, active.heard = report["beat"], self._clock.now()
            if report["step"] or any(c["program"].startswith("train step") for c in report["compiled"]):
                self._board.open(self._group(active.launch).program)
            for name in self._proposals.decide(report) if self._proposals else ():
                if name not in active.launch.dropped():
                    active.launch.drop(name, PRUNED)
        done = report["done"] if report else 0
        if done != active.done or not alive:
            self._accept(active.launch)
            active.done = done

    def _accept(self, launch: Launch) -> None:
        """Publishes what a launch has committed, and counts what failed."""
        group = self._group(launch)
        if launch.fenced:
            return
        for config in list(group.pending.values()):
            run = self._workdir.run(config)
            record = run.accept(launch.attempt)
            if record is not None:
                run.clean()
                self._settle(config, of_record(record.status), record)
            elif run.failed(launch.attempt):
                self._judge_run(config)
        if not group.pending:
            group.job.clean()

    def _judge_run(self, config: Config) -> None:
        failures = self._workdir.run(config).failures()
        if self._limits.given_up(failures):
            self._fail(config, failures[-1]["error"])

    # What becomes of points and jobs

    def _group(self, launch: Launch) -> Group:
        return self._board.groups[launch.job.id]

    def _take(self, points: Iterable[Config]) -> None:
        """Takes points in and accepts what is finished."""
        fresh = list(points)
        for config in fresh:
            self._board.take(config)
        self._loose += fresh
        begun = self._workdir.begun()
        for config in (c for c in fresh if c.name in begun):
            record = self._workdir.run(config).record()
            if record is not None:
                self._settle(config, of_record(record.status), record)
            else:
                self._judge_run(config)
        self._obey()

    def _form(self) -> None:
        """Groups the points that belong to no job yet; adopts what is alive of jobs that were formed before."""
        groups = [self._board.form(job) for job in self._known_jobs()]
        device = self._executor.describe().device
        groups += map(self._board.form, jobs_of(self._board.ungrouped(self._loose), self._workdir, self._settings, device))
        self._loose = []
        for group in groups:
            self._adopt(group)
            self._board.queue(group)

    def _known_jobs(self) -> Iterator[Job]:
        """Yields the unfinished jobs of an earlier coordinator: its groups stay as they were."""
        for folder in sorted(p.parent for p in self._workdir.jobs.glob(f"*/{FILE}")):
            if folder.name in self._board.groups:
                continue
            members = Job.members(folder)
            found = [self._board.points.get(name) for name, _ in members]
            configs = tuple(c for c, (_, digest) in zip(found, members, strict=True) if c is not None and c.digest == digest)
            free = len(configs) == len(members) and not any(map(self._board.grouped, configs))
            if free and not all(self._board.settled(c.name) for c in configs):
                yield Job(self._workdir, configs, self._settings)

    def _adopt(self, group: Group) -> None:
        """Takes over the launches of an earlier coordinator: what they have committed counts, and one that is alive goes on."""
        for launch in Launch.all(group.job):
            if launch.fenced:
                continue
            alive = self._executor.alive(launch)
            self._accept(launch)
            if alive and (group.launched or not group.pending):
                launch.fence("another launch of its job is at work, or nothing is left to do")
                self._executor.kill(launch)
            elif alive:
                self._watch(group, launch)

    def _watch(self, group: Group, launch: Launch) -> None:
        group.launched = True
        if self._spending:
            self._spending.launched(launch.attempt, group.pending.values())
        self._active[launch.attempt] = _Active(launch, heard=self._clock.now())
        for config in group.pending.values():
            self._board.move(config, RUNNING)
            self._study.started(config)

    def _settle(self, config: Config, state: str, record: Record | None = None) -> None:
        """Ends a point, whichever way."""
        if record is not None:
            self._board.compiled.add(programs_of(config))
            if self._proposals is None:
                self._study.accept(record)
            else:
                for each, value in self._proposals.tell(record):
                    self._study.accept(each, value)
        self._board.settle(config, state)
        self._following += self._follow.settled(config, record)

    def _take_what_follows(self) -> None:
        """Takes in points that follow from results, which may be finished themselves, by an earlier coordinator."""
        while self._following:
            new, self._following = self._following, []
            self._take(config for config in new if config.name not in self._board.points)

    def _fail(self, config: Config, error: str) -> None:
        self._errors[config.name] = error
        self._settle(config, FAILED_RUN)

    def _end(self, active: _Active) -> None:
        """Judges a launch that is over."""
        launch = active.launch
        group = self._leave(active)
        outcome = launch.outcome()
        if outcome and outcome["status"] == FAILED:
            for config in list(group.pending.values()):
                self._fail(config, f"{outcome['error']} (its log is {launch.log})")
        elif group.pending and not any(self._workdir.run(c).failed(launch.attempt) for c in group.pending.values()):
            self._lose(group, launch)
        self._board.queue(group)

    def _leave(self, active: _Active) -> Group:
        del self._active[active.launch.attempt]
        group = self._group(active.launch)
        group.launched = False
        for config in group.pending.values():
            self._board.move(config, WAITING)
        self._board.release(group.program)
        if self._spending:
            report = active.launch.progress()
            self._spending.ended(active.launch.attempt, sum(report["seconds"].values()) if report else 0.0, group.pending)
            # What was left out for its cost may fit now: what launches cost is known better after every one.
            self._board.reconsider()
        return group

    def _lose(self, group: Group, launch: Launch) -> None:
        report = launch.progress()
        group.lose(report["step"] if report else 0)
        if group.losses > self._limits.losses:
            error = f"its worker was lost {group.losses} times without getting further; its log is {launch.log}"
            for config in list(group.pending.values()):
                self._fail(config, error)

    def _fence(self, active: _Active, why: str) -> None:
        active.launch.fence(why)
        self._executor.kill(active.launch)
        group = self._leave(active)
        self._lose(group, active.launch)
        self._board.queue(group)

    # What runs next

    def _compiling(self, program: Program) -> bool:
        """Returns whether a live launch is about to compile the programs, which others can then load."""
        return any(self._group(a.launch).program == program for a in self._active.values())

    def _allowed(self, group: Group) -> bool:
        return self._spending is None or self._spending.allows(group.pending.values())

    def _propose(self) -> None:
        """Takes in new points of a search, each a job of its own, as many as can run."""
        if self._proposals is None:
            return
        counts = self._status.states["upstream"]
        while counts[WAITING] + counts[RUNNING] < self._executor.capacity():
            try:
                config = self._proposals.next()
            except OSError as error:
                if error.errno not in FULL:
                    raise
                self._full = "the disk is full: waiting for space"
                break
            if config is None:
                break
            if config.name not in self._board.points:  # else it was proposed before a restart
                self._take((config,))
                self._form()
        self._status.unknown = self._proposals.total - len(self._board.points)

    def _launch(self) -> None:
        self._take_what_follows()
        self._propose()
        if self._loose and not self._board.ready and len(self._active) < self._executor.capacity():
            self._form()  # what follows is gathered until there is a place for it: few jobs, each of many runs
        while len(self._active) < self._executor.capacity():
            group = self._board.next(self._compiling, self._allowed)
            if group is None:
                return
            try:
                group.job.write()
                launch = Launch.new(group.job)
                self._executor.launch(launch)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                self._full = "the disk is full: waiting for space"
                self._board.queue(group)
                return
            self._watch(group, launch)

    # What people want

    def _obey(self) -> None:
        """Takes notice of runs that somebody has cancelled."""
        for name in self._workdir.called_off():
            config = self._board.points.get(name)
            if config is None or self._board.settled(name):
                continue
            for active in self._active.values():
                if name in self._group(active.launch).pending:
                    active.launch.drop(name, CANCELLED)
            self._settle(config, CANCELLED)

    def _interrupt(self) -> None:
        for active in self._active.values():
            self._executor.interrupt(active.launch)
        deadline = self._clock.now() + 30
        while any(self._executor.alive(a.launch) for a in self._active.values()) and self._clock.now() < deadline:
            self._clock.sleep(0.1)
        for active in self._active.values():
            self._accept(active.launch)
        self._study.flush()

    def _complain(self) -> None:
        failed = [(name, self._errors.get(name, "")) for name in self._status.named[FAILED_RUN]]
        if self._spending and self._board.aside and not failed:
            left = sum(counts[WAITING] for counts in self._status.states.values())
            raise UserError(f"{self._sweep.name}: {self._spending.budget.exhausted(left)}")
        if not failed:
            return
        name, error = failed[0]
        waiting = sum(counts[WAITING] for counts in self._status.states.values())
        more = f"; {len(failed) - 1} more failed" if len(failed) > 1 else ""
        blocked = f"; {waiting} wait for runs that failed" if waiting else ""
        raise UserError(
            f"{name} failed: {error}{more}{blocked}. `augreg why {self._workdir.path} RUN` tells more,"
            f" `augreg retry {self._workdir.path}` has them tried again"
        )
