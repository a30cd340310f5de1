"""EfficientNetV2s of the architecture search, whose names spell their blocks: `NAS-B0-f1k3e1-f2k3e4-m5k5e6-...`.

A part is a stage: `f` for Fused-MBConv or `m` for MBConv, layers, kernel, expansion. Channels, strides and head are those of a
named EfficientNetV2, and squeeze-and-excite is in MBConv alone, as in its blocks. Source of the space: "EfficientNetV2: Smaller
Models and Faster Training", section 3.2: {MBConv, Fused-MBConv}, number of layers, kernel {3, 5}, expansion {1, 4, 6} by stage,
channels reused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from bench.errors import UserError
from bench.points.variants.efficientnetv2 import EFFICIENTNETV2, EfficientNetV2Spec, Stage
from bench.points.variants.variant import Variant

KERNELS, EXPANSIONS = (3, 5), (1, 4, 6)
# Deeper stages than any released one's (32 in XL) are no part of the space.
MOST_LAYERS = 32
_SE = 0.25
_GENE = re.compile(r"(?P<kind>[fm])(?P<layers>[1-9]\d?)k(?P<kernel>[35])e(?P<expansion>[146])", re.ASCII)


class Gene(NamedTuple):
    """What the search chooses of a stage.

    Attributes:
      fused: Fused-MBConv, not MBConv.
      layers: number of blocks, 1 to 32.
      kernel: 3 or 5.
      expansion: 1, 4 or 6.
    """

    fused: bool
    layers: int
    kernel: int
    expansion: int

    def __str__(self) -> str:
        return f"{'f' if self.fused else 'm'}{self.layers}k{self.kernel}e{self.expansion}"

    def stage(self, of: Stage) -> Stage:
        """Returns the stage that has these blocks and the channels and the stride of another."""
        chosen = replace(of, fused=self.fused, repeats=self.layers, kernel=self.kernel, expansion=self.expansion)
        return replace(chosen, se_ratio=0.0 if self.fused else _SE)


def _outline(variant: Variant) -> tuple[object, ...]:
    spec: EfficientNetV2Spec = variant.spec
    return spec.stem, spec.features, *((s.inputs, s.outputs, s.stride) for s in spec.stages)


# One name a shape: B1 has the channels of B0, so what is built on them is named by B0.
_KNOWN = EFFICIENTNETV2.variants
_BASES = {v.name.removeprefix("EfficientNetV2-"): v for v in {_outline(v): v for v in reversed(_KNOWN)}.values()}


def genes(base: str) -> tuple[Gene, ...]:
    """Returns the genes of a named EfficientNetV2, such as `B0`."""
    spec: EfficientNetV2Spec = _base(base).spec
    return tuple(Gene(s.fused, s.repeats, s.kernel, s.expansion) for s in spec.stages)


def name(base: str, chosen: Sequence[Gene]) -> str:
    """Returns the name of an architecture; that of a named EfficientNetV2 where it is one.

    Args:
      base: whose channels and strides it has, such as `B0`.
      chosen: a gene a stage.

    Raises:
      UserError: no such base, not as many genes as it has stages, or an impossible gene.
    """
    stages = _base(base).spec.stages
    if len(chosen) != len(stages):
        raise UserError(f"an architecture on EfficientNetV2-{base} has {len(stages)} stages, not {len(chosen)}")
    for gene in chosen:
        if not (1 <= gene.layers <= MOST_LAYERS and gene.kernel in KERNELS and gene.expansion in EXPANSIONS):
            raise UserError(
                f"stage {gene} is not in the search space: 1 to {MOST_LAYERS} layers, kernel 3 or 5, expansion 1, 4, 6"
            )
    return _variant(base, tuple(chosen)).name


def spell(base: str, *values: str | int) -> str:
    """Returns the name of the architecture of flat values, four a stage: `fused` or `mbconv`, layers, kernel, expansion.

    Raises:
      UserError: as `name` does.
    """
    fours = (values[i : i + 4] for i in range(0, len(values), 4))
    return name(base, [Gene(kind == "fused", int(n), int(k), int(e)) for kind, n, k, e in fours])


def find(name: str) -> Variant | None:
    """Returns the architecture of a name or of a prefix; None where it is none, or not the only name of its shape."""
    for separator in "-_":
        head, _, rest = name.partition(separator)
        base, _, text = rest.partition(separator)
        if head != "NAS" or base not in _BASES:
            continue
        parts = [_GENE.fullmatch(part) for part in text.split(separator)]
        chosen = tuple(Gene(m["kind"] == "f", *(int(m[k]) for k in ("layers", "kernel", "expansion"))) for m in parts if m)
        fits = len(chosen) == len(parts) == len(_BASES[base].spec.stages) and all(g.layers <= MOST_LAYERS for g in chosen)
        if fits and name in ((found := _variant(base, chosen)).name, found.prefix):
            return found
    return None


def _base(name: str) -> Variant:
    if name not in _BASES:
        raise UserError(f"no EfficientNetV2-{name} to take channels from; valid: {', '.join(_BASES)}")
    return _BASES[name]


def _variant(base: str, chosen: tuple[Gene, ...]) -> Variant:
    known: EfficientNetV2Spec = _BASES[base].spec
    stages = (gene.stage(stage) for gene, stage in zip(chosen, known.stages, strict=True))
    spec = replace(known, stages=tuple(stages))
    for variant in _KNOWN:
        if variant.spec == spec:
            return variant
    parts = ("NAS", base, *map(str, chosen))
    return Variant("-".join(parts), "_".join(parts), EFFICIENTNETV2.name, spec, f"search space, channels of {base}")
