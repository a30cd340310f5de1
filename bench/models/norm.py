"""Normalisation with float32 statistics (float64 for float64 inputs): layer, group and batch."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bench.models.precision import wide


def _scale_and_bias(module: nn.Module, channels: int, rank: int, init: nn.initializers.Initializer) -> list[jax.Array]:
    shape = (1,) * (rank - 1) + (channels,)
    scale = module.param("scale", init, (channels,), jnp.float32)
    bias = module.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
    return [scale.reshape(shape), bias.reshape(shape)]


class LayerNorm(nn.Module):
    """Normalises the last axis of x[..., D]; returns [..., D] in `dtype`. The default epsilon is Flax's."""

    dtype: Any = jnp.float32
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `(x - mean) / std * scale + bias`."""
        scale, bias = _scale_and_bias(self, x.shape[-1], x.ndim, nn.initializers.ones)
        x = x.astype(wide(x.dtype))
        x = x - x.mean(-1, keepdims=True)
        inverse = jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + self.epsilon)
        return (x * inverse * scale + bias).astype(self.dtype)


class GroupNorm(nn.Module):
    """Normalises x[B, H, W, C] over the pixels and the channels of each of `groups` groups, sample by sample."""

    groups: int = 32
    epsilon: float = 1e-6
    scale_init: nn.initializers.Initializer = nn.initializers.ones
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `(x - mean) / std * scale + bias`."""
        scale, bias = _scale_and_bias(self, x.shape[-1], x.ndim, self.scale_init)
        parts = x.astype(wide(x.dtype)).reshape(*x.shape[:3], self.groups, -1)
        parts = parts - parts.mean((1, 2, 4), keepdims=True)
        inverse = jax.lax.rsqrt(jnp.square(parts).mean((1, 2, 4), keepdims=True) + self.epsilon)
        return ((parts * inverse).reshape(x.shape) * scale + bias).astype(self.dtype)


class BatchNorm(nn.Module):
    """Normalises x[..., C] by the batch's statistics in training and by their running means at evaluation.

    The running means, float32[C] each, are the collection `batch_stats`: `mean`, and `var` (of the batch as it is, not scaled
    up to the population's, as on TPUs). Over a mesh of devices the batch is the global one.

    Attributes:
      momentum: weight of the old running mean at an update.
      epsilon: added to the variance.
      scale_init: initial scale.
    """

    momentum: float = 0.9
    epsilon: float = 1e-3
    scale_init: nn.initializers.Initializer = nn.initializers.ones
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns `(x - mean) / sqrt(var + epsilon) * scale + bias`."""
        channels = x.shape[-1]
        scale, bias = _scale_and_bias(self, channels, x.ndim, self.scale_init)
        running = {
            "mean": self.variable("batch_stats", "mean", jnp.zeros, (channels,), jnp.float32),
            "var": self.variable("batch_stats", "var", jnp.ones, (channels,), jnp.float32),
        }
        found = {name: variable.value for name, variable in running.items()}
        if train:
            axes = tuple(range(x.ndim - 1))
            values = x.astype(wide(x.dtype))
            mean = values.mean(axes)
            found = {"mean": mean, "var": jnp.square(values - mean.reshape(scale.shape)).mean(axes)}
            if not self.is_initializing():
                for name, variable in running.items():
                    variable.value = self.momentum * variable.value + (1 - self.momentum) * found[name]
        inverse = jax.lax.rsqrt(found["var"] + self.epsilon).reshape(scale.shape) * scale
        shift = bias - found["mean"].reshape(scale.shape) * inverse
        return (x.astype(wide(x.dtype)) * inverse + shift).astype(self.dtype)
