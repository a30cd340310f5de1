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


def softmax(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Softmax cross-entropy, mean over the batch; logits and labels f32[B, C]."""
    return jnp.mean(optax.softmax_cross_entropy(logits, labels))


def sigmoid(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Sigmoid cross-entropy, summed over classes, mean over the batch (as AugReg pre-trained); absent classes add 0."""
    return jnp.mean(jnp.sum(optax.sigmoid_binary_cross_entropy(logits, labels), -1))


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {"softmax": softmax, "sigmoid": sigmoid}
