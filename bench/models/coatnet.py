"""CoAtNet: convolutional stem, MBConv stages, then Transformer stages with relative attention.

What the paper leaves open is as in Google's MaxViT code, which grew out of CoAtNet's: epsilons, initial values, widths of the
inner layers, the hidden layer of the head. CoAtNet's own code was never released.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bench.models.blocks import Block, run
from bench.models.conv import conv2d
from bench.models.noise import Noise, dropout, stochastic_depth
from bench.models.norm import BatchNorm, LayerNorm
from bench.models.pool import halve
from bench.models.relative_attention import INIT, RelativeAttention
from bench.points.execution import Execution
from bench.points.variants.coatnet import CoAtNetSpec

# `bn_epsilon`, `bn_momentum` and `ln_epsilon` of the MaxViT code.
_BatchNorm = partial(BatchNorm, momentum=0.99, epsilon=1e-3)
_LayerNorm = partial(LayerNorm, epsilon=1e-5)
_SITES_PER_BLOCK = 2


class Conv(nn.Module):
    """Convolution on x[B, H, W, I] -> [B, H', W', channels]; without bias where normalisation follows."""

    channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the convolution, padded as TensorFlow's "SAME"."""
        shape = (self.kernel, self.kernel, x.shape[-1] // self.groups, self.channels)
        kernel = self.param("kernel", INIT, shape, jnp.float32).astype(self.dtype)
        y: jax.Array = conv2d(x, kernel, self.stride, self.groups)
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32)
            y = y + bias.reshape(1, 1, 1, -1).astype(self.dtype)
        return y


class SqueezeExcite(nn.Module):
    """Channel gates of x[B, H, W, C]: a sigmoid of two linear layers, with swish between, on the mean; returns [B, 1, 1, C]."""

    hidden: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the gates, between 0 and 1."""
        dense = partial(nn.Dense, dtype=self.dtype, kernel_init=INIT)
        y = nn.swish(dense(self.hidden, name="reduce")(x.mean((1, 2))))
        y = nn.sigmoid(dense(x.shape[-1], name="expand")(y))
        return y.reshape(x.shape[0], 1, 1, -1)


class MBConv(nn.Module):
    """Pre-activation inverted residual block on x[B, H, W, I] -> [B, H/stride, W/stride, width] (CoAtNet, equation 5)."""

    spec: CoAtNetSpec
    width: int
    stride: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None, site: int | jax.Array, fraction: float | jax.Array) -> jax.Array:
        """Returns the shortcut plus the branch; `site` numbers its mask, `fraction` scales the rate of dropping it."""
        train, inner = noise is not None, self.width * self.spec.expansion
        strides = (1, self.stride) if self.spec.stride_depthwise else (self.stride, 1)
        conv, norm = partial(Conv, dtype=self.dtype), partial(_BatchNorm, dtype=self.dtype)
        y = norm(name="pre_norm")(x, train)
        y = conv(inner, 1, strides[0], bias=False, name="expand")(y)
        y = nn.gelu(norm(name="expand_norm")(y, train))
        y = conv(inner, 3, strides[1], inner, bias=False, name="depthwise")(y)
        y = nn.gelu(norm(name="depthwise_norm")(y, train))
        y = y * SqueezeExcite(int(self.width * self.spec.se_ratio), self.dtype, name="squeeze_excite")(y)
        y = conv(self.width, name="shrink")(y)
        if self.stride > 1 or x.shape[-1] != self.width:
            x = conv(self.width, name="shortcut")(halve(x, jnp.max) if self.stride > 1 else x)
        return x + stochastic_depth(y, noise, site, fraction, rescale=True)


class TransformerBlock(nn.Module):
    """Pre-LayerNorm block with relative attention on x[B, H, W, I] -> [B, H/stride, W/stride, width] (CoAtNet, equation 4)."""

    spec: CoAtNetSpec
    width: int
    stride: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None, site: int | jax.Array, fraction: float | jax.Array) -> jax.Array:
        """Returns the shortcut plus both branches; `site` numbers their masks, `fraction` scales the rate of dropping one."""
        drop = partial(stochastic_depth, noise=noise, fraction=fraction, rescale=True)
        dense = partial(nn.Dense, dtype=self.dtype, kernel_init=INIT)
        y = _LayerNorm(self.dtype, name="attention_norm")(x)
        x, y, entry = (halve(x, jnp.max), halve(y, jnp.max), True) if self.stride > 1 else (x, y, x.shape[-1] != self.width)
        if entry:
            x = dense(self.width, name="shortcut")(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:3], self.width)
        y = RelativeAttention(self.width, self.spec.head_size, self.dtype, name="attention")(y)
        x = x + drop(y, site=site)
        y = _LayerNorm(self.dtype, name="mlp_norm")(x)
        y = nn.gelu(dense(self.width * self.spec.expansion, name="mlp_expand")(y.reshape(-1, self.width)))
        y = dense(self.width, name="mlp_shrink")(y).reshape(x.shape)
        return x + drop(y, site=site + 1)


_BLOCKS: dict[str, type[MBConv] | type[TransformerBlock]] = {"C": MBConv, "T": TransformerBlock}


class CoAtNet(nn.Module):
    """Images float32[B, H, W, 3] in [-1, 1] -> (logits float32[B, classes], features float32[B, width of the last stage]).

    The features are the inputs of the classifier, after the tanh of the hidden layer. The tables of relative biases belong to
    the resolution. `dtype` is the compute type; parameters are always float32.
    """

    spec: CoAtNetSpec
    classes: int
    head_bias: float = 0.0
    dtype: Any = jnp.float32
    execution: Execution = Execution()

    @nn.compact
    def __call__(self, images: jax.Array, noise: Noise | None = None) -> tuple[jax.Array, jax.Array]:
        """Returns (logits, features); `noise` None is the deterministic pass, with running statistics."""
        spec, (first, second) = self.spec, self.spec.stem
        x = Conv(first, 3, 2, dtype=self.dtype, name="stem_conv0")(images.astype(self.dtype))
        x = nn.gelu(_BatchNorm(dtype=self.dtype, name="stem_norm")(x, noise is not None))
        x = Conv(second, 3, dtype=self.dtype, name="stem_conv1")(x)
        blocks, depth_in_all = list[Block](), sum(spec.depths)
        for stage, (kind, width, depth, first_stride) in enumerate(spec.stages):
            for position in range(depth):
                index, stride = len(blocks), 1 if position else first_stride
                block = _BLOCKS[kind](spec, width, stride, self.dtype, parent=None)
                varying = {"site": index * _SITES_PER_BLOCK, "fraction": index / depth_in_all}
                blocks.append(Block(f"stage{stage}_block{position}", block, varying))
        x = run(self, blocks, x, noise, self.execution).astype(jnp.float32)
        x = _LayerNorm(name="head_norm")(x.mean((1, 2)))
        features = nn.tanh(nn.Dense(x.shape[-1], kernel_init=INIT, name="head_hidden")(x))
        head = nn.Dense(self.classes, kernel_init=INIT, bias_init=nn.initializers.constant(self.head_bias), name="head")
        return head(dropout(features, noise, depth_in_all * _SITES_PER_BLOCK)), features
