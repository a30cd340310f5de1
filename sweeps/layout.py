"""Where a sweep keeps what: the one place that knows the names of its files and folders.

WORKDIR/
  sweep.json            which sweep this folder belongs to
  coordinator.lock      held by the one coordinator
  study.db              the Optuna study, a projection of the records
  runs/NAME/            one folder a run
    config.json         the config and its digest; written once
    attempt-0001/       what one attempt wrote: checkpoints/, weights.npz
    record.json         the committed record; written once
  jobs/ID/              one folder a group of runs that a worker does one after the other
    job.json lock outcome.json progress-0001.json worker.log
  cache/                compiled programs
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UserError
from bench.points import Config
from bench.records.atomic import read_json, write_json
from bench.records.record import FILE as RECORD
from bench.records.record import Record, read_record


class Run:
    """The folder of one run."""

    def __init__(self, workdir: Path, config: Config) -> None:
        self.config = config
        self.folder = workdir / "runs" / config.name

    def claim(self) -> Path:
        """Writes the config, or checks that it is the one already there, and makes the folder of a new attempt.

        Raises:
          UserError: the folder belongs to another config of the same name.
        """
        path = self.folder / "config.json"
        mine = {"digest": self.config.digest, "config": self.config.to_dict()}
        if not write_json(path, mine, exclusive=True) and (found := read_json(path)["digest"]) != self.config.digest:
            raise UserError(
                f"{path}: this name belongs to digest {found}, but the config now has digest {self.config.digest};"
                " results of two codes are never mixed: use another --workdir or remove the folder"
            )
        number = 1
        while True:
            attempt = self.folder / f"attempt-{number:04d}"
            try:
                attempt.mkdir()
            except FileExistsError:
                number += 1
            else:
                return attempt

    def record(self) -> Record | None:
        """Returns the committed record, None while there is none."""
        path = self.folder / RECORD
        return read_record(path) if path.exists() else None

    def clean(self) -> None:
        """Removes the checkpoints of all attempts; a finished run needs none."""
        for folder in self.folder.glob("attempt-*/checkpoints"):
            shutil.rmtree(folder, ignore_errors=True)

    def output(self, name: str) -> Path:
        """Returns the file `name` of the newest attempt that left one; attempts at one run that finish leave equal bits."""
        found = sorted(self.folder.glob(f"attempt-*/{name}"))
        if not found:
            raise UserError(f"{self.folder}: no attempt left a {name}")
        return found[-1]


class Workdir:
    """The folder of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def claim(self, sweep: str) -> None:
        """Marks the folder as this sweep's.

        Raises:
          UserError: it is another sweep's.
        """
        path = self.path / "sweep.json"
        if not write_json(path, {"sweep": sweep}, exclusive=True) and (found := self.sweep()) != sweep:
            raise UserError(f"{self.path} holds the sweep {found!r}, not {sweep!r}: choose another --workdir")

    def sweep(self) -> str:
        """Returns the name of the sweep that the folder belongs to.

        Raises:
          UserError: the folder is no sweep's.
        """
        path = self.path / "sweep.json"
        if not path.exists():
            raise UserError(f"{self.path} holds no sweep: it is made by `augreg run NAME --workdir {self.path}`")
        return str(read_json(path)["sweep"])

    def run(self, config: Config) -> Run:
        """Returns the folder of a run."""
        return Run(self.path, config)

    def records(self) -> Iterator[Record]:
        """Returns all committed records, in the order of their names."""
        for path in sorted(self.path.glob(f"runs/*/{RECORD}")):
            yield read_record(path)

    @property
    def jobs(self) -> Path:
        """Returns the folder of the jobs."""
        return self.path / "jobs"

    @property
    def cache(self) -> Path:
        """Returns the folder of compiled programs."""
        return self.path / "cache"
