"""A probe: what a checkpoint's features say of a task, without any training of the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from bench.points.checkpoint import Checkpoint
from bench.points.config import MAX_INT, Config
from bench.points.downstream import Downstream
from bench.points.fields import from_mapping, type_fields, within
from bench.points.task import Task
from bench.points.upstream import Upstream

# Training images that are looked at, at most: some scores compare images in pairs, or with thousands of source classes, and the
# literature's probes have 500 to 5,000. Val and test are looked at whole, so that accuracies are exact.
TRAIN_IMAGES = 10_000


@dataclass(frozen=True)
class Probe(Downstream, Config):
    """Features of a task's images by a checkpoint, extracted once, and every score that follows from them.

    Attributes:
      upstream: the run, or weights from elsewhere, whose features are looked at.
      task: a name of `TASKS`, or of `own`.
      resolution: pixels.
      seed: of what is drawn: shots, folds, starts of iterations.
      own: facts of a task that is not in `TASKS`; None for one that is.
    """

    kind = "probe"

    upstream: Upstream | Checkpoint
    task: str
    resolution: int
    seed: int = 0
    own: Task | None = None

    def __post_init__(self) -> None:
        me = "Probe"
        self._check_upstream()
        type_fields(self, {"task": str, "resolution": int, "seed": int})
        self._check_task()
        within(me, "resolution", self.resolution, 1, MAX_INT)
        within(me, "seed", self.seed, 0, MAX_INT)
        self._nameable()

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Probe:
        """Builds a config from plain values; raises `UserError` (see `from_mapping`)."""
        return from_mapping(cls, cls._nested(values))

    def facts_used(self) -> dict[str, Any]:
        """Returns the upstream run's digest, the facts of the task and how many of its training images are looked at."""
        return {"upstream": self.upstream.digest, "task": asdict(self.facts), "train_images": TRAIN_IMAGES}

    @property
    def images(self) -> int:
        """Returns how many images are looked at."""
        return min(self.facts.train, TRAIN_IMAGES) + self.facts.val + self.facts.test

    @cached_property
    def name(self) -> str:
        """Returns the probe's name."""
        from bench.points.names import format_probe

        return format_probe(self)
