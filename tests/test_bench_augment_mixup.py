"""The Mixup coefficient is a pure function of (seed, step) with the folded Beta distribution; mixing rolls the whole batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from bench.augment import mixup

WORDS = st.integers(0, 2**64 - 1)


@given(seed=WORDS, step=WORDS, alpha=st.sampled_from([0.2, 0.5, 0.8]))
def test_coefficient_is_pure_and_in_range(seed, step, alpha):
    value = mixup.coefficient(seed, step, alpha)
    np.random.default_rng().random()
    assert value == mixup.coefficient(seed, step, alpha)
    assert type(value) is np.float32
    assert 0.5 <= value <= 1


def test_coefficient_depends_on_both_seed_and_step():
    values = {mixup.coefficient(seed, step, 0.8) for seed in range(20) for step in range(20)}
    assert len(values) > 390


@given(seed=WORDS, step=WORDS)
def test_alpha_zero_is_exactly_one(seed, step):
    assert mixup.coefficient(seed, step, 0.0) == 1
    assert mixup.coefficient(seed, step, 0).dtype == np.float32


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8])
def test_distribution_is_the_folded_beta(alpha):
    values = mixup.coefficients(3, range(4000), alpha).astype(np.float64)
    beta = scipy.stats.beta(alpha, alpha)

    def folded(value):
        return beta.cdf(value) - beta.cdf(1 - value)

    # float32 rounds what is nearest to 1, where Beta is steepest, to 1: compare the share above an edge, and the rest.
    edge = 0.9999
    below = values[values < edge]
    assert scipy.stats.binomtest(len(below), len(values), folded(edge)).pvalue > 0.01
    assert scipy.stats.kstest(below, lambda value: folded(value) / folded(edge)).pvalue > 0.01
    assert scipy.stats.kstest(below, lambda value: (folded(value) / folded(edge)) ** 1.2).pvalue < 1e-6


def test_coefficients_of_a_chunk_are_those_of_its_steps():
    chunk = mixup.coefficients(11, np.arange(1000, 1008), 0.5)
    assert chunk.dtype == np.float32
    assert chunk.tolist() == [mixup.coefficient(11, step, 0.5) for step in range(1000, 1008)]
    assert mixup.coefficients(11, range(4), 0.0).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("shape", [(5,), (5, 3), (4, 6, 6, 3)])
def test_mix_against_numpy(shape):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    c = np.float32(0.7)
    expected = np.stack([c * x[i].astype(np.float64) + (1 - c) * x[i - 1].astype(np.float64) for i in range(len(x))])
    mixed = jax.jit(mixup.mix)
    np.testing.assert_allclose(mixed(jnp.asarray(x), jnp.float32(c)), expected, atol=1e-6)
    np.testing.assert_array_equal(mixed(jnp.asarray(x), jnp.float32(1)), x)
