"""Points that depend on results: the same whatever the order, after every restart, and for whoever reads the folder."""

import json
import math
import random
from dataclasses import replace

import pytest
from coordination import Fake, complete, coordinate, lead_over_deaths, points
from following import GIVEN, TUNE, TUNED
from hypothesis import given, settings
from hypothesis import strategies as st
from made import SWEEP, commit, record, score

from bench.errors import UserError
from bench.records.table import from_records
from sweeps.follow import Ended, Nothing, again, start, unfold, validation
from sweeps.growth import sweep_of
from sweeps.layout import Workdir
from sweeps.plan import Plan
from sweeps.planning import find_device
from sweeps.predict import Predictor
from sweeps.run import Coordinator
from sweeps.skeleton import Change, extends, restored, skeleton
from sweeps.space import By, Grid, Sweep
from sweeps.story import Story, cancel, retry, status_lines


def best(sweep, but=()):
    """Returns by hand the transfers that shall be trained again."""
    groups = {}
    for each in sweep.transfer_points:
        if each.name not in but:
            groups.setdefault((each.upstream.name, each.task), []).append(each)
    return {again(max(g, key=lambda t: (score(t), [-ord(c) for c in t.name]))).name for g in groups.values()}


def test_without_a_rule_nothing_follows():
    follow = start(SWEEP)
    assert isinstance(follow, Nothing)
    assert follow.begin() == SWEEP.points
    assert follow.settled(SWEEP.points[0], record(SWEEP.points[0])) == ()
    assert unfold(follow, lambda _: Ended(None)) == list(SWEEP.points)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), failed=st.sets(st.integers(0, 11), max_size=6))
def test_retraining_takes_the_best_of_what_did_not_fail_in_whatever_order_runs_end(seed, failed):
    but = {TUNE.transfer_points[i].name for i in failed}
    order = list(TUNE.transfer_points)
    random.Random(seed).shuffle(order)
    follow = start(TUNE)
    assert follow.begin() == TUNE.points
    found = [more for config in order for more in follow.settled(config, None if config.name in but else record(config))]
    assert {c.name for c in found} == best(TUNE, but)
    assert len(found) == len({c.name for c in found})
    assert all(c.fit == "trainval" for c in found)
    # Told of everything again, it says nothing more.
    assert not any(follow.settled(config, record(config)) for config in [*order, *found])


def test_of_equal_accuracies_the_first_name_is_taken_and_diverged_runs_are_passed_over():
    follow = start(replace(TUNE, given=GIVEN[:1], transfer=replace(TUNED, axes={**TUNED.axes, "task": ["digits"]})))
    one, two, three = follow.begin()
    assert follow.settled(three, record(three, value=0.5)) == ()
    assert follow.settled(one, record(one, "diverged")) == ()
    assert follow.settled(two, record(two, value=0.5)) == [again(min(two, three, key=lambda c: c.name))]
    assert math.isnan(validation(None))
    assert math.isnan(validation(record(one, "diverged")))


def test_where_every_setting_failed_nothing_is_trained_again():
    follow = start(TUNE)
    assert [list(follow.settled(c, record(c, "diverged"))) for c in TUNE.points] == [[]] * 12


def test_seeds_are_tuned_each_on_its_own():
    sweep = replace(TUNE, given=GIVEN[:1], transfer=replace(TUNED, axes={**TUNED.axes, "seed": [0, 1]}))
    follow = start(sweep)
    found = [more for c in sweep.points for more in follow.settled(c, record(c))]
    assert sorted((c.task, c.seed) for c in found) == [("digits", 0), ("digits", 1), ("lfw_faces", 0), ("lfw_faces", 1)]


def test_the_best_setting_is_trained_again_and_is_one_row_of_the_table(tmp_path):
    workdir, executor = Workdir(tmp_path), Fake()
    status = coordinate(workdir, executor, TUNE)
    assert status.done == status.runs == {"upstream": 0, "probe": 0, "transfer": 16}
    trained = {name for name in executor.runs if "trainval" in name}
    assert trained == best(TUNE)
    # Nothing is trained again before all of its settings are known.
    for name in trained:
        task = "digits" if "digits" in name else "lfw_faces"
        whose = name.split("--")[0]
        mates = [t.name for t in TUNE.transfer_points if t.upstream.name == whose and t.task == task]
        assert all(executor.runs.index(mate) < executor.runs.index(name) for mate in mates)
    table = from_records(workdir.records())
    assert len(table) == 12
    assert set(table["adapt_retrained"].dropna()) == trained
    # They have no validation accuracy of their own: they are no trials.
    assert points("tune-transfer", workdir) == {t.name: "COMPLETE" for t in TUNE.transfer_points}
    assert Story(tmp_path).status().summary() == status.summary() == "16/16 transfer"
    again_ = Fake()
    assert coordinate(workdir, again_, TUNE).complete
    assert again_.launches == []


@pytest.mark.parametrize("seed", range(2))
def test_a_coordinator_that_dies_anywhere_leaves_the_same_points_to_do(tmp_path, seed):
    workdir = Workdir(tmp_path)
    lead_over_deaths(TUNE, workdir, random.Random(seed), 0.25)
    assert {r.config.name for r in workdir.records()} == {t.name for t in TUNE.transfer_points} | best(TUNE)


def test_failed_and_cancelled_settings_are_passed_over_until_they_are_tried_again(tmp_path):
    workdir = Workdir(tmp_path)
    digits = [t for t in TUNE.transfer_points if (t.upstream, t.task) == (GIVEN[0], "digits")]
    best_, middle, _ = sorted(digits, key=score, reverse=True)

    def broken(launch):
        for config in launch.job.configs:
            if config.name == best_.name:
                workdir.run(config).claim(launch.attempt)
                workdir.run(config).fail(launch.attempt, "no", final=True)
            elif workdir.run(config).record() is None:
                commit(workdir, config, launch.attempt)
        launch.finish("done")

    with pytest.raises(UserError, match="failed: no"):
        coordinate(workdir, Fake(broken), TUNE)
    assert workdir.run(again(middle)).record() is not None
    story = Story(tmp_path)
    assert story.state(best_) == "failed"
    assert again(middle).name in story.points
    assert retry(tmp_path, ()) == [best_.name]
    status = coordinate(workdir, Fake(), TUNE)
    assert status.complete
    assert workdir.run(again(best_)).record() is not None
    other = Workdir(tmp_path / "cancelled")
    Coordinator(TUNE, other, Fake()).close()
    cancel(other.path, (best_.name,))
    coordinate(other, Fake(), TUNE)
    assert other.run(again(middle)).record() is not None
    assert other.run(again(best_)).record() is None
    assert f"  cancelled: {best_.name}" in status_lines(other.path)


def test_what_follows_can_itself_fail_be_explained_and_tried_again(tmp_path):
    workdir = Workdir(tmp_path)
    victim = min(best(TUNE))

    def broken(launch):
        if launch.job.configs[0].fit == "tune":
            return complete(launch)
        for config in launch.job.configs:
            workdir.run(config).claim(launch.attempt)
            if config.name == victim:
                workdir.run(config).fail(launch.attempt, "no", final=True)
            else:
                commit(workdir, config, launch.attempt)
        return launch.finish("done")

    with pytest.raises(UserError, match=f"{victim} failed: no"):
        coordinate(workdir, Fake(broken), TUNE)
    assert Story(tmp_path).why(victim)[0].startswith(f"{victim}: failed")
    assert retry(tmp_path, (victim,)) == [victim]
    executor = Fake()
    assert coordinate(workdir, executor, TUNE).complete
    assert executor.runs.count(victim) == 1


def test_a_plan_counts_what_will_follow():
    predictor = Predictor(find_device("cpu-core"))
    longer = replace(TUNE, transfer=replace(TUNED, axes={**TUNED.axes, "steps": [10, 40]}, fixed={**TUNED.fixed, "steps": 10}))
    del longer.transfer.fixed["steps"]
    expected = longer.planned[len(longer.points) :]
    assert sorted((c.upstream.label, c.task, c.steps, c.fit) for c in expected) == sorted(
        (label, task, 40, "trainval") for label in ("mine", "theirs") for task in ("digits", "lfw_faces")
    )
    whole = Plan.of("", longer.planned, predictor)
    assert sum(s.runs for s in whole.shares.values()) == 24 + 4


def test_another_rule_is_another_study():
    def saved(sweep):
        return json.loads(json.dumps(skeleton(sweep)))

    without = replace(TUNE, follow=None)
    expected = Change("what follows from its results is decided in another way")
    assert extends(saved(without), saved(TUNE)) == expected
    assert extends(saved(TUNE), saved(without)) == expected


OWN = {"name": "birds", "group": "own", "classes": 3, "train": 9, "val": 3, "test": 3}


@pytest.mark.parametrize(
    "sweep",
    [
        SWEEP,
        TUNE,
        replace(SWEEP, given=GIVEN, probe=True),
        Sweep(
            "by",
            "",
            transfer=Grid(
                {"task": ["birds", "digits"], "lr": By("task", {"birds": [0.1, 0.2], "digits": [0.3]})},
                {
                    "steps": By("task", {"birds": 5, "digits": 6}),
                    "resolution": 28,
                    "own": By("task", {"birds": OWN, "digits": None}),
                },
            ),
            given=GIVEN,
        ),
    ],
    ids=lambda s: s.name,
)
def test_a_sweep_that_no_module_describes_is_restored_from_its_folder(tmp_path, sweep):
    workdir = Workdir(tmp_path)
    found = restored(sweep.name, json.loads(json.dumps(skeleton(sweep))))
    assert {p.name: p.digest for p in found.points} == {p.name: p.digest for p in sweep.points}
    assert found.follow == sweep.follow
    executor = Fake()
    Coordinator(replace(sweep, about="another time"), workdir, executor).close()
    assert {p.name for p in sweep_of(workdir).points} == {p.name for p in sweep.points}
    assert Story(tmp_path).status().runs["transfer"] == len(sweep.transfer_points)
