"""Executors place launches: one small protocol, one module an executor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from sweeps.launch import Launch


class Capabilities(NamedTuple):
    """What an executor can do.

    Attributes:
      name: as on the command line.
      slots: jobs at once.
      device: kind of device of a worker, `cpu` or an accelerator's.
    """

    name: str
    slots: int
    device: str = "cpu"


class Executor(Protocol):
    """What the coordinator needs of whatever runs workers.

    An executor remembers nothing that a crash could lose: what it must know of a launch lies in the launch's folder.
    """

    def capacity(self) -> int:
        """Returns how many jobs can run at once."""
        ...

    def launch(self, launch: Launch) -> None:
        """Starts a launch; it is alive before this returns."""
        ...

    def alive(self, launch: Launch) -> bool:
        """Returns whether some process of a launch may still write."""
        ...

    def interrupt(self, launch: Launch) -> None:
        """Asks a launch to checkpoint and leave; does not wait."""
        ...

    def kill(self, launch: Launch) -> None:
        """Ends a launch as far as possible; does not wait."""
        ...

    def wait(self, seconds: float) -> Iterable[Launch] | None:
        """Waits at most `seconds`, less where something changes; returns which launches changed, None where it may be any."""
        ...

    def describe(self) -> Capabilities:
        """Returns what it can do."""
        ...
