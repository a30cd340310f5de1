"""What follows a sweep from the outside, and never decides anything: a study, or whatever else is told what happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bench.points import Config
from bench.records.record import Record


class Projected(Protocol):
    """What the coordinator tells about runs: a study, or whatever else follows a sweep."""

    def follow(self, params: Callable[[Config], Mapping[str, Any]]) -> None:
        """Learns at which values of a search's axes a run was proposed."""
        ...

    def started(self, config: Config) -> None:
        """Notes that a run is under way."""
        ...

    def accept(self, record: Record, value: float | None = None) -> None:
        """Notes a finished run, and of a search what it is worth."""
        ...

    def flush(self) -> str:
        """Writes what is to be written; returns what is in the way, "" for nothing."""
        ...
