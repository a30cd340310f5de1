"""The Optuna study of a sweep: a projection of the records, written by the coordinator alone.

One study holds the upstream trials (value: upstream validation accuracy), another, `NAME-transfer`, the transfers (value:
downstream validation accuracy); that of a search is its objective. What has no validation accuracy is no trial: probes, and
transfers that learn from train and val. Delete the file and the next `augreg run` builds it again.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from bench.points import Config, Transfer, Upstream
from bench.records.record import Record
from sweeps.clock import Clock
from sweeps.search import Search
from sweeps.search.joint import distribution
from sweeps.space import Sweep
from sweeps.storage import storage_of

# A database that did not answer is asked again after so long.
RETRY_SECONDS = 5.0


def _fields(config: Config) -> dict[str, Any]:
    """Returns what may be an axis. A transfer has its upstream run's fields, not its name: lists of choices stay short."""
    names = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    own = {name: getattr(config, name) for name in names if name != "own"}  # facts, which the task's name stands for
    if isinstance(config, Transfer):
        own |= {f"upstream_{field}": value for field, value in _fields(own.pop("upstream")).items()}
    return own


class Space(NamedTuple):
    """What the trials of a study are drawn from.

    Attributes:
      distributions: of the axes.
      identity: plain JSON values; results under another one are no results of these.
      params: from a run to the values of its axes.
    """

    distributions: Mapping[str, BaseDistribution]
    identity: dict[str, Any]
    params: Callable[[Config], Mapping[str, Any]]

    @classmethod
    def of_points(cls, points: Sequence[Config]) -> Space:
        """Returns the space of points that are known in advance: what differs between them."""
        rows = [_fields(p) for p in points]
        fields = dict.fromkeys(field for row in rows for field in row)  # upstream runs and given checkpoints have not the same
        choices = {field: list(dict.fromkeys(row.get(field) for row in rows)) for field in fields}
        axes = {field: values for field, values in choices.items() if len(values) > 1}
        digests = hashlib.sha256("".join(p.digest for p in points).encode()).hexdigest()[:16]

        def params(config: Config) -> dict[str, Any]:
            found = _fields(config)
            return {axis: found.get(axis) for axis in axes}

        return cls({f: CategoricalDistribution(v) for f, v in axes.items()}, {"axes": axes, "points": digests}, params)

    @classmethod
    def of_search(cls, search: Search, params: Callable[[Config], Mapping[str, Any]]) -> Space:
        """Returns the space of a search."""
        return cls({name: distribution(axis) for name, axis in search.axes.items()}, search.skeleton(), params)


class Projection:
    """One study and the trials of its points, known by the name of the run.

    It writes through the storage, whose calls take the same time however many trials there are; those of `optuna.Study` read
    all trials again.
    """

    def __init__(self, storage: RDBStorage, name: str, space: Space) -> None:
        self._space = space
        self._storage = storage
        optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        self._study = storage.get_study_id_from_name(name)
        if storage.get_study_user_attrs(self._study).get("space", space.identity) != space.identity:
            # Optuna never changes a study's choices, and results of other configs are no results of these: begin again.
            optuna.delete_study(study_name=name, storage=storage)
            optuna.create_study(storage=storage, study_name=name, direction="maximize")
            self._study = storage.get_study_id_from_name(name)
        storage.set_study_user_attr(self._study, "space", space.identity)
        trials = storage.get_all_trials(self._study, deepcopy=False)
        self._finished = {t.user_attrs["name"] for t in trials if t.state.is_finished()}
        # By the storage's own numbers: finding a trial by its number in the study takes the longer, the more there are.
        self._running = {
            t.user_attrs["name"]: storage.get_trial_id_from_study_id_trial_number(self._study, t.number)
            for t in trials
            if not t.state.is_finished()
        }

    def _add(self, config: Config, **outcome: Any) -> int:
        trial = create_trial(
            params=dict(self._space.params(config)),
            distributions=dict(self._space.distributions),
            user_attrs={"name": config.name, "digest": config.digest},
            **outcome,
        )
        return self._storage.create_new_trial(self._study, trial)

    def started(self, config: Config) -> None:
        """Notes that a run is under way."""
        if config.name not in self._finished and config.name not in self._running:
            self._running[config.name] = self._add(config, state=TrialState.RUNNING)

    def accept(self, record: Record, value: float | None = None) -> None:
        """Notes a committed record; a diverged run becomes a failed trial. Its value is the validation accuracy by default."""
        name, last = record.config.name, record.last("val")
        if name in self._finished:
            return
        if record.status == "ok" and last:
            state, value = TrialState.COMPLETE, last.value if value is None else value
        else:
            state, value = TrialState.PRUNED if record.status == "pruned" else TrialState.FAIL, None
        if name in self._running:
            self._storage.set_trial_state_values(self._running.pop(name), state, None if value is None else [value])
        else:
            self._add(record.config, state=state, value=value)
        self._finished.add(name)


class Study:
    """Both studies of a sweep.

    What it is told it keeps until the database has taken it, so a database that is down stops nobody.

    Args:
      address: of the database, see `storage_of`.
      sweep: whose points become trials.
      name: of the study, the sweep's by default.
      clock: monotonic seconds.

    Raises:
      UserError: as `storage_of` does.
    """

    def __init__(self, address: str, sweep: Sweep, name: str = "", clock: Clock = Clock()) -> None:
        self._address, self._sweep, self._name, self._clock = address, sweep, name or sweep.name, clock
        self._params: Callable[[Config], Mapping[str, Any]] = lambda _: {}
        self._storage: RDBStorage | None = None
        self._of: dict[str, Projection] = {}
        self._todo: deque[Config | tuple[Record, float | None]] = deque()
        self._again = -RETRY_SECONDS
        self._trouble = ""

    def follow(self, params: Callable[[Config], Mapping[str, Any]]) -> None:
        """Learns at which values of a search's axes a run was proposed."""
        self._params = params

    def started(self, config: Config) -> None:
        """Notes that a run is under way."""
        self._todo.append(config)

    def accept(self, record: Record, value: float | None = None) -> None:
        """Notes an accepted record, and of a search what it is worth."""
        self._todo.append((record, value))

    def flush(self) -> str:
        """Tells the database what it does not know yet; returns what is in the way, "" where nothing is."""
        if self._trouble and self._clock.now() - self._again < RETRY_SECONDS:
            return self._trouble
        try:
            self._connect()
            while self._todo:
                self._tell(self._todo[0])
                self._todo.popleft()
            self._trouble = ""
        except (sqlalchemy.exc.DBAPIError, optuna.exceptions.StorageInternalError) as error:
            cause = str(getattr(error, "orig", None) or error.__cause__ or error).strip().splitlines()
            self._trouble = (
                f"the study's database does not answer ({cause[0] if cause else type(error).__name__}); nothing is lost"
            )
            self._again = self._clock.now()
            # What the storage keeps in memory may be ahead of the database.
            self._close()
        return self._trouble

    def _tell(self, what: Config | tuple[Record, float | None]) -> None:
        config = what[0].config if isinstance(what, tuple) else what
        projection = self._of.get(config.kind)
        if projection is None or getattr(config, "fit", "") == "trainval":
            return
        if isinstance(what, tuple):
            projection.accept(*what)
        else:
            projection.started(config)

    def _connect(self) -> None:
        if self._storage is not None:
            return
        storage, sweep = storage_of(self._address), self._sweep
        self._of = {}
        if sweep.search is not None:
            self._of[Upstream.kind] = Projection(storage, self._name, Space.of_search(sweep.search, self._params))
        elif sweep.upstream_points:
            self._of[Upstream.kind] = Projection(storage, self._name, Space.of_points(sweep.upstream_points))
        if sweep.transfer_points:
            self._of[Transfer.kind] = Projection(storage, f"{self._name}-transfer", Space.of_points(sweep.transfer_points))
        self._storage = storage

    def _close(self) -> None:
        if self._storage is not None:
            self._storage.engine.dispose()
            self._storage = None
