"""Two-dimensional convolution that is fast on CPU and on accelerators, with equal results.

Inside a `lax.scan` (a whole dispatch of training steps), XLA's CPU backend runs any convolution about ten times slower than
the matrix product of its windows, and a grouped one slower still; accelerators have fast kernels for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


# Compiled on its own so that equal blocks of a deep network are traced once.
@partial(jax.jit, static_argnames=("stride", "groups", "padding"))
def conv2d(x: jax.Array, kernel: jax.Array, stride: int = 1, groups: int = 1, padding: str = "SAME") -> jax.Array:
    """Convolves x[B, H, W, I] with kernel[kh, kw, I/groups, O], both of one float dtype; returns [B, H', W', O].

    `padding` is "SAME" (TensorFlow's: the odd pixel goes after) or "VALID".
    """
    pads = jax.lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], (stride, stride), padding)

    def grouped(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
        )

    def products(x: jax.Array, kernel: jax.Array) -> jax.Array:
        if kernel.shape[2] == 1 and kernel.shape[3] == groups:
            return _depthwise(x, kernel, stride, pads)
        return _products(x, kernel, stride, groups, pads)

    result: jax.Array = jax.lax.platform_dependent(x, kernel, cpu=products, default=grouped)
    return result


def _products(x: jax.Array, kernel: jax.Array, stride: int, groups: int, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Returns the convolution as one matrix product per group, of all shifted windows with the flattened kernel."""
    kh, kw, depth, _ = kernel.shape
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    height, width = ((size - k) // stride + 1 for size, k in zip(x.shape[1:3], (kh, kw), strict=True))
    outputs = []
    for group, weights in enumerate(jnp.split(kernel, groups, axis=-1)):
        part = x[..., group * depth : (group + 1) * depth]
        # Columns, then rows: kw + kh shifted copies, and as many sums in the backward pass, in place of kw * kh.
        part = jnp.concatenate([part[:, :, j : j + stride * (width - 1) + 1 : stride] for j in range(kw)], axis=-1)
        part = jnp.concatenate([part[:, i : i + stride * (height - 1) + 1 : stride] for i in range(kh)], axis=-1)
        # As matrices: their products' weight gradients are fast too.
        outputs.append(part.reshape(-1, kh * kw * depth) @ weights.reshape(kh * kw * depth, -1))
    return jnp.concatenate(outputs, axis=-1).reshape(x.shape[0], height, width, -1)


def _depthwise(x: jax.Array, kernel: jax.Array, stride: int, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Returns the convolution of each channel with its own window, as a sum of shifted, scaled copies."""
    kh, kw, _, channels = kernel.shape
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    height, width = ((size - k) // stride + 1 for size, k in zip(x.shape[1:3], (kh, kw), strict=True))
    y = jnp.zeros((x.shape[0], height, width, channels), x.dtype)
    for i, j in np.ndindex(kh, kw):
        window = x[:, i : i + stride * (height - 1) + 1 : stride, j : j + stride * (width - 1) + 1 : stride]
        y += window * kernel[i, j].reshape(1, 1, 1, -1)
    return y
