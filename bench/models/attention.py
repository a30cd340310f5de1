"""Scaled dot-product attention, with the softmax in float32."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from bench.models.precision import wide


def attend(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Returns softmax(query key' / sqrt(D) + bias) value, [B, Q, H, D] in the type of `value`.

    Args:
      query: [B, Q, H, D].
      key: [B, K, H, D].
      value: [B, K, H, D].
      bias: float32[1, H, Q, K].
    """
    product = partial(jnp.einsum, preferred_element_type=wide(value.dtype))
    # Heads first, once: CPU products would otherwise each transpose for themselves.
    query, key, value = (x.transpose(0, 2, 1, 3) for x in (query * query.shape[-1] ** -0.5, key, value))
    scores = product("bhqd,bhkd->bhqk", query, key)
    if bias is not None:
        scores = scores + bias
    # Divided by their sum after the product with the values: D numbers a query and head instead of K, backward too.
    weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))
    mixed = product("bhqk,bhkd->bhqd", weights.astype(value.dtype), value) / weights.sum(-1, keepdims=True)
    return mixed.transpose(0, 2, 1, 3).astype(value.dtype)
