"""Blending an image with a degenerate version of itself: Color with its grey version, Sharpness with a smoothed one.

Integer arithmetic stands for the reference's truncated float32 quotients: results do not depend on a platform's rounding.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

# tf.image.rgb_to_grayscale on uint8: weights 0.2989, 0.5870, 0.1140, and its way back to uint8 multiplies by 255.5 / 255.
_GREY_WEIGHTS = np.array([2989, 5870, 1140], np.int32)
_GREY_NUMERATOR, _GREY_DENOMINATOR = 511, 5_100_000
_SMOOTH_CENTRE, _SMOOTH_SUM = 5, 13  # Kernel ((1, 1, 1), (1, 5, 1), (1, 1, 1)) / 13, PIL's SMOOTH filter.
_FACTOR_STEPS = 10_000


def blend(degenerate: jax.Array, image: jax.Array, factor: jax.Array) -> jax.Array:
    """Returns `degenerate + factor * (image - degenerate)`, clipped to 0..255 and truncated.

    The reference clips only when it extrapolates (factor above 1). Interpolation cannot leave the range: one form serves both.

    The factor counts in steps of 1e-4, which magnitudes in steps of 0.01 hit. Integers then give the reference's float32 result
    for every pair of values at magnitudes 0, 5, 10, 15 and 20; a compiler's fused multiply-add does not.

    Args:
      degenerate: u8 or i32 of any shape.
      image: u8 or i32 of the same shape.
      factor: f32[], 0 gives `degenerate`, 1 gives `image`.

    Returns:
      u8 of the same shape.
    """
    base = degenerate.astype(jnp.int32)
    steps = jnp.rint(factor * _FACTOR_STEPS).astype(jnp.int32)
    mixed = base * _FACTOR_STEPS + steps * (image.astype(jnp.int32) - base)
    return jax.lax.div(jnp.clip(mixed, 0, 255 * _FACTOR_STEPS), _FACTOR_STEPS).astype(jnp.uint8)


def grey(image: jax.Array) -> jax.Array:
    """Returns the grey version of `image` u8[H, W, 3], same shape, three equal channels."""
    weighted = jnp.sum(image.astype(jnp.int32) * jnp.broadcast_to(_GREY_WEIGHTS, image.shape), axis=2, keepdims=True)
    return jnp.broadcast_to(jax.lax.div(weighted * _GREY_NUMERATOR, _GREY_DENOMINATOR), image.shape).astype(jnp.uint8)


def smooth(image: jax.Array) -> jax.Array:
    """Returns `image` u8[H, W, 3] smoothed by a 3 x 3 kernel and truncated, same shape; the border keeps its pixels."""
    wide = image.astype(jnp.int32)
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + (_SMOOTH_CENTRE - 1) * wide[1:-1, 1:-1]
    return image.at[1:-1, 1:-1].set(jax.lax.div(total, _SMOOTH_SUM).astype(jnp.uint8))
