"""Mixup with one coefficient per step, drawn on the host.

The coefficient is a pure function of (seed, step), so that a resumed run draws what the interrupted one would have drawn. It is
drawn on the host because compiling `jax.random.beta` takes seconds; the step receives it as a traced scalar. Folding it to
max(a, 1 - a) and mixing neighbours of the batch follow big_vision's `get_mixup`.
"""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt


def coefficient(seed: int, step: int, alpha: float) -> np.float32:
    """Returns the weight in [0.5, 1] of the unshifted batch at one step; exactly 1 when `alpha` is 0.

    Args:
      seed: seed of the run, 0 to 2**64 - 1.
      step: step of the run, 0 to 2**64 - 1.
      alpha: both parameters of the Beta distribution; 0 switches Mixup off.
    """
    if alpha == 0:
        return np.float32(1)
    philox = np.random.Philox(key=np.array([seed, step], np.uint64))
    draw = np.random.Generator(philox).beta(alpha, alpha)
    return np.float32(max(draw, 1 - draw))


def coefficients(seed: int, steps: Iterable[int], alpha: float) -> npt.NDArray[np.float32]:
    """Returns f32[len(steps)], the `coefficient` of every step in turn."""
    return np.array([coefficient(seed, int(step), alpha) for step in steps], np.float32)


def mix(x: jax.Array, coefficient: jax.Array) -> jax.Array:
    """Mixes every example with the one before it in the whole batch; for images and one-hot labels alike.

    Args:
      x: f32[B, ...].
      coefficient: f32[], 1 returns `x`.

    Returns:
      f32[B, ...].
    """
    return x * coefficient + jnp.roll(x, 1, axis=0) * (1 - coefficient)
