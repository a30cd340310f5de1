import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from bench.data.order import Order, mix, permute, subset
from bench.errors import UserError

seeds = st.integers(0, 2**31 - 1)
epochs = st.integers(0, 2**31 - 1)


def permutation(n, seed, epoch):
    index = np.arange(n)
    return permute(index, n, seed, np.full(n, epoch))


def test_mix_is_splitmix64():
    # The first outputs of the reference SplitMix64 with state 0, which adds the constant before each one.
    golden = np.uint64(0x9E3779B97F4A7C15)
    state = np.arange(3, dtype=np.uint64) * golden
    assert mix(state).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@settings(deadline=None)
@given(st.integers(1, 5_000), seeds, epochs)
def test_every_epoch_is_a_permutation(n, seed, epoch):
    assert np.array_equal(np.sort(permutation(n, seed, epoch)), np.arange(n))


@pytest.mark.parametrize("n", [2**31, 2**40 - 1, 2**40, 2**40 + 1, 2**61 + 12_345, 2**62])
def test_large_sets_map_into_themselves_one_to_one(n):
    rng = np.random.default_rng(0)
    index = np.unique(np.concatenate([rng.integers(0, n, 20_000), [0, 1, n - 2, n - 1]]))
    mapped = permute(index, n, 3, np.zeros_like(index))
    assert mapped.dtype == np.int64
    assert mapped.min() >= 0
    assert mapped.max() < n
    assert len(np.unique(mapped)) == len(index)
    # Neighbours go anywhere: the mean distance of two uniform draws is a third of the range.
    near = permute(np.arange(20_000), n, 3, np.zeros(20_000, int)).astype(float)
    assert np.abs(np.diff(near)).mean() / n == pytest.approx(1 / 3, abs=0.01)


def test_the_order_is_pinned():
    # Another value here means that no interrupted or repeated run sees the examples it saw before.
    assert permutation(10, 0, 0).tolist() == [8, 0, 4, 7, 5, 2, 1, 6, 9, 3]
    assert Order(4000, 4, 7, 0.1).chunk(99, 2).examples.tolist() == [[853, 656, 2930, 751], [3443, 869, 2279, 3199]]


@pytest.mark.parametrize("n", [3, 5, 7, 10, 39, 100, 431])
@pytest.mark.parametrize("over", ["seeds", "epochs"])
def test_the_place_of_an_example_is_uniform(n, over):
    # A fair order fails one time in 100,000.
    draws = np.arange(20_000 if over == "epochs" else 4_000)
    if over == "epochs":
        places = permute(np.zeros_like(draws), n, 5, draws)
    else:
        places = np.array([permute(np.zeros(1, int), n, seed, np.zeros(1, int))[0] for seed in draws])
    expected = len(draws) / n
    found = np.bincount(places, minlength=n)
    assert ((found - expected) ** 2 / expected).sum() < chi2.isf(1e-5, n - 1)


def test_seeds_and_epochs_give_different_orders():
    orders = {tuple(permutation(100, seed, epoch)) for seed in range(10) for epoch in range(10)}
    assert len(orders) == 100


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 97), seeds, st.sampled_from([0.3, 0.5, 1.0]))
def test_every_example_comes_once_an_epoch_whatever_the_batch(n, batch, seed, fraction):
    members = subset(n, fraction)
    if not len(members):
        return
    order = Order(n, batch, seed, fraction)
    steps = -(-3 * len(members) // batch)
    chunk = order.chunk(0, steps)
    seen, of_epoch = chunk.examples.ravel(), chunk.passes.ravel()
    assert (np.diff(of_epoch) >= 0).all()
    for epoch in range(3):
        assert np.array_equal(np.sort(seen[of_epoch == epoch]), members)


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 64), seeds, st.integers(0, 10_000), st.integers(1, 9))
def test_a_chunk_is_its_steps_one_by_one(n, batch, seed, step, steps):
    order = Order(n, batch, seed)
    chunk = order.chunk(step, steps)
    singles = [Order(n, batch, seed).chunk(step + k, 1) for k in reversed(range(steps))][::-1]
    for field in ("examples", "passes"):
        whole = getattr(chunk, field)
        assert whole.dtype == {"examples": np.int64, "passes": np.int32}[field]
        assert whole.shape == (steps, batch)
        assert np.array_equal(whole, np.concatenate([getattr(s, field) for s in singles]))
    assert np.array_equal(chunk.passes.ravel(), np.arange(step * batch, (step + steps) * batch) // n)


def test_an_order_depends_on_its_seed_and_on_the_step():
    order = Order(1_000, 32, 0)
    assert not np.array_equal(order.chunk(0, 1).examples, order.chunk(1, 1).examples)
    assert not np.array_equal(order.chunk(0, 1).examples, Order(1_000, 32, 1).chunk(0, 1).examples)


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 39), (0.1, 431), (0.5, 2003), (1.0, 4000)])
def test_sizes_of_the_subsets_of_mnist5k(fraction, count):
    members = subset(4000, fraction)
    assert len(members) == Order(4000, 1, 0, fraction).size == count
    assert (np.diff(members) > 0).all()


@given(st.integers(1, 5_000), st.floats(0, 1), st.floats(0, 1))
def test_subsets_are_nested_and_every_host_decides_alike(n, one, two):
    small, large = sorted((one, two))
    assert set(subset(n, small)) <= set(subset(n, large))
    # Whoever holds only the first part of the set finds the same members in it.
    part = n // 2
    assert np.array_equal(subset(part, large), [i for i in subset(n, large) if i < part])
    assert np.array_equal(subset(n, 1.0), np.arange(n))


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.37, 0.9])
def test_subsets_are_near_their_share(fraction):
    n = 200_000
    # Five standard deviations of a fair draw.
    assert abs(len(subset(n, fraction)) - n * fraction) < 5 * np.sqrt(n * fraction * (1 - fraction))


def test_a_fraction_that_leaves_nothing_is_refused():
    with pytest.raises(UserError, match=r"a fraction of 1e-09 of 4000 training examples leaves none: use a larger one"):
        Order(4000, 64, 0, 1e-9).chunk(0, 1)


@settings(deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 8),
    st.sampled_from([1, 2, 3, 4]),
    seeds,
    st.sampled_from([0.3, 1.0]),
    st.integers(0, 50),
    st.integers(1, 5),
)
def test_hosts_side_by_side_see_the_batch_of_one(n, share, hosts, seed, fraction, step, steps):
    # A smaller fraction must not make the last host read on to the end of the whole set.
    if not len(subset(n, fraction)):
        return
    order = Order(n, share * hosts, seed, fraction)
    whole = order.chunk(step, steps)
    parts = [Order(n, share * hosts, seed, fraction).chunk(step, steps, host, hosts) for host in range(hosts)]
    for field in ("examples", "passes"):
        assert np.array_equal(np.concatenate([getattr(p, field) for p in parts], axis=1), getattr(whole, field))


def test_the_number_of_hosts_may_change_at_any_step():
    alone = Order(1_000, 12, 5)
    for step, hosts in enumerate([1, 2, 3, 1, 4, 2]):
        seen = np.concatenate([alone.chunk(step, 1, host, hosts).examples for host in range(hosts)], axis=1)
        assert np.array_equal(seen, alone.chunk(step, 1).examples)


def test_hosts_that_cannot_share_a_batch_are_refused():
    with pytest.raises(UserError, match=r"a batch of 10 cannot be shared equally by 3 hosts: use a multiple of 3"):
        Order(100, 10, 0).chunk(0, 1, 0, 3)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 40), st.integers(2, 5), seeds)
def test_repeated_examples_stand_side_by_side_and_each_copy_is_another_pass(n, batch, times, seed):
    order, once = Order(n, batch * times, seed, multiplicity=times), Order(n, batch, seed)
    steps = -(-2 * n // batch)
    seen, alone = order.chunk(0, steps), once.chunk(0, steps)
    assert np.array_equal(seen.examples, alone.examples.repeat(times, axis=1))
    assert np.array_equal(seen.passes.reshape(steps, batch, times), alone.passes[..., None] * times + np.arange(times))
    # Example and pass together are what augmentation is keyed by: no two copies share one.
    pairs = np.stack([seen.examples.ravel(), seen.passes.ravel()], axis=1)
    assert len(np.unique(pairs, axis=0)) == pairs.shape[0]


def test_an_order_over_2_to_the_40_examples_needs_no_memory():
    order = Order(2**40, 4096, 1)
    seen = order.chunk(10**9, 3)
    assert order.size == 2**40
    assert seen.examples.shape == (3, 4096)
    assert seen.examples.max() > 2**39
    assert np.array_equal(seen.passes, np.arange(10**9 * 4096, (10**9 + 3) * 4096).reshape(3, 4096) // 2**40)
    assert len(np.unique(seen.examples)) == 3 * 4096
