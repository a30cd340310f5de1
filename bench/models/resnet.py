"""ResNet-50, version 1.5: batch normalisation, bottlenecks with the stride in the 3x3 convolution.

Initial values: He et al. for convolutions, N(0, 0.01) for the classifier and 0 for each block's last scale, as in "Accurate,
large minibatch SGD", section 5.1.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bench.models.noise import Noise, dropout
from bench.models.residual import CLASSIC, trunk
from bench.points.execution import Execution
from bench.points.variants.resnet import ResNetSpec


class ResNet(nn.Module):
    """Images float32[B, H, W, 3] in [-1, 1] -> (logits float32[B, classes], pooled features float32[B, D]).

    `dtype` is the compute type; parameters and running statistics are always float32.
    """

    spec: ResNetSpec
    classes: int
    head_bias: float = 0.0
    dtype: Any = jnp.float32
    execution: Execution = Execution()

    @nn.compact
    def __call__(self, images: jax.Array, noise: Noise | None = None) -> tuple[jax.Array, jax.Array]:
        """Returns (logits, features); `noise` None is the deterministic pass."""
        spec = self.spec
        x = trunk(CLASSIC, spec.units, spec.root, images.astype(self.dtype), noise, self.dtype, self.execution)
        features = x.mean((1, 2)).astype(jnp.float32)
        head = nn.Dense(
            self.classes,
            kernel_init=nn.initializers.normal(0.01),
            bias_init=nn.initializers.constant(self.head_bias),
            name="head",
        )
        return head(dropout(features, noise, sum(spec.units))), features
