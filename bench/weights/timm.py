"""The layout of timm's files: PyTorch's names and orders of axes; which name is which stands in one module a family.

What changes besides names follows from the last part of our name and from the rank:

| here | timm |
|---|---|
| convolution `kernel` (H, W, I, O) | (O, I, H, W) |
| dense `kernel` (I, O) | (O, I), or (O, I, 1, 1) in squeeze-and-excite and in all blocks of CoAtNet |
| `query`, `key`, `value` `kernel` (D, heads, D / heads), `bias` (heads, D / heads) | stacked: (3D, D), (3D,) |
| `out` `kernel` (heads, D / heads, D) | (D, D) |
| `gain` (C,) | (C, 1, 1, 1) |
| `relative_bias` (heads, 2H-1, 2W-1) | ((2H-1) * (2W-1), heads) |
| the rest | the same |
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.points import VARIANTS
from bench.weights import timm_coatnet, timm_efficientnetv2, timm_hybrid, timm_nfnet, timm_resnet, timm_vit
from bench.weights.files import Flat

_NAMES: dict[str, Callable[[Any], dict[str, str]]] = {
    "vit": timm_vit.names,
    "hybrid": timm_hybrid.names,
    "resnet": timm_resnet.names,
    "nfnet": timm_nfnet.names,
    "efficientnetv2": timm_efficientnetv2.names,
    "coatnet": timm_coatnet.names,
}
Array = np.ndarray[Any, Any]
# The number of batches that PyTorch's batch normalisation has seen; nothing here, or in timm, reads it.
COUNTER = "num_batches_tracked"
# Names in timm of 1x1 convolutions which are dense here.
_POINTWISE = re.compile(r"\.(se|attn_last)\.|^stages\.\d+\.blocks\.")


def names(model: str) -> dict[str, str]:
    """Returns timm's names of the weights of a variant by the names here; several of ours may be one of theirs, stacked."""
    variant = VARIANTS[model]
    return _NAMES[variant.family](variant.spec)


def to_timm(flat: Flat, model: str) -> Flat:
    """Returns arrays as timm's `state_dict` of the same architecture has them.

    Raises:
      UserError: timm has no place for one of them.
    """
    places, parts = names(model), dict[str, list[Array]]()
    for name, place in places.items():
        if name in flat:
            parts.setdefault(place, []).append(_there(name, place, np.asarray(flat[name])))
    homeless = sorted(flat.keys() - places.keys())
    if homeless:
        raise UserError(f"timm's models of the kind of {model} have no {homeless[0]!r}: this layout cannot hold these weights")
    found = {name: np.concatenate(values) if len(values) > 1 else values[0] for name, values in parts.items()}
    counters = [name.replace("running_mean", COUNTER) for name in found if name.endswith(".running_mean")]
    return {**found, **{name: np.zeros((), np.int64) for name in counters}}


def from_timm(flat: Flat, model: str, shapes: Mapping[str, tuple[int, ...]]) -> Flat:
    """Returns arrays in the layout here; what this architecture does not have in timm keeps its name.

    Args:
      flat: by timm's names.
      model: name of the variant.
      shapes: of its weights by the names here. An array that does not fit is returned in the shape it has.
    """
    ours = dict[str, list[str]]()
    for name, place in names(model).items():
        ours.setdefault(place, []).append(name)
    found = Flat()
    for place, value in flat.items():
        if place.endswith(COUNTER):
            continue
        group = ours.get(place, [place])
        stacked = len(group) > 1 and value.ndim > 0 and value.shape[0] % len(group) == 0
        for name, part in zip(group, np.split(value, len(group)) if stacked else [value] * len(group), strict=True):
            found[name] = _here(name, part, shapes.get(name, part.shape))
    return found


def _there(name: str, place: str, value: Array) -> Array:
    *_, module, leaf = ("", *name.split("/"))
    if leaf == "kernel" and value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    if leaf == "kernel":
        inputs = int(np.prod(value.shape[:-1] if module == "out" else value.shape[:1]))
        matrix = value.reshape(inputs, -1).T
        return matrix[:, :, None, None] if _POINTWISE.search(place) else matrix
    if leaf == "gain":
        return value.reshape(-1, 1, 1, 1)
    if leaf == "bias":
        return value.reshape(-1)
    if leaf == "relative_bias":
        return value.reshape(value.shape[0], -1).T
    return value


def _here(name: str, value: Array, shape: tuple[int, ...]) -> Array:
    leaf = name.rsplit("/", 1)[-1]
    if leaf == "kernel" and len(shape) == 4 and value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    if leaf == "kernel" and value.ndim in (2, 4):
        pointwise = value.ndim == 4 and value.shape[2:] == (1, 1)
        value = value.reshape(value.shape[:2]).T if pointwise or value.ndim == 2 else value
    if leaf == "relative_bias" and value.ndim == 2 and math.isqrt(len(value)) ** 2 == len(value):
        return value.T.reshape(-1, math.isqrt(len(value)), math.isqrt(len(value)))
    return value.reshape(shape) if value.size == int(np.prod(shape)) and value.ndim != len(shape) else value
