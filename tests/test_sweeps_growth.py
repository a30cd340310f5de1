"""A folder remembers its sweep's axes: more values extend the study, any other change begins a new one and says so."""

import json
from dataclasses import replace

import optuna
import pytest
from made import SWEEP, accept

from bench.errors import UserError
from sweeps.growth import claim
from sweeps.layout import Workdir
from sweeps.perf.overhead import Instant
from sweeps.run import Coordinator
from sweeps.space import Grid

AXES, FIXED = SWEEP.upstream.axes, SWEEP.upstream.fixed


def grown(**axes):
    return replace(SWEEP, upstream=Grid({**AXES, **axes}, FIXED))


def changed(**fixed):
    return replace(SWEEP, upstream=Grid(AXES, {**FIXED, **fixed}))


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path)


def test_the_same_sweep_says_nothing(workdir):
    assert claim(workdir, SWEEP) == claim(workdir, SWEEP) == ("two-models", "")
    assert json.loads((workdir.path / "sweep.json").read_text())["study"] == 1


def test_more_values_extend_the_study(workdir):
    claim(workdir, SWEEP)
    larger = grown(aug=["none", "light1", "strong1"])
    assert claim(workdir, larger) == ("two-models", "two-models has grown: aug strong1; what is finished stays")
    assert claim(workdir, larger) == ("two-models", "")


def test_any_other_change_is_a_new_study_and_says_why(workdir):
    claim(workdir, SWEEP)
    assert claim(workdir, changed(lr=0.2)) == (
        "two-models.2",
        "two-models has changed since this folder began: lr was 0.1 and is 0.2. This is a new study, two-models.2; runs that"
        " both have are not run again",
    )
    assert claim(workdir, changed(lr=0.2)) == ("two-models.2", "")
    assert claim(workdir, changed(lr=0.3)).study == "two-models.3"


def test_a_folder_of_another_sweep_is_refused(workdir):
    claim(workdir, SWEEP)
    with pytest.raises(UserError, match="holds the sweep 'two-models', not 'other'"):
        claim(workdir, replace(SWEEP, name="other"))


class Commits(Instant):
    """An executor whose workers leave weights, too."""

    def __init__(self):
        super().__init__()
        self.runs = []

    def launch(self, launch):
        for config in launch.job.configs:
            self.runs.append(config.name)
            accept(launch.job.workdir, config, launch.attempt)
        launch.finish("done")


def run(workdir, sweep):
    executor = Commits()
    Coordinator(sweep, workdir, executor).run(lambda _: None)
    return executor.runs


def names(workdir, study):
    trials = optuna.load_study(study_name=study, storage=f"sqlite:///{workdir.path / 'study.db'}").get_trials()
    assert {t.state.name for t in trials} == {"COMPLETE"}
    return sorted(t.user_attrs["name"] for t in trials)


def test_an_extended_sweep_runs_only_what_is_new_and_its_study_has_all(workdir):
    assert len(run(workdir, SWEEP)) == 24
    larger = grown(aug=["none", "light1", "strong1"])
    assert sorted(run(workdir, larger)) == sorted({p.name for p in larger.points} - {p.name for p in SWEEP.points})
    assert names(workdir, "two-models") == sorted(p.name for p in larger.upstream_points)
    assert len(names(workdir, "two-models-transfer")) == 24


def test_a_changed_sweep_leaves_the_old_study_and_the_old_runs(workdir):
    run(workdir, SWEEP)
    other = changed(lr=0.2)
    assert len(run(workdir, other)) == 24
    assert names(workdir, "two-models") == sorted(p.name for p in SWEEP.upstream_points)
    assert names(workdir, "two-models.2") == sorted(p.name for p in other.upstream_points)
    assert run(workdir, SWEEP) == []  # a third study of runs that are all there
    assert names(workdir, "two-models.3") == sorted(p.name for p in SWEEP.upstream_points)
