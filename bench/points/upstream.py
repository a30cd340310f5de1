"""An upstream (pre-training) run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from bench.errors import UserError
from bench.points.config import DECAYS, DTYPES, MAX_INT, OPTIMIZERS, Config, positional
from bench.points.datasets import UPSTREAM, UpstreamSet
from bench.points.fields import from_mapping, one_of, type_fields, within
from bench.points.levels import LEVELS, Level
from bench.points.progressive import PROGRESSIVE, check
from bench.points.variants import FAMILIES, VARIANTS, Variant

LOSSES = ("sigmoid", "softmax")
RANDAUGMENTS = ("reference", "fixed")
UNSET = {"batch_size": 0, "warmup_steps": -1, "resolution": 0, "optimizer": "", "loss": "", "clip": 0.0}


@dataclass(frozen=True)
class Upstream(Config):
    """An upstream (pre-training) run.

    Fields without a default are the axes of the released grid. The others default to the recipe of the upstream set and of the
    model's family (0, 0.0 and "" stand for "as the recipe says" and are replaced on construction).

    Attributes:
      model: a name of `VARIANTS`.
      dataset: a name of `UPSTREAM`.
      epochs: passes over the (possibly reduced) training set.
      lr: peak learning rate.
      aug: a name of `LEVELS`.
      wd: weight decay, decoupled and multiplied by the learning rate (the released file names' unit); the optimisers named
        `_l2` add it to the gradient instead.
      do, sd: dropout rate, stochastic depth rate of the last block.
      fraction: share of the training set; subsets are nested.
      seed: seeds initialisation, order, augmentation and masks.
      batch_size: images per step, over all devices.
      warmup_steps: steps of linear warm-up from 0.
      resolution: pixels.
      optimizer: one of `OPTIMIZERS`.
      loss: `sigmoid` or `softmax`.
      clip: global norm to which gradients are clipped; for `nesterov_agc` and `nesterov_agc_l2` the ratio of adaptive
        clipping.
      dtype: `float32` or `bfloat16`, in which the model computes, also when its checkpoint is transferred; parameters, norms'
        statistics, softmax and logits are float32 always.
      randaug: `reference`, RandAugment with the quirks of the code that the released runs used, or `fixed`, without its bugs.
      shards: parts of the batch within which Mixup mixes; the release had one a device, 1 mixes over the whole batch.
      multiplicity: how often an image stands in its batch, augmented anew each time; the number of steps stays.
      smoothing: of labels, the share of a target that is spread over all classes.
      ema: largest decay of the weights' moving average, which is then what is evaluated and kept; 0 for none. At step t it is
        min(ema, (1 + t) / (10 + t)), as in the NFNet and EfficientNetV2 code.
      accumulate: micro-batches that a step's batch is computed in, one after the other.
      sam: radius of sharpness-aware minimisation, whose step costs two; 0 for none.
      decay: of the learning rate after its warm-up, one of `DECAYS`.
      progressive: a name of `PROGRESSIVE`; empty where nothing grows.
    """

    kind = "upstream"

    model: str
    dataset: str
    epochs: float
    lr: float
    aug: str
    wd: float
    do: float
    sd: float
    fraction: float = 1.0
    seed: int = 0
    batch_size: int = 0
    warmup_steps: int = -1
    resolution: int = 0
    optimizer: str = ""
    loss: str = ""
    clip: float = 0.0
    dtype: str = "float32"
    randaug: str = "reference"
    shards: int = 1
    multiplicity: int = 1
    smoothing: float = 0.0
    ema: float = 0.0
    accumulate: int = 1
    sam: float = 0.0
    decay: str = "cosine"
    progressive: str = ""

    def __post_init__(self) -> None:
        me = "Upstream"
        texts = ("model", "dataset", "aug", "optimizer", "loss", "dtype", "randaug", "decay", "progressive")
        counts = ("seed", "batch_size", "warmup_steps", "resolution", "shards", "multiplicity", "accumulate")
        type_fields(self, dict.fromkeys(texts, str))
        type_fields(
            self, dict.fromkeys(("epochs", "lr", "wd", "do", "sd", "fraction", "clip", "smoothing", "ema", "sam"), float)
        )
        type_fields(self, dict.fromkeys(counts, int))
        one_of(me, "model", self.model, VARIANTS)
        one_of(me, "dataset", self.dataset, UPSTREAM)
        one_of(me, "aug", self.aug, LEVELS)
        for field, default in self.recipe(self.model, self.dataset, self.optimizer).items():
            if getattr(self, field) == UNSET[field]:
                object.__setattr__(self, field, default)
        one_of(me, "optimizer", self.optimizer, OPTIMIZERS)
        one_of(me, "loss", self.loss, LOSSES)
        one_of(me, "dtype", self.dtype, DTYPES)
        one_of(me, "randaug", self.randaug, RANDAUGMENTS)
        one_of(me, "decay", self.decay, DECAYS)
        within(me, "epochs", self.epochs, 0, open_low=True)
        within(me, "lr", self.lr, 0, open_low=True)
        within(me, "clip", self.clip, 0, open_low=True)
        within(me, "fraction", self.fraction, 0, 1, open_low=True)
        within(me, "wd", self.wd, 0)
        within(me, "do", self.do, 0, 0.99)
        within(me, "sd", self.sd, 0, 0.99)
        within(me, "seed", self.seed, 0, MAX_INT)
        within(me, "batch_size", self.batch_size, 1, MAX_INT)
        within(me, "warmup_steps", self.warmup_steps, 0, MAX_INT)
        within(me, "resolution", self.resolution, 1, MAX_INT)
        within(me, "shards", self.shards, 1, self.batch_size)
        within(me, "multiplicity", self.multiplicity, 1, MAX_INT)
        within(me, "smoothing", self.smoothing, 0, 0.99)
        within(me, "ema", self.ema, 0, 1)
        within(me, "accumulate", self.accumulate, 1, self.batch_size)
        within(me, "sam", self.sam, 0)
        for field in ("shards", "accumulate"):
            if self.batch_size % getattr(self, field):
                raise UserError(
                    f"Upstream: field {field!r} is {getattr(self, field)}, which does not divide the batch size"
                    f" {self.batch_size}"
                )
        check(self)
        self._nameable()

    @staticmethod
    def recipe(model: str, dataset: str, optimizer: str = "") -> dict[str, Any]:
        """Returns the fields that the name of a run leaves out, with the values it takes for granted."""
        data, usual = UPSTREAM[dataset], FAMILIES[VARIANTS[model].family].optimizer
        return {
            "batch_size": data.batch_size,
            "warmup_steps": data.warmup_steps,
            "resolution": data.resolution,
            "optimizer": usual,
            "loss": data.loss,
            "clip": data.agc if (optimizer or usual).startswith("nesterov_agc") else 1.0,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Upstream:
        """Builds a config from plain values; raises `UserError` (see `from_mapping`)."""
        return from_mapping(cls, values)

    def facts_used(self) -> dict[str, Any]:
        """Returns the shape of the model, the strengths of the level and the facts of the upstream set and of the schedule."""
        shape = {"family": self.variant.family, "spec": asdict(self.variant.spec)}
        grows = {"progressive": asdict(PROGRESSIVE[self.progressive])} if self.progressive else {}
        return {"variant": shape, "level": asdict(self.level), "data": asdict(self.data), **grows}

    @property
    def variant(self) -> Variant:
        """Returns the model's facts."""
        return VARIANTS[self.model]

    @property
    def level(self) -> Level:
        """Returns the augmentation level's facts."""
        return LEVELS[self.aug]

    @property
    def data(self) -> UpstreamSet:
        """Returns the upstream set's facts."""
        return UPSTREAM[self.dataset]

    @property
    def dataset_name(self) -> str:
        """Returns the set's name with its fraction, as file names spell it: `mnist5k_10pct`."""
        percent = Decimal(repr(self.fraction)) * 100
        return self.dataset if percent == 100 else f"{self.dataset}_{positional(percent)}pct"

    @property
    def ds(self) -> str:
        """Returns the table's column `ds`; the release calls 30 epochs of ImageNet-21k `i21k_30`."""
        return f"{self.dataset_name}_30" if self.dataset == "i21k" and self.epochs == 30 else self.dataset_name

    def steps(self, examples: int) -> int:
        """Returns the number of steps that `epochs` over `examples` take, rounded, at least 1 (as in the released code)."""
        return max(1, round(self.epochs * examples / self.batch_size))

    @cached_property
    def name(self) -> str:
        """Returns the run's name."""
        from bench.points.names import format_upstream

        return format_upstream(self)
