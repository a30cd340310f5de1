"""Locks that die with their holder, and jobs, the folders by which coordinator and worker know each other."""

import re
import signal
import subprocess
import sys

import pytest
from made import SWEEP, WHOLE, end, largest, python

from bench.errors import UserError
from bench.points import Execution
from bench.records.atomic import read_json, write_json
from sweeps.grouping import jobs_of, programs_of
from sweeps.job import Job, Settings
from sweeps.launch import Launch
from sweeps.layout import Workdir
from sweeps.lock import Lock
from sweeps.space import Grid, Sweep


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path / "work")


# Locks

HOLDER = """
    import sys
    from pathlib import Path
    from sweeps.lock import Lock

    lock = Lock.take(Path(sys.argv[1]), "somebody")
    print("working", flush=True)
    sys.stdin.read()
"""


def test_a_lock_dies_with_its_holder(tmp_path):
    path = tmp_path / "lock"
    assert not Lock.held(path)
    process = python(HOLDER, path)
    assert Lock.held(path)
    assert Lock.take(path, "me") is None
    with pytest.raises(UserError, match="is in use by somebody: wait for it, or stop it first"):
        Lock.require(path, "me")
    assert path.read_text() == "somebody"
    process.send_signal(signal.SIGKILL)
    end(process)
    assert not Lock.held(path)
    lock = Lock.require(path, "me")
    assert path.read_text() == "me"
    assert Lock.held(path)
    lock.release()
    lock.release()
    assert not Lock.held(path)


def test_a_child_that_inherits_the_lock_keeps_it_after_its_parent_lets_go(tmp_path):
    path = tmp_path / "lock"
    lock = Lock.require(path, "")
    child = python("import sys; print('working', flush=True); sys.stdin.read()", pass_fds=[lock.descriptor])
    lock.release()
    assert Lock.held(path)
    assert Lock.take(path, "") is None
    child.send_signal(signal.SIGKILL)
    end(child)
    assert not Lock.held(path)


def test_a_child_that_inherits_nothing_does_not_keep_the_lock(tmp_path):
    path = tmp_path / "lock"
    lock = Lock.require(path, "")
    child = python("import sys; print('working', flush=True); sys.stdin.read()")
    lock.release()
    assert not Lock.held(path)
    end(child)


def test_two_who_ask_at_once_do_not_take_each_other_for_a_worker(tmp_path):
    import fcntl

    path = tmp_path / "lock"
    path.touch()
    with path.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)  # what `Lock.held` does for a moment
        assert not Lock.held(path)


# Jobs


SETTINGS = Settings(12.5, Execution(scan=True), lanes="4", hosts=2, track=("tensorboard",))


@pytest.fixture
def job(workdir):
    return jobs_of(SWEEP.points, workdir, SETTINGS, largest=WHOLE)[2]


def test_a_job_reads_back_equal(job):
    job.write()
    read = Job.read(job.folder)
    assert (read.configs, read.settings, read.id) == (job.configs, SETTINGS, job.id)
    assert Job.members(job.folder) == [(c.name, c.digest) for c in job.configs]
    assert read.workdir.path == job.workdir.path
    assert job.folder == job.workdir.path / "jobs" / job.id
    assert re.fullmatch(r"transfer-[0-9a-f]{12}", job.id)


def test_a_job_whose_planned_digest_is_another_is_refused(job):
    job.write()
    path = job.folder / "job.json"
    value = read_json(path)
    value["configs"][1]["digest"] = "0" * 16
    write_json(path, value)
    name = re.escape(job.configs[1].name)
    with pytest.raises(
        UserError, match=f"{name} was planned under digest 0{{16}}, but is now {job.configs[1].digest}: the code"
    ):
        Job.read(job.folder)


# Launches


def test_every_launch_has_a_folder_of_its_own_and_reads_back(job):
    job.write()
    assert Launch.all(job) == []
    first, second = Launch.new(job), Launch.new(job)
    assert Launch.all(job) == [first, second]
    assert (first.attempt, second.attempt) == (f"{job.id}.0001", f"{job.id}.0002")
    assert second.folder == job.folder / "0002"
    assert Launch.read(second.folder) == second


def test_a_launch_says_how_far_it_is_how_it_ended_and_why_it_was_given_up(job):
    job.write()
    launch, other = Launch.new(job), Launch.new(job)
    assert (launch.progress(), launch.outcome(), launch.fenced, launch.why_fenced()) == (None, None, False, "")
    launch.report({"step": 3})
    launch.finish("failed", "why")
    launch.fence("no sign of life")
    assert launch.progress() == {"step": 3}
    assert launch.outcome() == {"status": "failed", "error": "why"}
    assert (launch.fenced, launch.why_fenced()) == (True, "no sign of life")
    assert (other.progress(), other.outcome(), other.fenced) == (None, None, False)


def test_runs_are_dropped_one_by_one(job):
    job.write()
    launch = Launch.new(job)
    assert launch.dropped() == {}
    launch.drop("a", "cancelled")
    launch.drop("b", "pruned")
    assert launch.dropped() == {"a": "cancelled", "b": "pruned"}


def test_a_worker_reports_a_plan_of_other_code_as_its_outcome(job):
    job.write()
    launch = Launch.new(job)
    path = job.folder / "job.json"
    value = read_json(path)
    value["configs"][0]["digest"] = "0" * 16
    write_json(path, value)
    run = [sys.executable, "-m", "sweeps.worker", str(launch.folder)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == ""
    assert launch.outcome()["status"] == "failed"
    assert "the code changed while the sweep ran" in launch.outcome()["error"]


# How runs are grouped


def test_a_job_shares_its_programs_and_grouping_is_the_same_every_time(workdir):
    jobs = jobs_of(SWEEP.points, workdir, largest=WHOLE)
    assert [(len(j.configs), j.configs[0].kind) for j in jobs] == [(4, "upstream")] * 2 + [(8, "transfer")] * 2
    assert sorted(c.name for j in jobs for c in j.configs) == sorted(p.name for p in SWEEP.points)
    assert all(len({programs_of(c) for c in j.configs}) == 1 for j in jobs)
    assert [j.id for j in jobs] == [j.id for j in jobs_of(SWEEP.points, workdir, Settings(1.0), largest=WHOLE)]
    assert len({j.id for j in jobs}) == 4


def test_programs_take_turns(workdir):
    jobs = jobs_of(SWEEP.points, workdir, largest=largest(1))
    upstream = [j.configs[0].model for j in jobs if j.configs[0].kind == "upstream"]
    assert upstream == ["ViT-mu", "NFNet-mu"] * 4


def test_long_runs_have_jobs_of_their_own_and_short_ones_share_them(workdir):
    grid = {"do=sd": [0.0, 0.1], "wd": [0.03, 0.1]}
    fixed = {"lr": 0.001, "aug": "none"}
    small = Grid(grid, {**fixed, "model": "ViT-mu", "dataset": "mnist5k", "epochs": 1.0})
    large = Grid(grid, {**fixed, "model": "B/16", "dataset": "i1k", "epochs": 300.0})
    points = Sweep("", "", small).upstream_points + Sweep("", "", large).upstream_points
    for device in ("cpu", "tpu-v4"):
        assert sorted(len(j.configs) for j in jobs_of(points, workdir, device=device)) == [1, 1, 1, 1, 4]
