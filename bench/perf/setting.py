"""The training steps that benchmarks measure: the real program of a model, with data of the right shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

from bench import cost
from bench.train import gain
from bench.train.hyper import Hyper
from bench.train.program import Programs
from bench.train.static import Static

CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A model with its batch: resolution in pixels, `chunk` steps in one dispatch, as a run would have them."""

    model: str
    optimizer: str
    resolution: int
    batch_size: int
    chunk: int

    @property
    def name(self) -> str:
        """Returns how tables call it."""
        return f"{self.model}, {self.resolution} px, batch {self.batch_size}"

    @property
    def static(self) -> Static:
        """Returns what shapes its programs."""
        return Static(self.model, CLASSES, 0.0, self.resolution, self.batch_size, self.optimizer, "softmax", chunk=self.chunk)

    @property
    def flops(self) -> float:
        """Returns FLOPs of one step, the backward pass as two forward passes; optimiser and augmentation count nothing."""
        return 3.0 * self.batch_size * cost.forward_flops(self.model, self.resolution, CLASSES)


VIT_MU = Case("ViT-mu", "adam", 28, 64, 25)
NFNET_MU = Case("NFNet-mu", "nesterov_agc", 28, 64, 25)
TI16 = Case("Ti/16", "adam", 224, 8, 2)
NFNET_F0 = Case("NFNet-F0", "nesterov_agc", 192, 4, 2)


def hyper(**changes: float) -> Hyper:
    """Returns ordinary hyper-parameters without regularisation, augmentation or an end of the schedule in sight."""
    values: dict[str, float] = {"lr": 1e-3, "wd": 0.03, "clip": 1.0, "warmup": 10, "steps": 1_000_000, "seed": 1}
    return Hyper.cast(**{**values, **changes})


def dispatch(programs: Programs, case: Case, setting: Hyper) -> Callable[[], jax.Array]:
    """Returns a function that runs one dispatch of `case.chunk` steps, going on from where its last call left off."""
    data, state = gain.batches(programs), programs.start(programs.init(np.uint32(0)))

    def run() -> jax.Array:
        nonlocal state
        state, losses = programs.train(state, data, np.int32(0), np.int32(case.chunk), np.int32(CLASSES), setting)
        result: jax.Array = losses
        return result

    return run
