"""The Optuna study of a sweep: a projection of the records, written by the coordinator alone. The only import of optuna.

One study holds the upstream trials (value: upstream validation accuracy), another, `NAME-transfer`, the transfers (value:
downstream validation accuracy). Delete the file and the next `augreg run` builds it again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from bench.points import Config, Transfer
from bench.records.record import Record
from sweeps.space import Sweep


def _fields(config: Config) -> dict[str, Any]:
    fields = config.to_dict()
    if isinstance(config, Transfer):
        fields["upstream"] = config.upstream.name
    return fields


class Projection:
    """One study and the trials of its points, known by the name of the run."""

    def __init__(self, storage: optuna.storages.RDBStorage, name: str, points: Sequence[Config]) -> None:
        rows = [_fields(p) for p in points]
        choices = {field: list(dict.fromkeys(row[field] for row in rows)) for field in rows[0]}
        self._axes = {field: values for field, values in choices.items() if len(values) > 1}
        self._distributions: dict[str, BaseDistribution] = {f: CategoricalDistribution(v) for f, v in self._axes.items()}
        space = json.dumps(self._axes)
        self._study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        if self._study.user_attrs.get("space", space) != space:
            # Optuna never changes the choices of a study; this one can be rebuilt from the records.
            optuna.delete_study(study_name=name, storage=storage)
            self._study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
        self._study.set_user_attr("space", space)
        self._trials: dict[str, FrozenTrial] = {t.user_attrs["name"]: t for t in self._study.get_trials(deepcopy=False)}

    def _add(self, config: Config, **outcome: Any) -> None:
        fields = _fields(config)
        name = config.name
        self._study.add_trial(
            create_trial(
                params={axis: fields[axis] for axis in self._axes},
                distributions=self._distributions,
                user_attrs={"name": name, "digest": config.digest},
                **outcome,
            )
        )
        self._trials[name] = self._study.get_trials(deepcopy=False)[-1]

    def started(self, config: Config) -> None:
        """Notes that a run is under way."""
        if config.name not in self._trials:
            self._add(config, state=TrialState.RUNNING)

    def accept(self, record: Record) -> None:
        """Notes a committed record; a diverged run becomes a failed trial."""
        last = record.last("val")
        state, value = (TrialState.COMPLETE, last.value) if record.status == "ok" and last else (TrialState.FAIL, None)
        trial = self._trials.get(record.config.name)
        if trial is None:
            self._add(record.config, state=state, value=value)
        elif not trial.state.is_finished():
            self._study.tell(trial.number, value, state=state)


class Study:
    """Both studies of a sweep.

    Args:
      path: the SQLite file.
      sweep: whose points become trials.
    """

    def __init__(self, path: Path, sweep: Sweep) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
        # Power cuts may cost this file, which the records rebuild; waiting for the disk at every trial would cost minutes.
        sqlalchemy.event.listen(storage.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF"))
        storage.engine.dispose()
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
