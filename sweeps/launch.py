"""A launch: one attempt of one or more processes at a job, with a folder of its own.

Whatever a launch writes lies in folders that bear its number. One that was stopped and wakes up after the coordinator has given
it up can therefore disturb nobody: it is fenced, and nothing of it is accepted any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records.atomic import read_json, write, write_json
from sweeps.job import Job

DONE, PREEMPTED, FAILED = "done", "preempted", "failed"
_START, _LOCK, _PROGRESS, _OUTCOME, _FENCED, _DROP, _LOG = (
    "launch.json",
    "lock",
    "progress.json",
    "outcome.json",
    "fenced",
    "drop.json",
    "worker.log",
)


@dataclass(frozen=True)
class Launch:
    """The `number`-th launch of a job, counted from 1."""

    job: Job
    number: int

    @classmethod
    def all(cls, job: Job) -> list[Launch]:
        """Returns all launches of a job, oldest first."""
        return [cls(job, int(p.name)) for p in sorted(job.folder.glob("[0-9]*")) if p.name.isdigit()]

    @classmethod
    def new(cls, job: Job) -> Launch:
        """Makes the folder of the next launch of a job."""
        number = max((each.number for each in cls.all(job)), default=0) + 1
        launch = cls(job, number)
        launch.folder.mkdir(parents=True)
        write_json(launch.folder / _START, {"number": number})
        return launch

    @classmethod
    def read(cls, folder: Path) -> Launch:
        """Returns the launch of a folder; raises `UserError` as `Job.read` does."""
        return cls(Job.read(folder.parent), int(folder.name))

    @property
    def folder(self) -> Path:
        """Returns the launch's folder."""
        return self.job.folder / f"{self.number:04d}"

    @property
    def attempt(self) -> str:
        """Returns the name of its attempts at runs."""
        return f"{self.job.id}.{self.number:04d}"

    @property
    def lock(self) -> Path:
        """Returns the file that a live worker holds locked."""
        return self.folder / _LOCK

    @property
    def log(self) -> Path:
        """Returns the file that takes what its processes print."""
        return self.folder / _LOG

    @property
    def fenced(self) -> bool:
        """Returns whether the coordinator has given it up."""
        return (self.folder / _FENCED).exists()

    def fence(self, why: str) -> None:
        """Gives the launch up, durably: nothing that it commits from now on is accepted."""
        write(self.folder / _FENCED, lambda file: file.write(f"{why}\n".encode()))

    def why_fenced(self) -> str:
        """Returns why it was given up."""
        return (self.folder / _FENCED).read_text().strip() if self.fenced else ""

    def finish(self, status: str, error: str = "") -> None:
        """Notes how it ended: `done`, `preempted` or `failed` with the error's one line."""
        write_json(self.folder / _OUTCOME, {"status": status, "error": error})

    def outcome(self) -> dict[str, Any] | None:
        """Returns how it ended, None where it was killed before it could say, or has not ended."""
        path = self.folder / _OUTCOME
        return read_json(path) if path.exists() else None

    def report(self, value: dict[str, Any]) -> None:
        """Notes how far it is; may be lost."""
        write_json(self.folder / _PROGRESS, value, durable=False)

    def progress(self) -> dict[str, Any] | None:
        """Returns what it reported last."""
        path = self.folder / _PROGRESS
        return read_json(path) if path.exists() else None

    def drop(self, name: str, why: str) -> None:
        """Asks the worker to end a run before its time: `cancelled` or `pruned`."""
        write_json(self.folder / _DROP, {**self.dropped(), name: why})

    def dropped(self) -> dict[str, str]:
        """Returns the runs that the worker shall end before their time, and why."""
        path = self.folder / _DROP
        return read_json(path) if path.exists() else {}
