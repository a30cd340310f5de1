"""The Optuna study as a projection of the records, read back with plain Optuna."""

import dataclasses
import sqlite3
from contextlib import closing

import optuna
import pytest
from made import record, score
from optuna.trial import TrialState

from bench.points import parse
from sweeps.space import Grid, Sweep
from sweeps.study import Study

FIXED = {"model": "ViT-mu", "dataset": "mnist5k", "epochs": 1.0, "lr": 0.1, "wd": 0.0}
SWEEP = Sweep(
    "small",
    "",
    Grid({"aug": ["none", "light1"], "do=sd": [0.0, 0.1]}, FIXED),
    Grid({"task": ["digits", "lfw_faces"]}, {"lr": 0.1, "steps": 10, "resolution": 28}),
)
FIRST = SWEEP.upstream_points[0]


class Eager(Study):
    """Writes at once."""

    def started(self, config):
        super().started(config)
        assert self.flush() == ""

    def accept(self, record):
        super().accept(record)
        assert self.flush() == ""


def opened(path, sweep):
    study = Eager(f"sqlite:///{path}", sweep)
    assert study.flush() == ""
    return study


def load(path, name="small"):
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{path}")
    trials = study.get_trials()
    study._storage._backend.engine.dispose()
    return trials


def projected(path):
    """Returns the studies as sets of what counts: neither the trials' numbers nor their times."""
    return {
        name: sorted(
            (sorted(t.params.items(), key=str), sorted(t.user_attrs.items()), t.state, t.values) for t in load(path, name)
        )
        for name in ("small", "small-transfer")
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.db"


def test_a_started_run_is_a_running_trial_and_its_record_completes_it(path):
    study = opened(path, SWEEP)
    study.started(FIRST)
    study.started(FIRST)
    [trial] = load(path)
    assert trial.state == TrialState.RUNNING
    study.accept(record(FIRST, value=0.625))
    [trial] = load(path)
    assert (trial.number, trial.state, trial.value) == (0, TrialState.COMPLETE, 0.625)
    assert trial.params == {"aug": "none", "do": 0.0, "sd": 0.0}
    name = "ViT_mu-mnist5k-1ep-lr_0.1-aug_none-wd_0.0-do_0.0-sd_0.0"
    assert trial.user_attrs == {"name": name, "digest": parse(name).digest}
    assert trial.datetime_complete is not None


def test_a_record_needs_no_start(path):
    opened(path, SWEEP).accept(record(FIRST, value=0.5))
    assert [(t.state, t.value) for t in load(path)] == [(TrialState.COMPLETE, 0.5)]


@pytest.mark.parametrize("status", ["ok", "diverged"])
@pytest.mark.parametrize("started", [True, False])
def test_what_is_accepted_again_or_started_again_changes_nothing(path, started, status):
    study = opened(path, SWEEP)
    if started:
        study.started(FIRST)
    study.accept(record(FIRST, status=status))
    before = projected(path)
    assert len(before["small"]) == 1
    study.accept(record(FIRST, status=status))
    study.started(FIRST)
    again = opened(path, SWEEP)
    again.accept(record(FIRST, status=status))
    again.started(FIRST)
    assert projected(path) == before


def test_a_trial_that_another_coordinator_started_is_completed_not_doubled(path):
    opened(path, SWEEP).started(FIRST)
    opened(path, SWEEP).accept(record(FIRST, value=0.5))
    assert [(t.state, t.value) for t in load(path)] == [(TrialState.COMPLETE, 0.5)]


@pytest.mark.parametrize("started", [True, False])
def test_a_diverged_run_is_a_failed_trial(path, started):
    study = opened(path, SWEEP)
    if started:
        study.started(FIRST)
    study.accept(record(FIRST, status="diverged"))
    assert [(t.state, t.values) for t in load(path)] == [(TrialState.FAIL, None)]


def test_transfers_are_a_study_of_their_own_with_the_axes_of_both(path):
    study = opened(path, SWEEP)
    [transfer] = [t for t in SWEEP.transfer_points if (t.task, t.upstream.aug, t.upstream.do) == ("lfw_faces", "none", 0.1)]
    study.started(transfer)
    study.accept(record(transfer, value=0.75))
    assert load(path) == []
    [trial] = load(path, "small-transfer")
    assert trial.params == {"task": "lfw_faces", "upstream_aug": "none", "upstream_do": 0.1, "upstream_sd": 0.1}
    assert trial.value == 0.75
    assert trial.user_attrs["name"] == transfer.name


def test_deleted_the_study_comes_out_equal_from_the_records_in_any_order(path):
    study, records = opened(path, SWEEP), [record(p) for p in SWEEP.points]
    records[2] = record(SWEEP.points[2], status="diverged")
    for point in SWEEP.points:
        study.started(point)
    for each in records:
        study.accept(each)
    before = projected(path)
    assert [len(before[name]) for name in ("small", "small-transfer")] == [4, 8]
    assert [t.state for t in load(path)] == [TrialState.COMPLETE] * 2 + [TrialState.FAIL, TrialState.COMPLETE]
    assert [t.value for t in load(path)][:2] == [score(p) for p in SWEEP.points[:2]]
    path.unlink()
    study = opened(path, SWEEP)
    for each in reversed(records):
        study.accept(each)
    assert projected(path) == before


def changed_choices(sweep):
    grid = Grid({**sweep.upstream.axes, "aug": ["none", "light1", "strong1"]}, FIXED)
    return dataclasses.replace(sweep, upstream=grid)


def changed_constant(sweep):
    return dataclasses.replace(sweep, upstream=Grid(sweep.upstream.axes, {**FIXED, "wd": 0.5}))


@pytest.mark.parametrize("change", [changed_choices, changed_constant])
def test_a_changed_sweep_begins_its_study_again(path, change):
    opened(path, SWEEP).accept(record(FIRST))
    sweep = change(SWEEP)
    study = opened(path, sweep)
    assert load(path) == []
    study.accept(record(sweep.upstream_points[0]))
    assert [t.user_attrs["name"] for t in load(path)] == [sweep.upstream_points[0].name]


@pytest.mark.parametrize("damage", ["overwritten", "cut off"])
def test_a_study_file_that_a_power_cut_left_broken_is_made_anew(path, damage):
    opened(path, SWEEP).accept(record(FIRST, value=0.5))
    whole = path.read_bytes()
    path.write_bytes(b"\0" * len(whole) if damage == "overwritten" else whole[: len(whole) // 2])
    study = opened(path, SWEEP)
    assert load(path) == []
    study.accept(record(FIRST, value=0.5))
    assert [t.value for t in load(path)] == [0.5]


def test_a_trial_more_does_not_read_all_the_others(path, monkeypatch):
    """10,000 points stay feasible: what a point costs does not grow with how many there are."""
    study = opened(path, SWEEP)

    def refuse(*_):
        raise AssertionError("all trials were read")

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.RDBStorage, "_get_trials", refuse)
        for point in SWEEP.points[:3]:
            study.started(point)
            study.accept(record(point))
    assert len(load(path)) == 3


def test_choices_of_a_large_sweep_are_not_written_again_with_every_trial(path):
    """A transfer's axes are its upstream run's fields; a list of all upstream names with every trial would be gigabytes."""
    axes = {"seed": list(range(10)), "wd": [0.1 * i for i in range(10)]}
    fixed = {k: v for k, v in FIXED.items() if k != "wd"}
    upstream = Grid(axes, {**fixed, "aug": "none", "do": 0.0, "sd": 0.0})
    sweep = dataclasses.replace(SWEEP, upstream=upstream)
    study = opened(path, sweep)
    for point in sweep.transfer_points[:3]:
        study.accept(record(point))
    with closing(sqlite3.connect(path)) as database:
        [(size,)] = database.execute("SELECT max(length(distribution_json)) FROM trial_params").fetchall()
    assert size < 300
