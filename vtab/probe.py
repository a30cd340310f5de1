"""A probe: every score of a checkpoint on a task that follows from its features, without training it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import bench
from bench import models
from bench.cost import forward_flops
from bench.points import Execution, Probe
from bench.points.files import PURPOSES
from bench.records.record import Cost, Measurement, Record
from bench.select.scores import SCORES, Features, score_all
from bench.train.fit import Watch
from bench.train.upstream import device
from vtab.features import Found, leave_if_asked, look, loss_of
from vtab.tasks import load_task


def run(
    config: Probe,
    source: Path,
    attempt: Path,
    watch: Watch,
    execution: Execution = Execution(),
    cache: Path | None = None,
) -> Record:
    """Extracts features and computes all scores of them.

    A score that is not defined for these features, or that needs a head which the checkpoint has not, is left out, and the
    record's `why` says which and for what reason. Weights that give features which are not finite make a diverged record
    without scores.

    Args:
      config: of the probe.
      source: the checkpoint's weights, in any layout.
      attempt: folder of this attempt; features are kept there if there is no `cache`.
      watch: told the batches done; asked between them, and between scores, whether to stop.
      execution: how the program is compiled and placed.
      cache: folder of features that probes share.

    Raises:
      UserError: the weights are missing or of another architecture, or this version cannot read the task.
      bench.train.fit.Preempted: `watch.stop` said so.
    """
    data = load_task(config.facts, config.resolution)
    facts = data.facts()
    started = time.perf_counter()
    found = look(config, data, source, watch, execution, cache or attempt)
    scored, why = _scores(config, found, watch)
    return Record(
        config=config,
        status="diverged" if found.broken else "ok",
        measurements=scored,
        params=models.count_params(config.upstream.model, config.facts.classes, config.resolution),
        data=facts,
        device=device(),
        code_version=bench.__version__,
        cost=Cost(
            eval_seconds=round(time.perf_counter() - started - found.compiling, 3),
            compile_seconds=round(found.compiling, 3),
            images=found.images,
            train_flops=forward_flops(config.upstream.model, config.resolution, 0) * found.images,
            eval_images_per_second=round(found.images / found.seconds, 1) if found.seconds else 0.0,
        ),
        why=why,
    )


def features(config: Probe, found: Found) -> Features:
    """Returns what scores look at."""
    train, val, test = (found.splits[purpose] for purpose in PURPOSES)
    source = found.head and found.head.probabilities(train.features, loss_of(config)).astype(np.float64)
    return Features(*train.wide(), *val.wide(), *test.wide(), config.facts.classes, source, config.seed)


def _scores(config: Probe, found: Found, watch: Watch) -> tuple[tuple[Measurement, ...], str]:
    """Returns the measurements, and why those are missing that are."""
    if found.broken:
        return (), f"features of {found.broken:,} of {found.images:,} images are not finite"
    seen, scored, reasons = features(config, found), list[Measurement](), list[str]()
    for name in SCORES:
        leave_if_asked(watch)
        values, missing = score_all(seen, [name])
        scored += [Measurement(each.split, each.score, each.n, each.value, 0) for each in values]
        reasons += missing
    return tuple(scored), "; ".join(reasons)
