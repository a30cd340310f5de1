"""Two processes train one run through the local executor: one dies, both start again, and nothing shows in the result."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from executor_contract import gone, reap, wait_for

from bench.points import Execution, names
from sweeps import members
from sweeps.executors import build
from sweeps.job import Job, Settings
from sweeps.launch import Launch
from sweeps.layout import Workdir

RUN = names.parse("ViT_mu-mnist5k_10pct-8ep-lr_0.003-aug_light1-wd_0.03-do_0.1-sd_0.1")
HOSTS = 2
# A start and two compilations, on a machine that is busy.
LONG = 400


@pytest.fixture
def executor():
    """Yields an executor; nothing of it is left at the end."""
    made = build("local", {"hosts": str(HOSTS)})
    yield made
    for child in made._children:
        child.kill()
    reap(made)


def job_in(folder):
    settings = Settings(checkpoint_seconds=0.0, execution=Execution(scan=True), hosts=HOSTS)
    job = Job(Workdir(folder), (RUN,), settings)
    job.write()
    return job


def finished(executor, job):
    """Launches a job and waits for its end; returns the launch."""
    launch = Launch.new(job)
    executor.launch(launch)
    gone(executor, launch, LONG)
    assert launch.outcome() == {"status": "done", "error": ""}, launch.log.read_text()
    return launch


def checkpointed(executor, launch):
    """Waits until a launch has a checkpoint, while there is more to do."""
    attempt = launch.job.workdir.run(RUN).attempt(launch.attempt)

    def whole():
        assert executor.alive(launch), launch.log.read_text()
        return list(attempt.glob("checkpoints/*/manifest.json"))

    wait_for(whole, LONG)


def test_one_of_two_processes_is_killed_and_the_run_ends_with_the_same_bits(executor, tmp_path):
    undisturbed, disturbed = job_in(tmp_path / "undisturbed"), job_in(tmp_path / "disturbed")
    plain = finished(executor, undisturbed)

    first, run = Launch.new(disturbed), disturbed.workdir.run(RUN)
    executor.launch(first)
    checkpointed(executor, first)
    assert len(members.pids(first.folder)) == HOSTS
    os.kill(members.pids(first.folder)[1], signal.SIGKILL)
    gone(executor, first, 30)
    assert first.outcome() is None
    assert not run.failures()  # what the other saw was an echo
    assert not (run.attempt(first.attempt) / "record.json").exists()
    second = finished(executor, disturbed)

    a, b = undisturbed.workdir.run(RUN).accept(plain.attempt), run.accept(second.attempt)
    assert (a.cost.attempts, b.cost.attempts) == (1, 2)
    assert len(a.measurements) == 5
    assert replace(a, cost=b.cost) == b
    with np.load(undisturbed.workdir.run(RUN).output("weights.npz")) as x, np.load(run.output("weights.npz")) as y:
        assert x.files == y.files
        for key in x.files:
            np.testing.assert_array_equal(x[key], y[key])


@pytest.mark.faults
def test_one_of_two_processes_is_told_to_leave_and_both_checkpoint_and_leave(executor, tmp_path):
    job = job_in(tmp_path)
    launch = Launch.new(job)
    executor.launch(launch)
    checkpointed(executor, launch)
    os.kill(members.pids(launch.folder)[1], signal.SIGTERM)  # one host is taken away; the other learns of it from this one
    gone(executor, launch, 60)
    assert launch.outcome()["status"] == "preempted", launch.log.read_text()
    assert finished(executor, job).progress()["step"] == launch.progress()["steps"]
