"""The Slurm executor: with submitit's cluster of one machine, and with stand-ins for Slurm's programs. No Slurm has seen it."""

import os
import signal
import sys
from pathlib import Path

import pytest
from executor_contract import QUICK, Contract, gone, quick, reap, under_way
from stand_in_slurm import flags

from bench.errors import UserError
from sweeps import members
from sweeps.executors import build, slurm, start
from sweeps.launch import Launch


class TestSubmitit(Contract):
    """The contract, with submitit's own cluster of one machine."""

    def make(self, hosts=1):
        return build("slurm", {"cluster": "local", "hosts": str(hosts)})


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Puts stand-ins for Slurm's programs into PATH; yields the folder of their state."""
    folder, programs = tmp_path / "cluster", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    for name in ("sbatch", "srun", "squeue", "scancel"):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("stand_in_slurm.py")} {name} "$@"\n')
        path.chmod(0o755)
    monkeypatch.setenv("CLUSTER", str(folder))
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONPATH", start.source()["PYTHONPATH"])
    monkeypatch.setattr(slurm, "_ASK_SECONDS", 0.2)
    return folder


@pytest.mark.usefixtures("cluster")
class TestStandIn(Contract):
    """The contract, with jobs that are processes."""

    def make(self, hosts=1):
        return build("slurm", {"hosts": str(hosts)})


def submitted(cluster, tmp_path, options, hosts=1):
    """Returns executor, launch and batch script of a job that waits in a full cluster."""
    (cluster / "held").touch()
    executor = build("slurm", options)
    launch = Launch.new(quick(tmp_path / "work", 10_000, hosts=hosts))
    executor.launch(launch)
    return executor, launch, (cluster / "1.job").read_text()


def test_options_become_parameters_of_the_batch_script(cluster, tmp_path):
    options = {
        "hosts": "2",
        "partition": "gpu",
        "account": "vision",
        "qos": "low",
        "constraint": "a100",
        "time": "90",
        "gpus_per_node": "8",
        "cpus_per_task": "64",
        "mem": "400G",
        "signal_delay": "180",
        "setup": "module load cuda",
    }
    executor, launch, script = submitted(cluster, tmp_path, options, hosts=2)
    found = flags(script)
    assert {name: found[name] for name in ("partition", "account", "qos", "constraint", "mem")} == {
        "partition": "gpu",
        "account": "vision",
        "qos": "low",
        "constraint": "a100",
        "mem": "400G",
    }
    assert (found["time"], found["nodes"], found["ntasks-per-node"]) == ("90", "2", "1")
    assert (found["gpus-per-node"], found["cpus-per-task"]) == ("8", "64")
    assert found["signal"] == "USR2@180"
    assert "no-requeue" in found
    assert found["job-name"] == start.title(launch)
    assert "\nmodule load cuda\n" in script
    assert executor.describe()[:4] == ("slurm", 32, "gpu", 8)
    executor.kill(launch)
    gone(executor, launch)


def test_a_job_that_waits_is_alive_for_an_executor_that_knows_nothing_of_it(cluster, tmp_path):
    first, launch, _ = submitted(cluster, tmp_path, {})
    assert not members.begun(launch.folder)
    assert first.alive(launch)
    assert build("slurm", {}).alive(launch)
    # The coordinator died between sbatch and its note.
    (launch.folder / slurm.FILE).unlink()
    fresh = build("slurm", {})
    assert fresh.alive(launch)
    fresh.interrupt(launch)
    gone(fresh, launch)


def test_while_slurm_does_not_answer_nothing_is_given_up(cluster, tmp_path):
    _, launch, _ = submitted(cluster, tmp_path, {})
    squeue = tmp_path / "bin" / "squeue"
    whole = squeue.read_text()
    squeue.write_text("#!/bin/sh\nexit 1\n")
    fresh = build("slurm", {})
    assert fresh.alive(launch)
    squeue.write_text(whole)
    assert fresh.alive(launch)
    fresh.kill(launch)
    gone(fresh, launch)
    squeue.write_text("#!/bin/sh\nexit 1\n")
    assert not fresh.alive(launch)


def test_what_slurm_refuses_is_said(cluster, tmp_path):  # noqa: ARG001 - its programs are in PATH
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpux' >&2\nexit 1\n")
    executor = build("slurm", {"partition": "gpux"})
    with pytest.raises(UserError, match=r"^sbatch refused upstream-\w+\.0001: .*invalid partition specified: gpux"):
        executor.launch(Launch.new(quick(tmp_path / "work", 1)))


@pytest.mark.usefixtures("cluster")
def test_slurms_warning_makes_a_worker_checkpoint_and_leave(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "ENTRY", QUICK)
    executor, job = build("slurm", {}), quick(tmp_path / "work", 10_000)
    launch = Launch.new(job)
    executor.launch(launch)
    under_way(job)
    [pid] = members.pids(launch.folder)
    os.kill(pid, signal.SIGUSR2)
    gone(executor, launch)
    assert launch.outcome()["status"] == "preempted"
    reap(executor)
