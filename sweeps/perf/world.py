"""A simulated fleet of preemptible slices that drives the real coordinator, its files included, in virtual time."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.points import Config, Transfer, Upstream
from bench.records.record import Cost, Measurement, Record
from sweeps.clock import Clock
from sweeps.executors import Capabilities
from sweeps.launch import DONE, Launch


def made(config: Config, attempt: str, seconds: float = 1.0) -> Record:
    """Returns the record of a run that nobody has trained."""
    splits = (("val", 12_812), ("test", 50_000))
    assert isinstance(config, Upstream | Transfer)
    return Record(
        config=config,
        status="ok",
        measurements=tuple(Measurement(split, "accuracy", n, 0.5, 1) for split, n in splits),
        params=1,
        data={"train": 1_268_355, "val": 12_812, "test": 50_000, "fingerprint": "0" * 16},
        device="simulated",
        code_version="0",
        cost=Cost(train_seconds=seconds, steps=1, images=1, attempt=attempt),
    )


class Terms(NamedTuple):
    """What the fleet is like; all times in seconds.

    Attributes:
      slices: jobs at once.
      between: mean time between two preemptions of a busy slice, exponentially distributed.
      restart: from a launch to its first step: a new machine, imports, programs, the checkpoint.
      checkpoints: between two of a run.
    """

    slices: int = 1000
    between: float = 6 * 3600.0
    restart: float = 120.0
    checkpoints: float = 300.0


@dataclass
class _Slice:
    launch: Launch
    began: float
    runs: list[Config] = field(default_factory=list)
    done: int = 0
    training: Config | None = None
    since: float = 0.0


class World(Clock):
    """Clock and executor in one: waiting for something to change takes the clock to when it does.

    A preempted launch is gone at once, without a word, and the seconds since its run's last checkpoint with it.

    Args:
      terms: of the fleet.
      seconds: returns how long a run trains.
      seed: of the preemptions.

    Attributes:
      preemptions: how many there were.
      useful: seconds of training that ended in a record or in a checkpoint.
      lost: seconds of training that were lost.
      starting: seconds from launches to first steps.
    """

    def __init__(self, terms: Terms, seconds: Callable[[Config], float], seed: int = 0) -> None:
        self.terms, self._seconds = terms, seconds
        self._random = random.Random(seed)
        self._now = 0.0
        self._events: list[tuple[float, int, str, str]] = []
        self._numbers: Iterator[int] = itertools.count()
        self._busy: dict[str, _Slice] = {}
        self._saved: dict[str, float] = {}
        self.preemptions = 0
        self.useful = self.lost = self.starting = 0.0

    def now(self) -> float:
        """Returns virtual seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Advances the clock."""
        self._now += seconds

    def capacity(self) -> int:
        """Returns the number of slices."""
        return self.terms.slices

    def describe(self) -> Capabilities:
        """Returns what the fleet is."""
        return Capabilities("simulated", self.terms.slices, "tpu-v4")

    def alive(self, launch: Launch) -> bool:
        """Returns whether a launch has its slice."""
        return launch.attempt in self._busy

    def interrupt(self, launch: Launch) -> None:
        """Takes the slice away."""
        self._busy.pop(launch.attempt, None)

    kill = interrupt

    def launch(self, launch: Launch) -> None:
        """Gives a slice to a launch."""
        workdir = launch.job.workdir
        runs = [c for c in launch.job.configs if workdir.run(c).record() is None]
        self._busy[launch.attempt] = _Slice(launch, self._now, runs)
        self._at(self.terms.restart, "start", launch.attempt)
        self._at(self._random.expovariate(1 / self.terms.between), "preempt", launch.attempt)

    def _at(self, seconds: float, what: str, attempt: str) -> None:
        heapq.heappush(self._events, (self._now + seconds, next(self._numbers), what, attempt))

    def wait(self, seconds: float) -> list[Launch]:
        """Goes to the next moment at which something changes, and on for `seconds`; returns the launches that changed."""
        changed: dict[str, Launch] = {}
        until = None
        while self._events and (until is None or self._events[0][0] <= until):
            self._now, _, what, attempt = heapq.heappop(self._events)
            if attempt in self._busy:
                until = self._now + seconds if until is None else until
                changed[attempt] = self._busy[attempt].launch
                getattr(self, f"_{what}")(self._busy[attempt])
        return list(changed.values())

    def _start(self, at: _Slice) -> None:
        self.starting += self._now - at.began
        self._report(at, 1)
        self._next(at)

    def _next(self, at: _Slice) -> None:
        if at.done == len(at.runs):
            at.launch.finish(DONE)
            del self._busy[at.launch.attempt]
            return
        at.training, at.since = at.runs[at.done], self._now
        left = self._seconds(at.training) - self._saved.get(at.training.name, 0.0)
        self._at(left, "end", at.launch.attempt)

    def _end(self, at: _Slice) -> None:
        assert at.training is not None
        run, whole = at.launch.job.workdir.run(at.training), self._seconds(at.training)
        self.useful += whole - self._saved.pop(at.training.name, 0.0)
        record = made(at.training, at.launch.attempt, whole)
        record.commit(run.claim(at.launch.attempt))
        at.done += 1
        self._report(at, 1)
        self._next(at)

    def _preempt(self, at: _Slice) -> None:
        self.preemptions += 1
        if at.training is None:
            self.starting += self._now - at.began
        else:
            trained = self._now - at.since
            kept = trained // self.terms.checkpoints * self.terms.checkpoints
            self.useful += kept
            self.lost += trained - kept
            self._saved[at.training.name] = self._saved.get(at.training.name, 0.0) + kept
            self._report(at, int(self._saved[at.training.name]))
        del self._busy[at.launch.attempt]

    def _report(self, at: _Slice, step: int) -> None:
        name = at.training.name if at.training else ""
        beat = int(self._now * 1000)
        whole = {"kind": at.launch.job.configs[0].kind, "run": name, "steps": 0, "values": [], "runs": len(at.runs)}
        at.launch.report({**whole, "step": step, "done": at.done, "beat": beat, "pid": 0, "seconds": {}, "compiled": []})
