"""A job: a group of runs that share compiled programs, done one after the other by one worker.

The coordinator writes `job.json`; the worker finds all that it needs in the job's folder, so it outlives its coordinator and a
new coordinator finds it again.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import UserError
from bench.points import KINDS, Config, Execution
from bench.records.atomic import read_json, write_json
from sweeps.layout import Workdir

FILE = "job.json"


class Settings(NamedTuple):
    """How a sweep's runs are done. None of it changes results beyond rounding.

    Attributes:
      checkpoint_seconds: least time between two checkpoints of a run.
      execution: how programs are compiled and placed.
      lanes: how many runs of a job train as one program: `auto` (a probe decides) or a number.
      hosts: processes that train a run together.
      track: where metrics go besides each attempt's `metrics.csv`.
    """

    checkpoint_seconds: float = 30.0
    execution: Execution = Execution()
    lanes: str = "auto"
    hosts: int = 1
    track: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return {**self._asdict(), "execution": self.execution._asdict()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Settings:
        """Returns the settings that `to_dict` gave."""
        return cls(**{**value, "execution": Execution(**value["execution"]), "track": tuple(value["track"])})


@dataclass(frozen=True)
class Job:
    """A group of runs.

    Attributes:
      workdir: of the sweep.
      configs: the runs, in the order in which they are done.
      settings: how they are done.
    """

    workdir: Workdir
    configs: tuple[Config, ...]
    settings: Settings = Settings()

    @cached_property
    def id(self) -> str:
        """Returns the job's name: the same group is the same job, also for another coordinator."""
        text = "\n".join(c.digest for c in self.configs)
        return f"{self.configs[0].kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def folder(self) -> Path:
        """Returns the job's folder."""
        return self.workdir.jobs / self.id

    def write(self) -> None:
        """Writes `job.json`, unless it is there with the same settings."""
        configs = [{"kind": c.kind, "name": c.name, "digest": c.digest, "config": c.to_dict()} for c in self.configs]
        value = {"configs": configs, "settings": self.settings.to_dict()}
        if not write_json(self.folder / FILE, value, exclusive=True):
            write_json(self.folder / FILE, value)

    @classmethod
    def read(cls, folder: Path) -> Job:
        """Reads a job from its folder, which lies in `WORKDIR/jobs`.

        Raises:
          UserError: the code has changed since the coordinator wrote the job.
        """
        value = read_json(folder / FILE)
        configs = tuple(KINDS[c["kind"]].from_dict(c["config"]) for c in value["configs"])
        for config, planned in zip(configs, value["configs"], strict=True):
            if config.digest != planned["digest"]:
                raise UserError(
                    f"{config.name} was planned under digest {planned['digest']}, but is now {config.digest}: the code changed"
                    " while the sweep ran; start it again in another --workdir"
                )
        return cls(Workdir(folder.parent.parent), configs, Settings.from_dict(value["settings"]))

    def clean(self) -> None:
        """Removes the checkpoints of groups that trained as lanes; a finished job needs none."""
        for folder in self.folder.glob("lanes-*/attempts/*/checkpoints"):
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def members(folder: Path) -> list[tuple[str, str]]:
        """Returns name and digest of every run of the job in a folder, without building their configs."""
        return [(c["name"], c["digest"]) for c in read_json(folder / FILE)["configs"]]
