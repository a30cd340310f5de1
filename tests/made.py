"""A sweep and records made by hand, for everything that needs results and no training; and processes to lock things."""

import hashlib
import os
import subprocess
import sys
import textwrap
from dataclasses import replace

from bench.points import Probe, Transfer
from bench.records.record import Cost, Measurement, Record
from sweeps.space import Grid, Sweep

# 8 upstream runs of two architectures, 2 transfers of each.
SWEEP = Sweep(
    "two-models",
    "",
    Grid(
        {"model": ["ViT-mu", "NFNet-mu"], "aug": ["none", "light1"], "do=sd": [0.0, 0.1]},
        {"dataset": "mnist5k", "epochs": 1.0, "lr": 0.1, "wd": 0.0},
    ),
    Grid({"task": ["digits", "lfw_faces"]}, {"lr": 0.1, "steps": 10, "resolution": 28}),
)


def largest(runs):
    """Returns the limit of so many runs a job, of any kind."""
    return {"upstream": runs, "probe": runs, "transfer": runs}


WHOLE = largest(1000)


def score(config):
    """Returns a validation accuracy that depends on the run's name alone."""
    return int(hashlib.sha256(config.name.encode()).hexdigest()[:4], 16) / 2**16


def record(config, status="ok", value=None):
    """Returns a record of `config`; a diverged one has no measurements, of a transfer it has those that its `fit` takes."""
    value = score(config) if value is None else value
    n_val, n_test = (200, 797) if isinstance(config, Transfer) else (500, 500)
    measured = (("val", "accuracy", n_val, value), ("test", "accuracy", n_test, value / 2))
    if isinstance(config, Probe):
        measured = (
            ("train", "logme", 400, value),
            *((split, "linear_probe", n, value) for split, n in (("val", 50), ("test", 60))),
        )
    if getattr(config, "fit", "train") != "train":
        measured = measured[:1] if config.fit == "tune" else measured[1:]
    measurements = tuple(Measurement(*each, 10) for each in measured)
    return Record(
        config=config,
        status=status,
        measurements=measurements if status == "ok" else (),
        params=1234,
        data={"train": 400, "val": n_val, "test": n_test, "fingerprint": "f" * 16},
        device="cpu",
        code_version="0",
        cost=Cost(train_seconds=1.5, steps=10, images=640, eval_images_per_second=100.0),
        why="" if status == "ok" else "loss nan at step 3",
    )


def commit(workdir, config, attempt="made.0001", **changes):
    """Does what a worker does, training aside: claims the run, leaves weights, commits the record to its attempt."""
    folder = workdir.run(config).claim(attempt)
    (folder / "weights.npz").touch()
    made = record(config, **changes)
    return replace(made, cost=replace(made.cost, attempt=attempt)).commit(folder)


def accept(workdir, config, attempt="made.0001", **changes):
    """Does what worker and coordinator do: commits the record of an attempt and publishes it."""
    commit(workdir, config, attempt, **changes)
    return workdir.run(config).accept(attempt)


def python(code, *arguments, **options):
    """Starts a Python process that says one line when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        **options,
    )
    assert process.stdout.readline().strip() == "working"
    return process


def end(process):
    """Lets such a process go, and waits for it."""
    process.stdin.close()
    process.stdout.close()
    process.wait(30)
