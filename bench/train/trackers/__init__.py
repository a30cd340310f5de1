"""Where metrics go besides `metrics.csv`: one file a tracker, imported only where it is asked for.

A tracker that fails ends no run: it is logged once, and the run goes on without it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bench.errors import UserError, choose_from
from bench.records.metrics import Row

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What a tracker knows of a run.

    Attributes:
      name: of the run.
      digest: identifies the run for ever, also for a tracker elsewhere.
      config: plain values.
      attempt: folder of this attempt.
      step: that it goes on from, 0 where it begins.
    """

    name: str
    digest: str
    config: Mapping[str, Any]
    attempt: Path
    step: int


class Tracker(Protocol):
    """Takes the metrics of one attempt; its class is made with an `About`."""

    def log(self, rows: Sequence[Row]) -> None:
        """Takes rows of one step."""

    def close(self, status: str) -> None:
        """Ends with the attempt: a record's status, or `stopped` where the run goes on later."""


class Kind(NamedTuple):
    """A kind of tracker.

    Attributes:
      path: module and class.
      package: that it needs.
      extra: of this project, that brings the package; "" where it is there anyway.
    """

    path: str
    package: str
    extra: str = ""


TRACKERS = {
    "tensorboard": Kind("bench.train.trackers.tensorboard:TensorBoard", "tensorboardX"),
    "wandb": Kind("bench.train.trackers.wandb:WandB", "wandb", "wandb"),
    "mlflow": Kind("bench.train.trackers.mlflow:MLflow", "mlflow", "mlflow"),
}


def check(names: Iterable[str]) -> None:
    """Checks that trackers exist and that what they need is installed; imports none of it.

    Raises:
      UserError: one does not.
    """
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"unknown tracker {name!r}: {choose_from(name, TRACKERS)}")
        kind = TRACKERS[name]
        if importlib.util.find_spec(kind.package) is None:
            hint = f"augreg-bench[{kind.extra}]" if kind.extra else kind.package
            raise UserError(f"tracker {name!r} needs {kind.package!r}, which is not installed: pip install '{hint}'")


class Guarded:
    """A tracker whose errors are logged once, and end its part in the run but not the run."""

    def __init__(self, name: str, about: About) -> None:
        self._name = name
        module, _, cls = TRACKERS[name].path.partition(":")
        self._tracker: Tracker | None = None
        try:
            self._tracker = getattr(importlib.import_module(module), cls)(about)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        log.warning("tracker %s failed; the run goes on without it (%s: %s)", self._name, type(error).__name__, error)
        self._tracker = None

    def log(self, rows: Sequence[Row]) -> None:
        """Passes rows on."""
        try:
            if self._tracker:
                self._tracker.log(rows)
        except Exception as error:
            self._give_up(error)

    def close(self, status: str) -> None:
        """Passes the end on."""
        try:
            if self._tracker:
                self._tracker.close(status)
        except Exception as error:
            self._give_up(error)
        self._tracker = None
