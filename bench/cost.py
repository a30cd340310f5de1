"""What a run costs before it runs: closed-form FLOPs of every buildable variant. Imports no numerical library."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bench.errors import UserError
from bench.points import VARIANTS, Upstream
from bench.points.variants import NFNetSpec, ViTSpec


def _vit_macs(spec: ViTSpec, resolution: int, classes: int) -> int:
    patches = (resolution // spec.patch) ** 2
    tokens = patches + 1
    block = 4 * tokens * spec.width**2 + 2 * tokens**2 * spec.width + 2 * tokens * spec.width * spec.mlp
    return patches * spec.patch**2 * 3 * spec.width + spec.depth * block + spec.width * classes


def _nfnet_macs(spec: NFNetSpec, resolution: int, classes: int) -> int:
    macs, side, channels = 0, resolution, 3
    for out, kernel, stride in spec.stem:
        side = math.ceil(side / stride)
        macs += side**2 * kernel**2 * channels * out
        channels = out
    for width, depth, stride in zip(spec.widths, spec.depths, spec.strides, strict=True):
        mid = int(width * spec.bottleneck)
        for block in range(depth):
            before, side = side, math.ceil(side / (stride if block == 0 else 1))
            if side != before or channels != width:
                macs += side**2 * channels * width
            macs += before**2 * channels * mid + 2 * side**2 * 9 * mid * spec.group_width + side**2 * mid * width
            macs += 2 * width * int(width * spec.se_ratio)
            channels = width
    return macs + side**2 * channels * 2 * channels + 2 * channels * classes


_MACS: dict[str, Callable[[Any, int, int], int]] = {"vit": _vit_macs, "nfnet": _nfnet_macs}


def forward_flops(model: str, resolution: int, classes: int) -> float:
    """Returns FLOPs of one image's forward pass: two per multiply-add of convolutions, projections and attention.

    The papers' "FLOPs" are multiply-adds, half of this.

    Raises:
      UserError: the family cannot be built yet.
    """
    variant = VARIANTS[model]
    if variant.spec is None:
        raise UserError(f"model {model!r}: the family {variant.family!r} cannot be built yet, so its cost is not known")
    return 2.0 * _MACS[variant.family](variant.spec, resolution, classes)


def training_flops(config: Upstream, examples: int) -> float:
    """Returns FLOPs of a whole upstream run over `examples` training images; the backward pass counts as two forward passes."""
    images = config.steps(examples) * config.batch_size
    return 3.0 * images * forward_flops(config.model, config.resolution, config.data.classes)
