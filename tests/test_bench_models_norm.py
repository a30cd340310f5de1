"""Normalisation against its definition in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.models.norm import BatchNorm, GroupNorm, LayerNorm

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (5, 6, 7, 8))
SCALE, BIAS = RNG.normal(1, 0.5, 8), RNG.normal(0, 0.5, 8)
MEAN, VAR = RNG.normal(2, 1, 8), RNG.uniform(0.5, 5, 8)
PARAMS = {"params": {"scale": jnp.asarray(SCALE, jnp.float32), "bias": jnp.asarray(BIAS, jnp.float32)}}
STATS = {"batch_stats": {"mean": jnp.asarray(MEAN, jnp.float32), "var": jnp.asarray(VAR, jnp.float32)}}


def normalised(x, axes, epsilon):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(np.square(x - mean).mean(axes, keepdims=True) + epsilon)


def single(x):
    return jnp.asarray(x, jnp.float32)


@pytest.mark.parametrize("epsilon", [1e-6, 1e-5, 0.5])
@pytest.mark.parametrize("x", [X, X[0, 0], X[:, 0]])
def test_layer_norm(x, epsilon):
    y = LayerNorm(epsilon=epsilon).apply(PARAMS, single(x))
    np.testing.assert_allclose(y, normalised(x, -1, epsilon) * SCALE + BIAS, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_group_norm(groups):
    y = GroupNorm(groups, 0.1).apply(PARAMS, single(X))
    # The pixels and 8 / groups neighbouring channels of one sample.
    expected = np.concatenate([normalised(part, (1, 2, 3), 0.1) for part in np.split(X, groups, -1)], -1)
    np.testing.assert_allclose(y, expected * SCALE + BIAS, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("x", [X, X[0, 0]])
def test_batch_norm_in_training(x):
    axes = tuple(range(x.ndim - 1))
    module = BatchNorm(momentum=0.7, epsilon=0.1)
    y, updated = module.apply({**PARAMS, **STATS}, single(x), True, mutable=["batch_stats"])
    np.testing.assert_allclose(y, normalised(x, axes, 0.1) * SCALE + BIAS, rtol=1e-5, atol=1e-5)
    expected = {"mean": 0.7 * MEAN + 0.3 * x.mean(axes), "var": 0.7 * VAR + 0.3 * x.var(axes)}
    for name, value in expected.items():
        np.testing.assert_allclose(updated["batch_stats"][name], value, rtol=1e-5)


def test_batch_norm_at_evaluation():
    y, updated = BatchNorm(epsilon=0.1).apply({**PARAMS, **STATS}, single(X), False, mutable=["batch_stats"])
    np.testing.assert_allclose(y, (X - MEAN) / np.sqrt(VAR + 0.1) * SCALE + BIAS, rtol=1e-5, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, updated, STATS)


def test_running_statistics_converge_to_the_batchs():
    module, variables = BatchNorm(momentum=0.5), {**PARAMS, **STATS}
    for _ in range(30):
        _, updated = module.apply(variables, single(X), True, mutable=["batch_stats"])
        variables = {**PARAMS, **updated}
    np.testing.assert_allclose(variables["batch_stats"]["mean"], X.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variables["batch_stats"]["var"], X.var((0, 1, 2)), rtol=1e-5)
    trained = module.apply(variables, single(X), True, mutable=["batch_stats"])[0]
    np.testing.assert_allclose(module.apply(variables, single(X), False), trained, rtol=1e-4, atol=1e-5)


def test_initial_values_and_that_making_weights_is_no_update():
    found = BatchNorm().init(jax.random.key(0), single(X), True)
    expected = {"params": {"scale": np.ones(8), "bias": np.zeros(8)}, "batch_stats": {"mean": np.zeros(8), "var": np.ones(8)}}
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("far", [0.0, 1e3])
def test_statistics_of_values_far_from_zero_do_not_cancel(far):
    # A variance as the mean of squares less the squared mean would lose all its digits here.
    x = single(X + far)
    exact = np.asarray(x, np.float64)
    for y, axes in (
        (LayerNorm().apply(PARAMS, x), -1),
        (BatchNorm(epsilon=1e-6).apply({**PARAMS, **STATS}, x, True, mutable=["batch_stats"])[0], (0, 1, 2)),
    ):
        np.testing.assert_allclose(y, normalised(exact, axes, 1e-6) * SCALE + BIAS, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("module", [LayerNorm(jnp.bfloat16), GroupNorm(4, dtype=jnp.bfloat16), BatchNorm(dtype=jnp.bfloat16)])
def test_bfloat16_is_rounded_once_at_the_end(module):
    x = single(X).astype(jnp.bfloat16)
    arguments = (x, True) if isinstance(module, BatchNorm) else (x,)
    half, _ = module.apply({**PARAMS, **STATS}, *arguments, mutable=["batch_stats"])
    wide = module.clone(dtype=jnp.float32)
    full, updated = wide.apply({**PARAMS, **STATS}, *arguments, mutable=["batch_stats"])
    assert half.dtype == jnp.bfloat16
    np.testing.assert_array_equal(half, full.astype(jnp.bfloat16))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(updated))


def test_double_precision_in_gives_double_precision_out():
    with jax.enable_x64(True):
        params = {"params": {"scale": jnp.asarray(SCALE), "bias": jnp.asarray(BIAS)}}
        stats = {"batch_stats": {"mean": jnp.asarray(MEAN), "var": jnp.asarray(VAR)}}
        y, _ = BatchNorm(epsilon=0.1, dtype=jnp.float64).apply(
            {**params, **stats}, jnp.asarray(X), True, mutable=["batch_stats"]
        )
        np.testing.assert_allclose(y, normalised(X, (0, 1, 2), 0.1) * SCALE + BIAS, rtol=1e-12, atol=1e-12)
        y = LayerNorm(jnp.float64).apply(params, jnp.asarray(X))
        np.testing.assert_allclose(y, normalised(X, -1, 1e-6) * SCALE + BIAS, rtol=1e-12, atol=1e-12)
        y = GroupNorm(1, 1e-6, dtype=jnp.float64).apply(params, jnp.asarray(X))
        np.testing.assert_allclose(y, normalised(X, (1, 2, 3), 1e-6) * SCALE + BIAS, rtol=1e-12, atol=1e-12)
