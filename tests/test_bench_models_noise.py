"""Noise: the masks are fair, independent between sites, keys, rows and columns, and their rates are traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.models.noise import Noise, dropout, random_bits, stochastic_depth

SHAPE = (256, 128)


def noise(key=(1, 2), rate=0.1, depth=0.0):
    return Noise(jnp.array(key, jnp.uint32), jnp.float32(rate), jnp.float32(depth))


def bits(key=(1, 2), site=0, shape=SHAPE):
    return np.asarray(random_bits(jnp.array(key, jnp.uint32), site, shape))


def correlation(a, b):
    return np.corrcoef(a.ravel().astype(np.float64), b.ravel().astype(np.float64))[0, 1]


def test_bits_are_uniform():
    uniform = bits() / 2**32
    size = uniform.size
    # Five standard errors of the mean and of the variance of a uniform variable.
    assert abs(uniform.mean() - 1 / 2) < 5 * (1 / 12 / size) ** 0.5
    assert abs(uniform.var() - 1 / 12) < 5 * (1 / 180 / size) ** 0.5
    counts, _ = np.histogram(uniform, 256, (0, 1))
    chi2 = np.square(counts - size / 256).sum() / (size / 256)
    assert 255 - 5 * 510**0.5 < chi2 < 255 + 5 * 510**0.5


def test_every_bit_is_fair():
    b = bits()
    share = np.array([((b >> i) & 1).mean() for i in range(32)])
    assert np.abs(share - 0.5).max() < 5 * 0.5 / b.size**0.5


def test_streams_are_not_correlated():
    streams = {
        (key, site): bits(key, site)
        for key in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (0, 2), (2**32 - 1, 0), (0x9E3779B9, 0))
        for site in (0, 1, 2, 3)
    }
    names, limit = list(streams), 5.5 / bits().size ** 0.5
    masks = np.stack([(s > 0.1 * 2**32).ravel() for s in streams.values()]).astype(np.float64)
    matrix = np.corrcoef(masks) - np.eye(len(names))
    assert np.abs(matrix).max() < limit
    raw = np.corrcoef(np.stack([s.ravel() for s in streams.values()]).astype(np.float64)) - np.eye(len(names))
    assert np.abs(raw).max() < limit


@pytest.mark.parametrize("key", [(0, 0), (7, 1)])
def test_no_correlation_between_neighbouring_rows_columns_and_steps(key):
    b = bits(key)
    mask, limit = b > 0.1 * 2**32, 5 / b.size**0.5
    for lag in (1, 2, 4, 16, 64):
        assert abs(correlation(mask[lag:], mask[:-lag])) < limit
        assert abs(correlation(mask[:, lag:], mask[:, :-lag])) < limit
    for step in range(1, 20):
        assert abs(correlation(mask, bits((key[0], key[1] + step)) > 0.1 * 2**32)) < limit
    # A row must not be a shifted copy of another stream's row, as it would be if keys were only added to the index.
    for shift in (1, 2, 3):
        assert abs(correlation(bits((key[0], key[1] + 1)).ravel()[shift:], b.ravel()[:-shift])) < limit


def test_masks_of_other_keys_are_not_permutations():
    assert len(np.intersect1d(bits((0, 0), 0), bits((0, 1), 0))) < 5
    assert len(np.intersect1d(bits((0, 0), 0), bits((0, 0), 1))) < 5


def test_array_beyond_16_bits_does_not_repeat():
    assert len(np.unique(bits(shape=(2**18,)))) > 2**18 - 40


def test_too_many_elements_is_refused():
    with pytest.raises(ValueError, match="32 bits"):
        jax.eval_shape(lambda k: random_bits(k, 0, (2**16, 2**16)), jnp.zeros(2, jnp.uint32))


def test_dropout_keeps_the_expectation_and_drops_at_the_rate():
    x = jnp.ones(SHAPE)
    for rate in (0.1, 0.5):
        y = np.asarray(dropout(x, noise(rate=rate), 3))
        dropped = (y == 0).mean()
        assert abs(dropped - rate) < 5 * (rate * (1 - rate) / y.size) ** 0.5
        np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)


def test_dropout_of_none_and_of_rate_zero_is_the_identity():
    x = jax.random.normal(jax.random.key(0), SHAPE)
    assert dropout(x, None, 0) is x
    np.testing.assert_array_equal(dropout(x, noise(rate=0.0), 0), x)


def test_gradient_of_dropout_uses_the_mask_of_the_forward_pass():
    x = jax.random.normal(jax.random.key(0), SHAPE)
    y, vjp = jax.vjp(lambda x: dropout(x, noise(rate=0.5), 1), x)
    np.testing.assert_allclose(vjp(x)[0], y, rtol=1e-6)


def test_dropout_keeps_bfloat16():
    assert dropout(jnp.ones(SHAPE, jnp.bfloat16), noise(rate=0.5), 1).dtype == jnp.bfloat16


def test_sites_and_keys_give_different_masks():
    x = jnp.ones(SHAPE)
    a, b, c = dropout(x, noise(), 0), dropout(x, noise(), 1), dropout(x, noise((1, 3)), 0)
    assert (a != b).any()
    assert (a != c).any()
    np.testing.assert_array_equal(a, dropout(x, noise(), 0))


def test_stochastic_depth_drops_whole_samples_without_rescaling():
    x = jax.random.normal(jax.random.key(0), (4000, 2, 3))
    y = np.asarray(stochastic_depth(x, noise(depth=0.4), 5, 0.5))
    dropped = (y == 0).all((1, 2))
    assert abs(dropped.mean() - 0.2) < 5 * (0.2 * 0.8 / 4000) ** 0.5
    np.testing.assert_array_equal(y[~dropped], np.asarray(x)[~dropped])


def test_stochastic_depth_at_zero_is_the_identity():
    x = jax.random.normal(jax.random.key(0), (64, 3))
    for n, fraction in ((None, 1.0), (noise(depth=0.9), 0.0), (noise(depth=0.0), 1.0)):
        np.testing.assert_array_equal(stochastic_depth(x, n, 0, fraction), x)


def test_rates_and_keys_are_traced():
    traces = []

    @jax.jit
    def f(x, n):
        traces.append(1)
        return stochastic_depth(dropout(x, n, 0), n, 1, 0.5)

    x = jnp.ones(SHAPE)
    zeros = [float((f(x, noise((i, i), rate, rate)) == 0).mean()) for i, rate in enumerate((0.0, 0.1, 0.5))]
    assert zeros[0] == 0
    assert zeros[0] < zeros[1] < zeros[2]
    assert len(traces) == 1
