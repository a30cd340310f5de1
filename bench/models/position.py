"""Position embeddings of token sequences: learned ones, which can be resampled for another grid, and fixed ones."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

# big_vision `vit.py`, after MoCo v3.
_TEMPERATURE = 10_000.0


def resample(embedding: NDArray[Any], grid: tuple[int, int], class_token: bool) -> NDArray[Any]:
    """Returns a learned embedding for another grid: bilinear between the corners, which stay; as vision_transformer does.

    Args:
      embedding: float[1, N, D] of a square grid, row by row, after the slot of a class token where there is one.
      grid: rows and columns wanted.
      class_token: whether the first slot is a class token's; it is kept as it is.

    Raises:
      ValueError: the grid of `embedding` is not square.
    """
    kept, old = np.split(embedding, [int(class_token)], axis=1)
    side = math.isqrt(old.shape[1])
    if side**2 != old.shape[1]:
        raise ValueError(f"{old.shape[1]} positions are not a square grid")
    if grid == (side, side):
        return embedding
    rows, columns = (_interpolation(side, size) for size in grid)
    cells = old.astype(np.float64).reshape(side, side, -1)
    new = np.einsum("ri,cj,ijd->rcd", rows, columns, cells, optimize=True).astype(old.dtype)
    return np.concatenate([kept, new.reshape(1, grid[0] * grid[1], -1)], axis=1)


def _interpolation(old: int, new: int) -> NDArray[np.float64]:
    """Returns the [new, old] weights of linear interpolation at `new` even steps from the first to the last of `old` points."""
    at = np.linspace(0, old - 1, new)[:, None]
    weights: NDArray[np.float64] = np.maximum(0, 1 - np.abs(at - np.arange(old)))
    return weights


def sincos2d(grid: tuple[int, int], width: int) -> NDArray[np.float32]:
    """Returns the fixed embedding float32[1, rows * columns, width]: sine and cosine of the column, then of the row.

    Raises:
      ValueError: `width` is not a multiple of 4, at least 8.
    """
    count = width // 4
    if width % 4 or count < 2:
        raise ValueError(f"a fixed embedding has a multiple of 4 channels, at least 8, not {width}")
    frequencies = _TEMPERATURE ** -(np.arange(count) / (count - 1))
    row, column = (place.reshape(-1, 1) * frequencies for place in np.indices(grid))
    waves = [np.sin(column), np.cos(column), np.sin(row), np.cos(row)]
    return np.concatenate(waves, axis=1)[None].astype(np.float32)


class Learned(nn.Module):
    """Adds a parameter to every slot of x[B, N, D], a class token's included."""

    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, grid: tuple[int, int]) -> jax.Array:  # noqa: ARG002
        """Returns [B, N, D]."""
        embedding = self.param("pos_embedding", nn.initializers.normal(0.02), (1, *x.shape[1:]), jnp.float32)
        return x + embedding.astype(self.dtype)


class SinCos2D(nn.Module):
    """Adds the fixed embedding to the last rows * columns slots of x[B, N, D]; a class token before them gets none."""

    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, grid: tuple[int, int]) -> jax.Array:
        """Returns [B, N, D]."""
        embedding = sincos2d(grid, x.shape[-1])
        before = x.shape[1] - embedding.shape[1]
        return x + jnp.asarray(np.pad(embedding, ((0, 0), (before, 0), (0, 0))), self.dtype)


POSITIONS = {"learn": Learned, "sincos2d": SinCos2D}
