"""The gradient of a step: of its batch at once or of one micro-batch after the other, here or a little uphill (SAM)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from bench.models import Noise

Tree = Any
# (parameters, running statistics, images, targets, noise) -> (mean loss, new running statistics).
Loss = Callable[[Tree, Tree, jax.Array, jax.Array, Noise], tuple[jax.Array, Tree]]
# Keeps the direction of a vanishing gradient finite.
TINY = 1e-30


def gradient(
    loss: Loss, params: Tree, stats: Tree, images: jax.Array, targets: jax.Array, noise: Noise, parts: int = 1
) -> tuple[jax.Array, Tree, Tree]:
    """Returns (mean loss, new running statistics, gradient of the mean loss) of a batch.

    In `parts` micro-batches, activations are those of one of them at a time. What that changes: the masks of dropout and
    stochastic depth are drawn from a key of the micro-batch's own (the step's, folded with its number), and batch normalisation
    sees one micro-batch (and updates its running statistics after each, so they move `parts` times a step). The gradient of a
    model with neither is the whole batch's but for rounding.

    Args:
      loss: of a batch.
      params: parameters.
      stats: running statistics.
      images: f32[B, H, W, 3].
      targets: f32[B, K].
      noise: of the step.
      parts: number of micro-batches; divides B.
    """
    one = jax.value_and_grad(loss, has_aux=True)
    if parts == 1:
        (value, stats), grads = one(params, stats, images, targets, noise)
        return value, stats, grads

    # Every part takes a row of each device's share, so that no image moves between devices: rows j, j + parts, ...
    rows, answers = (x.reshape(-1, parts, *x.shape[1:]) for x in (images, targets))
    key = jax.random.wrap_key_data(noise.key)

    def add(carry: tuple[jax.Array, Tree, Tree], part: jax.Array) -> tuple[tuple[jax.Array, Tree, Tree], None]:
        value, stats, grads = carry
        own = noise._replace(key=jax.random.key_data(jax.random.fold_in(key, part)))
        (more, stats), found = one(params, stats, rows[:, part], answers[:, part], own)
        return (value + more, stats, jax.tree.map(jnp.add, grads, found)), None

    start = jnp.float32(0), stats, jax.tree.map(jnp.zeros_like, params)
    (value, stats, grads), _ = jax.lax.scan(add, start, jnp.arange(parts, dtype=jnp.int32))
    return value / parts, stats, jax.tree.map(lambda g: g / parts, grads)


def uphill(params: Tree, grads: Tree, radius: jax.Array) -> Tree:
    """Returns parameters moved by `radius` (f32[]) along the gradient: where SAM takes the gradient that it descends by.

    Foret et al. 2021, equation 2 with p = 2; as in their code (google-research/sam, `flax_training.py`), both gradients have
    the same masks, and running statistics are those of the first. There the ascent is each device's own (m-sharpness), in
    NFNet's training from scratch that of a fifth of its batch; here it is the whole batch's, whatever the number of devices or
    of micro-batches.
    """
    scale = radius / jnp.maximum(optax.tree.norm(grads), TINY)
    return jax.tree.map(lambda p, g: p + scale * g, params, grads)


def averaged(average: Tree, weights: Tree, step: jax.Array, decay: jax.Array) -> Tree:
    """Returns the moving average of weights after a step: average -= (1 - d) * (average - weights).

    d = min(decay, (1 + t) / (10 + t)) (NFNet `experiment.py`; TensorFlow's `ExponentialMovingAverage` with `num_updates`, which
    EfficientNetV2 uses), so that the average forgets the initial weights.

    Args:
      average: so far, running statistics included.
      weights: after the step, of the same structure.
      step: i32[], number t of the step, from 0.
      decay: f32[], its limit.
    """
    t = step.astype(jnp.float32)
    share = 1.0 - jnp.minimum(decay, (1.0 + t) / (10.0 + t))
    return jax.tree.map(lambda a, w: a - share * (a - w), average, weights)
