"""Builds, initialises and counts models by variant name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bench.errors import UserError, choose_from
from bench.models.nfnet import NFNet
from bench.models.vit import ViT
from bench.points.variants import VARIANTS

_FAMILIES: dict[str, Callable[..., nn.Module]] = {"vit": ViT, "nfnet": NFNet}


def build(name: str, classes: int, head_bias: float = 0.0, dtype: Any = jnp.float32) -> nn.Module:
    """Returns the module of variant `name`: (images float32[B, H, W, 3], noise) -> (logits, features), both float32.

    `head_bias` is the constant initial bias of the classifier, `dtype` the compute type.
    """
    buildable = [v.name for v in VARIANTS.values() if v.spec is not None]
    variant = VARIANTS.get(name)
    if variant is None:
        raise UserError(f"unknown model {name!r}: {choose_from(name, buildable)}")
    if variant.spec is None:
        raise UserError(f"{name}: the {variant.family} family cannot be built yet; these can: {', '.join(buildable)}")
    return _FAMILIES[variant.family](variant.spec, classes, head_bias, dtype)


def init(model: nn.Module, seed: int | np.integer[Any] | jax.Array, resolution: int) -> dict[str, Any]:
    """Returns fresh parameters, a nested dict of float32 arrays; `seed` may be a traced uint32 scalar."""
    params: dict[str, Any] = _draw(model, jnp.asarray(seed, jnp.uint32), resolution)
    return params


@partial(jax.jit, static_argnums=(0, 2))
def _draw(model: nn.Module, seed: jax.Array, resolution: int) -> dict[str, Any]:
    images = jnp.zeros((1, resolution, resolution, 3), jnp.float32)
    params: dict[str, Any] = model.init(jax.random.key(seed), images)["params"]
    return params


def count_params(name: str, classes: int, resolution: int) -> int:
    """Returns the number of parameters of variant `name`, from shapes alone."""
    model = build(name, classes)
    shapes = jax.eval_shape(lambda: init(model, 0, resolution))
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))
