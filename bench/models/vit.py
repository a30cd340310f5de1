"""Vision Transformer with a class token; parameter names and layouts are those of the released AugReg `.npz` files.

Architecture and initialisers: vision_transformer `models_vit.py`; stochastic depth: big_vision `mlp_mixer.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bench.models.conv import conv2d
from bench.models.noise import Noise, dropout, stochastic_depth
from bench.points.variants import ViTSpec

_XAVIER = nn.initializers.xavier_uniform()
# Flax default of LayerNorm, which the released code uses.
_EPSILON = 1e-6
_SITES_PER_BLOCK = 5


def _rows(x: jax.Array) -> jax.Array:
    """Returns x[..., D] as a matrix [-1, D]: on CPU, only a product of matrices has a fast weight gradient."""
    return x.reshape(-1, x.shape[-1])


class _Weights(nn.Module):
    """Owns a `kernel` and a `bias`; the kernel is initialised in its flat (inputs, outputs) shape, then reshaped."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array]:
        def init(key: jax.Array) -> jax.Array:
            flat = (int(np.prod(self.inputs)), int(np.prod(self.outputs)))
            return _XAVIER(key, flat, jnp.float32).reshape(self.inputs + self.outputs)

        return self.param("kernel", init), self.param("bias", nn.initializers.zeros, self.outputs, jnp.float32)


class LayerNorm(nn.Module):
    """Normalises the last axis of x[B, N, D] with float32 statistics; returns [B, N, D]."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `(x - mean) / std * scale + bias`."""
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:], jnp.float32).reshape(1, 1, -1)
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:], jnp.float32).reshape(1, 1, -1)
        x = x.astype(jnp.float32)
        x = x - x.mean(-1, keepdims=True)
        inverse = jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + _EPSILON)
        return (x * inverse * scale + bias).astype(self.dtype)


class Attention(nn.Module):
    """Multi-head self-attention on x[B, N, D] -> [B, N, D]; softmax in float32, no dropout on the probabilities."""

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the projected mixture of values."""
        batch, tokens, width = x.shape
        size = width // self.heads
        weights = [_Weights((width,), (self.heads, size), name=n)() for n in ("query", "key", "value")]
        kernel = jnp.concatenate([k.reshape(width, width) for k, _ in weights], axis=1).astype(self.dtype)
        bias = jnp.concatenate([b.reshape(1, width) for _, b in weights], axis=1).astype(self.dtype)
        qkv = (_rows(x) @ kernel + bias).reshape(batch, tokens, 3, self.heads, size)
        query, key, value = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        scores = jnp.einsum("bqhd,bkhd->bhqk", query * size**-0.5, key, preferred_element_type=jnp.float32)
        attention = jax.nn.softmax(scores, axis=-1).astype(self.dtype)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", attention, value).reshape(-1, width)
        kernel, bias = _Weights((self.heads, size), (width,), name="out")()
        mixed = mixed @ kernel.reshape(width, width).astype(self.dtype) + bias.reshape(1, width).astype(self.dtype)
        return mixed.reshape(x.shape)


class Mlp(nn.Module):
    """Dense, GELU (tanh approximation), dropout, Dense, dropout on x[B, N, D] -> [B, N, D]."""

    hidden: int
    site: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None) -> jax.Array:
        """Returns the branch after its last dropout."""
        dense = partial(nn.Dense, dtype=self.dtype, kernel_init=_XAVIER, bias_init=nn.initializers.normal(1e-6))
        y = nn.gelu(dense(self.hidden, name="Dense_0")(_rows(x))).reshape(*x.shape[:-1], -1)
        y = dense(x.shape[-1], name="Dense_1")(_rows(dropout(y, noise, self.site))).reshape(x.shape)
        return dropout(y, noise, self.site + 1)


class EncoderBlock(nn.Module):
    """Pre-LayerNorm block on x[B, N, D] -> [B, N, D]; `fraction` scales the stochastic-depth rate of both branches."""

    spec: ViTSpec
    site: int
    fraction: float
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None) -> jax.Array:
        """Returns x plus both residual branches."""
        y = LayerNorm(self.dtype, name="LayerNorm_0")(x)
        y = Attention(self.spec.heads, self.dtype, name="MultiHeadDotProductAttention_1")(y)
        y = dropout(y, noise, self.site)
        x = x + stochastic_depth(y, noise, self.site + 1, self.fraction)
        y = LayerNorm(self.dtype, name="LayerNorm_2")(x)
        y = Mlp(self.spec.mlp, self.site + 2, self.dtype, name="MlpBlock_3")(y, noise)
        return x + stochastic_depth(y, noise, self.site + 4, self.fraction)


class _PositionEmbedding(nn.Module):
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        embedding = self.param("pos_embedding", nn.initializers.normal(0.02), (1, *x.shape[1:]), jnp.float32)
        return x + embedding.astype(self.dtype)


class Encoder(nn.Module):
    """Position embedding, blocks and the final LayerNorm on x[B, N, D] -> [B, N, D]."""

    spec: ViTSpec
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None) -> jax.Array:
        """Returns the encoded tokens."""
        x = dropout(_PositionEmbedding(self.dtype, name="posembed_input")(x), noise, 0)
        last = max(self.spec.depth - 1, 1)
        for i in range(self.spec.depth):
            x = EncoderBlock(self.spec, 1 + i * _SITES_PER_BLOCK, i / last, self.dtype, name=f"encoderblock_{i}")(x, noise)
        encoded: jax.Array = LayerNorm(self.dtype, name="encoder_norm")(x)
        return encoded


class _PatchEmbedding(nn.Module):
    patch: int
    width: int
    dtype: Any

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (self.patch, self.patch, images.shape[-1], self.width)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32).astype(self.dtype)
        x: jax.Array = conv2d(images.astype(self.dtype), kernel, self.patch, padding="VALID")
        return x.reshape(x.shape[0], -1, self.width) + bias.reshape(1, 1, -1)


class ViT(nn.Module):
    """Images float32[B, H, W, 3] in [-1, 1] -> (logits float32[B, classes], class-token features float32[B, D]).

    `dtype` is the compute type; parameters are always float32.
    """

    spec: ViTSpec
    classes: int
    head_bias: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, noise: Noise | None = None) -> tuple[jax.Array, jax.Array]:
        """Returns (logits, features); `noise` None is the deterministic pass."""
        x = _PatchEmbedding(self.spec.patch, self.spec.width, self.dtype, name="embedding")(images)
        cls = self.param("cls", nn.initializers.zeros, (1, 1, self.spec.width), jnp.float32).astype(self.dtype)
        x = jnp.concatenate([jnp.broadcast_to(cls, (x.shape[0], 1, self.spec.width)), x], axis=1)
        features = Encoder(self.spec, self.dtype, name="Transformer")(x, noise)[:, 0].astype(jnp.float32)
        bias = nn.initializers.constant(self.head_bias)
        logits = nn.Dense(self.classes, kernel_init=nn.initializers.zeros, bias_init=bias, name="head")(features)
        return logits, features
