"""Model variants as data: the name, the file-name spelling, the family and the static shape of every architecture.

Shapes are facts of the papers ("How to train your ViT?", Table 1 and 2; "High-performance large-scale image recognition
without normalization", Table 1); the `mu` variants are this project's own, small enough to train in seconds on one core.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ViTSpec:
    """Vision Transformer with a class token and learned position embeddings; sizes in channels, `patch` in pixels."""

    patch: int
    width: int
    depth: int
    mlp: int
    heads: int


@dataclass(frozen=True)
class NFNetSpec:
    """Normaliser-free ResNet.

    Attributes:
      stem: (channels, kernel, stride) of each stem convolution; no activation after the last.
      widths, depths, strides: output channels, number of blocks and stride of each stage.
      group_width: channels per group of the two 3x3 convolutions of a block.
      bottleneck: inner channels of a block as a fraction of its output channels.
      se_ratio: hidden channels of squeeze-and-excite as a fraction of the output channels.
      alpha: scale of the residual branch.
    """

    stem: tuple[tuple[int, int, int], ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    strides: tuple[int, ...]
    group_width: int
    bottleneck: float = 0.5
    se_ratio: float = 0.5
    alpha: float = 0.2


@dataclass(frozen=True)
class Variant:
    """A named architecture; `prefix` is its spelling in file names, `spec` is None where the family is not built yet."""

    name: str
    prefix: str
    family: str
    spec: ViTSpec | NFNetSpec | None


def _nfnet_f(n: int) -> NFNetSpec:
    return NFNetSpec(
        stem=((16, 3, 2), (32, 3, 1), (64, 3, 1), (128, 3, 2)),
        widths=(256, 512, 1536, 1536),
        depths=tuple(d * (n + 1) for d in (1, 2, 6, 3)),
        strides=(1, 2, 2, 2),
        group_width=128,
    )


VARIANTS: dict[str, Variant] = {
    v.name: v
    for v in (
        Variant("ViT-mu", "ViT_mu", "vit", ViTSpec(7, 48, 2, 192, 3)),
        Variant("Ti/16", "Ti_16", "vit", ViTSpec(16, 192, 12, 768, 3)),
        Variant("S/32", "S_32", "vit", ViTSpec(32, 384, 12, 1536, 6)),
        Variant("S/16", "S_16", "vit", ViTSpec(16, 384, 12, 1536, 6)),
        Variant("B/32", "B_32", "vit", ViTSpec(32, 768, 12, 3072, 12)),
        Variant("B/16", "B_16", "vit", ViTSpec(16, 768, 12, 3072, 12)),
        Variant("B/8", "B_8", "vit", ViTSpec(8, 768, 12, 3072, 12)),
        Variant("L/16", "L_16", "vit", ViTSpec(16, 1024, 24, 4096, 16)),
        Variant("R+Ti/16", "R_Ti_16", "hybrid", None),
        Variant("R26+S/32", "R26_S_32", "hybrid", None),
        Variant("R50+L/32", "R50_L_32", "hybrid", None),
        Variant(
            "NFNet-mu",
            "NFNet_mu",
            "nfnet",
            NFNetSpec(stem=((32, 4, 4),), widths=(48, 72), depths=(1, 1), strides=(1, 2), group_width=12),
        ),
        *(Variant(f"NFNet-F{n}", f"NFNet_F{n}", "nfnet", _nfnet_f(n)) for n in range(8)),
    )
}

BY_PREFIX: dict[str, Variant] = {v.prefix: v for v in VARIANTS.values()}
