"""What a model is before it exists: parameters, multiply-adds, memory and layers, from shapes alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from bench import models
from bench.errors import UserError, choose_from
from bench.models.blocks import STATS
from bench.models.variables import count, flat
from bench.points.variants import FAMILIES, VARIANTS, Variant
from bench.train import optimizers

CLASSES = 1000
# Where the papers state FLOPs.
RESOLUTION = 224


@dataclass(frozen=True)
class Summary:
    """A variant in figures, with a head of 1,000 classes at 224 px.

    Attributes:
      variant: name, family, source.
      params: number of parameters.
      macs: multiply-adds of one image's forward pass.
      weights: bytes of the weights in float32.
      training: bytes of weights, gradients and the state of the family's optimiser, without activations.
    """

    variant: Variant
    params: int
    macs: int
    weights: int
    training: int


@dataclass(frozen=True)
class Layer:
    """One layer: its path, the shape of its output for one image, the number of its parameters (children included)."""

    path: str
    output: tuple[int, ...]
    params: int


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _find(name: str) -> Variant:
    models.build(name, CLASSES)  # says what is wrong with an unknown name
    return VARIANTS[name]


def summarise(name: str) -> Summary:
    """Returns a variant in figures; raises `UserError` for an unknown one."""
    variant = _find(name)
    weights = models.shapes(name, CLASSES, RESOLUTION)
    params, _ = models.split(weights)
    one = jnp.float32(1)
    optimizer = optimizers.build(FAMILIES[variant.family].optimizer, one, one, one)
    training = _bytes(weights) + _bytes(params) + _bytes(jax.eval_shape(optimizer.init, params))
    macs: int = variant.spec.macs(RESOLUTION, CLASSES)
    return Summary(variant, count(params), macs, _bytes(weights), training)


def summaries(family: str | None) -> Iterator[Summary]:
    """Returns all plain variants (of one family) in figures, one after the other: large ones take seconds.

    Raises:
      UserError: no such family.
    """
    if family is not None and family not in FAMILIES:
        raise UserError(f"unknown family {family!r}; {choose_from(family, FAMILIES)}")
    chosen = FAMILIES.values() if family is None else [FAMILIES[family]]
    return (summarise(variant.name) for each in chosen for variant in each.variants)


def layers(name: str, resolution: int, depth: int) -> tuple[list[Layer], int]:
    """Returns the layers down to `depth` levels, in order of execution, and the bytes of all layers' outputs.

    The latter, float32 for one image, are about what a training step keeps for its backward pass.

    Raises:
      UserError: no such model, or it cannot take images of this resolution.
    """
    model = models.build(name, CLASSES)
    image = jax.ShapeDtypeStruct((1, resolution, resolution, 3), jnp.float32)

    executed: list[str] = []

    def run(image: jax.Array) -> Any:
        weights = models.init(model, 0, resolution)
        params, stats = models.split(weights)
        _, seen = model.apply({"params": params, STATS: stats}, image, capture_intermediates=True, mutable=["intermediates"])
        executed.extend(flat(seen["intermediates"]))  # a tree that leaves a traced function is sorted by name
        return params, flat(seen["intermediates"])

    try:
        params, seen = jax.eval_shape(run, image)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{name} cannot take images of {resolution} px: {str(error).splitlines()[0]}") from None
    sizes = {path: math.prod(leaf.shape) for path, leaf in flat(params).items()}
    outputs = {
        path.removesuffix("__call__").rstrip("/"): output
        for path in executed
        if hasattr(output := seen[path][0], "shape")  # some give several things; their parts are listed
    }
    if gone := [path for path, output in outputs.items() if 0 in output.shape]:
        raise UserError(f"{name} cannot take images of {resolution} px: nothing is left of one after layer {gone[0]!r}")
    first: dict[str, int] = {}
    for i, path in enumerate(outputs):
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            first.setdefault("/".join(parts[:end]), i)
    found = [
        Layer(path, output.shape[1:], sum(n for leaf, n in sizes.items() if leaf.startswith(f"{path}/")))
        # A layer is done after its parts, but shown before them.
        for path, output in sorted(outputs.items(), key=lambda item: (first[item[0]], item[0].count("/")))
        if path and path.count("/") < depth
    ]
    return found, _bytes([o for p, o in outputs.items() if not any(q.startswith(f"{p}/") for q in outputs)])
