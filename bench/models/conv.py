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
    """Returns the convolution as one matrix product per group, of shifted pixels with a kernel flattened alike."""
    depth = kernel.shape[2]
    product = _rows if stride == 1 else _windows
    parts = enumerate(jnp.split(kernel, groups, axis=-1))
    return jnp.concatenate(
        [product(x[..., i * depth : (i + 1) * depth], weights, stride, pads) for i, weights in parts], axis=-1
    )


def _columns(x: jax.Array, kw: int, stride: int) -> jax.Array:
    """Returns x[B, H, W, I] as [B, H, W', kw * I]: the pixels of each window's row beside each other."""
    width = (x.shape[2] - kw) // stride + 1
    return jnp.concatenate([x[:, :, j : j + stride * (width - 1) + 1 : stride] for j in range(kw)], axis=-1)


def _windows(x: jax.Array, kernel: jax.Array, stride: int, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Returns products of whole windows. Columns, then rows: kw + kh shifted copies in place of kw * kh."""
    kh, kw, depth, outputs = kernel.shape
    x = _columns(jnp.pad(x, ((0, 0), *pads, (0, 0))), kw, stride)
    height = (x.shape[1] - kh) // stride + 1
    x = jnp.concatenate([x[:, i : i + stride * (height - 1) + 1 : stride] for i in range(kh)], axis=-1)
    # As matrices: their products' weight gradients are fast too.
    return (x.reshape(-1, kh * kw * depth) @ kernel.reshape(-1, outputs)).reshape(*x.shape[:3], outputs)


def _rows(x: jax.Array, kernel: jax.Array, stride: int, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Returns the sum over a kernel's rows of products, shifted against each other: a third of the copies of `_windows`."""
    kh, kw, depth, outputs = kernel.shape
    (top, bottom), columns = pads
    x = _columns(jnp.pad(x, ((0, 0), (0, 0), columns, (0, 0))), kw, stride)
    weights = kernel.transpose(1, 2, 0, 3).reshape(kw * depth, kh * outputs)
    products = (x.reshape(-1, kw * depth) @ weights).reshape(*x.shape[:3], kh, outputs)
    none, zero = (0, 0, 0), jnp.zeros((), x.dtype)
    shifts = [(none, (top - i, bottom + i + 1 - kh, 0), none, none) for i in range(kh)]
    first, *others = (jax.lax.pad(products[:, :, :, i], zero, shift) for i, shift in enumerate(shifts))
    return sum(others, first)


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
