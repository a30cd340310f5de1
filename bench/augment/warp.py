"""The five geometric operations of RandAugment as one nearest-neighbour gather.

Each maps an output position to an input position by an affine map; they differ in six numbers only. Conventions are those of
tensorflow_addons.image (rotate, translate, transform), which the released AugReg runs used: the map runs from output to input,
positions round half away from zero, and pixels from outside become the fill value. A rounding error of a position shows another
pixel, so every product and sum rounds as TensorFlow's ImageProjectiveTransform rounds it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bench.augment import exact
from bench.augment.levels import Levels
from bench.augment.rows import CHANNELS

NAMES: tuple[str, ...] = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")


def affine(kind: jax.Array, levels: Levels, negate: jax.Array, height: int, width: int) -> jax.Array:
    """Returns f32[6] = (a, b, c, d, e, f): output (x, y) shows input (a x + b y + c, d x + e y + f).

    Args:
      kind: i32[], index into `NAMES`; its length gives the identity.
      levels: angle, slope and shift, scalars.
      negate: bool[], turns their sign.
      height: rows of the image, at most 4096; Rotate turns about its centre.
      width: columns of the image, at most 4096.
    """
    zero, one = jnp.float32(0), jnp.float32(1)
    slope, shift, sine = (jnp.where(negate, -value, value) for value in (levels.slope, levels.shift, levels.sine))
    cosine, right, bottom = levels.cosine, jnp.float32(width - 1), jnp.float32(height - 1)
    x_offset = (right - (exact.product(cosine, right) - exact.product(sine, bottom))) / 2
    y_offset = (bottom - (exact.product(sine, right) + exact.product(cosine, bottom))) / 2
    choices = (
        (cosine, -sine, x_offset, sine, cosine, y_offset),
        (one, slope, zero, zero, one, zero),
        (one, zero, zero, slope, one, zero),
        (one, zero, shift, zero, one, zero),
        (one, zero, zero, zero, one, shift),
        (one, zero, zero, zero, one, zero),
    )
    return jnp.stack([jnp.stack(choice) for choice in choices])[kind]


def _sources(matrix: jax.Array, height: int, width: int) -> jax.Array:
    """Returns i32[H, W]: the number of the pixel that each position shows, H * W for those from outside."""
    x = jnp.arange(width, dtype=jnp.float32)[None, :]
    y = jnp.arange(height, dtype=jnp.float32)[:, None]
    column = exact.nearest(exact.product(matrix[0], x) + exact.product(matrix[1], y) + matrix[2])
    row = exact.nearest(exact.product(matrix[3], x) + exact.product(matrix[4], y) + matrix[5])
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return jnp.where(inside, row * width + column, height * width)


def warp(image: jax.Array, matrix: jax.Array, fill: int, number: jax.Array) -> jax.Array:
    """Returns `image` u8[H, W * 3] moved by the map `matrix` f32[6] of `affine`, same shape; `number` as for `exact.kept`."""
    height, width = image.shape[0], image.shape[1] // CHANNELS
    # Positions vectorise where a gather does not: they are computed before it, not within it.
    sources = exact.kept(lambda: _sources(matrix, height, width), number)
    channels = jnp.arange(CHANNELS, dtype=jnp.int32)[None, None, :]
    index = exact.kept(lambda: sources[:, :, None] * CHANNELS + channels, number)
    values = exact.kept(lambda: jnp.concatenate([image.reshape(-1), jnp.full((CHANNELS,), fill, jnp.uint8)]), number)
    return values.at[index.reshape(-1)].get(mode="promise_in_bounds").reshape(image.shape)
