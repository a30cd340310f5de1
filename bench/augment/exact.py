"""float32 arithmetic whose results do not depend on what a compiler makes of it.

Compilers may contract a product and a sum into one operation with one rounding, and do so in one compiled form and not in
another. Where a last bit decides which pixel is shown, or which side of a truncation a value falls on, the products here are
written as sums of two that are exact, which no contraction can change.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

# Significand bits kept in the upper part of a float32 with 24: either part times a whole number below 2**12 is exact.
_UPPER_BITS = 12
LARGEST = 2**12 - 1  # Largest whole number for the functions below.


def split(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns two f32 of the shape of `x` f32 with 12 significant bits each; their sum is `x` exactly."""
    upper = jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=_UPPER_BITS - 1)
    return upper, x - upper


def product(x: jax.Array, whole: jax.Array) -> jax.Array:
    """Returns `x` f32 times `whole`, f32 holding whole numbers up to `LARGEST` in size, rounded once; they broadcast."""
    upper, lower = split(x)
    return upper * whole + lower * whole


def product_and_error(x: jax.Array, whole: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns `product` and what its rounding left out, which is a float32 as well."""
    upper, lower = split(x)
    rounded = upper * whole + lower * whole
    return rounded, lower * whole - (rounded - upper * whole)


def add_product(total: jax.Array, rounded: jax.Array, error: jax.Array) -> jax.Array:
    """Returns `total` plus a product given by its two parts, rounded once, as a fused multiply-add does.

    The result is that of one rounding where what the sum of `total` and `rounded` leaves out, together with `error`, is a
    float32. It is where all parts are multiples of one power of two that is not too small, as those of a sum of few terms are.

    Args:
      total: f32.
      rounded: f32 of the same shape, first part of `product_and_error`.
      error: f32 of the same shape, its second part.
    """
    # Knuth's exact sum of two floats, which needs no order of their sizes.
    near = total + rounded
    back = near - total
    left_out = (total - (near - back)) + (rounded - back)
    return near + (left_out + error)


def nearest(x: jax.Array) -> jax.Array:
    """Returns `x` f32 as i32, rounded to the nearest whole number, halves away from zero; sizes below 2**31."""
    whole = x.astype(jnp.int32)
    rest = x - whole.astype(jnp.float32)
    return whole + (rest >= 0.5).astype(jnp.int32) - (rest <= -0.5).astype(jnp.int32)


def kept(compute: Callable[[], jax.Array], number: jax.Array) -> jax.Array:
    """Returns what `compute` returns, computed once and stored.

    A compiler likes to merge what is cheap into what reads it, and then computes it anew at every reading, one number at a
    time. What a branch returns it does not merge; the other branch here is never taken.

    Args:
      compute: returns one array.
      number: i32[] that is not negative, which the compiler does not know.
    """
    shape = jax.eval_shape(compute)
    result: jax.Array = jax.lax.cond(number >= 0, compute, lambda: jnp.zeros(shape.shape, shape.dtype))
    return result
