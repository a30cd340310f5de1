"""EfficientNetV2, as in the released `effnetv2_model.py`.

Stochastic depth is its drop-connect: kept branches are rescaled, and of N blocks, block i is dropped with i/N of the rate. The
paper's survival probability of 0.8 is a rate of 0.2. The released code feeds (x - 128) / 128 where this project's images are
(x - 127.5) / 127.5: imported weights see inputs that differ by at most 1/128.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bench.models.blocks import Block, run
from bench.models.conv import conv2d
from bench.models.noise import Noise, dropout, stochastic_depth
from bench.models.norm import BatchNorm
from bench.points.execution import Execution
from bench.points.variants.efficientnetv2 import EfficientNetV2Spec, Stage

# `bn_momentum` and `bn_epsilon` of the released `hparams.py`; the paper's section 5.1 says momentum 0.99.
_MOMENTUM, _EPSILON = 0.9, 1e-3
# `conv_kernel_initializer`: N(0, sqrt(2 / fan_out)), not truncated; squeeze-and-excite too, as its layers are 1x1 convolutions.
_CONV_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# `dense_kernel_initializer`: uniform between +-1 / sqrt(outputs).
_DENSE_INIT = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation and, if `active`, SiLU on x[B, H, W, I] -> [B, H', W', channels]."""

    channels: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    active: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns the activations; `train` normalises by the batch's statistics."""
        groups = self.channels if self.depthwise else 1
        shape = (self.kernel, self.kernel, x.shape[-1] // groups, self.channels)
        # A depthwise kernel has one output for each input in the released code's layout: its fan-out is the window alone.
        init = nn.initializers.normal(math.sqrt(2) / self.kernel) if self.depthwise else _CONV_INIT
        weights = self.param("kernel", init, shape, jnp.float32)
        x = conv2d(x, weights.astype(self.dtype), self.stride, groups)
        x = BatchNorm(_MOMENTUM, _EPSILON, dtype=self.dtype, name="norm")(x, train)
        return nn.silu(x) if self.active else x


class SqueezeExcite(nn.Module):
    """Gates the channels of x[B, H, W, C] by a sigmoid of two linear layers on their means; returns [B, H, W, C]."""

    hidden: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the gated x."""
        y = nn.silu(nn.Dense(self.hidden, kernel_init=_CONV_INIT, dtype=self.dtype, name="reduce")(x.mean((1, 2))))
        y = nn.sigmoid(nn.Dense(x.shape[-1], kernel_init=_CONV_INIT, dtype=self.dtype, name="expand")(y))
        return x * y[:, None, None, :]


class MBConv(nn.Module):
    """One block of either kind on x[B, H, W, I] -> [B, H/stride, W/stride, O].

    MBConv: expansion, depthwise convolution, squeeze-and-excite, projection without activation. Fused-MBConv: one full
    convolution in place of the first two; with expansion 1 the projection is that convolution, and has an activation.
    """

    shape: Stage
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None, site: int | jax.Array, fraction: float | jax.Array) -> jax.Array:
        """Returns the branch, plus x where shapes agree; `site` numbers the mask, `fraction` scales the rate of dropping."""
        shape, train = self.shape, noise is not None
        expands, y = shape.expansion > 1, x
        window: dict[str, Any] = {"kernel": shape.kernel, "stride": shape.stride}
        if expands:
            y = ConvNorm(shape.middle, **(window if shape.fused else {}), dtype=self.dtype, name="expand")(y, train)
        if not shape.fused:
            y = ConvNorm(shape.middle, **window, depthwise=True, dtype=self.dtype, name="depthwise")(y, train)
        if shape.hidden:
            y = SqueezeExcite(shape.hidden, self.dtype, name="squeeze_excite")(y)
        last = shape.fused and not expands
        y = ConvNorm(shape.outputs, **(window if last else {}), active=last, dtype=self.dtype, name="project")(y, train)
        return x + stochastic_depth(y, noise, site, fraction, rescale=True) if shape.residual else y


class EfficientNetV2(nn.Module):
    """Images float32[B, H, W, 3] in [-1, 1] -> (logits float32[B, classes], pooled features float32[B, spec.features]).

    `dtype` is the compute type; parameters and running statistics are always float32.
    """

    spec: EfficientNetV2Spec
    classes: int
    head_bias: float = 0.0
    dtype: Any = jnp.float32
    execution: Execution = Execution()

    @nn.compact
    def __call__(self, images: jax.Array, noise: Noise | None = None) -> tuple[jax.Array, jax.Array]:
        """Returns (logits, features); `noise` None is the deterministic pass, which uses running statistics."""
        spec, train = self.spec, noise is not None
        x = ConvNorm(spec.stem, 3, 2, dtype=self.dtype, name="stem")(images.astype(self.dtype), train)
        shapes = list(spec.blocks())
        blocks = [
            Block(f"block_{i}", MBConv(shape, self.dtype, parent=None), {"site": i, "fraction": i / len(shapes)})
            for i, shape in enumerate(shapes)
        ]
        x = run(self, blocks, x, noise, self.execution)
        x = ConvNorm(spec.features, dtype=self.dtype, name="final")(x, train)
        features = x.mean((1, 2), dtype=jnp.float32)
        bias = nn.initializers.constant(self.head_bias)
        head = nn.Dense(self.classes, kernel_init=_DENSE_INIT, bias_init=bias, name="head")
        return head(dropout(features, noise, len(shapes))), features
