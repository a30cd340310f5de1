"""Adapting 8 checkpoints to 6 tasks in 8 settings by the coordinator, against a fresh process for each of the 384 runs.

    python -m sweeps.perf --only adapt [--quick]

Both train the same configs by the same code. Ours is measured whole. Of the other some runs are measured, one of each task,
half before and half after, one at a time, and taken for all. Trainings last about a second; longer ones are so many times as
many steps, extrapolated: all but training takes as long whatever the number of steps. Checkpoints are fresh weights, four of
either model. Four tasks are images that Python packages carry, two are gratings made here, on disk as somebody's own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from bench.perf.figure import Figure
from bench.points import Checkpoint, Transfer
from bench.points.files import DATA, PURPOSES, Files
from bench.points.task import Task
from bench.records.record import read_record
from sweeps.axes import By
from sweeps.layout import Workdir
from sweeps.perf.grid import Rival, Spent, do, figures
from sweeps.space import Grid, Sweep

MODELS = ("ViT-mu", "NFNet-mu")
EMBEDDED = ("digits", "lfw_faces", "synthetic_sprites_position", "synthetic_sprites_orientation")
SIZES = (800, 200, 400)  # of train, val and test
ANGLES, PERIODS = 8, (3.0, 4.0, 6.0, 8.0, 12.0)
PIXELS = 28
# Of either model, and outputs of their heads, which are replaced.
SEEDS, CLASSES = 4, 10
RIVAL = Rival("adapt", "a run in a process", "runs", "a process a run", (1, 5, 30), "4 or more at 1 s")
STEPS = (20, 40)
RATES = (0.003, 0.01, 0.03, 0.1)


def gratings(what: str, count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Returns images `u1[count, 28, 28, 1]` of noisy gratings and their labels: which angle, or which period, they have."""
    draws = np.random.default_rng(seed)
    angle, period = draws.integers(ANGLES, size=count), draws.integers(len(PERIODS), size=count)
    across = np.arange(PIXELS) - PIXELS / 2
    turn, phase = (np.pi * angle / ANGLES)[:, None, None], draws.uniform(0, 2 * np.pi, (count, 1, 1))
    along = across[None, :, None] * np.sin(turn) + across[None, None, :] * np.cos(turn)
    waves = np.sin(2 * np.pi * along / np.array(PERIODS)[period][:, None, None] + phase)
    images = 128 + 60 * waves + draws.normal(0, 30, waves.shape)
    labels = angle if what == "angle" else period
    return images.clip(0, 255).astype(np.uint8)[..., None], labels.astype(np.int32)


def own(what: str) -> Task:
    """Returns the facts of the gratings as somebody's own task."""
    name = f"gratings_{what}"
    classes = ANGLES if what == "angle" else len(PERIODS)
    return Task(name, "own", classes, *SIZES, synthetic=True, files=Files(f"{name}:1", *PURPOSES))


OWN = {task.name: task for task in map(own, ("angle", "period"))}


def write_gratings(folder: Path) -> None:
    """Writes both sets."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in OWN:
        arrays: dict[str, NDArray[Any]] = {}
        for number, (split, count) in enumerate(zip(PURPOSES, SIZES, strict=True)):
            arrays[f"{split}_x"], arrays[f"{split}_y"] = gratings(name.removeprefix("gratings_"), count, number)
        np.savez(folder / f"{name}.npz", allow_pickle=False, **arrays)


def write_checkpoints(workdir: Workdir, seeds: int) -> list[Checkpoint]:
    """Writes fresh weights of either model, so many of each, and returns what they are."""
    from bench import models, weights
    from bench.models.variables import flat

    found = []
    for model in MODELS:
        module = models.build(model, CLASSES)
        for seed in range(seeds):
            tree = models.init(module, seed, PIXELS)
            checkpoint = Checkpoint(model, f"seed_{seed}", weights.identity(flat(tree)))
            workdir.given(checkpoint).parent.mkdir(parents=True, exist_ok=True)
            weights.save(workdir.given(checkpoint), tree)
            found.append(checkpoint)
    return found


def sweep(given: Sequence[Checkpoint], quick: bool) -> Sweep:
    """Returns all settings of all checkpoints on all tasks; of fewer tasks and steps, with one rate, when `quick`."""
    tasks = ("digits", "gratings_angle") if quick else (*EMBEDDED, *OWN)
    axes = {"task": tasks, "lr": RATES[:1] if quick else RATES, "steps": (2, 4) if quick else STEPS}
    facts = {task: asdict(OWN[task]) if task in OWN else None for task in tasks}
    fixed = {"resolution": PIXELS, "batch_size": 64, "own": By("task", facts)}
    return Sweep("adapt", "", transfer=Grid(axes, fixed), given=tuple(given))


def chosen(points: Sequence[Transfer]) -> list[Transfer]:
    """Returns one run of each task, models, rates and steps in turn."""
    tasks = list(dict.fromkeys(point.task for point in points))
    found = []
    for number, task in enumerate(tasks):
        of_task = [p for p in points if p.task == task and p.upstream.model == MODELS[number % len(MODELS)]]
        found.append(of_task[number * len(of_task) // len(tasks)])
    return found


def ours(folder: Path, quick: bool) -> Spent:
    """Measures the coordinator's run of everything."""
    started = time.perf_counter()
    do(__name__, "whole", str(folder), json.dumps(quick))
    wall = time.perf_counter() - started
    return Spent(wall, [read_record(path) for path in sorted(folder.glob("runs/*/record.json"))])


def theirs(folder: Path, workdir: Workdir, points: Sequence[Transfer]) -> Spent:
    """Measures some runs, each in a process of its own, one at a time."""
    records, started = [], time.perf_counter()
    for number, point in enumerate(points):
        out = folder / str(number)
        out.mkdir(parents=True)
        do(__name__, "one", json.dumps(point.to_dict()), str(workdir.weights(point.upstream)), str(out))
        records.append(read_record(out / "record.json"))
    return Spent(time.perf_counter() - started, records)


def run(quick: bool) -> list[Figure]:
    """8 checkpoints x 6 tasks x 8 settings against a process for each: about ten minutes on two cores."""
    before = os.environ.get(DATA)
    with TemporaryDirectory() as name:
        folder, workdir = Path(name), Workdir(Path(name) / "ours")
        try:
            os.environ[DATA] = str(folder / "data")
            write_gratings(folder / "data")
            points = sweep(write_checkpoints(workdir, 1 if quick else SEEDS), quick).transfer_points
            some = chosen(points)
            half = len(some) // 2
            halves = [theirs(folder / "before", workdir, some[:half])]
            whole = ours(workdir.path, quick)
            halves.append(theirs(folder / "after", workdir, some[half:]))
        finally:
            os.environ.pop(DATA)
            if before is not None:
                os.environ[DATA] = before
    return figures(RIVAL, whole, halves)


@click.group()
def _steps() -> None:
    """What the processes measured here do."""


@_steps.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("quick")
def whole(folder: Path, quick: str) -> None:
    """Do what `augreg transfer` does with the checkpoints in a folder."""
    from sweeps.executors.local import Local
    from sweeps.session import run_sweep

    run_sweep(sweep(write_checkpoints(Workdir(folder), 1 if json.loads(quick) else SEEDS), json.loads(quick)), folder, Local(0))


@_steps.command()
@click.argument("config")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def one(config: str, source: Path, folder: Path) -> None:
    """Adapt a checkpoint in one setting, as a script of its own would: nothing is kept from one run to the next."""
    from bench.train.fit import Watch
    from vtab import adapt

    point = Transfer.from_dict(json.loads(config))
    adapt.run(point, source, folder, folder, 1e9, Watch()).commit(folder)


if __name__ == "__main__":
    _steps()
