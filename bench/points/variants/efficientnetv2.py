"""EfficientNetV2: block strings of the released `effnetv2_configs.py`, and the scaling rules of its `effnetv2_model.py`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.errors import UserError
from bench.points.variants.variant import Family, Product, Spec, Variant, convolution, projection

# `round_filters`: channels are multiples of 8, and never fewer.
_DIVISOR = 8
# The head's 1x1 convolution before scaling, `feature_size` of the released code.
_FEATURES = 1280
_EXAMPLE = "write it like r2_k3_s2_e4_i16_o32_c1_se0.25"
_KEYS = {"r": "repeats", "k": "kernel", "s": "stride", "e": "expansion", "i": "inputs", "o": "outputs"}


@dataclass(frozen=True)
class Stage:
    """Blocks in a row, of which only the first changes the number of channels and the resolution.

    Attributes:
      repeats: number of blocks.
      kernel: side of the spatial convolution in pixels.
      stride: of the first block; 1 in the others.
      expansion: inner channels of a block as a multiple of its input channels.
      inputs, outputs: channels before and after; in between all are `outputs`.
      fused: the spatial convolution is a full one that also expands (Fused-MBConv), not a depthwise one (MBConv).
      se_ratio: hidden channels of squeeze-and-excite as a fraction of a block's INPUT channels; 0 for none.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    inputs: int
    outputs: int
    fused: bool
    se_ratio: float = 0.0

    @property
    def middle(self) -> int:
        """The first block's expanded channels."""
        return self.inputs * self.expansion

    @property
    def hidden(self) -> int:
        """The first block's hidden channels of squeeze-and-excite, 0 without."""
        return max(1, int(self.inputs * self.se_ratio)) if self.se_ratio else 0

    @property
    def residual(self) -> bool:
        """Whether the first block has a shortcut."""
        return self.stride == 1 and self.inputs == self.outputs

    def blocks(self) -> Iterator[Stage]:
        """Yields the blocks one by one, each as a stage of its own."""
        first = replace(self, repeats=1)
        yield first
        for _ in range(self.repeats - 1):
            yield replace(first, stride=1, inputs=self.outputs)


def parse(text: str) -> Stage:
    """Returns the stage that a block string means, before scaling.

    The released notation: `r2_k3_s2_e4_i16_o32_c1` is 2 repeats, kernel 3, stride 2, expansion 4, 16 channels in, 32 out,
    c1 for Fused-MBConv (MBConv by default); `se0.25` for squeeze-and-excite (none by default).

    Raises:
      UserError: not such a string.
    """
    found: dict[str, str] = {}
    for part in text.split("_"):
        match = re.fullmatch(r"(c|se|[rkseio])(\d+(?:\.\d+)?)", part)
        if not match or match[1] in found:
            raise UserError(f"block string {text!r}: {part!r} is unknown or repeated; {_EXAMPLE}")
        found[match[1]] = match[2]
    missing = [key for key in _KEYS if key not in found]
    if missing:
        raise UserError(f"block string {text!r}: {', '.join(missing)} missing; {_EXAMPLE}")
    ratio, kind = float(found.pop("se", "0")), found.pop("c", "0")
    numbers = {_KEYS[key]: int(value) if value.isdecimal() else 0 for key, value in found.items()}
    if min(numbers.values()) < 1 or kind not in ("0", "1") or not 0 <= ratio <= 1:
        raise UserError(f"block string {text!r}: sizes are whole numbers from 1, c is 0 or 1, se is from 0 to 1")
    return Stage(**numbers, fused=kind == "1", se_ratio=ratio)


def round_filters(filters: int, width: float) -> int:
    """Returns the scaled channels as the nearest multiple of 8, at least 8.

    Unlike EfficientNet's first version and MobileNet, it may fall more than 10% below the scaled number.
    """
    return max(_DIVISOR, int(filters * width + _DIVISOR / 2) // _DIVISOR * _DIVISOR)


@dataclass(frozen=True)
class EfficientNetV2Spec(Spec):
    """EfficientNetV2.

    Attributes:
      stem: channels of the 3x3 convolution of stride 2 at the start.
      stages: the blocks.
      features: channels of the 1x1 convolution at the end.
    """

    stem: int
    stages: tuple[Stage, ...]
    features: int

    @classmethod
    def scaled(
        cls, blocks: Sequence[str], width: float = 1.0, depth: float = 1.0, features: int = _FEATURES
    ) -> EfficientNetV2Spec:
        """Returns the spec of block strings, scaled.

        Args:
          blocks: one string a stage, see `parse`; the channels out of one are those into the next.
          width: multiplies all channels, which are then rounded (also where it is 1).
          depth: multiplies all repeats, which are then rounded up.
          features: of the head, before scaling.

        Raises:
          UserError: a string is wrong, there is none, or two do not fit together.
        """
        stages = [parse(block) for block in blocks]
        if not stages:
            raise UserError("an EfficientNetV2 needs at least one block string")
        for i in range(1, len(stages)):
            if stages[i].inputs != stages[i - 1].outputs:
                raise UserError(f"block string {blocks[i]!r}: i must be {stages[i - 1].outputs}, the o of the one before")
        scaled = tuple(
            replace(
                stage,
                repeats=math.ceil(depth * stage.repeats),
                inputs=round_filters(stage.inputs, width),
                outputs=round_filters(stage.outputs, width),
            )
            for stage in stages
        )
        return cls(scaled[0].inputs, scaled, round_filters(features, width))

    def blocks(self) -> Iterator[Stage]:
        """Yields all blocks, each as a stage of its own."""
        for stage in self.stages:
            yield from stage.blocks()

    def products(self, resolution: int, classes: int) -> Iterator[Product]:
        """Yields convolutions, squeeze-and-excite and classifier."""
        side, channels = math.ceil(resolution / 2), self.stem
        yield convolution(resolution, side, 3, 3, channels)
        for block in self.blocks():
            before, side, channels = side, math.ceil(side / block.stride), block.outputs
            if block.fused and block.expansion == 1:
                yield convolution(before, side, block.kernel, block.inputs, channels)
            elif block.fused:
                yield convolution(before, side, block.kernel, block.inputs, block.middle)
            else:
                if block.expansion > 1:
                    yield convolution(before, before, 1, block.inputs, block.middle)
                yield convolution(before, side, block.kernel, block.middle, block.middle, block.middle)
            if block.hidden:
                yield projection(1, block.middle, block.hidden)
                yield projection(1, block.hidden, block.middle)
            if not block.fused or block.expansion > 1:
                yield convolution(side, side, 1, block.middle, channels)
        yield convolution(side, side, 1, channels, self.features)
        yield projection(1, self.features, classes)


_BASE = (
    "r1_k3_s1_e1_i32_o16_c1",
    "r2_k3_s2_e4_i16_o32_c1",
    "r2_k3_s2_e4_i32_o48_c1",
    "r3_k3_s2_e4_i48_o96_se0.25",
    "r5_k3_s1_e6_i96_o112_se0.25",
    "r8_k3_s2_e6_i112_o192_se0.25",
)
# The paper's Table 4 as its third version has it; the first had 272 channels at the end, and a head of 1792.
_S = (
    "r2_k3_s1_e1_i24_o24_c1",
    "r4_k3_s2_e4_i24_o48_c1",
    "r4_k3_s2_e4_i48_o64_c1",
    "r6_k3_s2_e4_i64_o128_se0.25",
    "r9_k3_s1_e6_i128_o160_se0.25",
    "r15_k3_s2_e6_i160_o256_se0.25",
)
_M = (
    "r3_k3_s1_e1_i24_o24_c1",
    "r5_k3_s2_e4_i24_o48_c1",
    "r5_k3_s2_e4_i48_o80_c1",
    "r7_k3_s2_e4_i80_o160_se0.25",
    "r14_k3_s1_e6_i160_o176_se0.25",
    "r18_k3_s2_e6_i176_o304_se0.25",
    "r5_k3_s1_e6_i304_o512_se0.25",
)
_L = (
    "r4_k3_s1_e1_i32_o32_c1",
    "r7_k3_s2_e4_i32_o64_c1",
    "r7_k3_s2_e4_i64_o96_c1",
    "r10_k3_s2_e4_i96_o192_se0.25",
    "r19_k3_s1_e6_i192_o224_se0.25",
    "r25_k3_s2_e6_i224_o384_se0.25",
    "r7_k3_s1_e6_i384_o640_se0.25",
)
_XL = (
    "r4_k3_s1_e1_i32_o32_c1",
    "r8_k3_s2_e4_i32_o64_c1",
    "r8_k3_s2_e4_i64_o96_c1",
    "r16_k3_s2_e4_i96_o192_se0.25",
    "r24_k3_s1_e6_i192_o256_se0.25",
    "r32_k3_s2_e6_i256_o512_se0.25",
    "r8_k3_s1_e6_i512_o640_se0.25",
)
_MU = (
    "r1_k3_s2_e1_i16_o16_c1",
    "r2_k3_s1_e4_i16_o16_c1",
    "r2_k3_s2_e4_i16_o32_se0.25",
)
_RELEASED = "released effnetv2_configs.py"


def _variant(size: str, spec: EfficientNetV2Spec, source: str = _RELEASED) -> Variant:
    return Variant(f"EfficientNetV2-{size}", f"EfficientNetV2_{size}", "efficientnetv2", spec, source)


EFFICIENTNETV2 = Family(
    name="efficientnetv2",
    optimizer="rmsprop",
    variants=(
        _variant("mu", EfficientNetV2Spec.scaled(_MU, features=96), "small enough for one core"),
        _variant("B0", EfficientNetV2Spec.scaled(_BASE)),
        _variant("B1", EfficientNetV2Spec.scaled(_BASE, 1.0, 1.1)),
        _variant("B2", EfficientNetV2Spec.scaled(_BASE, 1.1, 1.2)),
        _variant("B3", EfficientNetV2Spec.scaled(_BASE, 1.2, 1.4)),
        _variant("S", EfficientNetV2Spec.scaled(_S)),
        _variant("M", EfficientNetV2Spec.scaled(_M)),
        _variant("L", EfficientNetV2Spec.scaled(_L)),
        _variant("XL", EfficientNetV2Spec.scaled(_XL)),
    ),
    any_resolution=True,
)
