"""The Optuna sampler for grids: every point once, whoever asks, at the same cost for any grid."""

import subprocess
import sys
import textwrap
from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState

from sweeps.order import walk
from sweeps.search.factorial import FactorialSampler

AXES = {"aug": ["none", "light1", "medium1"], "do": [0.0, 0.1], "wd": [0.03, 0.1], "seed": [0, 1]}
POINTS = 24


def suggest(trial):
    return (
        trial.suggest_categorical("aug", AXES["aug"]),
        trial.suggest_float("do", 0.0, 0.5),
        trial.suggest_categorical("wd", AXES["wd"]),
        trial.suggest_int("seed", 0, 3),
    )


def value(trial):
    aug, do, wd, seed = suggest(trial)
    return len(aug) + do + wd + seed


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def complete(study):
    return [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]


def every_point_once(study):
    done = complete(study)
    assert len(done) == POINTS
    assert set(Counter(tuple(sorted(t.params.items())) for t in done).values()) == {1}
    assert all(t.value == len(t.params["aug"]) + t.params["do"] + t.params["wd"] + t.params["seed"] for t in done)


def test_the_point_of_a_trial_follows_from_its_number():
    sampler = FactorialSampler(AXES)
    study = optuna.create_study(sampler=sampler)
    study.optimize(value)
    every_point_once(study)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * POINTS
    for trial, levels in zip(study.trials, walk((3, 2, 2, 2)).tolist(), strict=True):
        assert trial.params == {n: v[i] for (n, v), i in zip(AXES.items(), levels, strict=True)} == sampler.point(trial.number)


def test_a_study_goes_on_where_it_was_left_and_runs_nothing_twice():
    study = optuna.create_study(sampler=FactorialSampler(AXES))
    study.optimize(value, n_trials=7)
    study.sampler = FactorialSampler(AXES)
    study.optimize(value)
    every_point_once(study)
    study.optimize(value, n_trials=5)
    every_point_once(study)


def test_threads_share_the_points():
    study = optuna.create_study(sampler=FactorialSampler(AXES))
    study.optimize(value, n_jobs=4)
    every_point_once(study)
    extra = [t for t in study.trials if t.number >= POINTS]
    assert all(t.state == TrialState.PRUNED and not t.params for t in extra)
    assert len(extra) <= 4


def test_processes_share_the_points_of_one_sqlite_study(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(storage=url, study_name="grid")
    code = textwrap.dedent(f"""
        import optuna, random, time
        from sweeps.search.factorial import FactorialSampler
        from test_sweeps_search_factorial import AXES, value
        def slow(trial):
            time.sleep(random.random() / 50)
            return value(trial)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        storage = optuna.storages.RDBStorage({url!r}, engine_kwargs={{"connect_args": {{"timeout": 60}}}})
        optuna.load_study(study_name="grid", storage=storage, sampler=FactorialSampler(AXES)).optimize(slow)
    """)
    workers = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], env=environment()) for _ in range(3)]
    assert [w.wait(timeout=120) for w in workers] == [0, 0, 0]
    study = optuna.load_study(study_name="grid", storage=url)
    every_point_once(study)
    assert len(study.trials) <= POINTS + 3


def environment():
    import os
    from pathlib import Path

    paths = [str(Path(__file__).parent), *filter(None, (os.environ.get("PYTHONPATH"),))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def test_who_asks_and_tells_sees_a_trial_pruned_after_the_last_point():
    study = optuna.create_study(sampler=FactorialSampler(AXES))
    for _ in range(POINTS):
        trial = study.ask()
        study.tell(trial, value(trial))
    every_point_once(study)
    with pytest.raises(optuna.TrialPruned, match="all 24 points are taken"):
        suggest(study.ask())


def test_a_point_reads_no_other_trial(monkeypatch):
    study = optuna.create_study(sampler=FactorialSampler(AXES))
    trial = study.ask()  # which looks for enqueued trials
    monkeypatch.setattr(optuna.storages.InMemoryStorage, "get_all_trials", None)
    monkeypatch.setattr(optuna.Study, "get_trials", None)
    study.sampler.before_trial(study, trial._get_latest_trial())
    assert suggest(trial) == ("none", 0.0, 0.03, 0)
    study.sampler.after_trial(study, trial._get_latest_trial(), TrialState.COMPLETE, [0.0])


def test_a_parameter_that_is_no_axis_and_a_range_without_the_value_are_refused():
    study = optuna.create_study(sampler=FactorialSampler(AXES))
    with pytest.raises(ValueError, match="'lr' is no axis of the grid; axes: aug, do, wd, seed"):
        study.ask().suggest_float("lr", 0.0, 1.0)
    with pytest.raises(ValueError, match=r"'do' is 0.1 in the grid, which FloatDistribution\(.* does not hold"):
        study.ask().suggest_float("do", 0.2, 0.3)
