"""The RandAugment operations that act on each pixel value alone, as look-up tables.

Eight of the sixteen operations replace a value by a function of that value and of its channel. Built as a table of 256 x 3
entries they share one gather, which keeps the compiled program small. Integer arithmetic is used wherever the reference
truncates an exact quotient, so that results do not depend on a platform's float rounding.

Semantics: the TensorFlow RandAugment of the released AugReg runs (big_vision, pp/archive/autoaugment.py).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bench.augment.blends import blend

VALUES = 256
ADD_BELOW = 128  # SolarizeAdd brightens only values under this; `threshold` in the reference.


def _values() -> jax.Array:
    return jnp.broadcast_to(jnp.arange(VALUES, dtype=jnp.int32)[:, None], (VALUES, 3))


def autocontrast(image: jax.Array) -> jax.Array:
    """Returns the table u8[256, 3] that stretches every channel of `image` u8[H, W, 3] to 0..255; flat channels stay."""
    low = jnp.min(image, axis=(0, 1)).astype(jnp.int32)[None, :]
    high = jnp.max(image, axis=(0, 1)).astype(jnp.int32)[None, :]
    values = _values()
    stretched = jnp.clip(255 * (values - low), 0, None) // jnp.maximum(high - low, 1)
    return jnp.where(high > low, jnp.minimum(stretched, 255), values).astype(jnp.uint8)


def equalize(image: jax.Array) -> jax.Array:
    """Returns the table u8[256, 3] that equalises the histogram of every channel of `image` u8[H, W, 3].

    Same integer arithmetic as `PIL.ImageOps.equalize`. A channel whose step is 0 stays, which is every image under 256 pixels.
    """
    pixels = image.shape[0] * image.shape[1]
    channel = jnp.broadcast_to(jnp.arange(3, dtype=jnp.int32), (pixels, 3))
    value = image.reshape(pixels, 3).astype(jnp.int32)
    counts = jnp.zeros((VALUES, 3), jnp.int32).at[value, channel].add(1, mode="promise_in_bounds")
    last = jnp.max(image, axis=(0, 1)).astype(jnp.int32)
    step = (pixels - counts[last, jnp.arange(3)])[None, :] // 255
    before = jnp.cumsum(counts, axis=0) - counts
    table = jnp.minimum((before + step // 2) // jnp.maximum(step, 1), 255)
    return jnp.where(step > 0, table, _values()).astype(jnp.uint8)


def posterize(bits: jax.Array) -> jax.Array:
    """Returns the table u8[256, 3] that keeps the `bits` (i32[]) highest bits of a value, at least one and at most eight.

    Zero bits keep one: TensorFlow's shifts clamp at the width less one, so magnitude 0 gives the two greys 0 and 128.
    """
    shift = jnp.clip(8 - bits, 0, 7)
    return ((_values() >> shift) << shift).astype(jnp.uint8)


def solarize(threshold: jax.Array) -> jax.Array:
    """Returns the table u8[256, 3] that inverts values from `threshold` (i32[]) on; the threshold wraps around as a uint8."""
    values = _values()
    return jnp.where(values < threshold % VALUES, values, 255 - values).astype(jnp.uint8)


def solarize_add(addition: jax.Array) -> jax.Array:
    """Returns the table u8[256, 3] that adds `addition` (i32[]) to values below 128, saturating."""
    values = _values()
    return jnp.where(values < ADD_BELOW, jnp.clip(values + addition, 0, 255), values).astype(jnp.uint8)


def towards(grey: jax.Array, factor: jax.Array) -> jax.Array:
    """Returns the table u8[256, 3] that blends every value with one `grey` (i32[]) by `factor` (f32[])."""
    values = _values()
    return blend(jnp.broadcast_to(grey, values.shape), values, factor)
