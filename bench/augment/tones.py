"""The RandAugment operations that act on each pixel value alone.

Eight of the sixteen operations replace a value by a function of that value and of its channel. Each function here takes values
of any number of pixels, channels interleaved on the last axis: a whole image, or once every value, which makes a look-up table.

Semantics: the TensorFlow RandAugment of the released AugReg runs (big_vision, pp/archive/autoaugment.py).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bench.augment import blends, exact
from bench.augment.rows import CHANNELS, VALUES, entries, every_value

ADD_BELOW = 128  # SolarizeAdd brightens only values under this; `threshold` in the reference.
_MOST_BITS = 8
# 255 over a range of values, by that range: rounded here, not by a device whose quotients may be approximate.
_STRETCH = np.float32(255) / np.maximum(np.arange(VALUES), 1).astype(np.float32)


def extremes(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the least and the largest value of every channel of `image` u8[H, W * 3], both i32[3]."""
    # Rows first, which vectorises.
    low, high = jnp.min(image, axis=0).reshape(-1, CHANNELS), jnp.max(image, axis=0).reshape(-1, CHANNELS)
    return jnp.min(low, axis=0).astype(jnp.int32), jnp.max(high, axis=0).astype(jnp.int32)


def stretch(image: jax.Array, length: int) -> jax.Array:
    """Returns AutoContrast's f32[3, length] for `image` u8[H, W * 3]: scales in two exact parts, offsets; channels in turn."""
    low, high = extremes(image)
    scale = jnp.asarray(_STRETCH)[high - low]
    offset = -exact.product(scale, low.astype(jnp.float32))
    flat = high == low
    parts = zip((1.0, 0.0, 0.0), (*exact.split(scale), offset), strict=True)
    return jnp.tile(jnp.stack([jnp.where(flat, stay, part) for stay, part in parts]), (1, length // CHANNELS))


def autocontrast(values: jax.Array, scales: jax.Array) -> jax.Array:
    """Returns `values` i32[N, M * 3] stretched by `stretch`, clipped and truncated, as u8."""
    upper, lower, offset = scales[:, None]
    parts = values.astype(jnp.float32)
    return jnp.clip(parts * upper + parts * lower + offset, 0, 255).astype(jnp.uint8)


def equalize(image: jax.Array) -> jax.Array:
    """Returns the table u8[1, 768] that equalises the histogram of every channel of `image` u8[H, W * 3].

    Same integer arithmetic as `PIL.ImageOps.equalize`. A channel whose step is 0 stays, which is every image under 256 pixels.
    """
    pixels = image.size // CHANNELS
    empty = jnp.zeros(VALUES * CHANNELS, jnp.int32)
    counts = empty.at[entries(image)].add(1, mode="promise_in_bounds").reshape(VALUES, CHANNELS)
    _, last = extremes(image)
    step = jax.lax.div(pixels - counts[last, jnp.arange(CHANNELS)], 255)[None, :]
    before = jnp.cumsum(counts, axis=0) - counts
    table = jnp.minimum(jax.lax.div(before + jax.lax.div(step, 2), jnp.maximum(step, 1)), 255)
    return jnp.where(step > 0, table, every_value().reshape(VALUES, CHANNELS)).astype(jnp.uint8).reshape(1, -1)


def posterize(values: jax.Array, bits: jax.Array, *, fixed: bool) -> jax.Array:
    """Returns `values` i32 with their `bits` (i32[]) highest bits kept, as u8.

    TensorFlow's shifts of uint8 clamp at seven: at no bits, which is magnitudes under 2.5, one is kept and leaves the greys 0
    and 128. Above eight bits, from magnitude 22.5 on, the reference's shift is negative, wraps around to some 250 and clamps at
    seven as well; `fixed` keeps all eight.
    """
    shift = jnp.minimum(_MOST_BITS - bits, _MOST_BITS - 1)
    shift = jnp.where(shift < 0, 0 if fixed else _MOST_BITS - 1, shift)
    return ((values >> shift) << shift).astype(jnp.uint8)


def solarize(values: jax.Array, threshold: jax.Array, *, fixed: bool) -> jax.Array:
    """Returns `values` i32 inverted from `threshold` (i32[]) on, as u8.

    The reference's threshold wraps around as a uint8: from 256 on, which is magnitude 10, everything is inverted again. With
    `fixed` it does not wrap, and nothing is inverted there.
    """
    limit = threshold if fixed else threshold % VALUES
    return jnp.where(values < limit, values, 255 - values).astype(jnp.uint8)


def solarize_add(values: jax.Array, addition: jax.Array) -> jax.Array:
    """Returns `values` i32 as u8, `addition` (i32[]) added to those below 128, saturating."""
    return jnp.where(values < ADD_BELOW, jnp.clip(values + addition, 0, 255), values).astype(jnp.uint8)


def towards(values: jax.Array, mean: jax.Array, factor: jax.Array) -> jax.Array:
    """Returns `values` i32 blended with one `mean` (i32[]) by `factor` (f32[]), as u8."""
    return blends.blend(jnp.broadcast_to(mean, values.shape), values, factor)


def contrast_mean(image: jax.Array, number: jax.Array, *, fixed: bool) -> jax.Array:
    """Returns what Contrast blends `image` u8[H, W * 3] with, i32[]; `number` as for `exact.kept`.

    H * W / 256 in the reference, which sums its histogram without its values (big_vision issue 109): 196 at 224 px, 4 at 32 px.
    With `fixed`, the mean grey value, truncated as in the later correction of that code.
    """
    pixels = image.size // CHANNELS
    if fixed:
        return jax.lax.div(jnp.sum(blends.luma(image, number), dtype=jnp.int32), pixels)
    return jnp.asarray(min(pixels // VALUES, 255), jnp.int32)
