"""Dropout and stochastic depth whose rates and key are traced, so that one compiled step serves every grid point.

Masks come from a counter hash, not from `jax.random`: threefry masks cost 20-40% of a small transformer's step on CPU.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# The 32-bit finaliser `triple32` of C. Wellons, "Prospecting for hash functions": (right shift, multiplier) of each round.
_ROUNDS = ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB))
_LAST_SHIFT = 14
# 2**32 / golden ratio: spreads consecutive site numbers over all bits.
_GOLDEN = 0x9E3779B9


class Noise(NamedTuple):
    """The randomness of one training step; `None` in its place means a deterministic pass.

    Attributes:
      key: uint32[2], any bits, different in every step.
      dropout: float32 scalar in [0, 1).
      stochastic_depth: float32 scalar in [0, 1], the probability of dropping a branch of fraction 1.
    """

    key: jax.Array
    dropout: jax.Array
    stochastic_depth: jax.Array


def _round(x: jax.Array, shift: int, multiplier: int) -> jax.Array:
    return (x ^ (x >> np.uint32(shift))) * np.uint32(multiplier)


def _mix(x: jax.Array) -> jax.Array:
    for shift, multiplier in _ROUNDS:
        x = _round(x, shift, multiplier)
    return x ^ (x >> np.uint32(_LAST_SHIFT))


def random_bits(key: jax.Array, site: int | jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Returns uint32[shape] uniform bits, a pure function of key uint32[2], the site number and the element index.

    The site is an int, or a traced uint32 scalar where one program of several equal blocks is scanned; both give equal bits.
    """
    size = int(np.prod(shape))
    if size >= 2**32:
        raise ValueError(f"the element index is 32 bits wide; {shape} has {size} elements")
    # Mixed before the site enters, or a key and a site could stand in for another pair.
    spread = np.uint32(site * _GOLDEN % 2**32) if isinstance(site, int) else site * np.uint32(_GOLDEN)
    first = _mix(_mix(key[0]) ^ spread)
    second = _mix(key[1] ^ first)
    x = jax.lax.iota(jnp.uint32, size).reshape(shape) ^ first
    # The second word enters between two rounds: xor alone would only permute one and the same mask.
    return _mix(_round(x, *_ROUNDS[0]) ^ second)


def keep_mask(key: jax.Array, site: int | jax.Array, shape: tuple[int, ...], rate: jax.Array) -> jax.Array:
    """Returns bool[shape], each element False with probability `rate` (float32 scalar, resolved to 2**-24)."""
    threshold = (rate * np.float32(2**24)).astype(jnp.uint32)
    return (random_bits(key, site, shape) >> np.uint32(8)) >= threshold


def dropout(x: jax.Array, noise: Noise | None, site: int | jax.Array) -> jax.Array:
    """Zeroes elements of x, any float array, with probability `noise.dropout` and rescales the others by 1/(1-rate)."""
    if noise is None:
        return x
    key, rate, _ = noise

    def drop(x: jax.Array) -> jax.Array:
        scale = (np.float32(1) / (np.float32(1) - rate)).astype(x.dtype)
        return x * jnp.where(keep_mask(key, site, x.shape, rate), scale, jnp.zeros_like(scale))

    # The backward pass draws the mask again: kept, it would be written and read at rate 0 too.
    result: jax.Array = jax.lax.cond(rate > 0, jax.checkpoint(drop, prevent_cse=False), lambda x: x, x)
    return result


def stochastic_depth(
    x: jax.Array, noise: Noise | None, site: int | jax.Array, fraction: float | jax.Array, *, rescale: bool = False
) -> jax.Array:
    """Zeroes whole samples of a residual branch x[B, ...] with probability `noise.stochastic_depth * fraction`.

    With `rescale`, kept samples are divided by the probability of being kept (EfficientNet's drop-connect, MaxViT's drop-path);
    without, they are not, neither here nor at evaluation (big_vision `mlp_mixer.py`, NFNet `base.py`). `fraction` is a float,
    or a traced float32 scalar where equal blocks are scanned.
    """
    if noise is None or (isinstance(fraction, float | int) and fraction == 0):
        return x
    rate = noise.stochastic_depth * (np.float32(fraction) if isinstance(fraction, float | int) else fraction)
    keep = keep_mask(noise.key, site, (x.shape[0],) + (1,) * (x.ndim - 1), rate)
    kept = x * (np.float32(1) / (np.float32(1) - rate)).astype(x.dtype) if rescale else x
    return jnp.where(keep, kept, jnp.zeros_like(x))
