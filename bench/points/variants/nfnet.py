"""Normaliser-free ResNets: "High-performance large-scale image recognition without normalization", Table 1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.points.variants.variant import Family, Product, Spec, Variant, convolution, projection


@dataclass(frozen=True)
class NFNetSpec(Spec):
    """Normaliser-free ResNet.

    Attributes:
      stem: (channels, kernel, stride) of each stem convolution; no activation after the last.
      widths, depths, strides: output channels, number of blocks and stride of each stage.
      group_width: channels per group of the two 3x3 convolutions of a block, at least; as many groups as fit.
      bottleneck: inner channels of a block as a fraction of its output channels.
      se_ratio: hidden channels of squeeze-and-excite as a fraction of the output channels.
      alpha: scale of the residual branch.
      floored: inner channels are cut to whole groups, as the released `nfnet.py` does; False where it would change nothing.
    """

    stem: tuple[tuple[int, int, int], ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    strides: tuple[int, ...]
    group_width: int
    bottleneck: float = 0.5
    se_ratio: float = 0.5
    alpha: float = 0.2
    floored: bool = False

    def __post_init__(self) -> None:
        # One architecture, one spec: so that `released` is refused where it names nothing new.
        if self.floored and replace(self, floored=False).inner == self.inner:
            object.__setattr__(self, "floored", False)

    @property
    def inner(self) -> tuple[int, ...]:
        """Inner channels of the blocks of each stage."""
        wanted = (int(width * self.bottleneck) for width in self.widths)
        return tuple(mid // self.group_width * self.group_width if self.floored else mid for mid in wanted)

    def groups(self, mid: int) -> int:
        """Returns the number of groups of the 3x3 convolutions on `mid` inner channels."""
        return mid // self.group_width

    def products(self, resolution: int, classes: int) -> Iterator[Product]:
        """Yields convolutions, squeeze-and-excite and classifier."""
        side, channels = resolution, 3
        for out, kernel, stride in self.stem:
            before, side = side, math.ceil(side / stride)
            yield convolution(before, side, kernel, channels, out)
            channels = out
        for width, mid, depth, stride in zip(self.widths, self.inner, self.depths, self.strides, strict=True):
            groups, hidden = self.groups(mid), int(width * self.se_ratio)
            for block in range(depth):
                before, side = side, math.ceil(side / (stride if block == 0 else 1))
                if side != before or channels != width:
                    yield convolution(side, side, 1, channels, width)
                yield convolution(before, before, 1, channels, mid)
                yield convolution(before, side, 3, mid, mid, groups)
                yield convolution(side, side, 3, mid, mid, groups)
                yield convolution(side, side, 1, mid, width)
                yield projection(1, width, hidden)
                yield projection(1, hidden, width)
                channels = width
        yield convolution(side, side, 1, channels, 2 * channels)
        yield projection(1, 2 * channels, classes)


_WIDTHS = (256, 512, 1536, 1536)
# The "+" variants: "everything else unchanged" but the widths, `nfnet_params` of the released `nfnet.py`.
_WIDER = (384, 768, 2048, 2048)


def _f(n: int, widths: tuple[int, ...], name: str, prefix: str, source: str) -> Variant:
    spec = NFNetSpec(
        # The last width is half of the first stage's, `nfnet.py`.
        stem=((16, 3, 2), (32, 3, 1), (64, 3, 1), (widths[0] // 2, 3, 2)),
        widths=widths,
        depths=tuple(d * (n + 1) for d in (1, 2, 6, 3)),
        strides=(1, 2, 2, 2),
        group_width=128,
    )
    return Variant(f"NFNet-{name}", f"NFNet_{prefix}", "nfnet", spec, source)


_MU = NFNetSpec(stem=((32, 4, 4),), widths=(48, 72), depths=(1, 1), strides=(1, 2), group_width=12)

NFNET = Family(
    name="nfnet",
    optimizer="nesterov_agc",
    variants=(
        Variant("NFNet-mu", "NFNet_mu", "nfnet", _MU, "small enough for one core"),
        *(_f(n, _WIDTHS, f"F{n}", f"F{n}", "NFNet paper, Table 1") for n in range(8)),
        *(_f(n, _WIDER, f"F{n}+", f"F{n}plus", "NFNet paper, section 6.2 and Table 5") for n in range(8)),
    ),
    # The first stage of a "+" variant has 192 inner channels, one and a half groups. The sizes that the paper states for F4+
    # (Table 5) are those of one group of 192; the released code cuts them to 128.
    modifiers={"released": {"floored": True}},
    any_resolution=True,
)
