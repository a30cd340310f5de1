"""A grid of 56 points as people run one today, Optuna with a fresh process and a compilation a trial, against `augreg run`.

    python -m sweeps.perf --only grid [--quick]

Both train the same configs by the same code. Ours is measured whole. Of the other some trials are measured, as many of each
model, half before and half after, and taken for all. Trainings last about 5 s; those of 30 and 120 s are 6 and 24 times as many
steps, extrapolated: all but training takes as long whatever the number of steps.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import click

from bench.perf.figure import Figure, once
from bench.points import Upstream
from bench.records.record import Record, read_record
from sweeps.space import By, Grid, Sweep

# Trainings of about five seconds on one core here.
EPOCHS = {"ViT-mu": 8.0, "NFNet-mu": 7.0}
LEVELS = ("none", "light0", "light1", "medium1", "medium2", "strong1", "strong2")


def sweep(quick: bool) -> Sweep:
    """Returns the grid: 7 levels x 2 regularisations x 2 weight decays x 2 models; 4 points of shorter runs when `quick`."""
    axes = {
        "model": list(EPOCHS),
        "aug": LEVELS[:1] if quick else LEVELS,
        "do=sd": [0.0, 0.1],
        "wd": [0.03] if quick else [0.03, 0.1],
    }
    epochs = By("model", {model: 1.0 if quick else value for model, value in EPOCHS.items()})
    lr = By("model", {"ViT-mu": 0.003, "NFNet-mu": 0.3})
    return Sweep("grid", __doc__, Grid(axes, {"dataset": "mnist5k", "epochs": epochs, "lr": lr}))


class Spent(NamedTuple):
    """What something took: seconds of wall clock, and its records."""

    wall: float
    records: list[Record]


class Rival(NamedTuple):
    """What is done in another way beside ours, a process a run.

    Attributes:
      benchmark: its name.
      run: what one run of it is called, such as `a trial`.
      runs: what several of ours are called.
      against: the other way.
      lengths: seconds of trainings to extrapolate to.
      target: of the ratio at the first length.
    """

    benchmark: str
    run: str
    runs: str
    against: str
    lengths: tuple[int, ...]
    target: str


RIVAL = Rival("grid", "a trial", "points", "Optuna, a process a trial", (5, 30, 120), "5 or more at 5 s")


def do(module: str, *arguments: str) -> None:
    """Runs a module in a process of its own; raises `RuntimeError` with what it printed where that fails."""
    done = subprocess.run([sys.executable, "-P", "-m", module, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)


def ours(folder: Path, quick: bool) -> Spent:
    """Measures `augreg run` of the whole grid."""
    started = time.perf_counter()
    do(__name__, "whole", str(folder), json.dumps(quick))
    wall = time.perf_counter() - started
    return Spent(wall, [read_record(p) for p in sorted(folder.glob("runs/*/record.json"))])


def theirs(folder: Path, points: list[Upstream]) -> Spent:
    """Measures trials of an Optuna study, each of which trains one point in a process of its own."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    known, found = {p.name: p for p in points}, []

    def objective(trial: optuna.Trial) -> float:
        point = known[trial.suggest_categorical("point", list(known))]
        out = folder / str(trial.number)
        out.mkdir()
        do(__name__, "trial", json.dumps(point.to_dict()), str(out))
        found.append(read_record(out / "record.json"))
        last = found[-1].last("val")
        return last.value if last else float("nan")

    started = time.perf_counter()
    sampler = optuna.samplers.GridSampler({"point": list(known)})
    study = optuna.create_study(storage=f"sqlite:///{folder}/study.db", sampler=sampler)
    study.optimize(objective, n_trials=len(points))
    return Spent(time.perf_counter() - started, found)


def differences(ours: list[Record], theirs: list[Record]) -> list[float]:
    """Returns how far apart the last validation accuracies of each trial and of our run of the same point are."""
    known = {r.config.name: r for r in ours}
    pairs = [(known[r.config.name].last("val"), r.last("val")) for r in theirs]
    return [abs(a.value - b.value) for a, b in pairs if a and b]


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def longer(wall: float, training: float, times: float) -> float:
    """Returns what `wall` seconds become when the `training` seconds within them become so many times as long."""
    return wall + (times - 1) * training


def figures(rival: Rival, whole: Spent, halves: list[Spent]) -> list[Figure]:
    """Returns what was found.

    Args:
      rival: what ours is compared with.
      whole: of ours.
      halves: runs of the other way, measured before and after.
    """
    others = [record for half in halves for record in half.records]
    each, count, workers = sum(half.wall for half in halves) / len(others), len(whole.records), cores()
    training, own = (mean(r.cost.train_seconds for r in records) for records in (others, whole.records))
    found = [
        (f"{rival.run}, of which {training:.2g} s are training", "s", each, "", ""),
        (f"{count} {rival.runs} of {own:.2g} s of training, {workers} workers", "s", whole.wall, "", ""),
        ("largest difference of validation accuracy", "", max(differences(whole.records, others)), "", ""),
    ]
    for length in rival.lengths:
        times = length / training
        ratio = count * longer(each, training, times) / longer(whole.wall, count / workers * own, times)
        target = rival.target if length == rival.lengths[0] else ""
        found.append((f"{count} {rival.runs} of {length} s", "x", ratio, rival.against, target))
    return [Figure(rival.benchmark, what, unit, once(value), *rest) for what, unit, value, *rest in found]


def run(quick: bool) -> list[Figure]:
    """A grid of 56 points against Optuna with a process and a compilation a trial: about eight minutes on two cores."""
    points = sweep(quick).upstream_points
    chosen = [[p for p in points if p.model == model][i] for i in (0, -1) for model in EPOCHS]
    with tempfile.TemporaryDirectory() as folder:
        halves = [theirs(Path(folder) / "before", chosen[:2])]
        whole = ours(Path(folder) / "ours", quick)
        halves.append(theirs(Path(folder) / "after", chosen[2:]))
    return figures(RIVAL, whole, halves)


@click.group()
def _steps() -> None:
    """What the processes measured here do."""


@_steps.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("quick")
def whole(folder: Path, quick: str) -> None:
    """Do what `augreg run` does for a named sweep."""
    from sweeps.executors.local import Local
    from sweeps.session import run_sweep

    run_sweep(sweep(json.loads(quick)), folder, Local(0))


@_steps.command()
@click.argument("config")
@click.argument("folder", type=click.Path(path_type=Path))
def trial(config: str, folder: Path) -> None:
    """Train one point, as a script of its own would: nothing is kept from one trial to the next."""
    from bench.train import upstream
    from bench.train.fit import Watch

    point = Upstream.from_dict(json.loads(config))
    upstream.run(point, folder, folder, 1e9, Watch()).commit(folder)


if __name__ == "__main__":
    _steps()
