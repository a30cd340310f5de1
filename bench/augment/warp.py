"""The five geometric operations of RandAugment as one nearest-neighbour gather.

Each maps an output position to an input position by an affine map; they differ in six numbers only. Conventions are those of
tensorflow_addons.image (rotate, translate, transform), which the released AugReg runs used: the map runs from output to input,
positions round half away from zero, and pixels from outside become the fill value.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

NAMES: tuple[str, ...] = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")


def affine(kind: jax.Array, amount: jax.Array, height: int, width: int) -> jax.Array:
    """Returns f32[6] = (a, b, c, d, e, f): output (x, y) shows input (a x + b y + c, d x + e y + f).

    Args:
      kind: i32[], index into `NAMES`.
      amount: f32[], degrees for Rotate, slope for Shear*, pixels for Translate*; any sign.
      height: rows of the image; Rotate turns about its centre.
      width: columns of the image.
    """
    zero, one = jnp.float32(0), jnp.float32(1)
    angle = jnp.deg2rad(amount)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    right, bottom = width - 1, height - 1
    x_offset = (right - (cosine * right - sine * bottom)) / 2
    y_offset = (bottom - (sine * right + cosine * bottom)) / 2
    choices = (
        (cosine, -sine, x_offset, sine, cosine, y_offset),
        (one, amount, zero, zero, one, zero),
        (one, zero, zero, amount, one, zero),
        (one, zero, amount, zero, one, zero),
        (one, zero, zero, zero, one, amount),
    )
    return jnp.stack([jnp.stack(choice) for choice in choices])[kind]


def warp(image: jax.Array, matrix: jax.Array, fill: int) -> jax.Array:
    """Returns `image` u8[H, W, 3] moved by the affine map `matrix` f32[6] (see `affine`), same shape."""
    height, width, channels = image.shape
    y, x = (grid.astype(jnp.float32) for grid in jnp.mgrid[:height, :width])
    away = jax.lax.RoundingMethod.AWAY_FROM_ZERO
    column = jax.lax.round(matrix[0] * x + matrix[1] * y + matrix[2], away).astype(jnp.int32)
    row = jax.lax.round(matrix[3] * x + matrix[4] * y + matrix[5], away).astype(jnp.int32)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    source = jnp.where(inside, row * width + column, 0)
    moved = image.reshape(height * width, channels).at[source].get(mode="promise_in_bounds")
    return jnp.where(inside[:, :, None], moved, jnp.uint8(fill))
