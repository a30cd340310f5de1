"""What a sweep has still to do: its points and their states, its jobs and what each of them waits for.

Bookkeeping alone: no files, no processes. Every step takes about the same time however large the sweep is.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bench.errors import UserError
from bench.points import Config, Probe, Transfer, Upstream
from sweeps.grouping import Program, programs_of
from sweeps.job import Job
from sweeps.states import CANCELLED, FAILED, FINISHED, SETTLED, WAITING, Status


def needed(config: Config) -> Upstream | None:
    """Returns the run that must be finished before another one can begin, None where there is none."""
    upstream = config.upstream if isinstance(config, Transfer | Probe) else None
    return upstream if isinstance(upstream, Upstream) else None


@dataclass(eq=False)
class Group:
    """A job and what of it is still to be done.

    Attributes:
      job: the job.
      program: of its runs.
      order: its place in the sweep.
      pending: its runs that are not settled, by name.
      waits: names of the upstream runs that must be finished first.
      furthest: the furthest that a lost launch came, and how often in a row none came further.
      launched: whether a launch is at it.
    """

    job: Job
    program: Program
    order: int
    pending: dict[str, Config]
    waits: set[str] = field(default_factory=set)
    furthest: tuple[int, int] | None = None
    losses: int = 0
    launched: bool = False

    def lose(self, step: int) -> None:
        """Counts a lost launch that came to `step`."""
        reached = (-len(self.pending), step)
        furthest = self.furthest or reached
        self.losses = self.losses + 1 if reached <= furthest else 1
        self.furthest = max(reached, furthest)


class Board:
    """The points and jobs of a sweep.

    Args:
      status: counts states.

    Attributes:
      points: all runs by name.
      groups: all jobs by their names.
      compiled: programs that some worker has compiled.
    """

    def __init__(self, status: Status) -> None:
        self._status = status
        self.points: dict[str, Config] = {}
        self.groups: dict[str, Group] = {}
        self.compiled: set[Program] = set()
        self._state: dict[str, str] = {}
        self._of: dict[str, Group] = {}
        self._dependents: dict[str, list[Group]] = defaultdict(list)
        self._ready: list[tuple[int, str]] = []
        self._held: dict[Program, list[Group]] = defaultdict(list)
        self._aside: list[Group] = []

    def take(self, config: Config) -> None:
        """Takes a point in.

        Raises:
          UserError: there is one of that name.
        """
        if config.name in self.points:
            raise UserError(f"two points of one name: {config.name}")
        self.points[config.name], self._state[config.name] = config, WAITING
        self._status.count(config, WAITING)

    def state(self, name: str) -> str:
        """Returns the state of a point."""
        return self._state[name]

    def settled(self, name: str) -> bool:
        """Returns whether a point will not change by itself any more."""
        return self._state[name] in SETTLED

    def move(self, config: Config, state: str) -> None:
        """Puts a point into another state."""
        self._status.count(config, state, self._state[config.name])
        self._state[config.name] = state

    def ungrouped(self, configs: Iterable[Config]) -> list[Config]:
        """Returns those that are to be run, can be, and belong to no job yet."""
        return [c for c in configs if c.name not in self._of and not self.settled(c.name) and not self._blocked(c)]

    def grouped(self, config: Config) -> bool:
        """Returns whether a point belongs to a job."""
        return config.name in self._of

    def form(self, job: Job, order: int | None = None) -> Group:
        """Takes a job in; `order` is its place, after all others by default."""
        pending = {c.name: c for c in job.configs if not self.settled(c.name)}
        group = Group(job, programs_of(job.configs[0]), len(self.groups) if order is None else order, pending)
        self.groups[job.id] = group
        for config in job.configs:
            self._of[config.name] = group
            upstream = needed(config)
            if upstream and self._open(name := upstream.name) and name not in group.waits:
                self._dependents[name].append(group)
                group.waits.add(name)
        return group

    def _open(self, name: str) -> bool:
        return name in self._state and not self.settled(name)

    def settle(self, config: Config, state: str) -> None:
        """Ends a point, whichever way: jobs that waited for it go on, or are formed anew without what needs it."""
        self.move(config, state)
        if group := self._of.get(config.name):
            group.pending.pop(config.name, None)
        for group in self._dependents.pop(config.name, []):
            if state in FINISHED:
                group.waits.discard(config.name)
                self.queue(group)
            else:
                self._part(group, config)

    def _part(self, group: Group, upstream: Config) -> None:
        del self.groups[group.job.id]  # nothing of it has been launched: it waited
        for name in group.waits - {upstream.name}:
            self._dependents[name].remove(group)
        for config in group.job.configs:
            self._of.pop(config.name, None)
        if rest := tuple(c for c in group.pending.values() if not self._blocked(c)):
            self.queue(self.form(Job(group.job.workdir, rest, group.job.settings), group.order))

    def _blocked(self, config: Config) -> bool:
        """Returns whether a run needs another one that failed or was cancelled."""
        upstream = needed(config)
        return upstream is not None and self._state.get(upstream.name) in (FAILED, CANCELLED)

    # What runs next

    def queue(self, group: Group) -> None:
        """Has a job launched when its turn comes, if it can be and something of it is left to do."""
        if group.pending and not group.waits and not group.launched:
            heapq.heappush(self._ready, (group.order, group.job.id))

    @property
    def ready(self) -> bool:
        """Returns whether some job waits for nothing but a place."""
        return bool(self._ready)

    def next(self, compiling: Callable[[Program], bool], allowed: Callable[[Group], bool]) -> Group | None:
        """Returns the next job to launch, None where there is none.

        Args:
          compiling: whether a live launch is about to compile programs; jobs that can then load them wait until `open`.
          allowed: whether a job may be launched; one that may not is set aside until `reconsider`.
        """
        while self._ready:
            _, name = heapq.heappop(self._ready)
            group = self.groups.get(name)
            if group is None or group.launched or not group.pending or group.waits:
                continue
            if group.program not in self.compiled and compiling(group.program):
                self._held[group.program].append(group)
            elif not allowed(group):
                self._aside.append(group)
            else:
                return group
        return None

    def open(self, program: Program) -> None:
        """Notes that programs are compiled: jobs that waited for it go on."""
        self.compiled.add(program)
        self.release(program)

    def release(self, program: Program) -> None:
        """Lets jobs go that waited for somebody to compile their programs, who may have died over it."""
        for group in self._held.pop(program, []):
            self.queue(group)

    def reconsider(self) -> None:
        """Lets jobs go that were not allowed."""
        aside, self._aside = self._aside, []
        for group in aside:
            self.queue(group)

    @property
    def aside(self) -> int:
        """Returns how many jobs were not allowed."""
        return len(self._aside)
