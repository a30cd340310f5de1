"""Builds, initialises, applies and counts models by variant name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bench.errors import UserError, choose_from
from bench.models import variables
from bench.models.blocks import STATS
from bench.models.coatnet import CoAtNet
from bench.models.efficientnetv2 import EfficientNetV2
from bench.models.hybrid import Hybrid
from bench.models.nfnet import NFNet
from bench.models.noise import Noise
from bench.models.resnet import ResNet
from bench.models.vit import ViT
from bench.points.execution import Execution
from bench.points.variants import VARIANTS

_FAMILIES: dict[str, Callable[..., nn.Module]] = {
    "vit": ViT,
    "hybrid": Hybrid,
    "resnet": ResNet,
    "nfnet": NFNet,
    "coatnet": CoAtNet,
    "efficientnetv2": EfficientNetV2,
}


def build(
    name: str, classes: int, head_bias: float = 0.0, dtype: Any = jnp.float32, execution: Execution = Execution()
) -> nn.Module:
    """Returns the module of variant `name`: (images float32[B, H, W, 3], noise) -> (logits, features), both float32.

    Args:
      name: of the variant, modifiers included.
      classes: outputs of the head.
      head_bias: constant initial bias of the classifier.
      dtype: compute type; parameters are float32 always.
      execution: how the blocks are run.

    Raises:
      UserError: no such variant.
    """
    variant = VARIANTS.get(name)
    if variant is None:
        raise UserError(f"unknown model {name!r}: {choose_from(name, VARIANTS)}")
    return _FAMILIES[variant.family](variant.spec, classes, head_bias, dtype, execution)


def init(model: nn.Module, seed: int | np.integer[Any] | jax.Array, resolution: int) -> variables.Tree:
    """Returns fresh weights, a nested dict of float32 arrays; `seed` may be a traced uint32 scalar."""
    weights: variables.Tree = _draw(model, jnp.asarray(seed, jnp.uint32), resolution)
    return weights


@partial(jax.jit, static_argnums=(0, 2))
def _draw(model: nn.Module, seed: jax.Array, resolution: int) -> variables.Tree:
    images = jnp.zeros((1, resolution, resolution, 3), jnp.float32)
    found = model.init(jax.random.key(seed), images)
    return variables.merge(found["params"], found.get(STATS, {}))


def train(
    model: nn.Module, params: variables.Tree, stats: variables.Tree, images: jax.Array, noise: Noise
) -> tuple[jax.Array, jax.Array, variables.Tree]:
    """Returns (logits, features, new running statistics) of a training pass."""
    (logits, features), updated = model.apply({"params": params, STATS: stats}, images, noise, mutable=[STATS])
    return logits, features, updated.get(STATS, {})


def evaluate(model: nn.Module, weights: variables.Tree, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns (logits, features) of the deterministic pass."""
    params, stats = variables.split(weights)
    answer: Any = model.apply({"params": params, STATS: stats}, images)
    logits, features = answer
    return logits, features


def shapes(name: str, classes: int, resolution: int) -> variables.Tree:
    """Returns the shapes and dtypes of the weights of variant `name`, without making them."""
    model = build(name, classes)
    found: variables.Tree = jax.eval_shape(lambda: init(model, 0, resolution))
    return found


def count_params(name: str, classes: int, resolution: int) -> int:
    """Returns the number of parameters of variant `name`, from shapes alone; running statistics are none."""
    return variables.count(variables.split(shapes(name, classes, resolution))[0])
