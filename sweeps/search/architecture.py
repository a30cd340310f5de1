"""Axes of a search over EfficientNetV2 architectures, four a stage, and the model that they make."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from bench.points.variants import nas
from sweeps.search.axes import Axis, Choice, Int
from sweeps.search.space import Made

_KINDS = ("fused", "mbconv")


def axes(layers: Sequence[int]) -> dict[str, Axis]:
    """Returns the axes kind_1, layers_1, kernel_1, expansion_1, kind_2, ...; `layers` has the most layers of every stage."""
    found: dict[str, Axis] = {}
    for stage, most in enumerate(layers, 1):
        found[f"kind_{stage}"] = Choice(_KINDS)
        found[f"layers_{stage}"] = Int(1, most)
        found[f"kernel_{stage}"] = Choice(nas.KERNELS)
        found[f"expansion_{stage}"] = Choice(nas.EXPANSIONS)
    return found


def model(base: str) -> Made:
    """Returns the field `model` of the architectures with the channels of EfficientNetV2 `base`, such as `B0`."""
    return Made(partial(nas.spell, base), tuple(point(base)))


def point(base: str) -> dict[str, Any]:
    """Returns the values of the axes at EfficientNetV2 `base` itself."""
    found: dict[str, Any] = {}
    for stage, (fused, layers, kernel, expansion) in enumerate(nas.genes(base), 1):
        values = (_KINDS[not fused], layers, kernel, expansion)
        names = (f"kind_{stage}", f"layers_{stage}", f"kernel_{stage}", f"expansion_{stage}")
        found |= dict(zip(names, values, strict=True))
    return found
