"""Rates and keys of every family: traced, so that nothing is compiled again; exact at zero; fair at every depth."""

import families
import jax
import numpy as np
import pytest

from bench import models
from bench.models import noise as noises
from bench.points.variants import FAMILIES

REPEATS, BATCH, KEYS = 4, 24, 60
DROPOUT, DEPTH = 0.2, 0.6
# The bound of each comparison in standard errors of a binomial share: one in 1.7 million for one that is fair.
BOUND = 5.0


class Passes:
    """One jitted training pass of a family, which notes every mask that it draws."""

    def __init__(self, family):
        self.model = families.build(family, repeats=REPEATS)
        self.params, self.stats = families.weights(self.model)
        self.images = families.images(batch=BATCH)
        self.traces, self.sites, self.drawn = 0, [], {}
        self._jitted = jax.jit(self._trace)

    def _trace(self, noise):
        self.traces += 1
        if noise is None:
            return models.evaluate(self.model, models.merge(self.params, self.stats), self.images)
        return models.train(self.model, self.params, self.stats, self.images, noise)

    def _keep_mask(self, key, site, shape, rate):
        mask = _KEEP_MASK(key, site, shape, rate)
        assert isinstance(site, int)
        kind = "branch" if max(shape[1:], default=2) == 1 else "element"
        self.sites.append(site)

        def note(rate, kept):
            dropped, total = self.drawn.get((kind, site, float(rate)), (0, 0))
            self.drawn[kind, site, float(rate)] = dropped + mask.size - int(kept), total + mask.size

        jax.debug.callback(note, rate, mask.sum())
        return mask

    def __call__(self, noise):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(noises, "keep_mask", self._keep_mask)
            result = jax.block_until_ready(self._jitted(noise))
        jax.effects_barrier()
        return result


_KEEP_MASK = noises.keep_mask


@pytest.fixture(scope="module", params=FAMILIES)
def passes(request):
    return Passes(request.param)


def test_no_two_masks_share_a_site(passes):
    passes(families.noise())
    assert len(set(passes.sites)) == len(passes.sites) > 0


def test_nothing_is_compiled_again(passes):
    passes(families.noise())
    before = passes.traces
    outputs = [passes(families.noise((i, 7), rate, 2 * rate))[0] for i, rate in enumerate((0.0, 0.1, 0.4))]
    assert passes.traces == before
    assert not np.allclose(outputs[0], outputs[1])
    assert not np.allclose(outputs[1], outputs[2])


def test_masks_drop_their_share_at_every_depth(passes):
    passes.drawn.clear()
    for i in range(KEYS):
        passes(families.noise((i, 3), DROPOUT, DEPTH))
    branches = {site: rate for kind, site, rate in passes.drawn if kind == "branch"}
    rates = [branches[site] for site in sorted(branches)]
    assert rates == sorted(rates)
    assert len(set(rates)) >= 2
    assert 0 < min(rates) < max(rates) <= np.float32(DEPTH)
    for (kind, site, rate), (dropped, total) in passes.drawn.items():
        assert kind == "branch" or rate == np.float32(DROPOUT)
        assert abs(dropped / total - rate) < BOUND * (rate * (1 - rate) / total) ** 0.5, (kind, site)


def test_a_rate_of_zero_leaves_no_noise(passes):
    one, other = (passes(families.noise(key, 0.0, 0.0)) for key in ((5, 6), (8, 9)))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    if not one[2]:  # batch normalisation makes training another function
        # Two programs: XLA fuses, and then rounds, them differently.
        for a, b in zip(one, passes(None), strict=False):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rate_of_zero_is_evaluation_to_the_bit(family):
    model = families.build(family)
    params, stats = families.weights(model)
    if stats:
        pytest.skip("batch normalisation makes training another function")
    images = families.images(batch=2)
    # Operation by operation, so that nothing is fused.
    logits, features, _ = models.train(model, params, {}, images, families.noise((5, 6), 0.0, 0.0))
    expected = models.evaluate(model, params, images)
    np.testing.assert_array_equal(logits, expected[0])
    np.testing.assert_array_equal(features, expected[1])


def test_a_rate_of_zero_draws_no_dropout_mask(passes):
    passes.drawn.clear()
    passes(families.noise((5, 6), 0.0, DEPTH))
    assert {kind for kind, _, _ in passes.drawn} == {"branch"}


def test_there_are_families_of_both_kinds():
    kinds = {bool(families.weights(families.build(family))[1]) for family in FAMILIES}
    assert kinds == {False, True}
