"""Strategies at work: they train what they ask for and nothing else, and choose as they do on a table of everything."""

import random
from dataclasses import replace

import pytest
from coordination import Fake, complete, coordinate, lead_over_deaths
from following import EVERYTHING, GIVEN, LIVE
from made import commit, record

from bench.errors import UserError
from bench.points import Checkpoint, Transfer
from bench.records import scores
from bench.records.record import Measurement
from bench.records.table import from_records
from bench.select.drive import drive
from bench.select.pools import contests, pools
from bench.select.runs import transfer_runs
from bench.select.strategies import find
from sweeps.follow import again, start, unfold
from sweeps.layout import Workdir
from sweeps.live import Live
from sweeps.perf.simulate import Nobody
from sweeps.results import expected
from sweeps.run import Coordinator
from sweeps.story import Story, status_lines

KNOWN = LIVE.follow.upstream_scores
TASKS = ("digits", "lfw_faces")


def live(strategy, budget=None, **changes):
    return replace(LIVE, follow=Live(strategy, budget, KNOWN, **changes))


@pytest.fixture(scope="module")
def everything():
    """Returns the contests of a table of all transfers, one a task."""
    records = [record(config) for config in EVERYTHING.points]
    table = from_records(records)
    rows = table["filename"].isin(KNOWN)
    table.loc[rows, "final_val"] = [KNOWN[name] for name in table.loc[rows, "filename"]]
    table.loc[rows, "status"] = "ok"
    found = contests(pools(table, pool="all"), transfer_runs(table), scores.from_records(records), 0)
    return {contest.pool.task: contest for contest in found}


@pytest.mark.parametrize(
    ("strategy", "budget"),
    [("halving", None), ("halving", 4), ("upstream_best", None), ("linear_probe", 3), ("hybrid", 2), ("random_k", 2)],
)
def test_it_trains_what_the_strategy_asks_for_of_a_whole_table_and_chooses_the_same(everything, tmp_path, strategy, budget):
    workdir, sweep = Workdir(tmp_path), live(strategy, budget)
    coordinator = Coordinator(sweep, workdir, Fake(), study=Nobody)
    coordinator.run(lambda _: None)
    trained = {r.config.name for r in workdir.records() if isinstance(r.config, Transfer)}
    wanted, chosen = set(), {}
    for task in TASKS:
        contest = everything[task]
        choice, asked = drive(find(strategy), contest.pool, budget, lambda names, c=contest: c.val.loc[names])
        wanted |= set(asked)
        chosen[task] = (choice.filename, choice.run, choice.why)
    assert trained == wanted
    assert 0 < len(trained) < len(EVERYTHING.transfer_points) == 48
    follow = start(sweep)
    unfold(follow, Story(tmp_path)._ended)
    assert {task: tuple(vars(choice).values()) for task, choice in follow.choices.items()} == chosen
    said = [f"{task}: {strategy} chooses {chosen[task][1]} ({chosen[task][2]})" for task in follow.choices]
    assert coordinator.decided() == said
    assert {f"  {line}" for line in said} <= set(status_lines(tmp_path))
    assert Story(tmp_path).status().summary() == coordinator.status().summary()
    adapted = {name.split("--")[0] for name in trained} - set(KNOWN)
    assert len(from_records(workdir.records())) == len(trained) + 4 - len(adapted)


def test_a_budget_costs_less_and_many_settings_are_never_trained(tmp_path):
    executor = Fake()
    status = coordinate(Workdir(tmp_path), executor, LIVE)
    assert status.complete
    # A rung keeps a quarter: all 6 checkpoints, then 2, each with 2 rates, on 2 tasks.
    assert status.done == {"upstream": 4, "probe": 12, "transfer": 2 * 2 * (6 + 2)}
    steps = [c.steps for job in executor.launched for c in job.configs if isinstance(c, Transfer)]
    assert [steps.count(n) for n in (10, 40)] == [24, 8]


def test_a_coordinator_that_dies_anywhere_asks_for_the_same(tmp_path):
    undisturbed, disturbed = Workdir(tmp_path / "a"), Workdir(tmp_path / "b")
    coordinate(undisturbed, Fake(), LIVE)
    lead_over_deaths(LIVE, disturbed, random.Random(0), 0.15)
    names = [[r.config.name for r in workdir.records()] for workdir in (undisturbed, disturbed)]
    assert names[0] == names[1]
    after = Coordinator(LIVE, disturbed, Fake(), study=Nobody)
    after.close()
    before = Coordinator(LIVE, undisturbed, Fake(), study=Nobody)
    before.close()
    assert after.decided() == before.decided()
    assert after.status().complete


def test_what_fails_diverges_or_is_not_probed_does_not_compete(tmp_path):
    workdir = Workdir(tmp_path)
    broken, diverged = (EVERYTHING.upstream_points[i] for i in (0, 1))

    def behave(launch):
        for config in launch.job.configs:
            if workdir.run(config).record() is not None:
                continue
            if config == broken or (config.kind == "probe" and config.upstream == GIVEN[1]):
                workdir.run(config).claim(launch.attempt)
                workdir.run(config).fail(launch.attempt, "no", final=True)
            else:
                bad = config == diverged or (config.kind == "transfer" and config.lr == 0.3)
                commit(workdir, config, launch.attempt, status="diverged" if bad else "ok")
        launch.finish("done")

    sweep = live("linear_probe", 20)
    with pytest.raises(UserError, match="failed: no"):
        coordinate(workdir, Fake(behave), sweep)
    trained = [r.config for r in workdir.records() if isinstance(r.config, Transfer)]
    assert {c.upstream.name for c in trained} == {
        *(c.name for c in EVERYTHING.upstream_points if c not in (broken, diverged)),
        GIVEN[0].name,
    }
    lines = Story(tmp_path).follow.lines()
    assert len(lines) == 2
    assert all("-lr_0.1-" in line for line in lines)


def test_where_every_probe_fails_nothing_is_chosen_and_the_reason_is_said(tmp_path):
    workdir = Workdir(tmp_path)

    def behave(launch):
        if launch.job.configs[0].kind != "probe":
            return complete(launch)
        for config in launch.job.configs:
            workdir.run(config).claim(launch.attempt)
            workdir.run(config).fail(launch.attempt, "no", final=True)
        return launch.finish("done")

    with pytest.raises(UserError, match="11 more failed"):
        coordinate(workdir, Fake(behave), live("logme", 2))
    assert [line.split(" (")[0] for line in Story(tmp_path).follow.lines()] == [f"{t}: logme chooses nothing" for t in TASKS]
    assert Story(tmp_path).status().runs["transfer"] == 0


def test_given_checkpoints_alone_begin_at_once_and_the_choice_is_trained_again(tmp_path):
    tuned = replace(LIVE.transfer, fixed={**LIVE.transfer.fixed, "fit": "tune"})
    sweep = replace(live("upstream_best"), upstream=(), probe=False, transfer=tuned)
    executor = Fake()
    assert coordinate(Workdir(tmp_path), executor, sweep).complete
    done = [r.config for r in Workdir(tmp_path).records()]
    assert {c.upstream for c in done} == {GIVEN[1]}  # the better one upstream
    best = {
        task: max((c for c in done if (c.task, c.fit) == (task, "tune")), key=lambda c: record(c).last("val").value)
        for task in TASKS
    }
    assert {c for c in done if c.fit == "trainval"} == {again(c) for c in best.values()}
    assert len(done) == 2 * 4 + 2
    assert expected(sweep) == ["table.csv"]


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        (live("halvin"), "no strategy 'halvin'; did you mean 'halving'"),
        (live("halving", 0), "a budget of 0 checkpoints, but at least 1 must be adapted"),
        (replace(live("logme"), probe=False), "strategy 'logme' needs the score 'logme'"),
        (live("static"), "strategy 'static' needs history"),
        (replace(live("upstream_best"), upstream=(), follow=Live("upstream_best")), "strategy 'upstream_best' needs final_val"),
    ],
    ids=["unknown", "budget", "no-probes", "no-history", "no-upstream-scores"],
)
def test_what_cannot_be_chosen_by_is_said_before_anything_is_trained(tmp_path, sweep, said):
    with pytest.raises(UserError, match=said):
        Coordinator(sweep, Workdir(tmp_path), Fake())
    assert not (tmp_path / "sweep.json").exists()


def test_imagenet_is_judged_by_its_second_validation_set_where_a_checkpoint_saw_the_first():
    saw = Checkpoint("S/32", "S_32-i21k-300ep-lr_0.001-aug_none-wd_0.1-do_0.0-sd_0.0", "a" * 16)
    grid = replace(LIVE.transfer, axes={"task": ["imagenet2012"], "lr": [0.1, 0.3]}, fixed={"steps": 10, "resolution": 28})
    for checkpoint, best in ((saw, 0.3), (GIVEN[0], 0.1)):
        follow = start(replace(live("adapt_all"), upstream=(), probe=False, given=(checkpoint,), transfer=grid))
        for config in follow.begin():
            v2 = Measurement("imagenet_v2", "accuracy", 10, 0.2 if config.lr == 0.3 else 0.1, 10)
            minival = record(config, value=0.5 if config.lr == 0.1 else 0.4)
            follow.settled(config, replace(minival, measurements=(*minival.measurements, v2)))
        assert f"-lr_{best}-" in follow.choices["imagenet2012"].run
