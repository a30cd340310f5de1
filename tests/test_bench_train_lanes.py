"""Lanes: each is its run by itself but for rounding, whatever the others do; a group resumes bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny

from bench.data.order import Order
from bench.train import fit_lanes as looping
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Preempted, Watch, fit
from bench.train.fit_lanes import Lane, fit_lanes
from bench.train.lanes import Lanes

# Products of a batch of matrices round otherwise than those of one; over 22 steps of Adam at 0.02 that grows to less than this.
CLOSE = 3e-4
SETTINGS = (
    ({"lr": 0.02, "layers": 0, "dropout": 0.0}, 0.0),
    ({"lr": 0.01, "wd": 0.0, "magnitude": 20}, 0.2),
    ({"lr": 0.005, "dropout": 0.3}, 0.5),
)


@pytest.fixture(scope="module", autouse=True)
def _tiny():
    with pytest.MonkeyPatch.context() as patch:
        tiny.register(patch)
        yield


@pytest.fixture(scope="module")
def alone():
    return tiny.programs()


@pytest.fixture(scope="module")
def three():
    return Lanes(tiny.programs().static, 3, shared=True)


def lanes(settings=SETTINGS, orders=None):
    orders = orders or [tiny.order()] * len(settings)
    return [
        Lane(order, tiny.hyper(**{"seed": order.seed, **changes}), mixup)
        for order, (changes, mixup) in zip(orders, settings, strict=True)
    ]


def group(programs, alone, own, starts=(0, 0, 0), **options):
    start = programs.start_all([jax.device_get(alone.init(np.uint32(seed))) for seed in starts])
    return fit_lanes(programs, start, tiny.DATA, own, tiny.CLASSES, evaluations=2, **options)


def by_itself(alone, own, start=0, **options):
    state = alone.start(alone.init(np.uint32(start)))
    return fit(alone, state, tiny.DATA, own.order, own.hyper, tiny.CLASSES, mixup=own.mixup, evaluations=2, **options)


def same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


@pytest.fixture(scope="module")
def trained(three, alone):
    return group(three, alone, lanes())


def test_a_lane_is_its_run_by_itself_but_for_rounding(trained, alone):
    for found, own in zip(trained, lanes(), strict=True):
        solo = by_itself(alone, own)
        assert tiny.furthest(found.state, solo.state) < CLOSE
        assert found.measurements == solo.measurements
        assert found.status == "ok"
    # Not because the lanes are one and the same.
    assert tiny.furthest(trained[0].state, trained[1].state) > 0.01


def test_lanes_measure_what_was_asked_for(three, alone):
    def start():
        return three.start_all([jax.device_get(alone.init(np.uint32(0)))] * 3)

    own = [each._replace(hyper=each.hyper._replace(steps=np.int32(4))) for each in lanes()]
    tuned = fit_lanes(three, start(), tiny.DATA, own, tiny.CLASSES, final=())
    assert {tuple(m.split for m in found.measurements) for found in tuned} == {("val",)}
    again = fit_lanes(three, start(), tiny.DATA, own, tiny.CLASSES, evaluations=0, final=("test", "train"))
    assert {tuple((m.split, m.n) for m in found.measurements) for found in again} == {(("test", 37), ("train", 50))}
    assert {found.phase for found in (*tuned, *again)} == {"ok"}


def test_lanes_that_start_from_different_weights_stay_their_own(three, alone):
    own = lanes([SETTINGS[0]] * 3)
    for i, found in enumerate(group(three, alone, own, starts=(4, 5, 6))):
        assert tiny.furthest(found.state, by_itself(alone, own[i], start=4 + i).state) < CLOSE


def test_replicates_each_have_an_order_of_their_own(alone):
    orders = [tiny.order(0), tiny.order(1), tiny.order(0)]
    own = lanes(orders=orders)
    programs = Lanes(alone.static, 3, shared=False)
    assert programs.static.chunk == 1  # a third of 4: three lanes' images are held
    for found, each in zip(group(programs, alone, own), own, strict=True):
        assert tiny.furthest(found.state, by_itself(alone, each).state) < CLOSE


def test_a_diverging_lane_ends_and_the_others_do_not_notice_a_bit_of_it(three, alone, trained):
    own = lanes()
    own[1] = own[1]._replace(hyper=tiny.hyper(lr=1e30, warmup=0))
    first, broken, last = group(three, alone, own)
    solo = by_itself(alone, own[1])
    assert broken.status == solo.status == "diverged"
    assert broken.why == solo.why
    assert broken.measurements == solo.measurements
    assert int(broken.state.step) == int(solo.state.step) < 22
    for leaf, other in zip(jax.tree.leaves(broken.state.weights), jax.tree.leaves(solo.state.weights), strict=True):
        np.testing.assert_array_equal(np.isfinite(leaf), np.isfinite(other))
    for found, undisturbed in ((first, trained[0]), (last, trained[2])):
        same_bits(found.state, undisturbed.state)
        assert found.measurements == undisturbed.measurements


def test_a_group_of_which_every_lane_diverges_ends_early(three, alone):
    steps = []
    own = [each._replace(hyper=tiny.hyper(lr=1e30, warmup=0)) for each in lanes()]
    found = group(three, alone, own, watch=Watch(progress=lambda step, _: steps.append(step)))
    assert [f.status for f in found] == ["diverged"] * 3
    assert max(steps, default=0) < 22


@pytest.mark.parametrize("stop_at", [0, 2, 4])
def test_a_group_stopped_and_resumed_ends_in_the_same_bits(three, alone, tmp_path, stop_at):
    own = lanes()
    own[2] = own[2]._replace(hyper=tiny.hyper(lr=1e30, warmup=0))
    whole = group(three, alone, own)
    dispatches, done = iter(range(100)), []
    with pytest.raises(Preempted):
        group(
            three,
            alone,
            own,
            checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "1", 1e9),
            watch=Watch(lambda step, _: done.append(step), lambda: next(dispatches) == stop_at),
        )
    stopped = done.pop()
    done.clear()
    resumed = group(
        three,
        alone,
        own,
        checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "2", 1e9),
        watch=Watch(lambda step, _: done.append(step)),
    )
    assert done[0] == stopped  # and not 0
    for again, once in zip(resumed, whole, strict=True):
        same_bits(again.state, once.state)
        assert (again.measurements, again.why) == (once.measurements, once.why)
        assert again.attempts == 2


def test_lanes_of_one_order_are_fed_by_one_stream(three, monkeypatch):
    fed = []
    examples = looping.examples
    monkeypatch.setattr(looping, "examples", lambda *given: fed.append(given[2]) or examples(*given))
    ways = [(0, 4)]
    [shared] = looping.feed_lanes(three, tiny.DATA.train, lanes(), ways)
    assert fed == [tiny.order()]
    assert shared.images.shape == (4, 8, 8, 8, 3)
    assert shared.mixing.coefficient.shape == (3, 4, 2)
    [apart] = looping.feed_lanes(
        Lanes(three.static, 3, shared=False),
        tiny.DATA.train,
        lanes(orders=[tiny.order(0), tiny.order(1), tiny.order(0)]),
        [(0, 1)],
    )
    assert fed[1:] == [tiny.order(0), tiny.order(1)]
    assert apart.images.shape == (3, 1, 8, 8, 8, 3)
    np.testing.assert_array_equal(apart.images[0], apart.images[2])
    np.testing.assert_array_equal(apart.images[0, 0], shared.images[0])


def test_seconds_are_shared_out(trained):
    assert len({found.seconds["train"] for found in trained}) == 1
    assert trained[0].cost(8, 1.0).images == 22 * 8


@pytest.mark.parametrize("wrong", [lanes()[:2], [*lanes()[:2], lanes(orders=[Order(50, 8, 1)] * 3)[2]]])
def test_lanes_that_do_not_fit_the_programs_are_refused(three, alone, wrong):
    with pytest.raises(ValueError, match="3 lanes of one length"):
        fit_lanes(three, three.start_all([alone.init(np.uint32(0))] * 3), tiny.DATA, wrong, tiny.CLASSES)


def test_lanes_of_unequal_length_are_refused(three, alone):
    own = lanes([*SETTINGS[:2], ({"steps": 21}, 0.0)])
    with pytest.raises(ValueError, match="one length"):
        fit_lanes(three, three.start_all([alone.init(np.uint32(0))] * 3), tiny.DATA, own, tiny.CLASSES)


def test_lanes_dealt_out_to_devices_are_their_runs_without_any_sum_over_devices():
    command = [sys.executable, str(Path(__file__).with_name("multi_device_lanes.py"))]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "4"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    one_each, two_each = map(json.loads, done.stdout.splitlines())
    # 22 steps of momentum at up to 0.016: a few units of the last place.
    assert one_each.pop("worst") < 1e-5
    assert two_each.pop("worst") < 1e-5
    assert one_each == {"lanes": 4, "devices": 4, "sums": []}
    assert two_each == {"lanes": 8, "devices": 4, "sums": []}
