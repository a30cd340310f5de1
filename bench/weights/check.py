"""Whether arrays are the weights of a variant, and whose they are where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bench.errors import UserError
from bench.points import VARIANTS
from bench.weights import timm
from bench.weights.files import Flat
from bench.weights.layouts import Shapes, is_head, is_position, layout_of, shapes_of, to_ours
from bench.weights.released import from_released

# Fields of some families' specs that are lengths of axes.
_AXES = ("patch", "width", "mlp")


def refuse_types(flat: Flat, source: str) -> None:
    """Raises a UserError for what are no floating-point numbers; `files.read` makes all of those float32."""
    for name, value in flat.items():
        if value.dtype != np.float32 and not name.endswith(timm.COUNTER):
            raise UserError(f"{source}: {name!r} is of type {value.dtype}, but weights are floating-point numbers")


def refuse_non_finite(found: Flat, source: str) -> None:
    """Raises a UserError for numbers that are infinite or none."""
    for name, value in found.items():
        bad = int(value.size - np.isfinite(value).sum())
        if bad:
            raise UserError(
                f"{source}: {bad:,} of {value.size:,} numbers of {name!r} are not finite: that training diverged, take another"
            )


def refuse_shapes(found: Flat, shapes: Shapes, source: str, model: str, flat: Flat) -> None:
    """Raises a UserError for names and shapes that are not those of a variant, saying whose they are.

    Args:
      found: what is checked, in the layout here.
      shapes: what it should be.
      source: what the error calls the file.
      model: what the error calls the variant.
      flat: the file's own arrays.
    """
    differences = list(_differences({name: value.shape for name, value in found.items()}, shapes))
    if not differences:
        return
    name, have, need = differences[0]
    if have is None:
        what = f"has no {name!r}, which {model} needs with shape {need}"
    elif need is None:
        what = f"has {name!r}, which {model} does not have"
    else:
        what = f"{name!r} has shape {have}, but {model} needs {need}"
    if is_head(name):
        advice = "the rest fits: ask for a new head, or for the classes that it has"
    else:
        models = alike(flat)
        advice = f"the file is of {' or '.join(models)}" if models else "the file is of no model known here, or not complete"
    raise UserError(f"{source}: {what}; {advice}")


def _differences(
    have: Mapping[str, tuple[int, ...]], need: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, tuple[int, ...] | None, tuple[int, ...] | None]]:
    """Yields (name, shape there, shape needed) where they differ, heads last: a wrong body says more."""
    for name in sorted({**need, **have}, key=is_head):
        if have.get(name) != need.get(name):
            yield name, have.get(name), need.get(name)


def alike(flat: Flat) -> list[str]:
    """Returns the variants that have the names and shapes of a file's arrays, apart from head and positions."""
    return list(_alike(flat))


def _alike(flat: Flat) -> Iterator[str]:
    layout = layout_of(flat)
    theirs = {n for n in flat if not n.endswith(timm.COUNTER)} if layout == "timm" else set(from_released(flat))
    sizes = {None, *(n for value in flat.values() for n in value.shape)}
    for model, variant in VARIANTS.items():
        # Names and the sizes of specs are cheap, shapes are not.
        if not sizes.issuperset(getattr(variant.spec, field, None) for field in _AXES):
            continue
        places = timm.names(model)
        mine = {place if layout == "timm" else name: name for name, place in places.items()}
        body = {n for n, name in mine.items() if not is_head(name) and not is_position(name)}
        if not body <= theirs or any(n not in mine and not is_head(n) for n in theirs):
            continue
        shapes = shapes_of(model, 1, None)
        found = to_ours(flat, layout, model, shapes)
        fixed = [n for n in shapes if not is_head(n) and not is_position(n)]
        if all(found[n].shape == shapes[n] for n in fixed):
            yield model
