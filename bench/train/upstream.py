"""An upstream run, from a config to a record and final weights."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

import bench
from bench import models, weights
from bench.cost import image_flops
from bench.data import load_upstream
from bench.data.order import Order
from bench.points import Execution, Upstream
from bench.records.record import Record
from bench.train import together
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Watch, fit
from bench.train.hyper import Hyper
from bench.train.legs import of_upstream
from bench.train.metrics import Metrics
from bench.train.program import programs
from bench.train.static import Static

WEIGHTS = "weights.npz"
# How often the validation split is measured; `best_val` is the best of them.
EVALUATIONS = 4


def device() -> str:
    """Returns the kind of device that this process trains on."""
    return str(jax.devices()[0].device_kind)


def run(
    config: Upstream,
    folder: Path,
    attempt: Path,
    checkpoint_seconds: float,
    watch: Watch,
    execution: Execution = Execution(),
) -> Record:
    """Trains (or goes on training) an upstream run.

    Args:
      config: of the run.
      folder: of the run, which holds the folders of its attempts.
      attempt: folder of this attempt; the final weights are written here before the record is returned.
      checkpoint_seconds: least time between two checkpoints.
      watch: progress and stop.
      execution: how programs are compiled and placed.

    Raises:
      bench.train.fit.Preempted: `watch.stop` said so.
    """
    data = load_upstream(config.dataset, config.resolution)
    order = Order(len(data.train), config.batch_size, config.seed, config.fraction, config.multiplicity)
    steps = config.steps(order.size)
    checkpoints = Checkpoints(folder, attempt, checkpoint_seconds)
    made = programs(Static.of(config, execution))
    classes = config.data.classes
    found = fit(
        made,
        made.start(made.init(np.uint32(config.seed))),
        data,
        order,
        Hyper.of_upstream(config, steps),
        classes,
        evaluations=EVALUATIONS,
        checkpoints=checkpoints,
        watch=watch,
        metrics=Metrics(config, attempt, order, watch.trackers),
        legs=of_upstream(config, steps, execution),
    )
    final = together.whole(found.state.weights)
    if together.first():
        weights.save(attempt / WEIGHTS, final, patient=True)
    return Record(
        config=config,
        status=found.status,
        measurements=tuple(found.measurements),
        params=models.count_params(config.model, classes, config.resolution),
        data={**data.facts(), "train": order.size},
        device=device(),
        code_version=bench.__version__,
        cost=found.cost(config.batch_size, image_flops(config, steps, int(found.state.step))),
        why=found.why,
    )
