"""A run in stages: what each trains with, weights handed on, and resumption within a stage and at a border, bit for bit."""

import jax
import numpy as np
import pytest
import tiny

from bench import weights
from bench.data.arrays import InMemory
from bench.data.order import Order
from bench.data.split import Dataset
from bench.models.variables import flat
from bench.points import Upstream
from bench.points.variants import BY_PREFIX, VARIANTS, Variant
from bench.points.variants.efficientnetv2 import EfficientNetV2Spec
from bench.train import legs, program, static, upstream
from bench.train.fit import Preempted, Watch, fit

BLOCKS = ("r1_k3_s1_e2_i8_o8_c1", "r1_k3_s2_e2_i8_o8_se0.25")
MODEL = Variant("tinyv2", "tinyv2", "efficientnetv2", EfficientNetV2Spec.scaled(BLOCKS, features=8), "here")
# 22 steps: stages of 6, 5, 5 and 6; dispatches of 3 steps, cut at the borders.
CONFIG = {"batch_size": 8, "resolution": 12, "warmup_steps": 2, "ema": 0.9}
BORDERS, CHUNK, STEPS = (6, 11, 16), 3, 22


@pytest.fixture(scope="module")
def config():
    """The config, with data of any size in the place of mnist5k's and no RandAugment, which takes longest to compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, MODEL.name, MODEL)
        patch.setitem(BY_PREFIX, MODEL.prefix, MODEL)
        patch.setattr(program.augment, "augment_and_mix", tiny.only_mix)
        patch.setattr(static, "CHUNK", CHUNK)
        for module in (legs, upstream):
            patch.setattr(module, "load_upstream", lambda _, resolution: sized(resolution))
        yield Upstream("tinyv2", "mnist5k", STEPS * 8 / 50, 0.05, "effnetv2m", 1e-5, 0.3, 0.2, progressive="mini", **CONFIG)


def sized(resolution):
    def one(split):
        images = np.resize(split.images, (len(split), resolution, resolution, 3))
        return InMemory(images, split.labels)

    return Dataset(one(tiny.DATA.train), one(tiny.DATA.val), one(tiny.DATA.test))


def run(config, folder, attempt, **watch):
    return upstream.run(config, folder, folder / "attempts" / attempt, 1e9, Watch(**watch))


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    before, done = len(program.COMPILED), []
    record = run(config, folder, "1", progress=lambda step, _: done.append(step))
    made = [c.program for c in program.COMPILED[before:]]
    return record, weights.read(folder / "attempts" / "1" / upstream.WEIGHTS), done, made


def test_every_stage_trains_at_its_own_size_and_strength(config):
    found = legs.of_upstream(config, STEPS, upstream.Execution())
    assert [leg.programs.static.resolution for leg in found] == [6, 8, 10, 12]
    assert [leg.train().images.shape[1:3] for leg in found] == [(6, 6), (8, 8), (10, 10), (12, 12)]
    assert [leg.end for leg in found] == [*BORDERS, STEPS]
    assert [float(leg.hyper.magnitude) for leg in found] == pytest.approx([5, 25 / 3, 35 / 3, 15])
    assert [float(leg.hyper.dropout) for leg in found] == pytest.approx([0.1, 0.5 / 3, 0.7 / 3, 0.3])
    assert [(leg.mixup, leg.cutmix) for leg in found] == [pytest.approx((a, a)) for a in (0, 0.2 / 3, 0.4 / 3, 0.2)]
    # The learning rate follows the whole run.
    assert {(int(leg.hyper.steps), int(leg.hyper.warmup)) for leg in found} == {(STEPS, 2)}


def test_one_program_a_size_and_one_evaluation_at_the_configs_own(whole):
    record, _, done, made = whole
    assert record.status == "ok"
    assert made.count("train step") == 4
    assert made.count("evaluation") == 1
    assert {*BORDERS, STEPS} <= set(done)  # no dispatch goes across one
    assert [(m.split, m.step) for m in record.measurements] == [("val", 6), ("val", 11), ("val", 16), ("val", 22), ("test", 22)]


@pytest.mark.parametrize("stop_after", [9, 11])
def test_a_run_stopped_within_a_stage_or_at_a_border_and_resumed_gives_the_same_bits(config, whole, tmp_path, stop_after):
    record, kept, *_ = whole
    done = []
    with pytest.raises(Preempted):
        run(config, tmp_path, "1", progress=lambda step, _: done.append(step), stop=lambda: done[-1] >= stop_after)
    assert done.pop() == stop_after
    done.clear()
    again = run(config, tmp_path, "2", progress=lambda step, _: done.append(step))
    assert done[0] == stop_after  # it did not begin again
    assert again.measurements == record.measurements
    found = weights.read(tmp_path / "attempts" / "2" / upstream.WEIGHTS)
    assert found.keys() == kept.keys()
    for path, values in found.items():
        np.testing.assert_array_equal(values, kept[path], err_msg=path)


def test_the_stages_hand_on_their_state(config, whole):
    _, kept, *_ = whole
    stages = legs.of_upstream(config, STEPS, upstream.Execution())

    def trained(chosen):
        made, hyper = stages[-1].programs, stages[-1].hyper
        start = made.start(made.init(np.uint32(0)))
        found = fit(made, start, sized(12), Order(50, 8, 0), hyper, 10, legs=chosen)
        return flat(jax.device_get(found.state.weights))

    # Whatever else the loop does, evaluations for one: the same bits.
    for path, values in trained(stages).items():
        np.testing.assert_array_equal(values, kept[path], err_msg=path)
    # What only the first stage has seen counts at the end.
    assert not np.array_equal(trained(stages[1:])["head/kernel"], kept["head/kernel"])
