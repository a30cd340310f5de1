"""What a run measures while it trains, written to the attempt's `metrics.csv` and passed on to trackers.

The file is appended to after every dispatch. Where the disk is full, rows wait in memory; the run does not.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bench.data.order import Order
from bench.points import Config
from bench.records import metrics as files
from bench.records.metrics import Row
from bench.records.record import Measurement
from bench.train import optimizers, together
from bench.train.legs import Leg
from bench.train.trackers import About, Guarded, check

log = logging.getLogger(__name__)


# Compiled once, because operation by operation it would take longer than a small step.
_learning_rate = jax.jit(optimizers.learning_rate, static_argnums=0)


class Metrics:
    """The metrics of one attempt. Of several processes, only the first one writes.

    Args:
      config: of the run.
      attempt: folder of the attempt.
      order: of the training examples.
      trackers: names of those that rows are passed on to.

    Raises:
      UserError: a tracker does not exist, or its package is not installed.
    """

    def __init__(self, config: Config, attempt: Path, order: Order, trackers: tuple[str, ...] = ()) -> None:
        check(trackers)
        self._config, self._attempt, self._order, self._names = config, attempt, order, trackers
        self._path = attempt / files.FILE
        self._trackers: list[Guarded] = []
        self._waiting = b""
        self._lacking = False

    def begin(self, step: int, restored_from: Path | None, attempts: int) -> None:
        """Begins where the attempt does.

        Args:
          step: steps already done.
          restored_from: the checkpoint that it goes on from.
          attempts: how many came before, one after the other.
        """
        if together.first():
            earlier = restored_from.parents[1].name if restored_from else ""
            self._append(",".join(files.HEADER) + "\n" + files.line(files.beginning(step, earlier, attempts)))
            config = self._config
            about = About(config.name, config.digest, config.to_dict(), self._attempt, step)
            self._trackers = [Guarded(name, about) for name in self._names]

    def dispatched(self, leg: Leg, step: int, losses: NDArray[np.float32], seconds: float, clock: float) -> None:
        """Takes what a dispatch gave.

        Args:
          leg: that it belongs to.
          step: steps done before it.
          losses: float32[its steps].
          seconds: that each of its steps took.
          clock: seconds of training and evaluation so far.
        """
        hyper, last, static = leg.hyper, step + len(losses), leg.programs.static
        rate = _learning_rate(static.decay, np.int32(last - 1), hyper.lr, hyper.warmup, hyper.steps, hyper.stair)
        speed = static.batch_size / seconds
        self._log(last, "train", {"loss": losses.mean(), "learning_rate": rate, "images_per_second": speed}, clock)

    def measured(self, measurement: Measurement, clock: float) -> None:
        """Takes a measurement."""
        self._log(measurement.step, measurement.split, {measurement.metric: measurement.value}, clock)

    def _log(self, step: int, split: str, values: Mapping[str, Any], seconds: float) -> None:
        if not together.first():
            return
        epoch = step * self._order.batch_size / (self._order.size * self._order.multiplicity)
        rows = [Row(step, epoch, split, metric, float(value), seconds) for metric, value in values.items()]
        self._append("".join(map(files.line, rows)))
        for tracker in self._trackers:
            tracker.log(rows)

    def close(self, status: str) -> None:
        """Ends with the attempt: a record's status, or `stopped` where the run goes on later."""
        if self._waiting:
            self._append("")
        for tracker in self._trackers:
            tracker.close(status)

    def _append(self, lines: str) -> None:
        self._waiting += lines.encode()
        try:
            with self._path.open("ab", buffering=0) as file:
                whole = file.tell()
                try:
                    # A disk that fills up may take a part.
                    if file.write(self._waiting) < len(self._waiting):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                except OSError:
                    os.ftruncate(file.fileno(), whole)
                    raise
        except OSError as error:
            if not self._lacking:
                log.warning("%s cannot be written now (%s); its rows wait", self._path, error.strerror or error)
            self._lacking = True
        else:
            self._waiting, self._lacking = b"", False
