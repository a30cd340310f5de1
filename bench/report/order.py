"""The order and the spelling in which reports show upstream sets, models and augmentation levels."""

from __future__ import annotations

from collections.abc import Iterable

from bench.points.levels import LEVELS

_SETS = ("i1k", "i21k_30", "i21k")
"""Panels of Fig. 4 of "How to train your ViT?", left to right."""

_MODELS = (
    *("ViT-mu", "NFNet-mu"),
    *("R+Ti/16", "Ti/16", "S/32", "S/16", "B/32", "R26+S/32", "B/16", "L/16", "R50+L/32"),
    "B/8",
    *(f"NFNet-F{n}" for n in range(8)),
)
"""Models by capacity. The nine in the middle are the rows of Fig. 4, top to bottom. The column `params` cannot give this order:
it would part the patch sizes of a width the other way round, and the released value of R50+L/32 is a third of the real one."""


def _by(known: tuple[str, ...], values: Iterable[str]) -> list[str]:
    distinct = set(values)
    return [v for v in known if v in distinct] + sorted(distinct.difference(known))


def upstream_sets(values: Iterable[str]) -> list[str]:
    """Distinct upstream sets: those of Fig. 4 in its order, then the others by name."""
    return _by(_SETS, values)


def models(values: Iterable[str]) -> list[str]:
    """Distinct models by capacity, unknown ones last by name."""
    return _by(_MODELS, values)


def levels(values: Iterable[str]) -> list[str]:
    """Distinct augmentation levels from none to strong, unknown ones last by name."""
    return _by(tuple(LEVELS), values)


def paper_level(name: str) -> str:
    """The name that the paper's figures have for a released level; an unknown level keeps its name."""
    return LEVELS[name].paper if name in LEVELS else name
