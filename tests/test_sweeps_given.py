"""Sweeps of checkpoints from elsewhere, and probes of any checkpoint."""

import json
from dataclasses import replace

import pytest
from coordination import Fake, complete, coordinate, lost, points
from made import SWEEP, accept, record

from bench.errors import UserError
from bench.points import TASKS, Checkpoint, Probe, Transfer
from bench.records import scores
from bench.records.table import from_records
from bench.train.static import Static
from sweeps import board, lanes
from sweeps.axes import By
from sweeps.grouping import flops, jobs_of
from sweeps.job import Job, Settings
from sweeps.layout import Workdir
from sweeps.plan import Plan
from sweeps.planning import find_device
from sweeps.predict import Predictor
from sweeps.skeleton import Change, Extension, extends, skeleton
from sweeps.space import Grid, Sweep

GIVEN = (
    Checkpoint("ViT-mu", "mine", "0" * 16),
    Checkpoint("ViT-mu", "yours", "1" * 16),
    Checkpoint("R-mu", "theirs", "2" * 16),
)
OWN = {**TASKS["digits"].__dict__, "name": "birds", "group": "own", "files": None}
SETTINGS = Grid({"task": ["digits", "lfw_faces"], "lr": [0.1, 0.3]}, {"steps": 10, "resolution": 28})
SWEEP_OF_GIVEN = Sweep("given", "", transfer=SETTINGS, given=GIVEN, probe=True)
BOTH = replace(SWEEP, given=GIVEN[:1], probe=True)


def test_every_given_checkpoint_is_transferred_and_probed_once_a_task_and_resolution():
    sweep = SWEEP_OF_GIVEN
    assert sweep.size == (0, 12)
    assert sweep.upstream_points == ()
    assert {(t.upstream.label, t.task, t.lr) for t in sweep.transfer_points} == {
        (label, task, lr) for label in ("mine", "yours", "theirs") for task in ("digits", "lfw_faces") for lr in (0.1, 0.3)
    }
    assert len(sweep.transfer_points) == 12
    assert {(p.upstream.label, p.task) for p in sweep.probe_points} == {
        (label, task) for label in ("mine", "yours", "theirs") for task in ("digits", "lfw_faces")
    }
    assert [c.kind for c in sweep.points] == ["probe"] * 6 + ["transfer"] * 12
    two = replace(sweep, transfer=replace(SETTINGS, axes={**SETTINGS.axes, "resolution": [28, 42]}, fixed={"steps": 10}))
    assert len(two.probe_points) == 12
    assert replace(sweep, probe=False).probe_points == ()


def test_axes_of_given_checkpoints_may_depend_on_their_model_and_on_the_task():
    by = Grid({"task": ["digits"], "lr": By("upstream.model", {"ViT-mu": [0.1], "R-mu": [0.2, 0.3]})}, SETTINGS.fixed)
    assert sorted((t.upstream.label, t.lr) for t in Sweep("by", "", transfer=by, given=GIVEN).transfer_points) == [
        ("mine", 0.1),
        ("theirs", 0.2),
        ("theirs", 0.3),
        ("yours", 0.1),
    ]
    few = replace(SETTINGS, of={"model": ["R-mu"]})
    assert {t.upstream.label for t in Sweep("of", "", transfer=few, given=GIVEN).transfer_points} == {"theirs"}
    axes = {(a.kind, a.name): a.values for a in SWEEP_OF_GIVEN.axes()}
    assert axes["transfer", "task"] == ("digits", "lfw_faces")


def test_the_users_own_task_has_its_facts_with_it():
    fixed = {**SETTINGS.fixed, "own": By("task", {"birds": OWN, "digits": None})}
    sweep = Sweep("own", "", transfer=Grid({"task": ["birds", "digits"], "lr": [0.1]}, fixed), given=GIVEN[:1], probe=True)
    assert {p.task: p.own and p.own.classes for p in sweep.points} == {"birds": 10, "digits": None}
    assert json.loads(json.dumps(skeleton(sweep)))
    assert {p.facts.group for p in sweep.probe_points} == {"own", "natural"}


def test_probes_come_before_transfers_and_after_their_own_upstream_runs(tmp_path):
    def careful(launch):
        for config in launch.job.configs:
            upstream = board.needed(config)
            assert upstream is None or launch.job.workdir.run(upstream).record() is not None
        complete(launch)

    workdir, executor = Workdir(tmp_path), Fake(careful)
    status = coordinate(workdir, executor, BOTH)
    assert status.done == status.runs == {"upstream": 8, "probe": 18, "transfer": 18}
    assert status.summary() == "8/8 upstream, 18/18 probe, 18/18 transfer"
    kinds = [job.configs[0].kind for job in executor.launched]
    assert all({c.kind for c in job.configs} == {job.configs[0].kind} for job in executor.launched)
    assert kinds.index("probe") < kinds.index("transfer")
    assert points("two-models-transfer", workdir) == {t.name: "COMPLETE" for t in BOTH.transfer_points}
    assert len(points("two-models", workdir)) == 8  # probes are no trials
    found = list(workdir.records())
    assert len(from_records(found)) == 18
    assert len(scores.from_records(found)) == 54


def test_a_sweep_of_given_checkpoints_alone_has_no_study_of_upstream_runs(tmp_path):
    workdir, executor = Workdir(tmp_path), Fake()
    assert coordinate(workdir, executor, SWEEP_OF_GIVEN).complete
    assert set(points("given-transfer", workdir)) == {t.name for t in SWEEP_OF_GIVEN.transfer_points}
    again = Fake()
    assert coordinate(workdir, again, SWEEP_OF_GIVEN).complete
    assert again.launches == []


def test_what_depends_on_a_failed_run_waits_and_what_is_given_does_not(tmp_path):
    workdir = Workdir(tmp_path)

    def broken(launch):
        if launch.job.configs[0].kind != "upstream":
            return complete(launch)
        for config in launch.job.configs:
            workdir.run(config).claim(launch.attempt)
            workdir.run(config).fail(launch.attempt, "no", final=True)
        return None

    executor = Fake(broken)
    with pytest.raises(UserError, match="32 wait for runs that failed"):
        coordinate(workdir, executor, BOTH)
    assert {c.upstream.label for job in executor.launched for c in job.configs if c.kind != "upstream"} == {"mine"}


def test_a_lost_probe_is_launched_again(tmp_path):
    times = []

    def once(launch):
        times.append(launch)
        (lost if len(times) == 1 else complete)(launch)

    executor = Fake(once, capacity=1)
    assert coordinate(Workdir(tmp_path), executor, SWEEP_OF_GIVEN).complete
    assert executor.launched[0].id == executor.launched[1].id
    assert executor.launched[0].configs[0].kind == "probe"


def test_weights_are_a_runs_output_or_the_given_file(tmp_path):
    workdir, run = Workdir(tmp_path), SWEEP.upstream_points[0]
    with pytest.raises(UserError, match=r"no accepted attempt left a weights\.npz"):
        workdir.weights(run)
    accept(workdir, run)
    assert workdir.weights(run) == workdir.run(run).attempt("made.0001") / "weights.npz"
    path = tmp_path / "checkpoints" / "ViT_mu-mine-w_00000000.npz"
    with pytest.raises(UserError, match=f"{path}: no such file; it should hold the weights of ViT_mu-mine-w_00000000"):
        workdir.weights(GIVEN[0])
    path.parent.mkdir()
    path.touch()
    assert workdir.weights(GIVEN[0]) == workdir.given(GIVEN[0]) == path


def test_probes_share_a_job_by_program_never_train_as_lanes_and_cost_forward_passes(tmp_path):
    jobs = jobs_of(SWEEP_OF_GIVEN.probe_points, Workdir(tmp_path))
    assert sorted(len(job.configs) for job in jobs) == [2, 4]
    assert all(len({Static.of(c) for c in job.configs}) == 1 for job in jobs)
    job = Job(Workdir(tmp_path), jobs[0].configs, Settings(lanes="4"))
    assert [len(group) for group in lanes.groups(job, job.configs)] == [1] * len(job.configs)
    probe = SWEEP_OF_GIVEN.probe_points[0]
    facts = probe.facts
    assert flops(probe) == flops(replace(probe, seed=1)) > 0
    predictor = Predictor(find_device("cpu-core"))
    plan = Plan.of("", SWEEP_OF_GIVEN.probe_points, predictor)
    assert (plan.programs, plan.work.flops, plan.kept_bytes) == (0, 0.0, 0)
    assert plan.seconds.middle > 0
    transfer = next(t for t in SWEEP_OF_GIVEN.transfer_points if (t.upstream, t.task) == (probe.upstream, probe.task))
    # A transfer looks at val and test once, a probe at train as well; the latter has no classifier.
    share = flops(probe) / (facts.train + facts.val + facts.test) / predictor.evaluation(transfer).flops
    assert share * (facts.val + facts.test) == pytest.approx(1, rel=0.01)


def test_transfers_that_learn_from_other_images_are_no_lanes_of_each_other_and_cost_what_they_measure():
    one = SWEEP_OF_GIVEN.transfer_points[0]
    fits = {fit: replace(one, fit=fit) for fit in ("train", "tune", "trainval")}
    assert len({lanes.mates(config) for config in fits.values()}) == 3
    assert lanes.mates(one) == lanes.mates(replace(one, lr=0.5, seed=3))
    predictor = Predictor(find_device("cpu-core"))
    train, tune, trainval = (predictor.evaluation(config).flops for config in fits.values())
    assert train == tune + trainval
    assert tune / train == one.facts.val / (one.facts.val + one.facts.test)


def test_checkpoints_and_probes_may_be_added_but_not_taken_away():
    def compare(old, new):
        return extends(json.loads(json.dumps(skeleton(old))), json.loads(json.dumps(skeleton(new))))

    fewer = replace(SWEEP_OF_GIVEN, given=GIVEN[:2])
    assert compare(fewer, SWEEP_OF_GIVEN) == Extension("checkpoints R_mu-theirs-w_22222222")
    assert compare(SWEEP_OF_GIVEN, fewer) == Change("checkpoints has no R_mu-theirs-w_22222222 any more")
    assert compare(SWEEP, replace(SWEEP, probe=True)) == Extension("probes")
    assert compare(replace(SWEEP, probe=True), SWEEP) == Change("it has no probes any more")


def test_a_probe_is_no_transfer_to_the_table():
    found = [record(c) for c in BOTH.points if not isinstance(c, Probe)]
    with_probes = [record(c) for c in BOTH.points]
    assert from_records(found).equals(from_records(with_probes))
    assert sum(isinstance(r.config, Transfer) for r in found) == 18
