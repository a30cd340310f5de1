"""Mixup and CutMix: what is drawn is pure and has the reference's distributions; what is mixed is what loops would mix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from bench.augment import mixing

WORDS = st.integers(0, 2**64 - 1)
STRENGTHS = st.sampled_from([0.0, 0.2, 0.5, 1.0])
SIDE = 32


@given(seed=WORDS, step=WORDS, mixup=STRENGTHS, cutmix=STRENGTHS, draws=st.sampled_from([None, 1, 6, 7]))
def test_drawing_is_pure_and_in_range(seed, step, mixup, cutmix, draws):
    drawn = mixing.draw(seed, [step, 5], mixup, cutmix, SIDE, draws)
    again = mixing.draw(seed, [step], mixup, cutmix, SIDE, draws)
    np.testing.assert_array_equal(drawn.coefficient[:1], again.coefficient)
    np.testing.assert_array_equal(drawn.box[:1], again.box)
    assert (drawn.coefficient.dtype, drawn.box.dtype) == (np.float32, np.int32)
    assert drawn.coefficient.shape == (2, draws or 2)
    assert drawn.box.shape == (2, draws or 2, 4)
    assert np.all((drawn.coefficient >= 0.5) & (drawn.coefficient <= 1))
    top, bottom, left, right = np.moveaxis(drawn.box, 2, 0)
    assert np.all((top >= 0) & (top <= bottom) & (bottom <= SIDE) & (left >= 0) & (left <= right) & (right <= SIDE))
    if not mixup:
        assert np.all(drawn.coefficient == 1)
    if not cutmix:
        assert np.all(drawn.box == 0)


def test_one_coefficient_a_step_is_what_it_always_was():
    found = mixing.draw(3, [0, 1, 2**40], 0.2, 0.0, SIDE).coefficient
    assert found[:, 0].tolist() == found[:, 1].tolist()
    np.testing.assert_array_equal(
        found[:, 0], np.array([0.9999956488609314, 0.6643052101135254, 0.9995465278625488], np.float32)
    )


def test_strengths_of_one_do_not_change_what_the_other_draws():
    both = mixing.draw(9, range(20), 0.2, 1.0, SIDE, 8)
    np.testing.assert_array_equal(both.coefficient[:, :4], mixing.draw(9, range(20), 0.2, 0.0, SIDE, 8).coefficient[:, :4])
    np.testing.assert_array_equal(both.box[:, 4:], mixing.draw(9, range(20), 0.0, 1.0, SIDE, 8).box[:, 4:])
    assert np.all(both.coefficient[:, 4:] == 1)
    assert np.all(both.box[:, :4] == 0)
    assert np.all(mixing.draw(9, range(20), 0.2, 0.0, SIDE, 8).coefficient.min(axis=0) < 1)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("draws", [None, 4])
def test_coefficients_are_of_the_folded_beta(alpha, draws):
    values = mixing.draw(3, range(4000 // (draws or 1)), alpha, 0.0, SIDE, draws).coefficient
    values = (values[:, 0] if draws is None else values.ravel()).astype(np.float64)
    beta = scipy.stats.beta(alpha, alpha)

    def folded(value):
        return beta.cdf(value) - beta.cdf(1 - value)

    # float32 rounds what is nearest to 1, where Beta is steepest, to 1: compare the share above an edge, and the rest.
    edge = 0.9999
    below = values[values < edge]
    assert scipy.stats.binomtest(len(below), len(values), folded(edge)).pvalue > 0.01
    assert scipy.stats.kstest(below, lambda value: folded(value) / folded(edge)).pvalue > 0.01
    assert scipy.stats.kstest(below, lambda value: (folded(value) / folded(edge)) ** 1.2).pvalue < 1e-6


def _reference_areas(alpha, side, count):
    """The area of the reference's mask, drawn one by one: a middle, a side of sqrt(1 - Beta), clipped at the edges."""
    rng, areas = np.random.default_rng(5), []
    for _ in range(count):
        middle, length = rng.integers(0, side, 2), int(np.sqrt(1 - rng.beta(alpha, alpha)) * side)
        edges = [(max(at - length // 2, 0), min(at + length // 2, side)) for at in middle]
        areas.append(np.prod([high - low for low, high in edges]) / side**2)
    return np.array(areas)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_boxes_have_the_areas_of_the_reference(alpha):
    boxes = mixing.draw(4, range(4000), 0.0, alpha, 224).box[:, 0]
    areas = np.prod([boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]], axis=0) / 224**2
    assert scipy.stats.ks_2samp(areas, _reference_areas(alpha, 224, 4000)).pvalue > 0.01
    assert scipy.stats.ks_2samp(areas, _reference_areas(alpha + 1, 224, 4000)).pvalue < 1e-6


def test_boxes_are_where_their_middles_are_uniform():
    boxes = mixing.draw(4, range(8000), 0.0, 1.0, 224).box[:, 0]
    inner = boxes[(boxes[:, :2] > 0).all(axis=1) & (boxes[:, :2] < 224).all(axis=1) & (np.ptp(boxes[:, :2], axis=1) < 100)]
    middles = inner[:, :2].mean(axis=1)
    central = middles[(middles >= 50) & (middles < 174)]
    assert scipy.stats.kstest(central, scipy.stats.uniform(50, 124).cdf).pvalue > 0.01


def _looped(images, targets, drawn, shards):
    """Mixes by loops over images, in float64."""
    count, size = len(images), len(images) // shards
    mixed, labels = images.astype(np.float64), targets.astype(np.float64)
    for index in range(count):
        row = index * len(drawn.coefficient) // count
        partner = index - 1 if index % size else index + size - 1
        own, (top, bottom, left, right) = float(drawn.coefficient[row]), drawn.box[row]
        mixed[index] = own * images[index] + (1 - own) * images[partner].astype(np.float64)
        mixed[index, top:bottom, left:right] = images[partner, top:bottom, left:right]
        share = own * (1 - (bottom - top) * (right - left) / (images.shape[1] * images.shape[2]))
        labels[index] = share * targets[index] + (1 - share) * targets[partner]
    return mixed, labels


_mix = jax.jit(mixing.mix, static_argnames="shards")


def _batch(count=6):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8), np.eye(count, 9, dtype=np.float32)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize(("strengths", "draws"), [((0.5, 0.0), None), ((0.5, 1.0), None), ((0.0, 1.0), 6), ((0.5, 1.0), 6)])
def test_mixing_against_loops(strengths, draws, shards):
    images, targets = _batch()
    for step in range(3):
        drawn = jax.tree.map(lambda field: field[0], mixing.draw(2, [step], *strengths, SIDE, draws))
        mixed, labels = _looped(images, targets, drawn, shards)
        got, got_labels = _mix(jnp.asarray(images, jnp.float32), jnp.asarray(targets), drawn, shards=shards)
        np.testing.assert_allclose(got, mixed, atol=1e-4)
        np.testing.assert_allclose(got_labels, labels, atol=1e-6)
        np.testing.assert_allclose(np.sum(got_labels, axis=1), 1, atol=1e-6)
        whole, _ = _mix(jnp.asarray(images), jnp.asarray(targets), drawn, shards=shards)
        assert whole.dtype == jnp.uint8
        # Truncated, where float32 may fall short of what is whole.
        left_out = mixed - np.asarray(whole)
        assert np.all((left_out >= -1e-4) & (left_out < 1 + 1e-4))


@pytest.mark.parametrize("draws", [None, 6])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_without_strengths_nothing_changes(draws, kind):
    images, targets = _batch()
    off = jax.tree.map(lambda field: field[0], mixing.draw(2, [7], 0.0, 0.0, SIDE, draws))
    got, labels = _mix(jnp.asarray(images.astype(kind)), jnp.asarray(targets), off, shards=2)
    np.testing.assert_array_equal(got, images.astype(kind))
    np.testing.assert_array_equal(labels, targets)


def test_one_program_serves_every_strength():
    traces = []

    @jax.jit
    def mix(images, targets, drawn):
        traces.append(drawn)
        return mixing.mix(images, targets, drawn)

    images, targets = _batch()
    results = {
        np.asarray(
            mix(images, targets, jax.tree.map(lambda field: field[0], mixing.draw(1, [3], *strengths, SIDE)))[0]
        ).tobytes()
        for strengths in ((0.0, 0.0), (0.2, 0.0), (0.8, 0.0), (0.0, 1.0), (0.2, 1.0))
    }
    assert len(traces) == 1
    assert len(results) == 5


def test_an_odd_batch_has_its_halves_too():
    images, targets = _batch(5)
    drawn = mixing.Mixing(np.array([1, 0.5], np.float32), np.zeros((2, 4), np.int32))
    got, _ = _mix(jnp.asarray(images, jnp.float32), jnp.asarray(targets), drawn)
    changed = np.any(np.asarray(got) != images, axis=(1, 2, 3))
    assert changed.tolist() == [False, False, False, True, True]
