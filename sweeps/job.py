"""A job: a group of runs that share compiled programs, done one after the other by one worker.

The coordinator writes `job.json`, the worker everything else; both know a job by its folder alone, so a worker outlives its
coordinator and a new coordinator finds it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.points import KINDS, Config, Execution
from bench.records.atomic import read_json, write_json
from sweeps.layout import Workdir
from sweeps.lock import Lock

OUTCOME = "outcome.json"


def finish(folder: Path, status: str, error: str = "") -> None:
    """Writes into a job's folder how its worker ended: `done`, `preempted` or `failed` with the error's one line."""
    write_json(folder / OUTCOME, {"status": status, "error": error})


@dataclass(frozen=True)
class Job:
    """A group of runs.

    Attributes:
      workdir: of the sweep.
      configs: the runs, in the order in which they are done.
      checkpoint_seconds: least time between two checkpoints of a run.
      execution: how its programs are compiled and placed.
    """

    workdir: Workdir
    configs: tuple[Config, ...]
    checkpoint_seconds: float
    execution: Execution = Execution()

    @property
    def id(self) -> str:
        """Returns the job's name: the same group is the same job, also for another coordinator."""
        text = "\n".join(c.digest for c in self.configs)
        return f"{self.configs[0].kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def folder(self) -> Path:
        """Returns the job's folder."""
        return self.workdir.jobs / self.id

    @property
    def lock(self) -> Path:
        """Returns the file that a live worker holds locked."""
        return self.folder / "lock"

    @property
    def alive(self) -> bool:
        """Returns whether a worker is at it."""
        return Lock.held(self.lock)

    def write(self) -> None:
        """Writes `job.json` and forgets the outcome of an earlier worker."""
        configs = [{"kind": c.kind, "digest": c.digest, "config": c.to_dict()} for c in self.configs]
        settings = {"checkpoint_seconds": self.checkpoint_seconds, "execution": self.execution._asdict()}
        write_json(self.folder / "job.json", {"configs": configs, **settings})
        (self.folder / OUTCOME).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> Job:
        """Reads a job from its folder, which lies in `WORKDIR/jobs`.

        Raises:
          UserError: the code has changed since the coordinator wrote the job.
        """
        value = read_json(folder / "job.json")
        configs = tuple(KINDS[c["kind"]].from_dict(c["config"]) for c in value["configs"])
        for config, planned in zip(configs, value["configs"], strict=True):
            if config.digest != planned["digest"]:
                raise UserError(
                    f"{config.name} was planned under digest {planned['digest']}, but is now {config.digest}: the code changed"
                    " while the sweep ran; start it again in another --workdir"
                )
        return cls(Workdir(folder.parent.parent), configs, value["checkpoint_seconds"], Execution(**value["execution"]))

    def outcome(self) -> dict[str, Any] | None:
        """Returns how the last worker ended, None where it was killed before it could say."""
        path = self.folder / OUTCOME
        return read_json(path) if path.exists() else None

    def progress(self) -> Sequence[dict[str, Any]]:
        """Returns what every worker of this job reported last, oldest first."""
        return [read_json(p) for p in sorted(self.folder.glob("progress-*.json"))]
