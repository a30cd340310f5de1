"""Losses over soft labels; a padded head's extra classes take no part."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

# Far below any logit, yet finite, so that a padded class gets probability 0 and gradient 0.
ABSENT = -1e9


def mask_logits(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """Sets the logits of classes >= `classes` (traced) to `ABSENT`; logits f32[B, C]."""
    present = jnp.arange(logits.shape[-1], dtype=jnp.int32) < classes
    return jnp.where(present[None, :], logits, jnp.float32(ABSENT))


def smoothed(labels: jax.Array, smoothing: jax.Array, classes: jax.Array, loss: str) -> jax.Array:
    """Draws targets towards what says nothing: the uniform distribution for `softmax`, 1/2 for every class for `sigmoid`.

    `(1 - smoothing) * labels + smoothing / classes`, or `+ smoothing / 2`, as TensorFlow's losses do, which the released code
    of EfficientNetV2 calls. Labels may be mixed before or after: both are linear.

    Args:
      labels: f32[B, C].
      smoothing: f32[], 0 to 1; 0 changes nothing.
      classes: i32[], the number of classes that there are; those beyond keep their 0.
      loss: name of the loss.
    """
    share = jnp.float32(0.5) if loss == "sigmoid" else 1 / classes.astype(jnp.float32)
    present = jnp.arange(labels.shape[-1], dtype=jnp.int32) < classes
    return (1 - smoothing) * labels + jnp.where(present, smoothing * share, jnp.float32(0))[None, :]


def softmax(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Softmax cross-entropy, mean over the batch; logits and labels f32[B, C]."""
    return jnp.mean(optax.softmax_cross_entropy(logits, labels))


def sigmoid(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Sigmoid cross-entropy, summed over classes, mean over the batch (as AugReg pre-trained); absent classes add 0."""
    return jnp.mean(jnp.sum(optax.sigmoid_binary_cross_entropy(logits, labels), -1))


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {"softmax": softmax, "sigmoid": sigmoid}
