"""Vision Transformer; parameter names and layouts are those of the released AugReg `.npz` files.

Architecture and initialisers: vision_transformer `models_vit.py`; pooling by attention: big_vision `vit.py`; stochastic depth:
big_vision `mlp_mixer.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bench.models.attention import attend
from bench.models.blocks import Block, run
from bench.models.conv import conv2d
from bench.models.noise import Noise, dropout, stochastic_depth
from bench.models.norm import LayerNorm
from bench.models.position import POSITIONS
from bench.points.execution import Execution
from bench.points.variants.vit import ViTSpec

_XAVIER = nn.initializers.xavier_uniform()
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
        # Split, because the gradient of a split is a concatenation, and that of three slices a sum of padded arrays.
        parts = jnp.split(_rows(x) @ kernel + bias, 3, axis=1)
        mixed = attend(*(part.reshape(batch, tokens, self.heads, size) for part in parts)).reshape(-1, width)
        kernel, bias = _Weights((self.heads, size), (width,), name="out")()
        mixed = mixed @ kernel.reshape(width, width).astype(self.dtype) + bias.reshape(1, width).astype(self.dtype)
        return mixed.reshape(x.shape)


class Mlp(nn.Module):
    """Dense, GELU (tanh approximation), dropout, Dense, dropout on x[B, N, D] -> [B, N, D]."""

    hidden: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None, site: int | jax.Array) -> jax.Array:
        """Returns the branch after its last dropout."""
        dense = partial(nn.Dense, dtype=self.dtype, kernel_init=_XAVIER, bias_init=nn.initializers.normal(1e-6))
        y = nn.gelu(dense(self.hidden, name="Dense_0")(_rows(x))).reshape(*x.shape[:-1], -1)
        y = dense(x.shape[-1], name="Dense_1")(_rows(dropout(y, noise, site))).reshape(x.shape)
        return dropout(y, noise, site + 1)


class EncoderBlock(nn.Module):
    """Pre-LayerNorm block on x[B, N, D] -> [B, N, D]."""

    spec: ViTSpec
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None, site: int | jax.Array, fraction: float | jax.Array) -> jax.Array:
        """Returns x plus both residual branches; `site` numbers its masks, `fraction` scales the rate of dropping a branch."""
        y = LayerNorm(self.dtype, name="LayerNorm_0")(x)
        y = Attention(self.spec.heads, self.dtype, name="MultiHeadDotProductAttention_1")(y)
        y = dropout(y, noise, site)
        x = x + stochastic_depth(y, noise, site + 1, fraction)
        y = LayerNorm(self.dtype, name="LayerNorm_2")(x)
        y = Mlp(self.spec.mlp, self.dtype, name="MlpBlock_3")(y, noise, site + 2)
        return x + stochastic_depth(y, noise, site + 4, fraction)


class Encoder(nn.Module):
    """Position embedding, blocks and the final LayerNorm on x[B, N, D] -> [B, N, D]."""

    spec: ViTSpec
    dtype: Any = jnp.float32
    execution: Execution = Execution()

    @nn.compact
    def __call__(self, x: jax.Array, noise: Noise | None, grid: tuple[int, int]) -> jax.Array:
        """Returns the encoded tokens, of which the last are patches of a grid of (rows, columns)."""
        position = POSITIONS[self.spec.position](self.dtype, name="posembed_input")
        x = dropout(position(x, grid), noise, 0)
        last = max(self.spec.depth - 1, 1)
        block = EncoderBlock(self.spec, self.dtype, parent=None)
        blocks = [
            Block(f"encoderblock_{i}", block, {"site": 1 + i * _SITES_PER_BLOCK, "fraction": i / last})
            for i in range(self.spec.depth)
        ]
        x = run(self, blocks, x, noise, self.execution)
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


class MAPHead(nn.Module):
    """Multi-head attention pooling of x[B, N, D] -> [B, D]: what one learned query finds, and an MLP on it."""

    spec: ViTSpec
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the pooled tokens."""
        probe = self.param("probe", _XAVIER, (1, 1, x.shape[-1]), jnp.float32).astype(self.dtype)
        x = ProbeAttention(self.spec.heads, self.dtype, name="MultiHeadDotProductAttention_0")(probe, x)
        y = LayerNorm(self.dtype, name="LayerNorm_0")(x)
        pooled: jax.Array = x + Mlp(self.spec.mlp, self.dtype, name="MlpBlock_0")(y, None, 0)
        return pooled[:, 0]


class ProbeAttention(nn.Module):
    """Multi-head attention of one query [1, 1, D], the same for all samples, over x[B, N, D] -> [B, 1, D]."""

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, probe: jax.Array, x: jax.Array) -> jax.Array:
        """Returns the projected mixture of values."""
        batch, tokens, width = x.shape
        size = width // self.heads
        flat = [_Weights((width,), (self.heads, size), name=n)() for n in ("query", "key", "value")]
        kernels = [k.reshape(width, width).astype(self.dtype) for k, _ in flat]
        biases = [b.reshape(1, width).astype(self.dtype) for _, b in flat]
        query = (_rows(probe) @ kernels[0] + biases[0]).reshape(1, 1, self.heads, size)
        both = _rows(x) @ jnp.concatenate(kernels[1:], axis=1) + jnp.concatenate(biases[1:], axis=1)
        both = both.reshape(batch, tokens, 2, self.heads, size)
        query = jnp.broadcast_to(query, (batch, 1, self.heads, size))
        mixed = attend(query, both[:, :, 0], both[:, :, 1]).reshape(batch, width)
        kernel, bias = _Weights((self.heads, size), (width,), name="out")()
        mixed = mixed @ kernel.reshape(width, width).astype(self.dtype) + bias.reshape(1, width).astype(self.dtype)
        return mixed.reshape(batch, 1, width)


class ViT(nn.Module):
    """Images float32[B, H, W, 3] in [-1, 1] -> (logits float32[B, classes], features float32[B, D], the classifier's input).

    `dtype` is the compute type; parameters are always float32.
    """

    spec: ViTSpec
    classes: int
    head_bias: float = 0.0
    dtype: Any = jnp.float32
    execution: Execution = Execution()

    @nn.compact
    def __call__(self, images: jax.Array, noise: Noise | None = None) -> tuple[jax.Array, jax.Array]:
        """Returns (logits, features); `noise` None is the deterministic pass."""
        spec = self.spec
        x = self.stem(images.astype(self.dtype))
        grid = (x.shape[1] // spec.patch, x.shape[2] // spec.patch)
        x = _PatchEmbedding(spec.patch, spec.width, self.dtype, name="embedding")(x)
        if spec.pool == "tok":
            cls = self.param("cls", nn.initializers.zeros, (1, 1, spec.width), jnp.float32).astype(self.dtype)
            x = jnp.concatenate([jnp.broadcast_to(cls, (x.shape[0], 1, spec.width)), x], axis=1)
        encoded = Encoder(spec, self.dtype, self.execution, name="Transformer")(x, noise, grid)
        features = self._pool(encoded).astype(jnp.float32)
        if spec.pre_logits:
            features = jnp.tanh(nn.Dense(spec.width, name="pre_logits")(features))
        bias = nn.initializers.constant(self.head_bias)
        logits = nn.Dense(self.classes, kernel_init=nn.initializers.zeros, bias_init=bias, name="head")(features)
        return logits, features

    def stem(self, images: jax.Array) -> jax.Array:
        """Returns what is cut into patches; here, the images[B, H, W, 3] themselves."""
        return images

    def _pool(self, encoded: jax.Array) -> jax.Array:
        if self.spec.pool == "map":
            pooled: jax.Array = MAPHead(self.spec, self.dtype, name="MAPHead_0")(encoded)
            return pooled
        return encoded.mean(1) if self.spec.pool == "gap" else encoded[:, 0]
