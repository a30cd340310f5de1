"""The Optuna study of a sweep: a projection of the records, written by the coordinator alone. The only import of optuna.

One study holds the upstream trials (value: upstream validation accuracy), another, `NAME-transfer`, the transfers (value:
downstream validation accuracy). Delete the file and the next `augreg run` builds it again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from bench.points import Config, Transfer
from bench.records.record import Record
from sweeps.space import Sweep


def _fields(config: Config) -> dict[str, Any]:
    """Returns what may be an axis. A transfer has its upstream run's fields, not its name: lists of choices stay short."""
    own = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    if isinstance(config, Transfer):
        own |= {f"upstream_{field}": value for field, value in _fields(own.pop("upstream")).items()}
    return own


class Projection:
    """One study and the trials of its points, known by the name of the run.

    It writes through the storage, whose calls take the same time however many trials there are; those of `optuna.Study` read
    all trials again.
    """

    def __init__(self, storage: RDBStorage, name: str, points: Sequence[Config]) -> None:
        rows = [_fields(p) for p in points]
        choices = {field: list(dict.fromkeys(row[field] for row in rows)) for field in rows[0]}
        self._axes = {field: values for field, values in choices.items() if len(values) > 1}
        self._distributions: dict[str, BaseDistribution] = {f: CategoricalDistribution(v) for f, v in self._axes.items()}
        self._storage = storage
        digests = hashlib.sha256("".join(p.digest for p in points).encode()).hexdigest()[:16]
        space = {"axes": self._axes, "points": digests}
        optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        self._study = storage.get_study_id_from_name(name)
        if storage.get_study_user_attrs(self._study).get("space", space) != space:
            # Optuna never changes a study's choices, and results of other configs are no results of these: begin again.
            optuna.delete_study(study_name=name, storage=storage)
            optuna.create_study(storage=storage, study_name=name, direction="maximize")
            self._study = storage.get_study_id_from_name(name)
        storage.set_study_user_attr(self._study, "space", space)
        trials = storage.get_all_trials(self._study, deepcopy=False)
        self._finished = {t.user_attrs["name"] for t in trials if t.state.is_finished()}
        self._running = {t.user_attrs["name"]: t.number for t in trials if not t.state.is_finished()}

    def _add(self, config: Config, **outcome: Any) -> int:
        fields = _fields(config)
        trial = create_trial(
            params={axis: fields[axis] for axis in self._axes},
            distributions=self._distributions,
            user_attrs={"name": config.name, "digest": config.digest},
            **outcome,
        )
        return self._storage.get_trial_number_from_id(self._storage.create_new_trial(self._study, trial))

    def started(self, config: Config) -> None:
        """Notes that a run is under way."""
        if config.name not in self._finished and config.name not in self._running:
            self._running[config.name] = self._add(config, state=TrialState.RUNNING)

    def accept(self, record: Record) -> None:
        """Notes a committed record; a diverged run becomes a failed trial."""
        name, last = record.config.name, record.last("val")
        if name in self._finished:
            return
        state, value = (TrialState.COMPLETE, last.value) if record.status == "ok" and last else (TrialState.FAIL, None)
        if name in self._running:
            trial = self._storage.get_trial_id_from_study_id_trial_number(self._study, self._running.pop(name))
            self._storage.set_trial_state_values(trial, state, None if value is None else [value])
        else:
            self._add(record.config, state=state, value=value)
        self._finished.add(name)


def _whole(path: Path) -> bool:
    """Returns whether the file is absent or a sound database; a power cut may leave neither."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(path, timeout=60)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # busy or not readable, which is another matter
            raise
        return False


class Study:
    """Both studies of a sweep.

    Args:
      path: the SQLite file.
      sweep: whose points become trials.
    """

    def __init__(self, path: Path, sweep: Sweep) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if not _whole(path):
            path.unlink()
        options = {"connect_args": {"timeout": 60}, "poolclass": sqlalchemy.NullPool}  # no connection outlives its use
        storage = RDBStorage(f"sqlite:///{path}", engine_kwargs=options)
        # Power cuts may cost this file, which the records rebuild; waiting for the disk at every trial would cost minutes.
        sqlalchemy.event.listen(storage.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF"))
        self._upstream = Projection(storage, sweep.name, sweep.upstream_points)
        self._transfer = (
            Projection(storage, f"{sweep.name}-transfer", sweep.transfer_points) if sweep.transfer_points else self._upstream
        )

    def _of(self, config: Config) -> Projection:
        return self._transfer if isinstance(config, Transfer) else self._upstream

    def started(self, config: Config) -> None:
        """Notes that a run is under way."""
        self._of(config).started(config)

    def accept(self, record: Record) -> None:
        """Notes a committed record."""
        self._of(record.config).accept(record)
