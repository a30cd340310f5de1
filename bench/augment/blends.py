"""Blending an image with a degenerate version of itself: Color with its grey version, Sharpness with a smoothed one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bench.augment import exact
from bench.augment.rows import CHANNELS

# tf.image.rgb_to_grayscale on uint8: to 0..1, a sum with these weights, and back by a factor of 255 and a half.
_UNIT, _WEIGHTS, _BACK = np.float32(1 / 255), np.array([0.2989, 0.5870, 0.1140], np.float32), np.float32(255.5)
# PIL's SMOOTH filter, each weight a float32 as in the reference.
_SMOOTH = np.array([1, 1, 1, 1, 5, 1, 1, 1, 1], np.float32) / np.float32(13)


def blend(degenerate: jax.Array, image: jax.Array, factor: jax.Array) -> jax.Array:
    """Returns `degenerate + factor * (image - degenerate)`, clipped to 0..255 and truncated, each operation rounded to float32.

    The reference clips only when it extrapolates (factor above 1). Interpolation cannot leave the range: one form serves both.

    Args:
      degenerate: u8 or i32 of any shape.
      image: u8 or i32 of the same shape.
      factor: f32[], 0 gives `degenerate`, 1 gives `image`.

    Returns:
      u8 of the same shape.
    """
    base = degenerate.astype(jnp.float32)
    mixed = base + exact.product(factor, image.astype(jnp.float32) - base)
    return jnp.clip(mixed, 0, 255).astype(jnp.uint8)


def luma(image: jax.Array, number: jax.Array) -> jax.Array:
    """Returns the grey value i32[H, W] of every pixel of `image` u8[H, W * 3]; `number` as for `exact.kept`."""
    weights = jnp.asarray(np.tile(_WEIGHTS, image.shape[1] // CHANNELS))[None]
    # Not a constant to the compiler, which would multiply it with the weights beforehand.
    unit = exact.kept(lambda: jnp.asarray(_UNIT), number)
    # Stored before they are added, so that no product is contracted with the sum.
    products = exact.kept(lambda: image.astype(jnp.float32) * unit * weights, number)
    red, green, blue = jnp.moveaxis(products.reshape(image.shape[0], -1, CHANNELS), 2, 0)
    value: jax.Array = ((red + green + blue) * _BACK).astype(jnp.int32)
    return value


def grey(image: jax.Array, number: jax.Array) -> jax.Array:
    """Returns the grey version of `image` u8[H, W * 3], same shape, three equal channels; `number` as for `exact.kept`."""
    value = luma(image, number).astype(jnp.uint8)
    return jnp.broadcast_to(value[:, :, None], (*value.shape, CHANNELS)).reshape(image.shape)


def smooth(image: jax.Array) -> jax.Array:
    """Returns `image` u8[H, W * 3] smoothed by a 3 x 3 kernel and truncated, same shape; the border keeps its pixels.

    The reference's convolution adds nine products from the upper left to the lower right, in float32 with fused multiply-adds,
    which is what TensorFlow does where a processor has them. One sum in thirteen is whole, and there the last bit decides what
    truncation leaves: order and roundings are part of the result.
    """
    height, length = image.shape
    weights = jnp.asarray(_SMOOTH)

    def add(tap: jax.Array, total: jax.Array) -> jax.Array:
        start = (tap // 3, tap % 3 * CHANNELS)
        window = jax.lax.dynamic_slice(image, start, total.shape).astype(jnp.float32)
        return exact.add_product(total, *exact.product_and_error(weights[tap], window))

    # A loop: unrolled, each sum would be computed anew wherever the next one reads it.
    total = jax.lax.fori_loop(0, len(_SMOOTH), add, jnp.zeros((height - 2, length - 2 * CHANNELS), jnp.float32))
    return image.at[1:-1, CHANNELS:-CHANNELS].set(total.astype(jnp.uint8))
