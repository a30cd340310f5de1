"""What the coordinator costs a point, beside what its storage needs for one finished trial, and beside Optuna's own ways."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import optuna

from bench.perf.figure import Figure, once
from bench.perf.timing import Spread
from bench.points import Config
from bench.records.record import Record
from sweeps.executors import Capabilities
from sweeps.launch import DONE, Launch
from sweeps.layout import Workdir
from sweeps.perf.simulate import sweep_of
from sweeps.perf.world import made
from sweeps.run import Coordinator
from sweeps.space import Sweep
from sweeps.states import Status
from sweeps.storage import storage_of
from sweeps.study import Projection, Space

# Beyond it Optuna's own ways take hours.
LARGEST_OPTUNA = 1_100


class Instant:
    """An executor whose workers are done before `launch` returns; their time is not the coordinator's."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def capacity(self) -> int:
        """Returns one: a point at a time."""
        return 1

    def describe(self) -> Capabilities:
        """Returns what it is; jobs of one run each."""
        return Capabilities("instant", 1, "simulated")

    def launch(self, launch: Launch) -> None:
        """Commits the records of a job."""
        began = time.perf_counter()
        for config in launch.job.configs:
            made(config, launch.attempt).commit(launch.job.workdir.run(config).claim(launch.attempt))
        launch.finish(DONE)
        self.seconds += time.perf_counter() - began

    def alive(self, _launch: Launch) -> bool:
        """Returns that it is over."""
        return False

    def interrupt(self, _launch: Launch) -> None:
        """Does nothing: nobody is there."""

    kill = interrupt

    def wait(self, _seconds: float) -> Iterable[Launch] | None:
        """Does not wait."""
        return None


class Cost(NamedTuple):
    """What a point costs, near the end of a sweep of `points`: the coordinator's milliseconds, and its storage's alone."""

    points: int
    coordinator: Spread
    storage: Spread


def run(quick: bool) -> list[Figure]:
    """The coordinator's time for a point, from 100 to 50,000 points, beside its storage's and Optuna's own ways."""
    sizes, sample = ((80, 160), 10) if quick else ((80, 1_040, 10_000, 50_000), 100)
    figures, first = [], None
    for size in sizes:
        cost = coordinator_cost(size, sample)
        first = first or cost
        more = cost.coordinator.median - cost.storage.median
        flat = cost.coordinator.median / first.coordinator.median
        what = f"of {cost.points:,} points"
        figures += [
            Figure("overhead", f"coordinator, a point {what}", "ms", cost.coordinator),
            Figure("overhead", f"coordinator, a point {what}", "ms", once(more), "beyond one finished trial", "10 or less"),
            Figure("overhead", f"coordinator, a point {what}", "x", once(flat), f"of {first.points} points", "2 or less"),
        ]
        if size <= LARGEST_OPTUNA:
            for name, measure in (("GridSampler", grid_sampler_cost), ("enqueue_trial", enqueue_cost)):
                ratio = measure(size, sample) / cost.coordinator.median
                figures.append(Figure("overhead", f"{name}, a point {what}", "x", once(ratio), "the coordinator", "above 1"))
    return figures


def coordinator_cost(points: int, sample: int) -> Cost:
    """Measures the first `sample` points of a sweep whose other points are done and in the study already."""
    sweep = sweep_of(points)
    configs = sweep.points
    sample = min(sample, len(configs))
    executor, turns = Instant(), []
    with tempfile.TemporaryDirectory() as folder:
        workdir = Workdir(Path(folder))
        prepare(workdir, sweep, configs[sample:])
        coordinator = Coordinator(sweep, workdir, executor)
        last = [time.perf_counter(), 0.0]

        def turn(_: Status) -> None:
            now = time.perf_counter()
            turns.append(now - last[0] - (executor.seconds - last[1]))
            last[:] = now, executor.seconds

        coordinator.run(turn)
        alone = list(storage_times(f"sqlite:///{folder}/study.db", f"{sweep.name}-alone", sweep, sample))
    # The first turn begins before the sweep does, the last ones have nothing left to launch.
    return Cost(len(configs), Spread.of([1e3 * s for s in turns[1:sample]]), Spread.of([1e3 * s for s in alone]))


def prepare(workdir: Workdir, sweep: Sweep, done: Sequence[Config]) -> None:
    """Publishes the records of points, and gives the study as many finished trials."""
    for config in done:
        made(config, "before.0001").commit(workdir.run(config).folder)
    path = workdir.path / "study.db"
    study = Projection(storage_of(f"sqlite:///{path}"), sweep.name, Space.of_points(sweep.upstream_points))
    if done:
        study.accept(made(done[0], "before.0001"))
        with closing(sqlite3.connect(path)) as database:
            _copy(database, [c.name for c in done[1:]])


def _copy(database: sqlite3.Connection, names: Sequence[str]) -> None:
    """Copies the first trial for every name: writing them one by one through the storage would take minutes."""
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table' AND name LIKE 'trial%'")]
    for table in tables:
        about = database.execute(f"PRAGMA table_info({table})").fetchall()
        columns, own = [row[1] for row in about], next(row[1] for row in about if row[5])
        for row in database.execute(f"SELECT * FROM {table} WHERE trial_id = 1").fetchall():
            value = dict(zip(columns, row, strict=True))
            copies = []
            for number, name in enumerate(names, start=1):
                copy = {**value, own: None, "trial_id": number + 1}
                if table == "trials":
                    copy["number"] = number
                elif copy.get("key") == "name":
                    copy["value_json"] = json.dumps(name)
                copies.append([copy[c] for c in columns])
            database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", copies)
    database.commit()


def storage_times(address: str, name: str, sweep: Sweep, sample: int) -> Iterator[float]:
    """Yields the seconds that the storage needs to write one finished trial of a sweep, each of another point."""
    study = Projection(storage_of(address), name, Space.of_points(sweep.upstream_points))
    for config in sweep.upstream_points[:sample]:
        record: Record = made(config, "alone.0001")
        began = time.perf_counter()
        study.accept(record)
        yield time.perf_counter() - began


def grid_sampler_cost(points: int, sample: int) -> float:
    """Returns milliseconds a point of Optuna's GridSampler, by ask and tell, at the end of a grid of `points`."""
    sweep = sweep_of(points)
    axes = {field: list(values) for field, values in _axes(sweep).items()}
    with tempfile.TemporaryDirectory() as folder:
        storage = storage_of(f"sqlite:///{folder}/study.db")
        sampler = optuna.samplers.GridSampler(axes, seed=0)
        study = optuna.create_study(storage=storage, sampler=sampler, study_name="grid")
        times = [time.perf_counter()]

        def objective(trial: optuna.Trial) -> float:
            for field, values in axes.items():
                trial.suggest_categorical(field, values)
            return 0.5

        study.optimize(objective, callbacks=[lambda _study, _trial: times.append(time.perf_counter())])
    return 1e3 * median(later - earlier for earlier, later in pairwise(times[-sample - 1 :]))


def enqueue_cost(points: int, sample: int) -> float:
    """Returns milliseconds a point of `enqueue_trial`, ask and tell, at the beginning, when all points are queued."""
    sweep = sweep_of(points)
    axes = _axes(sweep)
    with tempfile.TemporaryDirectory() as folder:
        storage = storage_of(f"sqlite:///{folder}/study.db")
        study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(0), study_name="queue")
        began = time.perf_counter()
        for config in sweep.points:
            study.enqueue_trial({field: getattr(config, field) for field in axes})
        queued = (time.perf_counter() - began) / len(sweep.points)
        times = []
        for _ in range(min(sample, len(sweep.points))):
            began = time.perf_counter()
            trial = study.ask()
            for field, values in axes.items():
                trial.suggest_categorical(field, values)
            study.tell(trial, 0.5)
            times.append(queued + time.perf_counter() - began)
    return 1e3 * median(times)


def _axes(sweep: Sweep) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for field in ("model", "aug", "do", "wd", "seed"):
        found[field] = list(dict.fromkeys(getattr(c, field) for c in sweep.upstream_points))
    return found
