"""What one run is: frozen configs of an upstream run and of a transfer run, and the digest of each.

A config holds everything that decides the numbers of a run and nothing else (no paths, no devices, no checkpoint intervals).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

from bench.errors import UserError
from bench.points.datasets import UPSTREAM, UpstreamSet
from bench.points.fields import from_mapping, one_of, type_fields, within
from bench.points.levels import LEVELS, Level
from bench.points.progressive import PROGRESSIVE, check
from bench.points.tasks import TASKS, Task
from bench.points.variants import FAMILIES, VARIANTS, Variant

# Raised whenever the same config would train differently, so that old and new results are never mixed under one name.
CONFIG_VERSION = 4
OPTIMIZERS = ("adam", "nesterov_agc", "momentum", "rmsprop", "nesterov_agc_l2", "rmsprop_l2")
DECAYS = ("cosine", "linear", "constant", "exponential")
LOSSES = ("sigmoid", "softmax")
DTYPES = ("float32", "bfloat16")
RANDAUGMENTS = ("reference", "fixed")
MAX_INT = 2**31 - 1  # what 32-bit device code can hold
MAX_NAME = 255  # bytes; common file systems take no longer name


class Config(ABC):
    """What the two configs share: a name, a checked constructor, a plain form, a digest."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """Returns the run's name."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the whole config as plain JSON values; `from_dict` of it gives an equal config."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def facts_used(self) -> dict[str, Any]:
        """Returns the facts that the config only names (shapes, strengths), so that the digest guards them too."""
        return {}

    @cached_property
    def digest(self) -> str:
        """Returns 16 hex digits of SHA-256 over the canonical JSON of the whole config and the facts it names."""
        whole = {"version": CONFIG_VERSION, "kind": self.kind, **self.to_dict(), "facts": self.facts_used()}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]

    def _nameable(self) -> None:
        if len(self.name) > MAX_NAME:
            raise UserError(
                f"{type(self).__name__}: the name has {len(self.name)} characters, more than the {MAX_NAME} of a file name;"
                f" use numbers with fewer digits: {self.name}"
            )


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


UNSET = {"batch_size": 0, "warmup_steps": -1, "resolution": 0, "optimizer": "", "loss": "", "clip": 0.0}


@dataclass(frozen=True)
class Transfer(Config):
    """A transfer (adaptation) run of an upstream checkpoint, with a softmax; by default the paper's: SGD with momentum, cosine.

    Attributes:
      upstream: the run whose final weights are adapted.
      task: a name of `TASKS`.
      steps: training steps.
      lr: peak learning rate.
      resolution: pixels.
      seed: seeds the new head, the order and the crops.
      batch_size: images per step; 512 in the release.
      warmup_steps: steps of linear warm-up; the default follows the paper's Table 4 (500 steps: 100, 2,500: 200, longer: 500,
        shorter than 500: a fifth of the steps).
      clip: global norm to which gradients are clipped, or the ratio of adaptive clipping, see `Upstream`.
      wd, do, sd: as of `Upstream`.
      aug: a name of `LEVELS`, of which RandAugment and mixing apply: images are resized plainly all the same. RandAugment is
        the upstream run's, `reference` or `fixed`.
      sam, ema, smoothing, multiplicity, optimizer, decay: as of `Upstream`.
    """

    kind = "transfer"

    upstream: Upstream
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

    def __post_init__(self) -> None:
        me = "Transfer"
        if not isinstance(self.upstream, Upstream):
            raise UserError(f"Transfer: field 'upstream' must be an Upstream, not {type(self.upstream).__name__}")
        type_fields(self, dict.fromkeys(("task", "aug", "optimizer", "decay"), str))
        type_fields(self, dict.fromkeys(("lr", "clip", "wd", "do", "sd", "sam", "ema", "smoothing"), float))
        type_fields(self, dict.fromkeys(("steps", "resolution", "seed", "batch_size", "warmup_steps", "multiplicity"), int))
        one_of(me, "task", self.task, TASKS)
        one_of(me, "aug", self.aug, LEVELS)
        one_of(me, "optimizer", self.optimizer, OPTIMIZERS)
        one_of(me, "decay", self.decay, DECAYS)
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
        upstream = values.get("upstream")
        if isinstance(upstream, Mapping):
            values = {**values, "upstream": Upstream.from_dict(upstream)}
        return from_mapping(cls, values)

    def facts_used(self) -> dict[str, Any]:
        """Returns the upstream run's digest, the facts of the task and the strengths of the level."""
        return {"upstream": self.upstream.digest, "task": asdict(self.facts), "level": asdict(self.level)}

    @property
    def level(self) -> Level:
        """Returns the augmentation level's facts."""
        return LEVELS[self.aug]

    @property
    def facts(self) -> Task:
        """Returns the task's facts."""
        return TASKS[self.task]

    @cached_property
    def name(self) -> str:
        """Returns the run's name."""
        from bench.points.names import format_transfer

        return format_transfer(self)


def positional(number: float | Decimal) -> str:
    """Returns the shortest positional form that parses back: 300 for 300.0, 0.25, 0.00001 (never an exponent)."""
    text = format(number if isinstance(number, Decimal) else Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
