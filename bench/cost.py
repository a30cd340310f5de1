"""What a run costs before it runs: closed-form FLOPs of every variant. Imports no numerical library."""

from __future__ import annotations

from bench.points import VARIANTS, Upstream


def forward_flops(model: str, resolution: int, classes: int) -> float:
    """Returns FLOPs of one image's forward pass: two per multiply-add of convolutions, projections and attention.

    The papers' "FLOPs" are multiply-adds, half of this.
    """
    macs: int = VARIANTS[model].spec.macs(resolution, classes)
    return 2.0 * macs


def training_flops(config: Upstream, examples: int) -> float:
    """Returns FLOPs of a whole upstream run over `examples` training images; the backward pass counts as two forward passes."""
    images = config.steps(examples) * config.batch_size
    return 3.0 * images * forward_flops(config.model, config.resolution, config.data.classes)
