"""The work of runs in closed form: FLOPs, and numbers that pass through memory, of every variant."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from bench.points import VARIANTS, Transfer, Upstream
from bench.points.progressive import spread

# Forward; gradients of the inputs; gradients of the weights. Each multiplies two of (inputs, outputs, weights) into the third.
PASSES = 3


class Work(NamedTuple):
    """What a device has to do.

    Attributes:
      flops: two per multiply-add of convolutions, projections and attention.
      numbers: activations that these read and write. Weights are left out: they are read once a batch, not once an image.
    """

    flops: float
    numbers: float

    def times(self, count: float) -> Work:
        """Returns this work done `count` times."""
        return Work(self.flops * count, self.numbers * count)

    def plus(self, other: Work) -> Work:
        """Returns both."""
        return Work(self.flops + other.flops, self.numbers + other.numbers)


@cache
def forward(model: str, resolution: int, classes: int) -> Work:
    """Returns the work of one image's forward pass."""
    products = list(VARIANTS[model].spec.products(resolution, classes))
    return Work(2.0 * sum(p.macs for p in products), float(sum(p.inputs + p.outputs for p in products)))


@cache
def weights(model: str, resolution: int, classes: int) -> int:
    """Returns the number of weights of all products; biases, gains and position embeddings are a percent more, at most two."""
    return sum(p.weights for p in VARIANTS[model].spec.products(resolution, classes))


def forward_flops(model: str, resolution: int, classes: int) -> float:
    """Returns FLOPs of one image's forward pass: two per multiply-add of convolutions, projections and attention.

    The papers' "FLOPs" are multiply-adds, half of this.
    """
    return forward(model, resolution, classes).flops


def image(config: Upstream | Transfer, steps: int, done: int | None = None) -> Work:
    """Returns the work of the forward passes that an image of a training step takes, the mean over the steps of a run.

    Stages of progressive learning have each their resolution; sharpness-aware minimisation takes two passes.

    Args:
      config: of the run.
      steps: of the whole run.
      done: the first so many of them count; all by default.
    """
    passes = 2.0 if config.sam else 1.0
    if isinstance(config, Transfer):
        return forward(config.upstream.model, config.resolution, config.facts.classes).times(passes)
    done = steps if done is None else done
    total = Work(0.0, 0.0)
    for stage, first, end in spread(config, steps):
        there = forward(config.model, stage.resolution, config.data.classes)
        total = total.plus(there.times(max(0, min(end, done) - first)))
    return total.times(passes / max(done, 1))


def image_flops(config: Upstream | Transfer, steps: int, done: int | None = None) -> float:
    """Returns FLOPs of the forward passes that an image of a training step takes; see `image`."""
    return image(config, steps, done).flops


def training(config: Upstream | Transfer, examples: int = 0) -> Work:
    """Returns the work of a whole training: three forward passes (forward, and backward as two) of every image.

    Args:
      config: of the run.
      examples: of its upstream training set, of which `config.steps` counts the epochs; a transfer states its steps.
    """
    steps = config.steps if isinstance(config, Transfer) else config.steps(examples)
    return image(config, steps).times(PASSES * steps * config.batch_size)


def training_flops(config: Upstream | Transfer, examples: int = 0) -> float:
    """Returns FLOPs of a whole training over `examples` images; see `training`."""
    return training(config, examples).flops
