"""The order and the spelling in which reports show upstream sets, models and augmentation levels."""

from __future__ import annotations

from collections.abc import Iterable

from bench.points.datasets import part
from bench.points.levels import LEVELS

_SETS = ("i1k", "i21k_30", "i21k")
"""Panels of Fig. 4 of "How to train your ViT?", left to right."""

_MODELS = (
    *("ViT-mu", "R-mu", "ResNet-mu", "NFNet-mu", "EfficientNetV2-mu", "CoAtNet-mu"),
    *("Ti/32", "R+Ti/16", "Ti/16", "S/32", "S/16", "B/32", "R26+S/32", "B/16", "L/16", "R50+L/32"),
    *("Ti/14", "Ti/8", "S/14", "S/8", "B/14", "B/8", "L/32", "L/14", "L/8", "SoViT-400m/14", "H/14", "g/14", "G/14"),
    "ResNet-50",
    *(f"NFNet-F{n}{plus}" for plus in ("", "+") for n in range(8)),
    *(f"EfficientNetV2-{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L", "XL")),
    *(f"CoAtNet-{n}" for n in range(8)),
)
"""Models by capacity. The nine from R+Ti/16 to R50+L/32 are the rows of Fig. 4, top to bottom. The column `params` cannot give
this order: it would part the patch sizes of a width the other way round, and the released value of R50+L/32 is a third of the
real one."""


def _by(known: tuple[str, ...], values: Iterable[str]) -> list[str]:
    distinct = set(values)
    return [v for v in known if v in distinct] + sorted(distinct.difference(known))


def upstream_sets(values: Iterable[str]) -> list[str]:
    """Distinct upstream sets: those of Fig. 4 in its order, then the others by name; fractions before the whole, by size."""

    def place(ds: str) -> tuple[int, str, float]:
        whole, fraction = part(ds)
        return _SETS.index(whole) if whole in _SETS else len(_SETS), whole, fraction

    return sorted(set(values), key=place)


def models(values: Iterable[str]) -> list[str]:
    """Distinct models by capacity, each followed by what modifiers make of it, unknown ones last by name."""
    found = sorted(set(values))
    known = [v for m in _MODELS for v in found if v == m or v.startswith(f"{m}:")]
    return _by(tuple(known), found)


def levels(values: Iterable[str]) -> list[str]:
    """Distinct augmentation levels from none to strong, unknown ones last by name."""
    return _by(tuple(LEVELS), values)


def paper_level(name: str) -> str:
    """The name that the paper's figures have for a released level; an unknown level keeps its name."""
    return LEVELS[name].paper if name in LEVELS else name
