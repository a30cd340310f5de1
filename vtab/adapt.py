"""A transfer run: a checkpoint's weights with a fresh head, adapted to a task.

Adaptation resizes images plainly, as VTAB does; validation selects, the test split is read once at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench import models, weights
from bench.cost import image_flops
from bench.data.order import Order
from bench.points import Execution, Transfer
from bench.records.record import Record
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Watch, fit
from bench.train.hyper import Hyper
from bench.train.metrics import Metrics
from bench.train.program import Programs, programs
from bench.train.static import Static
from bench.train.upstream import device
from vtab.tasks import load_task


def with_new_head(made: Programs, trained: weights.Flat, seed: int, source: Path) -> dict[str, Any]:
    """Returns what `bench.weights.read` has found as weights for `made`, with the head of a fresh model.

    They may be not finite: a run that starts from them is recorded as diverged.

    Raises:
      UserError: a parameter is missing, unknown or has another shape: the checkpoint is of another architecture.
    """
    s = made.static
    return weights.adopt(
        trained, str(source), s.model, s.classes, s.resolution, "new", fresh=made.init(np.uint32(seed)), finite=False
    )


def run(
    config: Transfer,
    source: Path,
    folder: Path,
    attempt: Path,
    checkpoint_seconds: float,
    watch: Watch,
    execution: Execution = Execution(),
) -> Record:
    """Adapts a checkpoint.

    Args:
      config: of the run.
      source: the upstream run's final weights.
      folder: as for `bench.train.upstream.run`, like the rest.
      attempt: of this attempt.
      checkpoint_seconds: least time between two checkpoints.
      watch: progress and stop.
      execution: how programs are compiled and placed.

    Raises:
      UserError: the weights are missing or of another architecture, or this version cannot read the task.
      bench.train.fit.Preempted: `watch.stop` said so.
    """
    data, classes = load_task(config.task, config.resolution), config.facts.classes
    made = programs(Static.of(config, execution))
    params = with_new_head(made, weights.read(source), config.seed, source)
    order = Order(len(data.train), config.batch_size, config.seed, multiplicity=config.multiplicity)
    found = fit(
        made,
        made.start(params),
        data,
        order,
        Hyper.of_transfer(config),
        classes,
        mixup=config.level.mixup,
        cutmix=config.level.cutmix,
        checkpoints=Checkpoints(folder, attempt, checkpoint_seconds),
        watch=watch,
        metrics=Metrics(config, attempt, order, watch.trackers),
    )
    return Record(
        config=config,
        status=found.status,
        measurements=tuple(found.measurements),
        params=models.count_params(config.upstream.model, classes, config.resolution),
        data=data.facts(),
        device=device(),
        code_version=bench.__version__,
        cost=found.cost(config.batch_size, image_flops(config, config.steps)),
        why=found.why,
    )
