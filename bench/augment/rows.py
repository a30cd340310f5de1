"""Images as rows of interleaved channels, [H, W * 3], over which loops vectorise, and look-up tables for them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

CHANNELS = 3
VALUES = 256


def every_value() -> jax.Array:
    """Returns i32[1, 768]: every value, once for each channel. A function of it is a look-up table."""
    return jnp.asarray(np.repeat(np.arange(VALUES, dtype=np.int32), CHANNELS)[None])


def entries(image: jax.Array) -> jax.Array:
    """Returns i32[H * W * 3]: where in a look-up table the entry of each number of `image` (u8 or i32)[H, W * 3] stands."""
    channel = jnp.asarray(np.tile(np.arange(CHANNELS, dtype=np.int32), image.size // CHANNELS))
    return image.reshape(-1).astype(jnp.int32) * CHANNELS + channel


def lookup(image: jax.Array, table: jax.Array) -> jax.Array:
    """Returns what `table`, any type [1, 768], has for `image` (u8 or i32)[H, W * 3], same shape."""
    return table.reshape(-1).at[entries(image)].get(mode="promise_in_bounds").reshape(image.shape)
