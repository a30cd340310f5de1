"""Features of splits: those of the model, each example once and in its place, whatever the batches."""

import jax
import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from bench import models
from bench.augment.batch import to_float
from bench.train import features
from bench.train.features import Extracted, batches, extract
from bench.train.program import COMPILED

SPLITS = [tiny.DATA.train, tiny.DATA.val, tiny.DATA.test]


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        tiny.register(patch)
        programs = tiny.programs()
        yield programs, programs.init(np.uint32(3))


def test_every_split_has_its_own_in_order(made):
    programs, weights = made
    found = extract(programs, weights, SPLITS)
    evaluate = jax.jit(models.evaluate, static_argnums=0)
    for split, (x, y) in zip(SPLITS, found, strict=True):
        _, expected = evaluate(programs.model, weights, to_float(split.images))
        np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(y, split.labels)
        assert (x.dtype, y.dtype) == (np.float32, np.int32)


def test_one_program_for_all_splits_and_weights(made):
    programs, weights = made
    before = len(COMPILED)
    _ = programs.features
    compiled = len(COMPILED)
    assert compiled - before <= 1
    for n in (1, 2, 3):
        extract(programs, weights, SPLITS[:n])
    assert len(COMPILED) == compiled


def test_only_the_last_batch_is_padded(made):
    """Of 50, 21 and 37 images in batches of 16, by themselves 4 + 2 + 3, together 7."""
    programs, weights = made
    begun = []
    extract(programs, weights, SPLITS, begun.append)
    assert begun == list(range(7))
    assert batches(SPLITS, 16) == 7


def test_what_is_raised_between_batches_ends_it(made):
    programs, weights = made
    begun = []

    def between(done):
        begun.append(done)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(programs, weights, SPLITS, between)
    assert begun == [0, 1, 2]


def test_scores_get_them_in_64_bits():
    x, y = Extracted(np.ones((2, 3), np.float32), np.asarray([0, 1], np.int32)).wide()
    assert (x.dtype, y.dtype) == (np.float64, np.int64)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 12))
def test_batches_are_full_but_for_the_last_and_lose_nothing(lengths, size):
    images = np.arange(sum(lengths), dtype=np.uint8)
    found = list(features._full(np.split(images, np.cumsum(lengths)[:-1]), size))
    np.testing.assert_array_equal(np.concatenate(found), images)
    assert {len(batch) for batch in found[:-1]} <= {size}
    assert 0 < len(found[-1]) <= size
