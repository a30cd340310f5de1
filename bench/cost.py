"""What a run costs before it runs: closed-form FLOPs of every variant. Imports no numerical library."""

from __future__ import annotations

from bench.points import VARIANTS, Transfer, Upstream
from bench.points.progressive import spread


def forward_flops(model: str, resolution: int, classes: int) -> float:
    """Returns FLOPs of one image's forward pass: two per multiply-add of convolutions, projections and attention.

    The papers' "FLOPs" are multiply-adds, half of this.
    """
    macs: int = VARIANTS[model].spec.macs(resolution, classes)
    return 2.0 * macs


def image_flops(config: Upstream | Transfer, steps: int, done: int | None = None) -> float:
    """Returns FLOPs of the forward passes that an image of a training step takes, the mean over the steps of a run.

    Stages of progressive learning have each their resolution; sharpness-aware minimisation takes two passes.

    Args:
      config: of the run.
      steps: of the whole run.
      done: the first so many of them count; all by default.
    """
    passes = 2.0 if config.sam else 1.0
    if isinstance(config, Transfer):
        return passes * forward_flops(config.upstream.model, config.resolution, config.facts.classes)
    done = steps if done is None else done
    flops = 0.0
    for stage, first, end in spread(config, steps):
        flops += max(0, min(end, done) - first) * forward_flops(config.model, stage.resolution, config.data.classes)
    return passes * flops / max(done, 1)


def training_flops(config: Upstream, examples: int) -> float:
    """Returns FLOPs of a whole upstream run over `examples` training images; the backward pass counts as two forward passes."""
    steps = config.steps(examples)
    return 3.0 * steps * config.batch_size * image_flops(config, steps)
