"""Micro-batches, SAM and moving averages against float64 NumPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.models import Noise
from bench.train import gradients

RNG = np.random.default_rng(0)
B, SIDE, K = 12, 2, 3
IMAGES = RNG.normal(size=(B, SIDE, SIDE, 3))
TARGETS = RNG.normal(size=(B, K))
WEIGHTS = RNG.normal(size=(SIDE * SIDE * 3, K))
NOISE = Noise(jnp.array([3, 4], jnp.uint32), jnp.float32(0), jnp.float32(0))


def f32(x):
    return jnp.asarray(x, jnp.float32)


def least_squares(params, stats, images, targets, noise):
    """Half the mean square of the error; the statistics are a running mean of the first pixel."""
    del noise
    error = images.reshape(len(images), -1) @ params["kernel"] - targets
    stats = {"mean": 0.9 * stats["mean"] + 0.1 * images[:, 0, 0, 0].mean()}
    return 0.5 * jnp.mean(jnp.sum(error**2, -1)), stats


def by_hand(weights):
    x = IMAGES.reshape(B, -1)
    error = x @ weights - TARGETS
    return 0.5 * (error**2).sum(-1).mean(), x.T @ error / B


def take(parts, weights=WEIGHTS):
    return gradients.gradient(
        least_squares, {"kernel": f32(weights)}, {"mean": f32(1)}, f32(IMAGES), f32(TARGETS), NOISE, parts
    )


@pytest.mark.parametrize("parts", [1, 2, 4, 12])
def test_micro_batches_have_the_whole_batchs_loss_and_gradient(parts):
    loss, stats, grads = take(parts)
    expected_loss, expected = by_hand(WEIGHTS)
    assert float(loss) == pytest.approx(expected_loss, rel=1e-6)
    np.testing.assert_allclose(grads["kernel"], expected, rtol=0, atol=1e-6)
    # Running statistics see one micro-batch after the other: rows j, j + parts, ...
    mean = 1.0
    for j in range(parts):
        mean = 0.9 * mean + 0.1 * IMAGES[j::parts, 0, 0, 0].mean()
    assert float(stats["mean"]) == pytest.approx(mean, rel=1e-6)


def test_every_micro_batch_has_masks_of_its_own():
    def loss(params, stats, images, targets, noise):
        del images, targets
        return params * (noise.key[0] % 1000).astype(jnp.float32), stats

    def slope(parts):
        return float(gradients.gradient(loss, f32(1), {}, f32(IMAGES), f32(TARGETS), NOISE, parts)[2])

    key = jax.random.wrap_key_data(NOISE.key)
    own = [int(jax.random.key_data(jax.random.fold_in(key, j))[0]) % 1000 for j in range(3)]
    assert len(set(own)) == 3
    assert slope(3) == pytest.approx(np.mean(own))
    # One batch has the step's own masks.
    assert slope(1) == 3


@pytest.mark.parametrize("parts", [1, 3])
def test_sam_takes_the_gradient_a_radius_up_the_whole_batchs(parts):
    radius = 0.3
    _, _, grads = take(parts)
    up = gradients.uphill({"kernel": f32(WEIGHTS)}, grads, f32(radius))["kernel"]
    _, slope = by_hand(WEIGHTS)
    expected = WEIGHTS + radius * slope / np.sqrt((slope**2).sum())
    np.testing.assert_allclose(up, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(take(parts, up)[2]["kernel"], by_hand(expected)[1], rtol=0, atol=1e-5)


def test_sam_measures_the_radius_over_all_parameters_together():
    params, grads = {"a": f32([1, 2]), "b": f32([3])}, {"a": f32([0, 3]), "b": f32([4])}
    up = gradients.uphill(params, grads, f32(0.5))
    np.testing.assert_allclose(up["a"], [1, 2 + 0.5 * 3 / 5], rtol=1e-6)
    np.testing.assert_allclose(up["b"], [3 + 0.5 * 4 / 5], rtol=1e-6)


def test_sam_stays_where_there_is_no_slope():
    up = gradients.uphill({"a": f32([1, 2])}, {"a": f32([0, 0])}, f32(0.5))
    np.testing.assert_array_equal(up["a"], [1, 2])


@pytest.mark.parametrize("decay", [0.9, 0.9999, 1.0])
def test_the_average_forgets_its_start_and_then_decays(decay):
    seen = RNG.normal(size=(60, 5))
    ours, expected = {"w": f32(seen[0])}, seen[0]
    step = jax.jit(gradients.averaged)
    for t, weights in enumerate(seen[1:]):
        ours = step(ours, {"w": f32(weights)}, jnp.int32(t), f32(decay))
        d = min(decay, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * weights
    np.testing.assert_allclose(ours["w"], expected, rtol=0, atol=1e-6)
