"""A run answers a signal soon, also within an evaluation and while images are waited for; results are equal."""

import threading
import time

import jax
import numpy as np
import pytest
import tiny

from bench.data.split import Dataset, Split
from bench.train import pace
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Preempted, Watch, fit
from bench.train.pace import Pace


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        tiny.register(patch)
        yield tiny.programs()


def train(made, data=tiny.DATA, **options):
    start = made.start(made.init(np.uint32(0)))
    return fit(made, start, data, tiny.order(), tiny.hyper(), tiny.CLASSES, mixup=0.2, evaluations=2, **options)


@pytest.fixture(scope="module")
def whole(made):
    return train(made)


def same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_a_dispatch_lasts_five_seconds_at_most_where_a_step_lasts_less():
    found = Pace()
    assert found.steps(25) == 1
    for seconds, steps in ((0.001, 25), (0.2, 25), (0.25, 20), (1.0, 5), (4.0, 1), (60.0, 1)):
        found.took(seconds)
        assert found.steps(25) == steps
    found.took(1.0)
    assert found.steps(3) == 3


@pytest.mark.parametrize(("seconds", "expected"), [(0.5, [1, 4, 8, 11, 15, 19, 22]), (2.5, [1, 3, 4, 6, 8])])
def test_slow_steps_make_short_dispatches_and_equal_results(made, whole, monkeypatch, seconds, expected):
    monkeypatch.setattr(pace, "SECONDS", 5.0)
    monkeypatch.setattr(Pace, "took", lambda self, _: setattr(self, "seconds", seconds))
    made.pace.seconds = 0.0
    done = []
    found = train(made, watch=Watch(progress=lambda step, _: done.append(step)))
    assert done[1 : len(expected) + 1] == expected
    same_bits(found.state, whole.state)
    assert found.measurements == whole.measurements


def test_a_run_leaves_in_the_midst_of_an_evaluation_and_measures_when_it_goes_on(made, whole, tmp_path):
    made.pace.took(1e-3)
    asked = iter(range(100))
    # Dispatches end at 4, 8 and 11; then the batches of the validation split are asked one by one.
    with pytest.raises(Preempted):
        train(
            made,
            checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "1", 1e9),
            watch=Watch(stop=lambda: next(asked) == 4),
        )
    done = []
    found = train(
        made,
        checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "2", 1e9),
        watch=Watch(progress=lambda step, _: done.append(step)),
    )
    assert done[0] == 11
    assert found.attempts == 2
    assert found.measurements == whole.measurements
    same_bits(found.state, whole.state)


class Stuck(Split):
    """A training split whose third chunk is not there until somebody says so."""

    def __init__(self, released):
        self.released, self.reached = released, threading.Event()

    def __len__(self):
        return len(tiny.DATA.train)

    fingerprint = "stuck"

    def in_order(self, batch_size):
        return tiny.DATA.train.in_order(batch_size)

    def batches(self, chunks, seed):
        for number, seen in enumerate(tiny.DATA.train.batches(chunks, seed)):
            if number == 2:
                self.reached.set()
                self.released.wait(60)
            yield seen


def test_a_run_that_waits_for_images_leaves_with_a_checkpoint_of_where_it_is(made, whole, tmp_path):
    released, done = threading.Event(), []
    stuck = Stuck(released)
    watch = Watch(progress=lambda step, _: done.append(step), stop=lambda: done[-1:] == [8] and stuck.reached.is_set())
    # The third dispatch's images never come.
    data = Dataset(stuck, tiny.DATA.val, tiny.DATA.test)
    started = time.monotonic()
    with pytest.raises(Preempted):
        train(made, data, checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "1", 1e9), watch=watch)
    assert time.monotonic() - started < 30
    released.set()
    checkpoints = Checkpoints(tmp_path, tmp_path / "attempts" / "2", 1e9)
    found = train(made, checkpoints=checkpoints)
    assert checkpoints.restored_from.name == "8"
    same_bits(found.state, whole.state)
