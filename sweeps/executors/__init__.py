"""Executors place jobs: one small protocol, one module an executor."""

from __future__ import annotations

from typing import Protocol

from sweeps.job import Job


class Executor(Protocol):
    """What the coordinator needs of whatever runs workers.

    A worker is known by its job's lock alone, so an executor keeps nothing that a crash could lose.
    """

    def capacity(self) -> int:
        """Returns how many jobs can run at once."""
        ...

    def launch(self, job: Job) -> None:
        """Starts a worker for a job whose `job.json` is written; its lock is held before this returns."""
        ...

    def interrupt(self, job: Job) -> None:
        """Asks the job's worker to checkpoint and leave; does not wait."""
        ...
