"""The loop on a tiny model: learning, exactness of evaluation, resuming bit for bit, one program for every hyper-parameter."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny

from bench.data.arrays import InMemory
from bench.data.order import Order
from bench.errors import UserError
from bench.train import feed as feeding
from bench.train import program
from bench.train.checkpoints import Checkpoints
from bench.train.evaluate import correct
from bench.train.fit import Preempted, Watch, fit


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        tiny.register(patch)
        yield tiny.programs()


def train(made, **options):
    hyper = tiny.hyper(**options.pop("hyper", {}))
    order = options.pop("order", tiny.order())
    return fit(made, made.start(made.init(np.uint32(0))), tiny.DATA, order, hyper, tiny.CLASSES, mixup=0.2, **options)


def same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_it_learns_and_measures_validation_along_the_way_and_test_once(made):
    found = train(made, hyper={"steps": 60, "layers": 0}, evaluations=4)
    assert found.status == "ok"
    assert [(m.split, m.step, m.n) for m in found.measurements] == [
        ("val", 15, 21),
        ("val", 30, 21),
        ("val", 45, 21),
        ("val", 60, 21),
        ("test", 60, 37),
    ]
    assert found.measurements[-1].value > 0.9


@pytest.mark.parametrize(
    ("evaluations", "final", "measured"),
    [
        (1, (), [("val", 5)]),
        (0, ("test",), [("test", 5)]),
        (2, ("other", "test"), [("val", 2), ("val", 5), ("other", 5), ("test", 5)]),
    ],
)
def test_what_is_measured_is_what_was_asked_for(made, monkeypatch, evaluations, final, measured):
    other = tiny.split(9, 3)
    monkeypatch.setattr(tiny, "DATA", replace(tiny.DATA, extras={"other": other}))
    seen = []
    watch = Watch(measured=lambda step, value: seen.append((step, value)))
    found = train(made, hyper={"steps": 5}, evaluations=evaluations, final=final, watch=watch)
    assert [(m.split, m.step) for m in found.measurements] == measured
    assert (found.status, found.phase) == ("ok", "ok")
    assert seen == [(m.step, m.value) for m in found.measurements if m.split == "val"]
    if "other" in final:
        right = correct(made, found.state.weights, other, tiny.CLASSES)
        assert [(m.n, m.value) for m in found.measurements if m.split == "other"] == [(9, right.mean())]


def test_measurements_at_the_end_that_were_interrupted_are_taken_once(made, tmp_path):
    def attempt(number, **watch):
        kept = Checkpoints(tmp_path, tmp_path / "attempts" / number, 1e9)
        options = {"evaluations": 1, "final": ("test", "train"), "checkpoints": kept, "watch": Watch(**watch)}
        return train(made, hyper={"steps": 5}, **options)

    # Two batches of val, three of test, then those of train: the stop comes in the midst of them.
    stops = iter([False] * 8 + [True])
    with pytest.raises(Preempted):
        attempt("1", stop=lambda: next(stops, False))
    told = []
    found = attempt("2", measured=lambda step, _: told.append(step))
    assert [m.split for m in found.measurements] == ["val", "test", "train"]
    assert found.images_evaluated == 21 + 37 + 50
    assert told == [5]


def test_one_compilation_serves_every_hyper_parameter(made):
    train(made, hyper={"steps": 5})
    before = len(program.COMPILED)
    for changes in (
        {"lr": 0.5, "wd": 0.0, "clip": 3.0},
        {"dropout": 0.0, "stochastic_depth": 0.0},
        {"layers": 0, "magnitude": 20},
        {"steps": 9, "warmup": 0, "seed": 7},
    ):
        train(made, hyper={"steps": 5, **changes})
    assert len(program.COMPILED) == before


def test_every_hyper_parameter_reaches_the_numbers(made):
    base = train(made, hyper={"steps": 8}).state.params
    changes = [
        {"lr": 0.01},
        {"wd": 0.5},
        {"clip": 0.01},
        {"dropout": 0.5},
        {"stochastic_depth": 0.9},
        {"layers": 1},
        {"magnitude": 20},
        {"warmup": 1},
        {"seed": 1},
        {"smoothing": 0.1},
    ]
    for change in changes:
        other = train(made, hyper={"steps": 8, **change}).state.params
        moved = [not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(base), jax.tree.leaves(other), strict=True)]
        # A tiny model of one block has no block that stochastic depth could drop: the first block's rate is 0.
        assert any(moved) == (change != {"stochastic_depth": 0.9}), change


def test_the_same_run_twice_gives_the_same_bits(made):
    same_bits(train(made).state, train(made).state)


def test_how_steps_are_grouped_into_dispatches_does_not_matter(made):
    # Evaluating at the end of every step makes every dispatch one step long.
    one_by_one, grouped = train(made, evaluations=22), train(made)
    same_bits(one_by_one.state, grouped.state)


@pytest.mark.parametrize("stop_at", [1, 2, 4])
def test_a_run_stopped_anywhere_and_resumed_gives_the_same_bits_and_measurements(made, tmp_path, stop_at):
    whole = train(made, evaluations=4)
    dispatches, done = iter(range(100)), []
    with pytest.raises(Preempted):
        train(
            made,
            evaluations=4,
            checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "1", 1e9),
            watch=Watch(progress=lambda step, _: done.append(step), stop=lambda: next(dispatches) == stop_at),
        )
    stopped = done.pop()
    done.clear()
    resumed = train(
        made,
        evaluations=4,
        checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "2", 1e9),
        watch=Watch(progress=lambda step, _: done.append(step)),
    )
    assert done[0] == stopped  # it did not begin again
    assert resumed.attempts == 2
    same_bits(resumed.state, whole.state)
    assert resumed.measurements == whole.measurements


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(made):
    found = train(made, hyper={"lr": 1e30, "steps": 22, "warmup": 0})
    assert found.status == "diverged"
    assert "loss was" in found.why
    assert int(found.state.step) < 22 or found.measurements == []


def test_a_pruned_run_ends_where_it_is_and_leaves_the_test_split_alone(made):
    seen = []
    found = train(
        made, evaluations=4, watch=Watch(measured=lambda *m: seen.append(m), prune=lambda: bool(seen) and seen[-1][0] >= 11)
    )
    assert (found.status, int(found.state.step)) == ("pruned", 11)
    assert found.why == "ended after step 11 of 22: others were better by then"
    assert [(m.split, m.step) for m in found.measurements] == [("val", 6), ("val", 11)]
    assert seen == [(m.step, m.value) for m in found.measurements]
    late = train(made, evaluations=4, watch=Watch(prune=lambda: False))
    assert late.status == "ok"
    # It is the same run up to there.
    assert late.measurements[:2] == found.measurements


def test_what_was_measured_before_an_interruption_is_told_again(made, tmp_path):
    seen, again = [], []
    with pytest.raises(Preempted):
        train(
            made,
            evaluations=4,
            checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "a", 0),
            watch=Watch(measured=lambda *m: seen.append(m), stop=lambda: len(seen) == 2),
        )
    checkpoints = Checkpoints(tmp_path, tmp_path / "attempts" / "b", 0)
    found = train(made, evaluations=4, checkpoints=checkpoints, watch=Watch(measured=lambda *m: again.append(m)))
    assert again[:2] == seen
    assert again == [(m.step, m.value) for m in found.measurements if m.split == "val"]


def test_a_fraction_that_leaves_no_example_is_refused(made):
    with pytest.raises(UserError, match="leaves none"):
        train(made, order=Order(50, 8, 0, 1e-9))


@pytest.mark.parametrize("n", [1, 15, 16, 17, 37])
def test_evaluation_counts_every_example_exactly_once(made, n):
    params = train(made, hyper={"steps": 4}).state.params
    part = InMemory(tiny.DATA.test.images[:n], tiny.DATA.test.labels[:n])
    images = (part.images.astype(np.float32) - 127.5) / 127.5
    logits, _ = made.model.apply({"params": params}, images)
    expected = (np.asarray(logits)[:, : tiny.CLASSES].argmax(-1) == part.labels).mean()
    right = correct(made, params, part, tiny.CLASSES)
    assert right.shape == (n,)
    assert right.mean() == pytest.approx(expected)


def test_one_of_several_right_labels_is_enough_and_images_without_any_do_not_count(made):
    params = train(made, hyper={"steps": 4}).state.params
    images = tiny.DATA.test.images
    answers = np.concatenate(
        [np.asarray(made.evaluate(params, np.resize(images, (48, 8, 8, 3))[i : i + 16], np.int32(3))) for i in (0, 16, 32)]
    )
    answers = answers[: len(images)]
    wrong = (answers + 1) % tiny.CLASSES
    several = np.stack([wrong, answers, np.full_like(answers, -1)], axis=1)
    several[::5, 1] = -1
    several[::7] = -1
    right = correct(made, params, InMemory(images, several), tiny.CLASSES)
    counted = np.arange(len(images)) % 7 != 0
    assert right.tolist() == (np.arange(len(images)) % 5 != 0)[counted].tolist()


def test_a_broken_model_gets_no_answer_right(made):
    params = jax.tree.map(lambda p: np.full(p.shape, np.nan, np.float32), made.init(np.uint32(0)))
    assert not correct(made, params, tiny.DATA.test, tiny.CLASSES).any()


def test_mixup_coefficients_reach_the_program(made, monkeypatch):
    plain = train(made, hyper={"steps": 4}).state.params
    draw = feeding.mixing.draw
    monkeypatch.setattr(feeding.mixing, "draw", lambda seed, steps, _mixup, _cutmix, *rest: draw(seed, steps, 0, 0, *rest))
    unmixed = train(made, hyper={"steps": 4}).state.params
    assert any(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(unmixed), strict=True))
