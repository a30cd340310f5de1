"""A transfer (adaptation) run of a checkpoint to a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from bench.points.checkpoint import Checkpoint
from bench.points.config import DECAYS, MAX_INT, OPTIMIZERS, Config
from bench.points.downstream import Downstream
from bench.points.fields import from_mapping, one_of, type_fields, within
from bench.points.levels import LEVELS, Level
from bench.points.task import Task
from bench.points.upstream import Upstream

# What a transfer learns from and what it measures; see `Transfer.fit`.
FITS = ("train", "tune", "trainval")


@dataclass(frozen=True)
class Transfer(Downstream, Config):
    """A transfer (adaptation) run of an upstream checkpoint, with a softmax; by default the paper's: SGD with momentum, cosine.

    Attributes:
      upstream: the run whose final weights are adapted, or weights from elsewhere.
      task: a name of `TASKS`, or of `own`.
      steps: training steps.
      lr: peak learning rate.
      resolution: pixels.
      seed: seeds the new head, the order and the crops.
      batch_size: images per step; 512 in the release.
      warmup_steps: steps of linear warm-up; the default follows the paper's Table 4 (500 steps: 100, 2,500: 200, longer: 500,
        shorter than 500: a fifth of the steps).
      clip: global norm to which gradients are clipped, or the ratio of adaptive clipping, see `Upstream`.
      wd, do, sd: as of `Upstream`.
      aug: a name of `LEVELS`, of which RandAugment and mixing apply; whether images are cropped is the task's. RandAugment is
        the upstream run's, `reference` or `fixed`.
      sam, ema, smoothing, multiplicity, optimizer, decay: as of `Upstream`.
      fit: `train` learns from train, measures val and test; `tune` does not look at test; `trainval` learns from both and
        measures test alone. VTAB-1k tunes and then trains the best setting again on all 1,000 images.
      own: facts of a task that is not in `TASKS`; None for one that is.
    """

    kind = "transfer"

    upstream: Upstream | Checkpoint
    task: str
    steps: int
    lr: float
    resolution: int
    seed: int = 0
    batch_size: int = 512
    warmup_steps: int = -1
    clip: float = 1.0
    wd: float = 0.0
    do: float = 0.0
    sd: float = 0.0
    aug: str = "none"
    sam: float = 0.0
    ema: float = 0.0
    smoothing: float = 0.0
    multiplicity: int = 1
    optimizer: str = "momentum"
    decay: str = "cosine"
    fit: str = "train"
    own: Task | None = None

    def __post_init__(self) -> None:
        me = "Transfer"
        self._check_upstream()
        type_fields(self, dict.fromkeys(("task", "aug", "optimizer", "decay", "fit"), str))
        type_fields(self, dict.fromkeys(("lr", "clip", "wd", "do", "sd", "sam", "ema", "smoothing"), float))
        type_fields(self, dict.fromkeys(("steps", "resolution", "seed", "batch_size", "warmup_steps", "multiplicity"), int))
        self._check_task()
        one_of(me, "aug", self.aug, LEVELS)
        one_of(me, "optimizer", self.optimizer, OPTIMIZERS)
        one_of(me, "decay", self.decay, DECAYS)
        one_of(me, "fit", self.fit, FITS)
        within(me, "steps", self.steps, 1, MAX_INT)
        if self.warmup_steps == -1:
            object.__setattr__(self, "warmup_steps", self.recipe_warmup(self.steps))
        within(me, "lr", self.lr, 0, open_low=True)
        within(me, "resolution", self.resolution, 1, MAX_INT)
        within(me, "seed", self.seed, 0, MAX_INT)
        within(me, "batch_size", self.batch_size, 1, MAX_INT)
        within(me, "warmup_steps", self.warmup_steps, 0, MAX_INT)
        within(me, "clip", self.clip, 0, open_low=True)
        within(me, "wd", self.wd, 0)
        within(me, "do", self.do, 0, 0.99)
        within(me, "sd", self.sd, 0, 0.99)
        within(me, "sam", self.sam, 0)
        within(me, "ema", self.ema, 0, 1)
        within(me, "smoothing", self.smoothing, 0, 0.99)
        within(me, "multiplicity", self.multiplicity, 1, MAX_INT)
        self._nameable()

    @staticmethod
    def recipe_warmup(steps: int) -> int:
        """Returns the warm-up that the paper's Table 4 gives to a run of `steps` steps."""
        if steps < 500:
            return steps // 5
        return 100 if steps < 2_500 else 200 if steps < 10_000 else 500

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Transfer:
        """Builds a config from plain values; raises `UserError` (see `from_mapping`)."""
        return from_mapping(cls, cls._nested(values))

    def facts_used(self) -> dict[str, Any]:
        """Returns the upstream run's digest, the facts of the task and the strengths of the level."""
        return {"upstream": self.upstream.digest, "task": asdict(self.facts), "level": asdict(self.level)}

    @property
    def level(self) -> Level:
        """Returns the augmentation level's facts."""
        return LEVELS[self.aug]

    @cached_property
    def name(self) -> str:
        """Returns the run's name."""
        from bench.points.names import format_transfer

        return format_transfer(self)
