"""A transfer run: a checkpoint's weights with a fresh head, adapted to a task.

Validation selects, the test split is read once at the end; which of them is measured at all is said by the run's `fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench import models, weights
from bench.cost import image_flops
from bench.data.order import Order
from bench.data.split import Dataset
from bench.points import Execution, Transfer
from bench.points.tasks import EXTRAS
from bench.records.record import Record
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Fitted, Watch, fit
from bench.train.fit_lanes import Lane, fit_lanes, shares
from bench.train.hyper import Hyper
from bench.train.lanes import lanes
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
    data = load_task(config.facts, config.resolution, config.fit)
    own = _own(config, data, attempt, watch)
    made = programs(Static.of(config, execution))
    found = fit(
        made,
        made.start(with_new_head(made, weights.read(source), config.seed, source)),
        data,
        own.order,
        own.hyper,
        config.facts.classes,
        mixup=own.mixup,
        cutmix=own.cutmix,
        evaluations=evaluations(config),
        final=final(config, data),
        checkpoints=Checkpoints(folder, attempt, checkpoint_seconds),
        watch=watch,
        metrics=own.metrics,
    )
    return _result(config, data, found, _params(config))


def run_group(
    configs: Sequence[Transfer],
    sources: Sequence[Path],
    attempts: Sequence[Path],
    checkpoints: Checkpoints,
    watch: Watch,
    execution: Execution = Execution(),
) -> list[Record]:
    """Adapts checkpoints as lanes of one program.

    Args:
      configs: of the runs; of an equal `Static`, one task and `fit`, and as many steps.
      sources: the upstream runs' final weights.
      attempts: folder of each run's attempt, as for `run`.
      checkpoints: of the group.
      watch: progress and stop.
      execution: how programs are compiled and placed.

    Raises:
      UserError: weights are missing or of another architecture, or this version cannot read the task.
      bench.train.fit.Preempted: `watch.stop` said so.
    """
    first = configs[0]
    data = load_task(first.facts, first.resolution, first.fit)
    own = [_own(config, data, attempt, watch) for config, attempt in zip(configs, attempts, strict=True)]
    static = Static.of(first, execution)
    made = lanes(static, len(configs), shares(own))
    trained = {source: weights.read(source) for source in dict.fromkeys(sources)}
    starts = [
        with_new_head(programs(static), trained[source], config.seed, source)
        for config, source in zip(configs, sources, strict=True)
    ]
    found = fit_lanes(
        made,
        made.start_all(starts),
        data,
        own,
        first.facts.classes,
        evaluations=evaluations(first),
        final=final(first, data),
        checkpoints=checkpoints,
        watch=watch,
    )
    params = _params(first)
    return [_result(config, data, each, params) for config, each in zip(configs, found, strict=True)]


def evaluations(config: Transfer) -> int:
    """Returns how often a run measures its validation split: at its end, unless it learns from it."""
    return int(config.fit != "trainval")


def final(config: Transfer, data: Dataset) -> tuple[str, ...]:
    """Returns what else a run measures at its end, in this order.

    That is test, then every extra: ImageNetV2, which validates, and ImageNet ReaL, which tests. A run that tunes looks at
    nothing that tests; one that learns from train and val, at nothing that validates.
    """
    if config.fit == "tune":
        return tuple(name for name in data.extras if EXTRAS[name].selects)
    return ("test", *(name for name in data.extras if config.fit == "train" or not EXTRAS[name].selects))


def _own(config: Transfer, data: Dataset, attempt: Path, watch: Watch) -> Lane:
    order = Order(len(data.train), config.batch_size, config.seed, multiplicity=config.multiplicity)
    metrics = Metrics(config, attempt, order, watch.trackers)
    return Lane(order, Hyper.of_transfer(config), config.level.mixup, config.level.cutmix, metrics)


def _params(config: Transfer) -> int:
    return models.count_params(config.upstream.model, config.facts.classes, config.resolution)


def _result(config: Transfer, data: Dataset, found: Fitted, params: int) -> Record:
    return Record(
        config=config,
        status=found.status,
        measurements=tuple(found.measurements),
        params=params,
        data=data.facts(),
        device=device(),
        code_version=bench.__version__,
        cost=found.cost(config.batch_size, image_flops(config, config.steps)),
        why=found.why,
    )
