"""In which type sums are formed that bfloat16 would spoil."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def wide(dtype: Any) -> Any:
    """Returns float32, or float64 for float64 (which only tests compute in)."""
    return jnp.float64 if dtype == jnp.float64 else jnp.float32
