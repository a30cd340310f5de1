"""An upstream run, from a config to a record and final weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

import bench
from bench import models, weights
from bench.cost import image_flops
from bench.data import load_upstream
from bench.data.order import Order
from bench.data.split import Dataset
from bench.points import Execution, Upstream
from bench.records.record import Record
from bench.train import together
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Fitted, Watch, fit
from bench.train.fit_lanes import Lane, fit_lanes, shares
from bench.train.hyper import Hyper
from bench.train.lanes import lanes
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
    order = _order(config, data)
    steps = config.steps(order.size)
    made = programs(Static.of(config, execution))
    found = fit(
        made,
        made.start(made.init(np.uint32(config.seed))),
        data,
        order,
        Hyper.of_upstream(config, steps),
        config.data.classes,
        evaluations=EVALUATIONS,
        checkpoints=Checkpoints(folder, attempt, checkpoint_seconds),
        watch=watch,
        metrics=Metrics(config, attempt, order, watch.trackers),
        legs=of_upstream(config, steps, execution),
    )
    return _result(config, attempt, data, order, found)


def run_group(
    configs: Sequence[Upstream],
    attempts: Sequence[Path],
    checkpoints: Checkpoints,
    watch: Watch,
    execution: Execution = Execution(),
) -> list[Record]:
    """Trains (or goes on training) upstream runs as lanes of one program.

    Args:
      configs: of the runs; of an equal `Static` and as many steps, in one stage.
      attempts: folder of each run's attempt, as for `run`.
      checkpoints: of the group.
      watch: progress and stop.
      execution: how programs are compiled and placed.

    Raises:
      bench.train.fit.Preempted: `watch.stop` said so.
    """
    first = configs[0]
    data = load_upstream(first.dataset, first.resolution)
    orders = [_order(config, data) for config in configs]
    own = [
        Lane(
            order,
            Hyper.of_upstream(config, config.steps(order.size)),
            config.level.mixup,
            config.level.cutmix,
            Metrics(config, attempt, order, watch.trackers),
        )
        for config, attempt, order in zip(configs, attempts, orders, strict=True)
    ]
    static = Static.of(first, execution)
    made, init = lanes(static, len(configs), shares(own)), programs(static).init
    found = fit_lanes(
        made,
        made.start_all([init(np.uint32(config.seed)) for config in configs]),
        data,
        own,
        first.data.classes,
        evaluations=EVALUATIONS,
        checkpoints=checkpoints,
        watch=watch,
    )
    return [
        _result(config, attempt, data, order, each)
        for config, attempt, order, each in zip(configs, attempts, orders, found, strict=True)
    ]


def _order(config: Upstream, data: Dataset) -> Order:
    return Order(len(data.train), config.batch_size, config.seed, config.fraction, config.multiplicity)


def _result(config: Upstream, attempt: Path, data: Dataset, order: Order, found: Fitted) -> Record:
    final = together.whole(found.state.weights)
    if together.first():
        weights.save(attempt / WEIGHTS, final, patient=True)
    return Record(
        config=config,
        status=found.status,
        measurements=tuple(found.measurements),
        params=models.count_params(config.model, config.data.classes, config.resolution),
        data={**data.facts(), "train": order.size},
        device=device(),
        code_version=bench.__version__,
        cost=found.cost(config.batch_size, image_flops(config, config.steps(order.size), int(found.state.step))),
        why=found.why,
    )
