"""Executors: what each must do, what can be told to them, and the processes that they start."""

import os
import signal
import subprocess
import sys

import pytest
from executor_contract import QUICK, Contract, gone, quick, reap, under_way, wait_for

from bench.errors import UserError
from sweeps import members
from sweeps.executors import EXECUTORS, build, facts, listing, read_options, slots, start
from sweeps.launch import Launch


class TestLocal(Contract):
    def make(self, hosts=1):
        return build("local", {"hosts": str(hosts)})


@pytest.fixture
def _quick(monkeypatch):
    monkeypatch.setattr(start, "ENTRY", QUICK)


# Options


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_declares_its_options(name):
    found = facts(name)
    assert found.about
    assert found.ran
    names = [option.name for option in found.options]
    assert len(set(names)) == len(names)
    assert names[:2] == ["workers", "hosts"]
    assert all(option.about for option in found.options)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("lokal", {}, "did you mean 'local'?"),
        ("local", {"worker": "2"}, "did you mean 'workers'?"),
        ("local", {"workers": "two"}, "must be a whole number"),
        ("local", {"workers": "-1"}, "must be a whole number, at least 0"),
        ("local", {"devices": "0,1;2"}, "must be masks such as 0,1|2,3"),
        ("local", {"devices": "4096"}, "may not use core 4096"),
        ("local", {"devices": "0|1", "device": "gpu", "workers": "3"}, "3 workers of 1 processes, but 2 masks"),
        ("local", {"device": "npu"}, "must be one of cpu, gpu, tpu"),
        ("slurm", {"cluster": "lsf"}, "valid: slurm, local"),
        ("slurm", {"partion": "gpu", "cluster": "local"}, "did you mean 'partition'?"),
        ("k8s", {}, "needs --option image=..."),
        ("ray", {"strategy": "strict"}, "valid: STRICT_SPREAD"),
        ("ray", {"cpus": "nan"}, "must be a number"),
    ],
)
def test_a_wrong_option_is_said_with_what_would_be_right(name, options, said):
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        build(name, options)
    assert said in str(error.value)


def test_slurm_without_sbatch_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="needs sbatch in PATH"):
        build("slurm", {})


@pytest.mark.parametrize(("name", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_executor_whose_package_is_missing_says_which_extra_brings_it(name, module, monkeypatch):
    monkeypatch.setattr(f"sweeps.executors.{name}.find_spec", lambda _: None)
    with pytest.raises(UserError, match=rf"pip install 'augreg-bench\[{facts(name).extra}\]'"):
        build(name, {})
    assert facts(name).module == module


# Devices


def test_masks_are_read():
    assert slots.masks("0,1|2,3") == [(0, 1), (2, 3)]
    assert slots.masks("5") == [(5,)]


def test_the_least_used_mask_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(slots.tempfile, "gettempdir", lambda: str(tmp_path))
    choices = [(0, 1), (2, 3), (4,)]
    assert [slots.take("gpu", choices) for _ in range(7)] == [(0, 1), (2, 3), (4,)] * 2 + [(0, 1)]
    assert slots.take("tpu", choices) == (0, 1)
    assert slots.take("gpu", [(1, 2), (9,)]) == (9,)  # a mask is as used as its most used device


@pytest.mark.parametrize(
    ("device", "mask", "expected"),
    [
        ("gpu", (1, 3), {"CUDA_VISIBLE_DEVICES": "1,3"}),
        ("tpu", (2,), {"TPU_VISIBLE_CHIPS": "2", "TPU_CHIPS_PER_PROCESS_BOUNDS": "1,1,1", "TPU_PROCESS_BOUNDS": "1,1,1"}),
        ("tpu", (2, 3), {"TPU_VISIBLE_CHIPS": "2,3", "TPU_CHIPS_PER_PROCESS_BOUNDS": "1,2,1", "TPU_PROCESS_BOUNDS": "1,1,1"}),
        (
            "tpu",
            (0, 1, 2, 3),
            {"TPU_VISIBLE_CHIPS": "0,1,2,3", "TPU_CHIPS_PER_PROCESS_BOUNDS": "2,2,1", "TPU_PROCESS_BOUNDS": "1,1,1"},
        ),
    ],
)
def test_a_mask_hides_the_other_devices(device, mask, expected, monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    slots.confine(device, mask)
    assert os.environ == expected


@pytest.mark.skipif(len(slots.cores()) < 2, reason="needs two cores")
@pytest.mark.usefixtures("_quick")
def test_workers_have_cores_of_their_own(tmp_path):
    executor = build("local", {"workers": "2"})
    launches = [Launch.new(quick(tmp_path / str(i), 10_000)) for i in range(2)]
    for launch in launches:
        executor.launch(launch)
        under_way(launch.job)
    said = [launch.log.read_text().partition(" on ")[2].strip() for launch in launches]
    assert len(set(said)) == 2
    assert all(len(cores_of(cores)) == 1 for cores in said)
    for launch in launches:
        executor.kill(launch)
        gone(executor, launch)
    reap(executor)


def cores_of(text):
    return [int(core) for core in text.strip("[]").split(",")]


@pytest.mark.usefixtures("_quick")
def test_a_mask_of_cores_is_kept(tmp_path):
    core = slots.cores()[-1]
    executor = build("local", {"devices": str(core), "device": "cpu"})
    assert executor.capacity() == 1
    launch = Launch.new(quick(tmp_path, 2))
    executor.launch(launch)
    gone(executor, launch)
    reap(executor)
    assert f"on [{core}]" in launch.log.read_text()


@pytest.mark.parametrize(("platforms", "kind"), [("cpu", "cpu"), ("cuda,cpu", "gpu"), ("rocm", "gpu"), ("tpu", "tpu")])
def test_the_kind_of_device_follows_what_jax_is_told(platforms, kind, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    assert slots.kind() == kind


def test_an_accelerator_is_one_worker_unless_masked(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    assert build("local", {}).describe()[:4] == ("local", 1, "tpu", 0)
    assert build("local", {"devices": "0,1|2,3"}).describe()[:4] == ("local", 2, "tpu", 2)
    assert build("local", {"devices": "0,1|2,3", "hosts": "2"}).capacity() == 1


# The processes of a launch


def test_an_address_is_waited_for(tmp_path):
    with pytest.raises(UserError, match="did not start within 0 s"):
        members.address(tmp_path, 0)
    members.announce(tmp_path, "10.0.0.7:4711")
    assert members.address(tmp_path, 0) == "10.0.0.7:4711"


@pytest.mark.usefixtures("_quick")
def test_a_member_whose_parent_is_gone_checkpoints_and_leaves(tmp_path):
    job = quick(tmp_path, 10_000)
    launch = Launch.new(job)
    code = (
        "import subprocess, sys, os, time\n"
        "child = subprocess.Popen([sys.executable, *sys.argv[1:], '--parent', str(os.getpid())])\n"
        "time.sleep(3600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, *QUICK, launch.folder], env=start.source())
    under_way(job)
    parent.kill()
    parent.wait()
    wait_for(lambda: not members.alive(launch.folder), 10)
    assert launch.outcome()["status"] == "preempted"


@pytest.mark.usefixtures("_quick")
def test_the_others_say_why_they_went(tmp_path):
    executor, job = build("local", {"hosts": "2"}), quick(tmp_path, 10_000, hosts=2)
    launch = Launch.new(job)
    executor.launch(launch)
    under_way(job)
    os.kill(members.pids(launch.folder)[1], signal.SIGKILL)
    gone(executor, launch, 10)
    reap(executor)
    assert "another process of this launch has died" in launch.log.read_text()


# The command line


def test_options_are_read():
    assert read_options(["devices=0,1|2,3", "setup=a=b"]) == {"devices": "0,1|2,3", "setup": "a=b"}
    with pytest.raises(UserError, match="--option 'workers' must be KEY=VALUE"):
        read_options(["workers"])
    with pytest.raises(UserError, match="--option workers is given twice: '1' and '2'"):
        read_options(["workers=1", "workers=2"])


def test_executors_are_listed_with_what_they_need_and_where_they_never_ran(monkeypatch):
    monkeypatch.setattr(listing.shutil, "which", lambda _: None)
    monkeypatch.setattr(listing, "find_spec", lambda _: None)
    lines = list(listing.list_lines())
    assert [line.split()[0] for line in lines[::2]] == list(EXECUTORS)
    assert lines[0].endswith("ready here")
    assert lines[2].endswith("needs pip install 'augreg-bench[ray]'")
    assert lines[4].endswith("needs pip install 'augreg-bench[slurm]' and sbatch in PATH")
    assert lines[6].endswith("needs kubectl in PATH")
    assert all("never" in line for line in lines[1::2])


def test_one_executor_is_shown_with_its_options():
    lines = list(listing.detail_lines("ray"))
    assert [line.split()[0] for line in lines[4:]] == [option.name for option in facts("ray").options]
    with pytest.raises(UserError, match="did you mean 'slurm'"):
        list(listing.detail_lines("slurn"))
