"""Many faults in one sweep that really trains: whatever is killed, stopped or full, every run ends in one accepted record."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import optuna
import pytest
from postgresql import Server
from processes import (
    assert_same_results,
    attempts,
    finish,
    kill,
    start,
    stop_everything,
    wait_for,
    workers,
)

from bench.records.atomic import read_json
from sweeps.launch import Launch
from sweeps.layout import Workdir
from sweeps.named import find
from sweeps.storage import storage_of

pytestmark = pytest.mark.faults

SWEEP = "smoke"
OFTEN = ("--checkpoint-seconds", "0")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "work"
    finish(SWEEP, folder, timeout=900)
    return folder


def assert_whole(workdir, undisturbed, extra):
    """Every point has one accepted record, results are those of an undisturbed run, no more was repeated than must be."""
    names = {p.name for p in find(SWEEP).points}
    records = list(Workdir(workdir).records())
    assert {r.config.name for r in records} == names
    assert len(records) == len(names) == 12
    for record in records:
        job, number = record.cost.attempt.rsplit(".", 1)
        assert not (workdir / "jobs" / job / number / "fenced").exists()
    made = attempts(workdir)
    assert sum(made.values()) - len(names) <= extra, made
    assert_same_results(undisturbed, workdir)


def test_twenty_kills_of_workers_and_coordinators(undisturbed, tmp_path):
    workdir, kills, hits = tmp_path / "work", 0, {"worker": 0, "coordinator": 0}
    chance = random.Random(int.from_bytes(os.urandom(4), "little"))
    process = start(SWEEP, workdir, *OFTEN)
    while kills < 20:
        time.sleep(chance.uniform(0.5, 12))
        if process.poll() is not None:
            assert process.returncode == 0
            break
        victims = workers(workdir)
        if victims and chance.random() < 0.6:
            kill(chance.choice(victims))
            hits["worker"] += 1
        else:
            kill(process.pid)
            process.wait()
            hits["coordinator"] += 1
            process = start(SWEEP, workdir, *OFTEN)
        kills += 1
    print("killed", hits, "before the sweep was done:", process.poll() is None)
    if process.poll() is None:
        assert process.wait(900) == 0
    assert kills >= 8
    assert_whole(workdir, undisturbed, extra=hits["worker"])


def free(workdir, zombies):
    return set(workers(workdir)) - set(zombies)


def test_zombies_that_nobody_can_kill_disturb_nothing(undisturbed, tmp_path):
    workdir, zombies = tmp_path / "work", []
    process = start(SWEEP, workdir, *OFTEN, "--silence", "12")
    while len(zombies) < 2:
        wait_for(lambda known=tuple(zombies): free(workdir, known), 120)
        time.sleep(6)
        for lock in workdir.glob("jobs/*/*/lock"):
            pids = [int(word) for word in lock.read_text().split()[:1]]
            if pids and pids[0] in workers(workdir) and pids[0] not in zombies:
                os.kill(pids[0], signal.SIGSTOP)
                lock.write_text("")  # nobody knows any more whom to kill
                zombies += pids
                wait_for(lambda folder=lock.parent: (folder / "fenced").exists(), 120)
    for pid in zombies:
        os.kill(pid, signal.SIGCONT)
    assert process.wait(900) == 0
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in zombies), 60)
    assert_whole(workdir, undisturbed, extra=len(zombies))
    assert sum(1 for _ in workdir.glob("jobs/*/*/fenced")) == len(zombies)


def test_a_database_that_is_down_for_a_minute(undisturbed, tmp_path):
    workdir, server = tmp_path / "work", Server()
    try:
        process = start(SWEEP, workdir, *OFTEN, "--storage", server.address)
        wait_for(lambda: list(workdir.glob("runs/*/record.json")), 300)
        server.stop()
        time.sleep(60)
        server.start()
        assert process.wait(900) == 0
        finish(SWEEP, workdir, "--storage", server.address, timeout=120)  # writes what the first one may not have been able to
        for name, runs in ((SWEEP, 4), (f"{SWEEP}-transfer", 8)):
            storage = storage_of(server.address)
            trials = optuna.load_study(study_name=name, storage=storage).get_trials()
            storage.engine.dispose()
            assert [t.state.name for t in trials] == ["COMPLETE"] * runs
    finally:
        server.close()
    log = (tmp_path / "work.log").read_text()
    assert "the study's database does not answer" in log
    assert_whole(workdir, undisturbed, extra=0)


def test_a_disk_that_is_full_for_a_while(undisturbed, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a file system of its own cannot be mounted here: {mounted.stderr.decode().strip()}")
    workdir, filler = disk / "work", disk / "filler"
    try:
        process = start(SWEEP, workdir, *OFTEN)
        for _ in range(2):
            wait_for(lambda: workers(workdir), 300)
            time.sleep(5)
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(2**16))
                except OSError:
                    pass
            time.sleep(15)
            filler.unlink()
            if process.poll() is not None:
                break
        assert process.wait(900) == 0
        assert_whole(workdir, undisturbed, extra=0)
    finally:
        if process.poll() is None:
            stop_everything(process, workdir)
        subprocess.run(["umount", disk], check=True)


def test_of_two_coordinators_at_once_one_is_refused(undisturbed, tmp_path):
    workdir = tmp_path / "work"
    both = [start(SWEEP, workdir), start(SWEEP, workdir)]
    wait_for(lambda: any(p.poll() is not None for p in both), 120)
    [loser] = [p for p in both if p.poll() is not None]
    [winner] = [p for p in both if p is not loser]
    assert loser.returncode == 2
    log = (tmp_path / "work.log").read_text()
    assert f"{workdir} is in use by process {winner.pid} on " in log
    assert winner.wait(900) == 0
    assert_whole(workdir, undisturbed, extra=0)


def test_sigterm_checkpoints_and_leaves_within_twenty_seconds(undisturbed, tmp_path):
    workdir = tmp_path / "work"
    process = start(SWEEP, workdir, "--checkpoint-seconds", "1000")
    wait_for(lambda: any(r.get("step") for r in reports(workdir)), 300)
    [victim] = workers(workdir)
    began = time.monotonic()
    os.kill(victim, signal.SIGTERM)
    wait_for(lambda: victim not in workers(workdir), 20)
    print(f"left within {time.monotonic() - began:.1f} s")
    folder = sorted(workdir.glob("jobs/*/0001"))[0]
    assert Launch.read(folder).outcome() == {"status": "preempted", "error": ""}
    assert process.wait(900) == 0
    assert_whole(workdir, undisturbed, extra=1)


def reports(workdir):
    return [read_json(p) for p in workdir.glob("jobs/*/*/progress.json")]
