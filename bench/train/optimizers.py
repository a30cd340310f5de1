"""Optimisers of the papers with traced hyper-parameters; built inside the traced step, their state does not depend on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

Params = Any


# What a stair of `exponential` leaves of the learning rate (EfficientNetV2, section 5.1).
FALL = 0.97
# From 1 to 0 over the share `done` of the way after the warm-up: AugReg's (big_vision), CoAtNet's (Table 10), none.
SHAPES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "cosine": lambda done: 0.5 * (1.0 + jnp.cos(jnp.pi * done)),
    "linear": lambda done: 1.0 - done,
    "constant": jnp.ones_like,
}


def learning_rate(
    decay: str, step: jax.Array, peak: jax.Array, warmup: jax.Array, steps: jax.Array, stair: jax.Array
) -> jax.Array:
    """Returns the learning rate of step t = 0, 1, ..., float32[]: linear warm-up from 0 to the peak, then a way down.

    `peak * shape(clip((t - w) / (T - w), 0, 1)) * min(1, t / w)`; w = 0 means no warm-up. `exponential` is EfficientNetV2's: a
    staircase from step 0 on, of which the warm-up knows nothing (google/automl, `efficientnetv2/utils.py`).

    Args:
      decay: a key of `SHAPES`, or `exponential`.
      step: int32[], t.
      peak: float32[].
      warmup: int32[], w.
      steps: int32[], T.
      stair: float32[], steps after which `exponential` falls.
    """
    t, w, total = (x.astype(jnp.float32) for x in (step, warmup, steps))
    warm = jnp.where(w > 0, jnp.minimum(1.0, t / jnp.maximum(w, 1.0)), 1.0)
    if decay == "exponential":
        return peak * jnp.where(t < w, warm, FALL ** jnp.floor(t / stair))
    done = jnp.clip((t - w) / jnp.maximum(total - w, 1.0), 0.0, 1.0)
    return peak * SHAPES[decay](done) * warm


def _last(path: tuple[Any, ...]) -> str:
    return str(getattr(path[-1], "key", path[-1]))


def kernels(params: Params) -> Params:
    """Marks what weight decay touches: kernels (patch embedding and head too), never biases, gains, norms, embeddings."""
    return jax.tree_util.tree_map_with_path(lambda path, _: _last(path) == "kernel", params)


def all_but_head_kernel(params: Params) -> Params:
    """Marks what adaptive clipping touches: all but the classifier's weight (NFNet paper, section 4.1)."""

    def mark(path: tuple[Any, ...], _: Any) -> bool:
        names = [str(getattr(p, "key", p)) for p in path]
        return names[-2:] != ["head", "kernel"]

    return jax.tree_util.tree_map_with_path(mark, params)


def _mixed(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Lets Optax mix its bfloat16 accumulators with float32 gradients also where implicit promotion is forbidden."""

    def update(updates: Params, state: Any, params: Params = None) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return inner.update(updates, state, params)

    return optax.GradientTransformation(inner.init, update)


def _adam(clip: jax.Array) -> optax.GradientTransformation:
    # b1, b2 and the bfloat16 first moment are the released recipe's (big_vision's ViT configs).
    adam = _mixed(optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8, mu_dtype=jnp.bfloat16))
    return optax.chain(optax.clip_by_global_norm(clip), adam)


def _momentum(clip: jax.Array) -> optax.GradientTransformation:
    # The paper's section 3.5: momentum 0.9 kept in bfloat16.
    return optax.chain(optax.clip_by_global_norm(clip), _mixed(optax.trace(decay=0.9, accumulator_dtype=jnp.bfloat16)))


def _nesterov_agc(clip: jax.Array) -> optax.GradientTransformation:
    # NFNet's recipe: adaptive clipping on the raw gradient, then Nesterov momentum 0.9.
    agc = optax.adaptive_grad_clip(clip, eps=1e-3)
    return optax.chain(optax.masked(agc, all_but_head_kernel), optax.trace(decay=0.9, nesterov=True))


def _rmsprop(clip: jax.Array) -> optax.GradientTransformation:
    # EfficientNetV2's recipe: decay 0.9, epsilon 0.001 under the root, mean square from 1 on (TensorFlow's), momentum 0.9.
    rms = optax.scale_by_rms(decay=0.9, eps=1e-3, initial_scale=1.0, eps_in_sqrt=True)
    return optax.chain(optax.clip_by_global_norm(clip), rms, optax.trace(decay=0.9))


def _nesterov_agc_l2(clip: jax.Array, wd: jax.Array) -> optax.GradientTransformation:
    # The released NFNet code (`optim.py`): clipping first, then decay, then momentum.
    agc = optax.adaptive_grad_clip(clip, eps=1e-3)
    nesterov = optax.trace(decay=0.9, nesterov=True)
    return optax.chain(optax.masked(agc, all_but_head_kernel), _decayed(wd), nesterov)


def _rmsprop_l2(clip: jax.Array, wd: jax.Array) -> optax.GradientTransformation:
    # The released EfficientNetV2 code: decay is part of the loss, so that clipping and the mean square see it.
    return optax.chain(_decayed(wd), _rmsprop(clip))


def _decayed(wd: jax.Array) -> optax.GradientTransformation:
    return optax.add_decayed_weights(wd, mask=kernels)


Rule = Callable[[jax.Array], optax.GradientTransformation]
CoupledRule = Callable[[jax.Array, jax.Array], optax.GradientTransformation]

OPTIMIZERS: dict[str, Rule] = {
    "adam": _adam,
    "momentum": _momentum,
    "nesterov_agc": _nesterov_agc,
    "rmsprop": _rmsprop,
}
# These add decay to the gradient by themselves.
COUPLED: dict[str, CoupledRule] = {"nesterov_agc_l2": _nesterov_agc_l2, "rmsprop_l2": _rmsprop_l2}


def build(name: str, lr: jax.Array, wd: jax.Array, clip: jax.Array) -> optax.GradientTransformation:
    """Returns the whole update rule, weight decay on kernels alone.

    `p -= lr * (direction(g) + wd * p)`, which with `lr` following the schedule is the release's decay: 0.1 and 0.03 in its file
    names, multiplied by the current learning rate (the paper's section 3.3 and appendix A); or, coupled,
    `p -= lr * direction(g + wd * p)`.

    Args:
      name: a key of `OPTIMIZERS` or of `COUPLED`.
      lr: current learning rate, float32 scalar, may be traced.
      wd: weight decay, float32 scalar, may be traced.
      clip: norm or ratio to which gradients are clipped, float32 scalar, may be traced.
    """
    rule = (COUPLED[name](clip, wd),) if name in COUPLED else (OPTIMIZERS[name](clip), _decayed(wd))
    return optax.chain(*rule, optax.scale(-lr))
