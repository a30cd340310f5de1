"""Hybrids of "How to train your ViT?", as released: a residual network makes what a Vision Transformer cuts into patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.points.variants.resnet import trunk
from bench.points.variants.variant import Family, Product, Variant
from bench.points.variants.vit import MODIFIERS, ViTSpec


@dataclass(frozen=True)
class HybridSpec(ViTSpec):
    """Vision Transformer on a residual network; `patch` counts the network's pixels, `units` and `root` as in `trunk`."""

    units: tuple[int, ...] = ()
    root: int = 64

    def products(self, resolution: int, classes: int) -> Iterator[Product]:
        """Yields convolutions and the transformer."""
        convolutions, side, channels = trunk(self.units, self.root, resolution)
        yield from convolutions
        yield from self.products_after(side, channels, classes)


def _hybrid(name: str, source: str, spec: HybridSpec) -> Variant:
    return Variant(name, name.replace("+", "_").replace("/", "_").replace("-", "_"), "hybrid", spec, source)


_AUGREG = "How to train your ViT?, Table 2"

HYBRID = Family(
    name="hybrid",
    optimizer="adam",
    variants=(
        _hybrid("R-mu", "small enough for one core", HybridSpec(1, 48, 2, 192, 3, units=(1,), root=32)),
        # The released stem halves the image twice, so that its patches of 8 are 32 pixels, whatever the name says.
        _hybrid("R+Ti/16", _AUGREG, HybridSpec(8, 192, 12, 768, 3)),
        _hybrid("R26+S/32", _AUGREG, HybridSpec(1, 384, 12, 1536, 6, units=(2, 2, 2, 2))),
        _hybrid("R50+L/32", _AUGREG, HybridSpec(1, 1024, 24, 4096, 16, units=(3, 4, 6, 3))),
    ),
    modifiers=MODIFIERS,
)
