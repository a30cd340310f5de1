"""Pooling of 2x2 windows at stride 2."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def halve(x: jax.Array, reduce: Callable[..., jax.Array]) -> jax.Array:
    """Returns `jnp.max` or `jnp.mean` of the windows of x[B, H, W, C]; one over the border sees only the pixels inside."""
    batch, height, width, channels = x.shape
    if height % 2 or width % 2:
        # Repeating the border pixel changes neither the mean nor the maximum of the inside pixels.
        x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return reduce(x.reshape(batch, -(-height // 2), 2, -(-width // 2), 2, channels), axis=(2, 4))
