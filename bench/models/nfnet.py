"""Normaliser-free ResNet (NFNet), as in DeepMind's released `nfnet.py` and `base.py`."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bench.models.blocks import Block, run
from bench.models.conv import conv2d
from bench.models.noise import Noise, dropout, stochastic_depth
from bench.models.pool import halve
from bench.points.execution import Execution
from bench.points.variants.nfnet import NFNetSpec

# Scale that gives GELU of a unit normal a unit standard deviation; DeepMind's Monte-Carlo value, kept to the digit.
_GELU_GAMMA = 1.7015043497085571
# Floor of variance * fan-in in weight standardisation, `WSConv2D` of the released code.
_WS_FLOOR = 1e-4
_CONV_INIT = nn.initializers.variance_scaling(1.0, "fan_in", "normal")


# Both compiled on their own so that equal blocks of a deep network are traced once.
@jax.jit
def _act(x: jax.Array) -> jax.Array:
    return nn.gelu(x) * _GELU_GAMMA


@jax.jit
def _standardise(kernel: jax.Array, gain: jax.Array) -> jax.Array:
    """Returns kernel[kh, kw, I, O] with mean 0 and standard deviation `gain[O] / sqrt(fan-in)` over all but its outputs."""
    fan_in = int(np.prod(kernel.shape[:3]))
    # As a matrix: on CPU, sums over one leading axis are ten times faster than over three.
    weights = kernel.reshape(fan_in, -1)
    weights = weights - weights.mean(0, keepdims=True)
    variance = jnp.square(weights).mean(0, keepdims=True)
    scale = gain.reshape(1, -1) * jax.lax.rsqrt(jnp.maximum(variance * fan_in, _WS_FLOOR))
    return (weights * scale).reshape(kernel.shape)


class WSConv(nn.Module):
    """Convolution with scaled weight standardisation and bias on x[B, H, W, I] -> [B, H', W', channels]."""

    channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the convolution with the standardised weights."""
        shape = (self.kernel, self.kernel, x.shape[-1] // self.groups, self.channels)
        kernel = self.param("kernel", _CONV_INIT, shape, jnp.float32)
        gain = self.param("gain", nn.initializers.ones, (self.channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32)
        y: jax.Array = conv2d(x, _standardise(kernel, gain).astype(self.dtype), self.stride, self.groups)
        return y + bias.reshape(1, 1, 1, -1).astype(self.dtype)


class SqueezeExcite(nn.Module):
    """Channel gates of x[B, H, W, C]: twice a sigmoid of two linear layers on the mean; returns [B, 1, 1, C].

    The hidden activation is a plain ReLU without gamma: the released weights need it, although the paper writes GELU.
    """

    hidden: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the gates, between 0 and 2."""
        y = x.mean((1, 2))
        y = nn.relu(self._linear(y, self.hidden, "linear"))
        return 2 * nn.sigmoid(self._linear(y, x.shape[-1], "linear_1"))[:, None, None, :]

    def _linear(self, x: jax.Array, outputs: int, name: str) -> jax.Array:
        # Haiku's default for Linear, which the released code uses.
        init = nn.initializers.truncated_normal(x.shape[-1] ** -0.5)
        return nn.Dense(outputs, kernel_init=init, dtype=self.dtype, name=name)(x)


class NFBlock(nn.Module):
    """Residual block on x[B, H, W, I] -> [B, H/stride, W/stride, channels]."""

    spec: NFNetSpec
    channels: int
    middle: int
    stride: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        noise: Noise | None,
        beta: float | jax.Array,
        site: int | jax.Array,
        fraction: float | jax.Array,
    ) -> jax.Array:
        """Returns the shortcut plus the scaled branch.

        `beta` is 1 / the expected standard deviation of x, `site` numbers the mask, `fraction` scales the rate of dropping.
        """
        groups = self.spec.groups(self.middle)
        out = _act(x) * jnp.asarray(beta, self.dtype)
        shortcut = x
        if self.stride > 1 or x.shape[-1] != self.channels:
            pooled = halve(out, jnp.mean) if self.stride > 1 else out
            shortcut = WSConv(self.channels, dtype=self.dtype, name="conv_shortcut")(pooled)
        out = WSConv(self.middle, dtype=self.dtype, name="conv0")(out)
        out = WSConv(self.middle, 3, self.stride, groups, self.dtype, name="conv1")(_act(out))
        out = WSConv(self.middle, 3, 1, groups, self.dtype, name="conv1b")(_act(out))
        out = WSConv(self.channels, dtype=self.dtype, name="conv2")(_act(out))
        out = out * SqueezeExcite(int(self.channels * self.spec.se_ratio), self.dtype, name="squeeze_excite")(out)
        out = stochastic_depth(out, noise, site, fraction)
        skip_gain = self.param("skip_gain", nn.initializers.zeros, (), jnp.float32)
        return out * (skip_gain * self.spec.alpha).astype(self.dtype) + shortcut


class NFNet(nn.Module):
    """Images float32[B, H, W, 3] in [-1, 1] -> (logits float32[B, classes], pooled features float32[B, 2 * widths[-1]]).

    `dtype` is the compute type; parameters are always float32.
    """

    spec: NFNetSpec
    classes: int
    head_bias: float = 0.0
    dtype: Any = jnp.float32
    execution: Execution = Execution()

    @nn.compact
    def __call__(self, images: jax.Array, noise: Noise | None = None) -> tuple[jax.Array, jax.Array]:
        """Returns (logits, features); `noise` None is the deterministic pass."""
        spec = self.spec
        x = images.astype(self.dtype)
        for i, (channels, kernel, stride) in enumerate(spec.stem):
            x = WSConv(channels, kernel, stride, dtype=self.dtype, name=f"stem_conv{i}")(_act(x) if i else x)
        blocks, depth_in_all, expected_std = list[Block](), sum(spec.depths), 1.0
        for channels, middle, depth, first_stride in zip(spec.widths, spec.inner, spec.depths, spec.strides, strict=True):
            for position in range(depth):
                index = len(blocks)
                block = NFBlock(spec, channels, middle, 1 if position else first_stride, self.dtype, parent=None)
                varying = {"beta": 1 / expected_std, "site": index, "fraction": index / depth_in_all}
                blocks.append(Block(f"nf_block_{index}", block, varying))
                # A stage's first block resets the expected standard deviation, then adds its own branch to it.
                expected_std = math.hypot(expected_std if position else 1.0, spec.alpha)
        x = run(self, blocks, x, noise, self.execution)
        x = _act(WSConv(2 * spec.widths[-1], dtype=self.dtype, name="final_conv")(x))
        features = x.mean((1, 2)).astype(jnp.float32)
        head = nn.Dense(
            self.classes,
            kernel_init=nn.initializers.normal(0.01),
            bias_init=nn.initializers.constant(self.head_bias),
            name="head",
        )
        return head(dropout(features, noise, depth_in_all)), features
