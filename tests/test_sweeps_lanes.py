"""Groups of runs: formed once and kept to; a group killed and resumed ends in the same records, each committed by itself."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import made
import numpy as np
import pytest

from bench.errors import UserError
from bench.points import Execution
from bench.records.atomic import read_json
from bench.records.record import read_record
from bench.train import manifest
from bench.train.fit import Preempted
from sweeps import lanes, worker
from sweeps.job import Job, Settings
from sweeps.launch import Launch
from sweeps.layout import Workdir
from sweeps.named import find

UPSTREAM = find("smoke").upstream_points
TRANSFER = find("smoke").transfer_points


def job(tmp_path, configs=UPSTREAM, how="4", **settings):
    return Job(Workdir(tmp_path), tuple(configs), Settings(lanes=how, **settings))


def names(groups):
    return [[c.name for c in group] for group in groups]


def test_runs_of_one_program_and_as_many_steps_train_together(tmp_path):
    longer = [replace(c, epochs=30.0) for c in UPSTREAM[:2]]
    found = lanes.groups(job(tmp_path, (*UPSTREAM, *longer)), (*UPSTREAM, *longer))
    assert names(found) == names([UPSTREAM, longer])


def test_transfers_of_one_task_train_together_whatever_they_start_from(tmp_path):
    found = lanes.groups(job(tmp_path, TRANSFER), TRANSFER)
    assert sorted({c.task for c in g} for g in found) == [{"digits"}, {"lfw_faces"}]
    assert [len({c.upstream for c in g}) for g in found] == [4, 4]


def test_replicates_stand_beside_those_that_share_their_images(tmp_path):
    seeds = [replace(c, seed=s) for c in UPSTREAM for s in (0, 1)]
    assert [{c.seed for c in g} for g in lanes.groups(job(tmp_path, seeds), seeds)] == [{0}, {1}]


@pytest.mark.parametrize(
    ("how", "sizes"), [("1", [1, 1, 1, 1, 1, 1, 1]), ("2", [2, 2, 2, 1]), ("3", [3, 3, 1]), ("5", [5, 2]), ("8", [7])]
)
def test_a_number_of_lanes_is_the_most_of_a_group(tmp_path, how, sizes):
    seven = [replace(UPSTREAM[0], lr=0.001 * (i + 1)) for i in range(7)]
    assert [len(g) for g in lanes.groups(job(tmp_path, seven, how), seven)] == sizes


@pytest.mark.parametrize("settings", [{"hosts": 2}, {"execution": Execution(fsdp=True)}])
def test_runs_over_several_hosts_or_with_split_weights_train_alone(tmp_path, settings):
    assert [len(g) for g in lanes.groups(job(tmp_path, **settings), UPSTREAM)] == [1, 1, 1, 1]


def test_groups_stay_as_they_were_when_members_have_finished(tmp_path):
    first = lanes.groups(job(tmp_path), UPSTREAM)
    assert names(lanes.groups(job(tmp_path, how="1"), UPSTREAM[2:])) == names(first) == names([UPSTREAM])
    assert lanes.groups(job(tmp_path), []) == []


def test_a_run_that_was_not_among_those_grouped_trains_alone(tmp_path):
    lanes.groups(job(tmp_path), UPSTREAM[:3])
    assert names(lanes.groups(job(tmp_path), UPSTREAM)) == names([UPSTREAM[:3], UPSTREAM[3:]])


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5", ""])
def test_what_is_no_number_of_lanes_is_refused(wrong):
    with pytest.raises(UserError, match="--lanes is"):
        lanes.check(wrong)


def test_sizes_that_pay_are_used_best_first():
    assert [len(g) for g in lanes.cut(range(15), [4, 8, 2])] == [4, 4, 4, 2, 1]
    assert [len(g) for g in lanes.cut(range(3), [])] == [1, 1, 1]


class Probed:
    """Stands in for the probe: its findings are given, and so is the time of a step."""

    def __init__(self, monkeypatch, seconds, gains):
        from bench.train import gain, program

        self.asked = []
        monkeypatch.setattr(program, "programs", lambda static: static)
        monkeypatch.setattr(gain, "alone", lambda *_: (None, 1, seconds))
        monkeypatch.setattr(gain, "gain", lambda _, __, shared, counts: self.asked.append((shared, counts)) or gains)


def test_a_probe_decides_once_for_all_jobs_of_a_program(tmp_path, monkeypatch):
    probed = Probed(monkeypatch, 10.0, {2: 1.3, 4: 1.05})
    assert [len(g) for g in lanes.groups(job(tmp_path, how="auto"), UPSTREAM)] == [2, 2]
    other = [replace(c, lr=0.001) for c in UPSTREAM]
    assert [len(g) for g in lanes.groups(job(tmp_path, other, "auto"), other)] == [2, 2]
    assert probed.asked == [(True, [2, 4])]
    [finding] = (tmp_path / "lanes").glob("*.json")
    assert read_json(finding)["gains"] == {"2": 1.3, "4": 1.05}
    assert read_json(finding)["model"] == "ViT-mu"


def test_nothing_is_packed_below_a_tenth_of_gain(tmp_path, monkeypatch):
    Probed(monkeypatch, 10.0, {2: 1.09, 4: 0.9})
    assert [len(g) for g in lanes.groups(job(tmp_path, how="auto"), UPSTREAM)] == [1, 1, 1, 1]


def test_runs_too_short_to_repay_a_probe_are_not_probed(tmp_path, monkeypatch):
    # 4 runs of 101 steps: a tenth of gain saves 0.37 s, and two programs take 20 s to compile.
    probed = Probed(monkeypatch, 0.01, {2: 9.0, 4: 9.0})
    assert [len(g) for g in lanes.groups(job(tmp_path, how="auto"), UPSTREAM)] == [1, 1, 1, 1]
    assert probed.asked == []
    assert list((tmp_path / "lanes").glob("*.json")) == []


def test_of_several_processes_one_measures_and_the_others_wait(tmp_path):
    measured, found = [], []

    def measure():
        measured.append(1)
        time.sleep(0.3)
        return {"gains": {}}

    threads = [threading.Thread(target=lambda: found.append(lanes.once(tmp_path / "x.json", measure))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (measured, found) == ([1], [{"gains": {}}] * 3)


def test_who_waits_for_a_probe_can_be_stopped(tmp_path):
    lock = lanes.Lock.take(tmp_path / "x.lock", "")
    with pytest.raises(Preempted):
        lanes.once(tmp_path / "x.json", dict, lambda: True)
    lock.release()


@pytest.fixture
def signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def launched(job):
    job.write()
    return Launch.new(job)


@pytest.mark.usefixtures("signals")
def test_a_group_that_fails_is_parted_so_that_only_who_is_to_blame_fails(tmp_path, monkeypatch):
    seen = []

    def run(group, launch, _watch):
        seen.append([c.name for c in group])
        if UPSTREAM[1] in group:
            raise RuntimeError("no memory")
        for config in group:
            made.record(config).commit(launch.job.workdir.run(config).claim(launch.attempt))

    monkeypatch.setattr(worker, "_run", run)
    launch = launched(job(tmp_path))
    assert worker.work(launch) == "done"
    assert seen == names([UPSTREAM]) + [[c.name] for c in UPSTREAM]
    assert [launch.job.workdir.run(c).failed(launch.attempt) for c in UPSTREAM] == [False, True, False, False]
    again = lanes.groups(launch.job, UPSTREAM)
    assert [len(g) for g in again] == [1, 1, 1, 1]
    assert lanes.parted(launch.job, UPSTREAM) == "RuntimeError: no memory"
    assert launch.progress()["done"] == 4


@pytest.mark.usefixtures("signals")
def test_a_member_that_is_done_already_trains_along_and_is_not_counted_again(tmp_path, monkeypatch):
    first = launched(job(tmp_path))
    lanes.groups(first.job, UPSTREAM)
    workdir = first.job.workdir
    made.record(UPSTREAM[0]).commit(workdir.run(UPSTREAM[0]).claim(first.attempt))
    workdir.run(UPSTREAM[0]).accept(first.attempt)
    seen = []
    monkeypatch.setattr(worker, "_run", lambda group, *_: seen.append(group))
    second = launched(first.job)
    assert worker.work(second) == "done"
    assert seen == [UPSTREAM]
    assert second.progress()["done"] == 3


def start(launch):
    with launch.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "sweeps.worker", str(launch.folder)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            stdout=log,
            stderr=log,
        )


def finished(launch):
    assert start(launch).wait(300) == 0, launch.log.read_text()
    assert launch.outcome()["status"] == "done", launch.log.read_text()


def test_a_group_killed_and_resumed_gives_the_records_of_an_undisturbed_one(tmp_path):
    short = tuple(replace(c, epochs=3.0) for c in UPSTREAM[::3])
    whole = launched(job(tmp_path / "whole", short, checkpoint_seconds=1e9))
    finished(whole)
    torn = job(tmp_path / "torn", short, checkpoint_seconds=0.0)
    shutil.copytree(whole.job.workdir.cache, torn.workdir.cache)
    killed = launched(torn)
    process = start(killed)
    group = lanes.folder(torn, short)
    deadline = time.monotonic() + 200
    while not list(group.glob(f"attempts/*/checkpoints/*/{manifest.FILE}")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    killed.fence("killed")
    assert not list(torn.workdir.path.glob("runs/*/attempts/*/record.json"))
    resumed = launched(torn)
    finished(resumed)
    for config in short:
        one, other = (
            read_record(each.job.workdir.run(config).attempt(each.attempt) / "record.json") for each in (whole, resumed)
        )
        assert (one.cost.lanes, other.cost.lanes) == (2, 2)
        assert (one.cost.attempts, other.cost.attempts) == (1, 2)
        assert other.cost.attempt == resumed.attempt
        assert replace(one, cost=other.cost) == other
        a, b = (np.load(each.job.workdir.run(config).attempt(each.attempt) / "weights.npz") for each in (whole, resumed))
        with a, b:
            assert all(a[key].tobytes() == b[key].tobytes() for key in a.files)
    programs = [c["program"] for c in json.loads((whole.folder / "progress.json").read_text())["compiled"]]
    assert programs.count("train step, 2 lanes") == 1
    assert "train step" not in programs
    torn.clean()
    assert not list(group.glob("attempts/*/checkpoints"))
