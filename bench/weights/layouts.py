"""Which layout a file has, and from it to the one here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from bench import models
from bench.models import variables
from bench.points import VARIANTS
from bench.points.variants import Variant
from bench.weights import timm
from bench.weights.files import Flat
from bench.weights.released import from_released

Shapes = dict[str, tuple[int, ...]]
# Everything after the features: what a new task replaces.
_HEAD = ("head/", "pre_logits/")
_POSITIONS = ("/pos_embedding", "/relative_bias")
# Weights of one resolution differ from those of another in their positions alone.
ANY_RESOLUTION = 224


def is_head(name: str) -> bool:
    """Returns whether a weight belongs to what comes after the features; the hidden layer of some classifiers does."""
    return name.startswith(_HEAD)


def is_position(name: str) -> bool:
    """Returns whether a weight's shape depends on the resolution."""
    return name.endswith(_POSITIONS)


def layout_of(names: Iterable[str]) -> str:
    """Returns "timm" for PyTorch's dotted names, else "released", which files in the layout here are read as, too."""
    found = list(names)
    return "timm" if sum("." in name for name in found) > len(found) / 2 else "released"


def to_ours(flat: Flat, layout: str, model: str, shapes: Shapes) -> Flat:
    """Returns arrays in the layout here; those that `model` does not have keep their names."""
    return timm.from_timm(flat, model, shapes) if layout == "timm" else from_released(flat)


def shapes_of(model: str, classes: int, resolution: int | None) -> Shapes:
    """Returns the shapes of a variant's weights by name, at some resolution where none is given."""
    return dict(_shapes(VARIANTS[model], classes, resolution or ANY_RESOLUTION))


@cache
def _shapes(variant: Variant, classes: int, resolution: int) -> Shapes:
    tree = models.shapes(variant.name, classes, resolution)
    return {name: tuple(leaf.shape) for name, leaf in variables.flat(tree).items()}
