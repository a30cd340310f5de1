"""Residual networks: ResNet-50 in its version 1.5, and one of this project's own; the trunk that hybrids share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bench.points.variants.variant import Family, Product, Spec, Variant, convolution, projection

EXPANSION = 4
"""Output channels of a bottleneck as a multiple of its inner ones."""
_ROOT_KERNEL = 7
_IMAGE_CHANNELS = 3


def trunk(units: tuple[int, ...], root: int, resolution: int) -> tuple[list[Product], int, int]:
    """Returns (convolutions, side in pixels, channels) of the root and of all stages on a square image.

    Args:
      units: bottlenecks of each stage; the first of a stage halves the side, except in the first stage.
      root: channels of the 7x7 convolution, inner channels of the first stage; each later stage has twice as many.
      resolution: pixels.
    """
    side, channels = math.ceil(resolution / 2), root
    found = [convolution(resolution, side, _ROOT_KERNEL, _IMAGE_CHANNELS, root)]
    side = math.ceil(side / 2)
    for stage, count in enumerate(units):
        inner = root * 2**stage
        for unit in range(count):
            before = side
            if unit == 0:
                side = side if stage == 0 else math.ceil(side / 2)
                found.append(convolution(before, side, 1, channels, inner * EXPANSION))
            found.append(convolution(before, before, 1, channels, inner))
            found.append(convolution(before, side, 3, inner, inner))
            found.append(convolution(side, side, 1, inner, inner * EXPANSION))
            channels = inner * EXPANSION
    return found, side, channels


@dataclass(frozen=True)
class ResNetSpec(Spec):
    """Residual network of bottlenecks; `units` and `root` as in `trunk`."""

    units: tuple[int, ...]
    root: int = 64

    def products(self, resolution: int, classes: int) -> Iterator[Product]:
        """Yields convolutions and classifier."""
        convolutions, _, channels = trunk(self.units, self.root, resolution)
        yield from convolutions
        yield projection(1, channels, classes)


def _resnet(name: str, spec: ResNetSpec, source: str) -> Variant:
    return Variant(name, name.replace("-", "_"), "resnet", spec, source)


RESNET = Family(
    name="resnet",
    optimizer="momentum",
    variants=(
        _resnet("ResNet-mu", ResNetSpec((1, 1), root=16), "small enough for one core"),
        _resnet("ResNet-50", ResNetSpec((3, 4, 6, 3)), "Deep residual learning, Table 1; stride in the 3x3 (v1.5)"),
    ),
    any_resolution=True,
)
