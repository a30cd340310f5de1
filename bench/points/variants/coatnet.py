"""Convolution-attention hybrids: "CoAtNet: Marrying convolution and attention for all data sizes", Tables 3, 11 and 12."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bench.points.variants.variant import Family, Product, Spec, Variant, attention, convolution, projection


@dataclass(frozen=True)
class CoAtNetSpec(Spec):
    """CoAtNet.

    Attributes:
      stem: channels of the two 3x3 convolutions of S0; the first has stride 2.
      layout: kind of each stage after the stem: `C` for MBConv blocks, `T` for Transformer blocks with relative attention.
      widths, depths, strides: output channels, number of blocks and stride of each of these stages.
      head_size: channels of an attention head.
      claimed_width: width of the last stage by the paper's parameter count, where its table prints another; else 0.
      stride_depthwise: stride a stage's first MBConv in its depthwise convolution, not in its 1x1 expansion.
      expansion: inner channels of MBConv and of the feed-forward layer, by output channels.
      se_ratio: hidden channels of squeeze-and-excite, by output channels.
    """

    stem: tuple[int, int]
    layout: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    strides: tuple[int, ...]
    head_size: int = 32
    claimed_width: int = 0
    stride_depthwise: bool = False
    expansion: int = 4
    se_ratio: float = 0.25

    @property
    def stages(self) -> tuple[tuple[str, int, int, int], ...]:
        """(kind, width, depth, stride) of each stage after the stem."""
        widths = (*self.widths[:-1], self.claimed_width or self.widths[-1])
        return tuple(zip(self.layout, widths, self.depths, self.strides, strict=True))

    def products(self, resolution: int, classes: int) -> Iterator[Product]:
        """Yields convolutions, squeeze-and-excite, projections, attention and classifier."""
        first, channels = self.stem
        side = math.ceil(resolution / 2)
        yield convolution(resolution, side, 3, 3, first)
        yield convolution(side, side, 3, first, channels)
        for kind, width, depth, stride in self.stages:
            for block in range(depth):
                step = 1 if block else stride
                before, side = side, math.ceil(side / step)
                if step > 1 or channels != width:
                    yield convolution(side, side, 1, channels, width)
                branch = self._mbconv if kind == "C" else self._transformer
                yield from branch(before, side, channels, width)
                channels = width
        yield projection(1, channels, channels)
        yield projection(1, channels, classes)

    def _mbconv(self, before: int, side: int, channels: int, width: int) -> Iterator[Product]:
        inner, hidden = width * self.expansion, int(width * self.se_ratio)
        expanded = before if self.stride_depthwise else side
        yield convolution(before, expanded, 1, channels, inner)
        yield convolution(expanded, side, 3, inner, inner, inner)
        yield projection(1, inner, hidden)
        yield projection(1, hidden, inner)
        yield convolution(side, side, 1, inner, width)

    def _transformer(self, _: int, side: int, channels: int, width: int) -> Iterator[Product]:
        tokens = side**2
        yield projection(tokens, channels, 3 * width)
        yield from attention(tokens, tokens, width, width // self.head_size)
        yield projection(tokens, width, width)
        yield projection(tokens, width, width * self.expansion)
        yield projection(tokens, width * self.expansion, width)


def _coatnet(
    n: int, widths: tuple[int, ...], depths: tuple[int, ...], stem: int, head_size: int = 32, claimed_width: int = 0
) -> Variant:
    # From CoAtNet-6 on, S3 begins with MBConv blocks and doubles the width for its Transformer blocks.
    layout, strides = ("CCCTT", (2, 2, 2, 1, 2)) if len(widths) == 5 else ("CCTT", (2, 2, 2, 2))
    spec = CoAtNetSpec((stem, stem), layout, widths, depths, strides, head_size, claimed_width)
    source = f"CoAtNet paper, Table {3 if n < 5 else 11 if n == 5 else 12}"
    if claimed_width:
        source += f"; last width {claimed_width}, which the stated parameters need, not the {widths[-1]} printed"
    return Variant(f"CoAtNet-{n}", f"CoAtNet_{n}", "coatnet", spec, source)


# 28 pixels leave 4x4 tokens.
_MU = CoAtNetSpec((12, 12), "CT", (24, 48), (1, 2), (2, 2), head_size=16)

COATNET = Family(
    name="coatnet",
    optimizer="adam",
    variants=(
        Variant("CoAtNet-mu", "CoAtNet_mu", "coatnet", _MU, "small enough for one core"),
        _coatnet(0, (96, 192, 384, 768), (2, 3, 5, 2), 64),
        _coatnet(1, (96, 192, 384, 768), (2, 6, 14, 2), 64),
        _coatnet(2, (128, 256, 512, 1024), (2, 6, 14, 2), 128),
        _coatnet(3, (192, 384, 768, 1536), (2, 6, 14, 2), 192),
        _coatnet(4, (192, 384, 768, 1536), (2, 12, 28, 2), 192),
        _coatnet(5, (256, 512, 1280, 2048), (2, 12, 28, 2), 192, 64),
        # The table prints 2048 for S4, which makes 1.35B parameters; the paper states 1.47B, which 3072 (CoAtNet-7's) makes.
        _coatnet(6, (192, 384, 768, 1536, 2048), (2, 4, 8, 42, 2), 192, 128, 3072),
        _coatnet(7, (256, 512, 1024, 2048, 3072), (2, 4, 8, 42, 2), 192, 128),
    ),
    # `dagger`: the paper's mark for the stride in the depthwise convolution. `printed`: the table of CoAtNet-6 to the letter.
    modifiers={"printed": {"claimed_width": 0}, "dagger": {"stride_depthwise": True}},
)
