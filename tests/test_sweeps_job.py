"""Locks that die with their holder, and jobs, the folders by which coordinator and worker know each other."""

import re
import signal
import subprocess
import sys

import pytest
from made import SWEEP, WHOLE, end, python

from bench.errors import UserError
from bench.points import Execution
from bench.records.atomic import read_json, write_json
from sweeps.job import Job, finish
from sweeps.layout import Workdir
from sweeps.lock import Lock
from sweeps.run import jobs_of


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


@pytest.fixture
def job(workdir):
    return jobs_of(SWEEP.points, workdir, 12.5, WHOLE, Execution(scan=True))[2]


def test_a_job_reads_back_equal(job):
    job.write()
    read = Job.read(job.folder)
    assert (read.configs, read.checkpoint_seconds, read.id) == (job.configs, 12.5, job.id)
    assert read.execution == Execution(remat=False, scan=True, fsdp=False)
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


def test_writing_a_job_forgets_how_its_last_worker_ended(job):
    job.write()
    assert job.outcome() is None
    finish(job.folder, "failed", "why")
    assert job.outcome() == {"status": "failed", "error": "why"}
    job.write()
    assert job.outcome() is None


def test_a_job_knows_what_each_of_its_workers_said_last(job):
    assert list(job.progress()) == []
    for n in (2, 1):
        write_json(job.folder / f"progress-{n:04d}.json", {"step": n})
    assert [p["step"] for p in job.progress()] == [1, 2]


def test_a_worker_reports_a_plan_of_other_code_as_its_outcome(job):
    job.write()
    path = job.folder / "job.json"
    value = read_json(path)
    value["configs"][0]["digest"] = "0" * 16
    write_json(path, value)
    done = subprocess.run([sys.executable, "-m", "sweeps.worker", str(job.folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == ""
    assert job.outcome()["status"] == "failed"
    assert "the code changed while the sweep ran" in job.outcome()["error"]
