"""What a run is fed: the same whether images are gathered on the devices or read on the way, and wherever it starts."""

import jax
import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from bench.data.arrays import InMemory
from bench.data.order import Order
from bench.train import feed as feeding
from bench.train.feed import feed, spans


@given(st.integers(0, 60), st.integers(1, 60), st.integers(1, 30), st.sets(st.integers(1, 60), max_size=5))
def test_spans_cover_every_step_once_and_end_at_every_stop(step, total, chunk, stops):
    found = spans(step, total, chunk, sorted(stops))
    assert [s for first, end in found for s in range(first, end)] == list(range(step, total))
    assert all(0 < end - first <= chunk for first, end in found)
    ends = {end for _, end in found}
    assert {s for s in stops if step < s <= total} <= ends


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        tiny.register(patch)
        yield tiny.programs()


def fed(made, split, order, due):
    return [jax.tree.map(np.asarray, b) for b in feed(made, split, order, 0.3, 0.0, due)]


def test_what_is_fed_is_the_order_padded_to_whole_dispatches(made):
    order, due = Order(50, 8, 3, 0.5, 2), [(0, 4), (4, 7), (7, 8)]
    for (first, end), batches in zip(due, fed(made, tiny.DATA.train, order, due), strict=True):
        seen, n = order.chunk(first, end - first), end - first
        assert batches.images.shape == (4, 8, 8, 8, 3)
        assert np.array_equal(batches.examples[:n], seen.examples)
        assert np.array_equal(batches.passes[:n], seen.passes)
        assert np.array_equal(batches.images[:n], tiny.DATA.train.images[seen.examples])
        assert np.array_equal(batches.labels[:n], tiny.DATA.train.labels[seen.examples])
        assert batches.examples.dtype == batches.passes.dtype == batches.labels.dtype == np.int32
        assert not batches.examples[n:].any()


def test_images_gathered_on_the_devices_are_those_that_are_read_on_the_way(made, monkeypatch):
    order, due = Order(50, 8, 1), spans(0, 22, 4, [11])
    on_device = fed(made, tiny.DATA.train, order, due)
    assert isinstance(tiny.DATA.train, InMemory)
    monkeypatch.setattr(feeding, "RESIDENT", 0)
    for one, (first, end), other in zip(on_device, due, fed(made, tiny.DATA.train, order, due), strict=True):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            # What a short dispatch lacks is never looked at.
            assert np.array_equal(a[: end - first], b[: end - first])


def test_a_run_that_starts_in_the_middle_is_fed_what_it_would_have_been(made):
    order = Order(50, 8, 1)
    whole = fed(made, tiny.DATA.train, order, spans(0, 20, 4, []))
    late = fed(made, tiny.DATA.train, order, spans(8, 20, 4, []))
    for a, b in zip(jax.tree.leaves(whole[2:]), jax.tree.leaves(late), strict=True):
        assert np.array_equal(a, b)


def test_indices_beyond_32_bits_give_keys_of_their_own():
    examples = np.array([[0, 5, 2**31 - 1, 2**31, 2**31 + 5, 2**40, 2**40 + 1]])
    ids = feeding._ids(examples)
    assert ids.dtype == np.int32
    assert ids[0, :3].tolist() == [0, 5, 2**31 - 1]
    assert (ids >= 0).all()
    assert ids[0, 3] == 1
    assert ids[0, 5] != ids[0, 6]
