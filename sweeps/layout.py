"""Where a sweep keeps what: the one place that knows the names of its files and folders.

WORKDIR/
  sweep.json              which sweep this folder belongs to, and the axes of its space
  coordinator.lock        held by the one coordinator
  study.db                the Optuna study, a projection of the records
  runs/NAME/              one folder a run
    config.json           the config and its digest; written once
    attempts/JOB.0003/    what one launch of a job wrote: checkpoints/, weights.npz, and at its end record.json or failure.json
    record.json           the accepted record; written once, by the coordinator alone
  jobs/ID/                one folder a group of runs that a worker does one after the other
    job.json              its runs and settings; written once
    lanes.json            which of them train together as lanes of one program; written once, by the first launch
    lanes-HASH/           such a group: attempts/JOB.0003/checkpoints/, and parted.json where its runs then trained alone
    0003/                 one launch: launch.json lock progress.json outcome.json worker.log, and `fenced` once it is given up
  cancelled/NAME          the run is not wanted
  checkpoints/NAME.npz    weights from elsewhere that the sweep was given
  features/               features that probes have extracted
  lanes/                  what probes have found
  cache/                  compiled programs
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.points import Checkpoint, Config, Upstream
from bench.records.atomic import read_json, write_json
from bench.records.record import FILE as RECORD
from bench.records.record import Record, read_record

RUNS = "runs"
FAILURE = "failure.json"
CANCELLED = "cancelled"
WEIGHTS = "weights.npz"


class Run:
    """The folder of one run."""

    def __init__(self, workdir: Path, config: Config) -> None:
        self.config = config
        self.folder = workdir / RUNS / config.name
        self._cancelled = workdir / CANCELLED / config.name

    def claim(self, attempt: str) -> Path:
        """Writes the config, or checks that it is the one already there, and makes the folder of an attempt.

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
        folder = self.attempt(attempt)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def attempt(self, name: str) -> Path:
        """Returns the folder of an attempt."""
        return self.folder / "attempts" / name

    def accept(self, attempt: str) -> Record | None:
        """Publishes the record of an attempt, unless the run has one; returns the run's record, None while there is none.

        Raises:
          UserError: the record is of another code.
        """
        if (record := self.record()) is None and (path := self.attempt(attempt) / RECORD).exists():
            record = read_record(path)
            record.commit(self.folder)
        return record

    def record(self) -> Record | None:
        """Returns the accepted record, None while there is none."""
        path = self.folder / RECORD
        return read_record(path) if path.exists() else None

    def failures(self) -> list[dict[str, Any]]:
        """Returns how attempts failed, oldest first: `attempt`, `error`, `traceback`, and whether it is `final`."""
        return [read_json(p) for p in sorted(self.folder.glob(f"attempts/*/{FAILURE}"), key=lambda p: p.stat().st_mtime_ns)]

    def fail(self, attempt: str, error: str, trace: str = "", *, final: bool = False) -> None:
        """Notes that an attempt failed; `final` where another one would fail just so."""
        value = {"attempt": attempt, "error": error, "traceback": trace, "final": final}
        write_json(self.attempt(attempt) / FAILURE, value)

    def forgive(self) -> int:
        """Takes back what failed and what was cancelled, so that the run is tried again; returns how much there was."""
        found = list(self.folder.glob(f"attempts/*/{FAILURE}"))
        for path in found:
            path.rename(path.with_name(f"forgiven-{FAILURE}"))
        cancelled = self.cancelled
        self._cancelled.unlink(missing_ok=True)
        return len(found) + cancelled

    def failed(self, attempt: str) -> bool:
        """Returns whether an attempt failed."""
        return (self.attempt(attempt) / FAILURE).exists()

    def cancel(self) -> None:
        """Notes that the run is not wanted."""
        write_json(self._cancelled, {})

    @property
    def cancelled(self) -> bool:
        """Returns whether the run is not wanted."""
        return self._cancelled.exists()

    def clean(self) -> None:
        """Removes the checkpoints of all attempts; a finished run needs none."""
        for folder in self.folder.glob("attempts/*/checkpoints"):
            shutil.rmtree(folder, ignore_errors=True)

    def output(self, name: str) -> Path:
        """Returns the file `name` of the accepted attempt.

        Raises:
          UserError: there is none.
        """
        record = self.record()
        path = self.attempt(record.cost.attempt) / name if record else self.folder / name
        if not path.exists():
            raise UserError(f"{self.folder}: no accepted attempt left a {name}")
        return path


@dataclass(frozen=True)
class Workdir:
    """The folder of one sweep."""

    path: Path

    def claim(self, sweep: str) -> None:
        """Marks the folder as this sweep's.

        Raises:
          UserError: it is another sweep's.
        """
        path = self.path / "sweep.json"
        if not write_json(path, {"sweep": sweep}, exclusive=True) and (found := self.sweep()) != sweep:
            raise UserError(f"{self.path} holds the sweep {found!r}, not {sweep!r}: choose another --workdir")

    @property
    def claimed(self) -> bool:
        """Returns whether the folder is a sweep's."""
        return (self.path / "sweep.json").exists()

    def sweep(self) -> str:
        """Returns the name of the sweep that the folder belongs to.

        Raises:
          UserError: the folder is no sweep's.
        """
        if not self.claimed:
            raise UserError(f"{self.path} holds no sweep: it is made by `augreg run NAME --workdir {self.path}`")
        return str(self.about()["sweep"])

    def about(self) -> dict[str, Any]:
        """Returns what the folder remembers of its sweep."""
        return read_json(self.path / "sweep.json")

    def remember(self, about: dict[str, Any]) -> None:
        """Replaces what the folder remembers of its sweep."""
        write_json(self.path / "sweep.json", about)

    def run(self, config: Config) -> Run:
        """Returns the folder of a run."""
        return Run(self.path, config)

    def given(self, checkpoint: Checkpoint) -> Path:
        """Returns the file of weights from elsewhere, in our layout, whether it is there or not."""
        return self.path / "checkpoints" / f"{checkpoint.name}.npz"

    def weights(self, upstream: Upstream | Checkpoint) -> Path:
        """Returns the file of weights that transfers and probes of a checkpoint start from.

        Raises:
          UserError: there is none.
        """
        if isinstance(upstream, Upstream):
            return self.run(upstream).output(WEIGHTS)
        if not (path := self.given(upstream)).exists():
            raise UserError(f"{path}: no such file; it should hold the weights of {upstream.name}, which the sweep was given")
        return path

    def begun(self) -> set[str]:
        """Returns the names of all runs that have a folder."""
        return _names(self.path / RUNS)

    def called_off(self) -> set[str]:
        """Returns the names of all runs that are not wanted."""
        return _names(self.path / CANCELLED)

    def records(self) -> Iterator[Record]:
        """Returns all committed records, in the order of their names."""
        for path in sorted(self.path.glob(f"{RUNS}/*/{RECORD}")):
            yield read_record(path)

    @property
    def jobs(self) -> Path:
        """Returns the folder of the jobs."""
        return self.path / "jobs"

    @property
    def features(self) -> Path:
        """Returns the folder of extracted features."""
        return self.path / "features"

    @property
    def cache(self) -> Path:
        """Returns the folder of compiled programs."""
        return self.path / "cache"


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")}
    except FileNotFoundError:
        return set()
