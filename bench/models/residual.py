"""Trunk of bottleneck residual networks: a 7x7 root, a maximum over 3x3, stages of bottlenecks with the stride in the 3x3.

It comes in two styles, of the same names but for the norms': `gn*` or `bn*`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from bench.models.blocks import Block, run
from bench.models.conv import conv2d
from bench.models.noise import Noise, stochastic_depth
from bench.models.norm import BatchNorm, GroupNorm
from bench.points.execution import Execution
from bench.points.variants.resnet import EXPANSION

_STANDARDISE_EPSILON = 1e-5


class Style(NamedTuple):
    """What residual networks differ by.

    Attributes:
      weights: what becomes of a kernel[kh, kw, I, O] before it is used.
      init: of kernels.
      pads: (size, kernel, stride) -> pixels (before, after) that a window's axis is padded by.
      norm: (name, init of the scale, dtype) -> a module's call (x, whether training).
    """

    weights: Callable[[jax.Array], jax.Array]
    init: nn.initializers.Initializer
    pads: Callable[[int, int, int], tuple[int, int]]
    norm: Callable[[str, nn.initializers.Initializer, Any], Callable[[jax.Array, bool], jax.Array]]


def standardise(kernel: jax.Array) -> jax.Array:
    """Returns kernel[kh, kw, I, O] less its mean, divided by its standard deviation plus epsilon, output by output."""
    # As a matrix: on CPU, sums over one leading axis are ten times faster than over three.
    weights = kernel.reshape(-1, kernel.shape[-1])
    weights = weights - weights.mean(0, keepdims=True)
    return (weights / (weights.std(0, keepdims=True) + _STANDARDISE_EPSILON)).reshape(kernel.shape)


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _symmetric(size: int, kernel: int, stride: int) -> tuple[int, int]:  # noqa: ARG001
    return kernel // 2, kernel // 2


def _group_norm(name: str, init: nn.initializers.Initializer, dtype: Any) -> Callable[[jax.Array, bool], jax.Array]:
    norm = GroupNorm(scale_init=init, dtype=dtype, name=f"gn{name}")
    return lambda x, train: norm(x)  # noqa: ARG005


def _batch_norm(name: str, init: nn.initializers.Initializer, dtype: Any) -> Callable[[jax.Array, bool], jax.Array]:
    return BatchNorm(epsilon=1e-5, scale_init=init, dtype=dtype, name=f"bn{name}")


RELEASED = Style(standardise, nn.initializers.lecun_normal(), _same, _group_norm)
"""Of the released hybrids: vision_transformer `models_resnet.py`, with Flax's defaults."""

CLASSIC = Style(lambda kernel: kernel, nn.initializers.variance_scaling(2.0, "fan_out", "normal"), _symmetric, _batch_norm)
"""Of ResNet-50: kernels as torchvision and timm draw them (He et al., "Delving deep into rectifiers", in its fan-out mode), and
their padding and epsilon."""


class Conv(nn.Module):
    """Convolution without bias on x[B, H, W, I] -> [B, ceil(H / stride), ceil(W / stride), channels], of an odd kernel."""

    style: Style
    channels: int
    kernel: int = 1
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the convolution."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.channels)
        weights = self.style.weights(self.param("kernel", self.style.init, shape, jnp.float32)).astype(self.dtype)
        y: jax.Array = conv2d(_padded(x, self.style, self.kernel, self.stride, 0.0), weights, self.stride, padding="VALID")
        return y


def _padded(x: jax.Array, style: Style, kernel: int, stride: int, value: float) -> jax.Array:
    pads = [style.pads(size, kernel, stride) for size in x.shape[1:3]]
    return jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value) if any(map(any, pads)) else x


def halve(x: jax.Array, style: Style) -> jax.Array:
    """Returns the maxima of the 3x3 windows at stride 2 of x[B, H, W, C]; what pads the border is never one."""
    x = _padded(x, style, 3, 2, float("-inf"))
    # Along columns, then along rows; on CPU, the gradient of a window's maximum is slow where that of these is not.
    for axis in (1, 2):
        last = (x.shape[axis] - 3) // 2 * 2
        first, second, third = (jax.lax.slice_in_dim(x, i, last + i + 1, 2, axis) for i in range(3))
        x = jnp.maximum(jnp.maximum(first, second), third)
    return x


class Bottleneck(nn.Module):
    """Residual block with the activation after the sum, on x[B, H, W, I] -> [B, ceil(H / stride), ..., 4 * inner]."""

    style: Style
    inner: int
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, noise: Noise | None, site: int | jax.Array = 0, fraction: float | jax.Array = 0.0
    ) -> jax.Array:
        """Returns the rectified sum; `site` numbers the branch's mask, `fraction` scales the rate of dropping it."""
        outer = EXPANSION * self.inner
        conv = partial(Conv, self.style, dtype=self.dtype)
        ones, zeros = nn.initializers.ones, nn.initializers.zeros

        def norm(y: jax.Array, name: str, init: nn.initializers.Initializer = ones) -> jax.Array:
            return self.style.norm(name, init, self.dtype)(y, noise is not None)

        shortcut = x
        if x.shape[-1] != outer or self.stride != 1:
            shortcut = norm(conv(outer, 1, self.stride, name="conv_proj")(x), "_proj")
        y = nn.relu(norm(conv(self.inner, name="conv1")(x), "1"))
        y = nn.relu(norm(conv(self.inner, 3, self.stride, name="conv2")(y), "2"))
        # From zero, so that the block begins as its shortcut.
        y = norm(conv(outer, name="conv3")(y), "3", zeros)
        rectified: jax.Array = nn.relu(shortcut + stochastic_depth(y, noise, site, fraction))
        return rectified


class Stage(nn.Module):
    """Bottlenecks `unit1` and so on, of which the first may have a stride.

    Attributes:
      units: how many.
      before: units of earlier stages.
      in_all: units of all stages; the rate of dropping a branch grows linearly with the unit's number among them, from 1 to all
        of it ("Deep networks with stochastic depth", equation 4).
    """

    style: Style
    inner: int
    stride: int
    units: int
    before: int
    in_all: int
    dtype: Any = jnp.float32
    execution: Execution = Execution()

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None) -> jax.Array:
        """Returns what the last unit returns."""
        blocks = []
        for i in range(self.units):
            unit = Bottleneck(self.style, self.inner, 1 if i else self.stride, self.dtype, parent=None)
            number = self.before + i
            blocks.append(Block(f"unit{i + 1}", unit, {"site": number, "fraction": (number + 1) / self.in_all}))
        return run(self, blocks, x, noise, self.execution)


def trunk(
    style: Style, units: tuple[int, ...], root: int, x: jax.Array, noise: Noise | None, dtype: Any, execution: Execution
) -> jax.Array:
    """Returns the output of root and stages, `block1` and so on, on x[B, H, W, 3]; sizes are those of `trunk_macs`.

    To be called within a compact method, whose module owns the parameters. Without `noise`, norms use running statistics.
    """
    x = Conv(style, root, 7, 2, dtype, name="conv_root")(x)
    x = nn.relu(style.norm("_root", nn.initializers.ones, dtype)(x, noise is not None))
    x = halve(x, style)
    for i, count in enumerate(units):
        stage = Stage(
            style, root * 2**i, 2 if i else 1, count, sum(units[:i]), sum(units), dtype, execution, name=f"block{i + 1}"
        )
        x = stage(x, noise)
    return x
