"""Self-attention over a grid with a learned bias for every offset: CoAtNet's "relative attention", as in the MaxViT code."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bench.models.attention import attend

# Google's MaxViT code: every kernel and every bias table.
INIT = nn.initializers.normal(0.02)


# Compiled on its own so that equal layers of a deep network are traced once.
@jax.jit
def bias_matrix(table: jax.Array) -> jax.Array:
    """Returns the biases float[heads, H*W, H*W] between queries and keys, of table float[heads, 2H-1, 2W-1].

    A query at (y, x) and a key at (y', x') find theirs at [y - y' + H - 1, x - x' + W - 1] (CoAtNet, equation 3). Slices, not
    a gather: as fast, and the backward pass sums in a fixed order, where a scatter's order varies on GPUs.
    """
    heads, height, width = table.shape[0], (table.shape[1] + 1) // 2, (table.shape[2] + 1) // 2
    x = table[:, ::-1, ::-1]
    x = jnp.stack([x[:, height - 1 - i : 2 * height - 1 - i] for i in range(height)], axis=1)
    x = jnp.stack([x[..., width - 1 - i : 2 * width - 1 - i] for i in range(width)], axis=2)
    return x.reshape(heads, height * width, height * width)


def resize_bias(table: np.ndarray[Any, Any], grid: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Returns the table for attention over `grid` (height, width), float32[heads, 2*height-1, 2*width-1].

    Bilinear between the centres of cells, without smoothing, as the paper and the MaxViT code (`tf.image.resize`) do for
    fine-tuning at another resolution; the bias of offset 0 stays as it is.

    Args:
      table: float[heads, 2H-1, 2W-1] of another grid.
      grid: tokens (height, width) of the new one.
    """

    def weights(old: int, new: int) -> np.ndarray[Any, Any]:
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        found: np.ndarray[Any, Any] = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(old)))
        return found

    rows, columns = (weights(old, 2 * side - 1) for old, side in zip(table.shape[1:], grid, strict=True))
    return np.asarray(rows @ table.astype(np.float64) @ columns.T, np.float32)


class RelativeAttention(nn.Module):
    """Multi-head self-attention on x[B, H, W, I] -> [B, H, W, width]; softmax in float32, no dropout on the probabilities.

    The table of biases belongs to the resolution (see `resize_bias`). Outputs of `qkv` are ordered head by head, in a head all
    of query, key, value.
    """

    width: int
    head_size: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the projected mixture of values."""
        batch, height, width, channels = x.shape
        heads = self.width // self.head_size
        dense = partial(nn.Dense, dtype=self.dtype, kernel_init=INIT)
        qkv = dense(3 * self.width, name="qkv")(x.reshape(-1, channels))
        qkv = qkv.reshape(batch, height * width, heads, 3, self.head_size)
        table = self.param("relative_bias", INIT, (heads, 2 * height - 1, 2 * width - 1), jnp.float32)
        bias = jnp.expand_dims(bias_matrix(table), 0)
        mixed = attend(qkv[:, :, :, 0], qkv[:, :, :, 1], qkv[:, :, :, 2], bias)
        mixed = dense(self.width, name="out")(mixed.reshape(-1, self.width))
        return mixed.reshape(batch, height, width, self.width)
