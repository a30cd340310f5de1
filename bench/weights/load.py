"""From a file to a model's weights: the layout found out, positions resampled, the head kept or new, everything checked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from flax import traverse_util

from bench import models
from bench.errors import UserError, choose_from
from bench.models import variables
from bench.models.position import resample
from bench.models.relative_attention import resize_bias
from bench.points import VARIANTS
from bench.records.atomic import Waits
from bench.weights import check, files
from bench.weights.files import Flat
from bench.weights.layouts import ANY_RESOLUTION, Shapes, is_head, is_position, layout_of, shapes_of, to_ours

Head = Literal["keep", "new", "auto"]


def load(
    location: str | Path,
    model: str,
    classes: int | None = None,
    resolution: int | None = None,
    head: Head = "auto",
    seed: int = 0,
) -> variables.Tree:
    """Reads the weights of a variant, in any layout.

    Args:
      location: as for `files.read`.
      model: name of the variant.
      classes: outputs of the head; those of the file by default.
      resolution: that the weights shall fit, in pixels; that of the file by default.
      head: "keep" it, replace it by a "new" one, or "auto": keep it where it has the right number of classes.
      seed: of a new head.

    Returns:
      Parameters and running statistics as one tree of float32 arrays.

    Raises:
      UserError: the file cannot be read, or holds something else than all weights of this variant, all finite.
    """
    return adopt(files.read(location), str(location), model, classes, resolution, head, seed)


def adopt(
    flat: Flat,
    source: str,
    model: str,
    classes: int | None = None,
    resolution: int | None = None,
    head: Head = "auto",
    seed: int = 0,
    fresh: variables.Tree | None = None,
    finite: bool = True,
) -> variables.Tree:
    """Makes what `files.read` returns a variant's weights; see `load`.

    Args:
      flat: the arrays by name.
      source: what errors call the file.
      model: name of the variant.
      classes: of the head.
      resolution: in pixels.
      head: kept or new.
      seed: of a new head.
      fresh: weights with a new head, if they are there already.
      finite: refuse what is not.

    Raises:
      UserError: as for `load`.
    """
    if model not in VARIANTS:
        raise UserError(f"unknown model {model!r}: {choose_from(model, VARIANTS)}")
    check.refuse_types(flat, source)
    found = to_ours(flat, layout_of(flat), model, shapes_of(model, classes or 1, resolution))
    if classes is None:
        if head == "new" or "head/bias" not in found:
            raise UserError(f"{source}: has no head that could be kept: say how many classes a new one shall have")
        classes = found["head/bias"].size
    shapes = shapes_of(model, classes, resolution)
    if resolution is None:
        shapes |= _as_trained(found, shapes)
    else:
        found = {name: _resampled(name, value, shapes.get(name), source) for name, value in found.items()}
    if head == "new" or (head == "auto" and _heads(found) != {n: s for n, s in shapes.items() if is_head(n)}):
        new = _new_head(model, classes, resolution, seed) if fresh is None else variables.flat(fresh)
        found = {name: value for name, value in found.items() if not is_head(name)}
        found |= {name: value for name, value in new.items() if is_head(name)}
    check.refuse_shapes(found, shapes, source, model, flat)
    if finite:
        check.refuse_non_finite(found, source)
    tree: variables.Tree = traverse_util.unflatten_dict({name: found[name] for name in shapes}, sep="/")
    return tree


def standard(flat: Flat, source: str, model: str) -> Flat:
    """Returns what `files.read` gives in the layout here, its head only where the variant has such a one.

    Args:
      flat: the arrays by name.
      source: what errors call the file.
      model: name of the variant.

    Raises:
      UserError: as for `load`, but for the head.
    """
    if model not in VARIANTS:
        raise UserError(f"unknown model {model!r}: {choose_from(model, VARIANTS)}")
    shapes = shapes_of(model, 1, None)
    fresh = traverse_util.unflatten_dict({n: np.zeros(s, np.float32) for n, s in shapes.items() if is_head(n)}, sep="/")
    body = variables.flat(adopt(flat, source, model, 1, head="new", fresh=fresh))
    found = to_ours(flat, layout_of(flat), model, shapes)
    heads = {name: value for name, value in found.items() if is_head(name)}
    classes = heads["head/bias"].size if "head/bias" in heads else 0
    needed = {name: shape for name, shape in shapes_of(model, classes, None).items() if is_head(name)} if classes else {}
    kept = heads if _heads(heads) == needed else {}
    check.refuse_non_finite(kept, source)
    return {name: value for name, value in body.items() if not is_head(name)} | kept


def save(path: Path, weights: variables.Tree, *, patient: bool | Waits = False) -> None:
    """Writes weights atomically, in the layout here; `patient` as of `bench.records.atomic.write`.

    Raises:
      UserError: as for `files.write`.
    """
    files.write(path, variables.flat(weights), patient=patient)


def _heads(found: Flat) -> Shapes:
    return {name: value.shape for name, value in found.items() if is_head(name)}


def _as_trained(found: Flat, shapes: Shapes) -> Shapes:
    """Returns the shapes that positions have in the file, where only their number can differ from the variant's."""
    alike = [n for n in shapes if is_position(n) and n in found and found[n].ndim == len(shapes[n])]
    channels = {name: 0 if name.endswith("/relative_bias") else 2 for name in alike}
    return {n: found[n].shape for n, axis in channels.items() if found[n].shape[axis] == shapes[n][axis]}


def _resampled(name: str, value: Any, shape: tuple[int, ...] | None, source: str) -> Any:
    """Returns positions in the number that `shape` has; what is no position, or differs in more, as it is."""
    if shape is None or value.shape == shape or not is_position(name) or value.ndim != len(shape):
        return value
    if name.endswith("/relative_bias"):
        return resize_bias(value, ((shape[1] + 1) // 2, (shape[2] + 1) // 2)) if value.shape[0] == shape[0] else value
    if value.shape[2] != shape[2]:
        return value
    for class_token in (True, False):
        counts = value.shape[1] - class_token, shape[1] - class_token
        old, new = (math.isqrt(count) for count in counts)
        if (old**2, new**2) == counts:
            return resample(value, (new, new), class_token)
    raise UserError(f"{source}: {name!r} has {value.shape[1]} positions: no square grid, so it fits its own resolution alone")


def _new_head(model: str, classes: int, resolution: int | None, seed: int) -> Flat:
    @jax.jit
    def draw(seed: jax.Array) -> dict[str, jax.Array]:
        # The rest is not even computed: no result depends on it.
        weights = variables.flat(models.init(models.build(model, classes), seed, resolution or ANY_RESOLUTION))
        return {name: value for name, value in weights.items() if is_head(name)}

    return {name: np.asarray(value) for name, value in draw(np.uint32(seed)).items()}
