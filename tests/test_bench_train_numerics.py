"""Losses, schedule and optimisers against float64 NumPy written from their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from bench.points import Transfer, Upstream
from bench.train import losses, optimizers
from bench.train.hyper import Hyper

RNG = np.random.default_rng(0)


def rate(decay, t, peak, warmup, steps, stair=1.0):
    numbers = jnp.int32(t), jnp.float32(peak), jnp.int32(warmup), jnp.int32(steps), jnp.float32(stair)
    return float(optimizers.learning_rate(decay, *numbers))


SHAPES = {"cosine": lambda x: 0.5 * (1 + np.cos(np.pi * x)), "linear": lambda x: 1 - x, "constant": np.ones_like}


@pytest.mark.parametrize("decay", sorted(SHAPES))
@pytest.mark.parametrize(("warmup", "steps"), [(0, 20), (5, 20), (10, 10)])
def test_learning_rate_warms_up_linearly_and_falls_as_it_should(decay, warmup, steps):
    for t in range(steps + 1):
        done = min(max((t - warmup) / max(steps - warmup, 1), 0), 1)
        expected = 0.3 * SHAPES[decay](done) * (min(1, t / warmup) if warmup else 1)
        assert rate(decay, t, 0.3, warmup, steps) == pytest.approx(expected, abs=1e-7)


def test_learning_rate_starts_at_zero_and_ends_at_zero():
    for decay in ("cosine", "linear"):
        rates = [rate(decay, t, 1, 4, 8) for t in range(9)]
        assert rates[0] == 0
        assert max(rates) == rates[4] == 1
        assert rates[8] == pytest.approx(0, abs=1e-7)


def test_the_exponential_decay_is_a_staircase_of_2_4_epochs_from_the_first_step_on():
    # 20 epochs of 5 steps: a stair is 12 steps.
    config = Upstream("ViT-mu", "mnist5k", 20, 0.3, "none", 0, 0, 0, decay="exponential", warmup_steps=15)
    hyper = Hyper.of_upstream(config, 100)
    assert float(hyper.stair) == 12
    for t in range(100):
        expected = 0.3 * t / 15 if t < 15 else 0.3 * 0.97 ** (t // 12)
        assert rate("exponential", t, 0.3, 15, 100, hyper.stair) == pytest.approx(expected, rel=1e-6)
    transfer = Transfer(config, "digits", 100, 0.1, 8, batch_size=80)
    assert float(Hyper.of_transfer(transfer).stair) == pytest.approx(2.4 * 800 / 80)


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_smoothing_draws_targets_of_present_classes_to_what_says_nothing(name, smoothing):
    labels = np.pad(RNG.dirichlet(np.ones(3), 5), ((0, 0), (0, 2)))
    nothing = {"softmax": 1 / 3, "sigmoid": 1 / 2}[name]
    expected = labels * (1 - smoothing) + smoothing * nothing * (np.arange(5) < 3)
    ours = losses.smoothed(jnp.asarray(labels, jnp.float32), jnp.float32(smoothing), jnp.int32(3), name)
    np.testing.assert_allclose(ours, expected, atol=1e-7)
    if not smoothing:
        np.testing.assert_array_equal(ours, labels.astype(np.float32))


def test_losses_are_the_textbook_ones():
    logits, labels = RNG.normal(size=(5, 7)), RNG.dirichlet(np.ones(7), 5)
    softmax = -(labels * log_softmax(logits, -1)).sum(-1).mean()
    p = 1 / (1 + np.exp(-logits))
    sigmoid = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).sum(-1).mean()
    arguments = jnp.asarray(logits, jnp.float32), jnp.asarray(labels, jnp.float32)
    assert float(losses.softmax(*arguments)) == pytest.approx(softmax, rel=1e-6)
    assert float(losses.sigmoid(*arguments)) == pytest.approx(sigmoid, rel=1e-6)


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_a_padded_head_gives_the_loss_and_the_gradient_of_an_unpadded_one(name):
    logits, labels = RNG.normal(size=(4, 3)).astype(np.float32), np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]
    wide = np.concatenate([logits, RNG.normal(size=(4, 5)).astype(np.float32)], 1)
    wide_labels = np.pad(labels, ((0, 0), (0, 5)))

    def padded(x):
        return losses.LOSSES[name](losses.mask_logits(x, jnp.int32(3)), jnp.asarray(wide_labels))

    def plain(x):
        return losses.LOSSES[name](x, jnp.asarray(labels))

    (ours, gradient), (theirs, expected) = jax.value_and_grad(padded)(wide), jax.value_and_grad(plain)(logits)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6)
    np.testing.assert_allclose(gradient[:, :3], expected, rtol=1e-6)
    np.testing.assert_array_equal(gradient[:, 3:], 0)


PARAMS = {
    "block": {"kernel": RNG.normal(size=(4, 3)), "bias": RNG.normal(size=3)},
    "norm": {"scale": RNG.normal(size=3)},
    "head": {"kernel": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)},
}
STEPS, CLIP, WD = 6, 0.7, 0.1
GRADS = [jax.tree.map(lambda p: RNG.normal(size=p.shape), PARAMS) for _ in range(STEPS)]
RATES = [0.01, 0.02, 0.03, 0.03, 0.02, 0.01]


def run_ours(name, clip):
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), PARAMS)
    state = optimizers.build(name, jnp.float32(1), jnp.float32(1), jnp.float32(1)).init(params)

    @jax.jit
    def step(params, state, grads, lr):
        updates, state = optimizers.build(name, lr, jnp.float32(WD), jnp.float32(clip)).update(grads, state, params)
        return jax.tree.map(jnp.add, params, updates), state

    for grads, lr in zip(GRADS, RATES, strict=True):
        params, state = step(params, state, jax.tree.map(lambda g: jnp.asarray(g, jnp.float32), grads), jnp.float32(lr))
    return params


def with_decay(grads, params):
    """Returns `g + wd * p` for kernels and `g` for the others."""
    return {a: {b: g + WD * params[a][b] * (b == "kernel") for b, g in leaves.items()} for a, leaves in grads.items()}


def run_numpy(direction, decoupled=WD):
    """`p -= lr * (direction + wd * p)`, decay on kernels alone; `direction(grads, params)` keeps its own state."""
    params = PARAMS
    for grads, lr in zip(GRADS, RATES, strict=True):
        moved = direction(grads, params)
        params = {
            layer: {
                leaf: p - lr * (moved[layer][leaf] + (decoupled * p if leaf == "kernel" else 0)) for leaf, p in leaves.items()
            }
            for layer, leaves in params.items()
        }
    return params


def clipped(grads, norm):
    size = np.sqrt(sum((g**2).sum() for g in jax.tree.leaves(grads)))
    return jax.tree.map(lambda g: g * min(1, norm / size), grads)


def assert_close(ours, expected, tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance), ours, expected)


def test_adam_decays_kernels_by_lr_times_wd_and_clips_the_raw_gradient():
    m = v = jax.tree.map(np.zeros_like, PARAMS)
    count = 0

    def direction(grads, _):
        nonlocal m, v, count
        count += 1
        grads = clipped(grads, CLIP)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, v, grads)
        return jax.tree.map(lambda m, v: m / (1 - 0.9**count) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8), m, v)

    # The first moment is kept in bfloat16 (8 bits of mantissa) over six steps of at most 0.03.
    assert_close(run_ours("adam", CLIP), run_numpy(direction), 1e-3)


def test_momentum_is_sgd_with_momentum_on_clipped_gradients():
    buffer = jax.tree.map(np.zeros_like, PARAMS)

    def direction(grads, _):
        nonlocal buffer
        buffer = jax.tree.map(lambda b, g: 0.9 * b + g, buffer, clipped(grads, CLIP))
        return buffer

    assert_close(run_ours("momentum", CLIP), run_numpy(direction), 1e-3)


@pytest.mark.parametrize("name", ["nesterov_agc", "nesterov_agc_l2"])
def test_nesterov_agc_clips_unit_by_unit_except_the_heads_kernel(name):
    buffer = jax.tree.map(np.zeros_like, PARAMS)
    ratio, coupled = 0.05, name.endswith("_l2")

    def unit_norm(x):
        return np.sqrt((x**2).sum(0, keepdims=True)) if x.ndim == 2 else np.sqrt((x**2).sum())

    def agc(layer, leaf, g, p):
        if (layer, leaf) == ("head", "kernel"):
            return g
        largest = ratio * np.maximum(unit_norm(p), 1e-3)
        norm = unit_norm(g)
        return np.where(norm > largest, g * largest / np.maximum(norm, 1e-6), g)

    def direction(grads, params):
        nonlocal buffer
        grads = {a: {b: agc(a, b, g, params[a][b]) for b, g in leaves.items()} for a, leaves in grads.items()}
        # Decay comes after clipping, which would clip it as well.
        grads = with_decay(grads, params) if coupled else grads
        buffer = jax.tree.map(lambda b, g: 0.9 * b + g, buffer, grads)
        return jax.tree.map(lambda g, b: g + 0.9 * b, grads, buffer)

    assert_close(run_ours(name, ratio), run_numpy(direction, 0 if coupled else WD), 1e-5)


@pytest.mark.parametrize("name", ["rmsprop", "rmsprop_l2"])
def test_rmsprop_divides_by_the_root_of_a_mean_square_that_starts_at_one(name):
    square, buffer = (jax.tree.map(lambda p, v=v: np.full_like(p, v), PARAMS) for v in (1.0, 0.0))
    coupled = name.endswith("_l2")

    def direction(grads, params):
        nonlocal square, buffer
        # Decay is part of the loss, so that clipping sees it.
        grads = clipped(with_decay(grads, params) if coupled else grads, CLIP)
        square = jax.tree.map(lambda s, g: 0.9 * s + 0.1 * g**2, square, grads)
        buffer = jax.tree.map(lambda b, g, s: 0.9 * b + g / np.sqrt(s + 1e-3), buffer, grads, square)
        return buffer

    assert_close(run_ours(name, CLIP), run_numpy(direction, 0 if coupled else WD), 1e-5)


def test_weight_decay_touches_kernels_of_real_models_and_nothing_else():
    from bench import models

    for name in ("ViT-mu", "NFNet-mu"):
        shapes = jax.eval_shape(lambda name=name: models.init(models.build(name, 10), 0, 28))
        marks = {
            "/".join(str(k.key) for k in path): value
            for path, value in jax.tree_util.tree_leaves_with_path(optimizers.kernels(shapes))
        }
        decayed = {path for path, marked in marks.items() if marked}
        assert decayed
        assert all(path.endswith("/kernel") for path in decayed)
        assert "head/kernel" in decayed
        assert not any("bias" in p or "gain" in p or "scale" in p or "pos_embedding" in p for p in decayed)
