"""The states of a run, and what is counted of a sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.points import Config

WAITING, RUNNING, DONE, DIVERGED, PRUNED, FAILED, CANCELLED = STATES = (
    "waiting",
    "running",
    "done",
    "diverged",
    "pruned",
    "failed",
    "cancelled",
)
# What has a record, and what will not change by itself.
FINISHED = frozenset({DONE, DIVERGED, PRUNED})
SETTLED = FINISHED | {FAILED, CANCELLED}
# In the order in which they are done.
KINDS = ("upstream", "probe", "transfer")


def of_record(status: str) -> str:
    """Returns the state of a run whose record has this status."""
    return DONE if status == "ok" else status


@dataclass
class Status:
    """Where a sweep stands.

    Attributes:
      states: number of runs by kind and state.
      named: names of the runs that are diverged, pruned, failed or cancelled, in the order in which that was seen.
      workers: returns what every live launch reported last.
      note: what holds the sweep up, "" where nothing does.
      unknown: upstream runs that a search may still propose.
    """

    states: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})
    named: dict[str, list[str]] = field(default_factory=lambda: {s: [] for s in STATES if s not in (WAITING, RUNNING, DONE)})
    workers: Callable[[], list[dict[str, Any]]] = list
    note: str = ""
    unknown: int = 0

    def count(self, config: Config, state: str, before: str | None = None) -> None:
        """Counts a run, or its step from one state to another."""
        if before is not None:
            self.states[config.kind][before] -= 1
            if before in self.named:
                self.named[before].remove(config.name)
        self.states[config.kind][state] += 1
        if state in self.named:
            self.named[state].append(config.name)

    @property
    def runs(self) -> dict[str, int]:
        """Returns the number of runs by kind, those included that a search may still propose."""
        return {kind: counts.total() + (self.unknown if kind == "upstream" else 0) for kind, counts in self.states.items()}

    @property
    def done(self) -> dict[str, int]:
        """Returns the number of runs with a record by kind."""
        return {kind: sum(counts[s] for s in FINISHED) for kind, counts in self.states.items()}

    @property
    def diverged(self) -> list[str]:
        """Returns the names of diverged runs."""
        return self.named[DIVERGED]

    @property
    def complete(self) -> bool:
        """Returns whether every run has its record."""
        return self.done == self.runs

    def summary(self) -> str:
        """Returns one line: `32/32 upstream, 256/256 transfer, 1 diverged`."""
        counts = ", ".join(f"{self.done[kind]}/{of} {kind}" for kind, of in self.runs.items() if of)
        rest = [f", {len(names)} {state}" for state, names in self.named.items() if names]
        return counts + "".join(rest)
