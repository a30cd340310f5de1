"""Checkpoints: written while training goes on, committed by checksums, passed over when damaged, never in a run's way."""

import errno
import gc
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import disk
import jax
import numpy as np
import pytest
import saving as saving_script
import tiny

from bench.train import checkpoints as saving
from bench.train import manifest
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Preempted, Watch, fit


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        tiny.register(patch)
        yield tiny.programs()


def train(made, **options):
    start = made.start(made.init(np.uint32(0)))
    return fit(made, start, tiny.DATA, tiny.order(), tiny.hyper(), tiny.CLASSES, mixup=0.2, **options)


@pytest.fixture(scope="module")
def whole(made):
    made.pace.took(1e-3)  # known, so that the first dispatch is no shorter than the others
    return train(made)


def same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def steps(folder):
    return sorted(int(p.name) for p in folder.glob("checkpoints/*") if manifest.committed(p))


@pytest.fixture(scope="module")
def interrupted(made, whole, tmp_path_factory):  # noqa: ARG001 - whole first: it sets the pace
    """A run stopped after step 12, with checkpoints of steps 8 and 12."""
    run = tmp_path_factory.mktemp("interrupted")
    dispatches = iter(range(100))
    with pytest.raises(Preempted):
        train(made, checkpoints=Checkpoints(run, run / "attempts" / "1", 0), watch=Watch(stop=lambda: next(dispatches) == 2))
    assert steps(run / "attempts" / "1") == [8, 12]
    return run


@pytest.fixture
def run(interrupted, tmp_path):
    """A copy of that run, as whole as it was."""
    return Path(shutil.copytree(interrupted, tmp_path / "run"))


def newest(run):
    return run / "attempts" / "1" / "checkpoints" / "12"


def largest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def flip(path, at=-1):
    """Flips one bit in the middle of a file, or at a place."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at < 0 else at] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def half_written(folder):
    """As a process killed in the middle of writing leaves it: not renamed, not all there."""
    largest(folder).unlink()
    (folder / manifest.FILE).unlink()
    (folder / "state").rename(folder / "state.orbax-checkpoint-tmp")


DAMAGES = {
    "truncated": (lambda folder: truncate(largest(folder)), r"has [\d,]+ bytes instead of"),
    "flipped": (lambda folder: flip(largest(folder)), "is not what was written"),
    "file missing": (lambda folder: (folder / "notes.json").unlink(), "notes.json is missing"),
    "manifest missing": (lambda folder: (folder / manifest.FILE).unlink(), "it was not finished"),
    "manifest truncated": (lambda folder: truncate(truncated(folder / manifest.FILE)), "manifest.json is damaged"),
    "manifest empty": (lambda folder: (folder / manifest.FILE).write_text("{}"), "manifest.json is damaged"),
    "another's manifest": (
        lambda folder: shutil.copy(folder.parent / "8" / manifest.FILE, folder / manifest.FILE),
        "is that of version 1 of '8'",
    ),
    "half written": (half_written, "it was not finished"),
}


def truncated(path):
    truncate(path)
    return path


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_an_older_one_and_that_is_said(made, whole, run, caplog, damage):
    make, why = DAMAGES[damage]
    make(newest(run))
    done = []
    checkpoints = Checkpoints(run, run / "attempts" / "2", 1e9)
    resumed = train(made, checkpoints=checkpoints, watch=Watch(progress=lambda step, _: done.append(step)))
    assert done[0] == 8  # neither 12 nor 0
    assert checkpoints.restored_from == run / "attempts" / "1" / "checkpoints" / "8"
    [skipped] = checkpoints.skipped
    assert skipped.path == newest(run)
    assert re.search(why, skipped.why)
    assert resumed.skipped == [f"{newest(run)}: {skipped.why}"]
    assert f"checkpoint {newest(run)} is passed over for an older one: {skipped.why}" in caplog.text
    same_bits(resumed.state, whole.state)
    assert resumed.measurements == whole.measurements


def test_a_flipped_bit_is_found_in_any_file(run):
    files = [p for p in newest(run).rglob("*") if p.is_file()]
    assert len(files) > 5
    assert manifest.wrong(newest(run)) == ""
    for path in files:
        content = path.read_bytes()
        for at in {0, len(content) // 2, len(content) - 2} & set(range(len(content))):
            flip(path, at)
            assert manifest.wrong(newest(run)), f"{path} at {at}"
            path.write_bytes(content)
    assert manifest.wrong(newest(run)) == ""


def test_a_manifest_holds_size_and_sha256_of_every_file(run):
    files = json.loads((newest(run) / manifest.FILE).read_text())["files"]
    assert files == {
        str(path.relative_to(newest(run))): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in newest(run).rglob("*")
        if path.is_file() and path.name != manifest.FILE
    }


def test_where_none_is_whole_the_run_begins_again_and_says_so(made, whole, run, caplog):
    for step in ("8", "12"):
        flip(largest(newest(run).with_name(step)))
    resumed = train(made, checkpoints=Checkpoints(run, run / "attempts" / "2", 1e9))
    assert f"{run}: no checkpoint is whole; the run begins again at step 0" in caplog.text
    assert len(resumed.skipped) == 2
    assert resumed.attempts == 1
    same_bits(resumed.state, whole.state)


def test_what_was_passed_over_is_remembered_by_later_attempts(made, run):
    flip(largest(newest(run)))
    with pytest.raises(Preempted):
        train(made, checkpoints=Checkpoints(run, run / "attempts" / "2", 0), watch=Watch(stop=lambda: True))
    # Its own checkpoint is committed, so the damaged one is of no more use.
    assert not newest(run).exists()
    resumed = train(made, checkpoints=Checkpoints(run, run / "attempts" / "3", 1e9))
    assert len(resumed.skipped) == 1
    assert str(newest(run)) in resumed.skipped[0]
    assert resumed.attempts == 3


def test_the_newest_of_all_attempts_counts(made, run):
    target = run / "attempts" / "job.0002" / "checkpoints" / "12"
    target.parent.mkdir(parents=True)
    newest(run).rename(target)
    checkpoints = Checkpoints(run, run / "attempts" / "9", 1e9)
    train(made, checkpoints=checkpoints)
    assert checkpoints.restored_from == target


def test_the_newest_two_are_kept_and_older_ones_go_only_when_a_newer_one_is_committed(made, tmp_path, monkeypatch):
    seen, commit = [], manifest.commit

    def watched(folder):
        seen.append((steps(tmp_path / "attempts" / "1"), int(folder.name)))
        commit(folder)

    monkeypatch.setattr(manifest, "commit", watched)
    train(made, checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "1", 0))
    assert seen == [([], 4), ([4], 8), ([4, 8], 12), ([8, 12], 16), ([12, 16], 20), ([16, 20], 22)]
    assert sorted(p.name for p in (tmp_path / "attempts" / "1" / "checkpoints").iterdir()) == ["20", "22"]


def test_training_goes_on_while_a_checkpoint_is_written(made, whole, tmp_path, monkeypatch):
    done, commit, overtaken = [], manifest.commit, []

    def slow(folder):
        deadline = time.monotonic() + 20
        while done[-1] < 12 and time.monotonic() < deadline:
            time.sleep(0.01)
        overtaken.append((int(folder.name), done[-1]))
        commit(folder)

    monkeypatch.setattr(manifest, "commit", slow)
    checkpoints = Checkpoints(tmp_path, tmp_path / "attempts" / "1", 1e-3)
    found = train(made, checkpoints=checkpoints, watch=Watch(progress=lambda step, _: done.append(step)))
    assert overtaken[0][0] == 4
    assert overtaken[0][1] >= 12
    same_bits(found.state, whole.state)
    # What was copied is the state of its step, not what training has made of it since.
    state, notes = checkpoints.restore(made.start(made.init(np.uint32(0))))
    assert int(state.step) == int(checkpoints.restored_from.name)
    assert notes["attempts"] == 1
    resumed = train(made, checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "2", 1e9))
    same_bits(resumed.state, whole.state)


def test_only_monotonic_clocks_are_read(made, run, tmp_path, monkeypatch):
    now = [2e9]
    # Orbax reads the wall clock for what it logs; it must not mind either.
    monkeypatch.setattr(time, "time", lambda: now[0])
    checkpoints = Checkpoints(tmp_path, tmp_path / "attempts" / "1", 3600.0)
    for jump in (-1e9, 1e6, -3e8):
        now[0] += jump
        assert not checkpoints.due
    with pytest.raises(Preempted):
        train(
            made,
            checkpoints=Checkpoints(run, run / "attempts" / "2", 0),
            watch=Watch(stop=lambda: now.append(now.pop() - 1e5) or True),
        )
    assert steps(run / "attempts" / "2") == [16]
    for module in (saving, manifest):
        assert "time.time" not in Path(module.__file__).read_text()


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def quota(*_, **__):
    raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


FAILURES = {
    "no room": ("bench.train.checkpoints.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0), "are free"),
    "no answer": ("bench.train.checkpoints.shutil.disk_usage", full, "No space left"),
    "while it begins": ("orbax.checkpoint.AsyncCheckpointer.save", full, "No space left"),
    "while it is written": ("orbax.checkpoint.AsyncCheckpointer.wait_until_finished", quota, "quota exceeded"),
    "notes": ("bench.train.checkpoints.write_json", full, "No space left"),
    "checksums": ("bench.train.manifest.commit", full, "No space left"),
    "manifest": ("bench.train.manifest.write_json", quota, "quota exceeded"),
}


@pytest.mark.parametrize("where", FAILURES)
def test_a_full_disk_ends_no_run_and_destroys_no_checkpoint(made, whole, run, caplog, monkeypatch, where):
    target, failing, said = FAILURES[where]
    good = {step: manifest.wrong(newest(run).with_name(step)) for step in ("8", "12")}
    with monkeypatch.context() as patch:
        patch.setattr(target, failing)
        checkpoints = Checkpoints(run, run / "attempts" / "2", 0)
        found = train(made, checkpoints=checkpoints)
    assert found.status == "ok"
    same_bits(found.state, whole.state)
    assert good == {step: manifest.wrong(newest(run).with_name(step)) for step in ("8", "12")} == {"8": "", "12": ""}
    assert caplog.text.count("could not be written") == 3  # steps 16, 20 and 22: tried again each time
    assert said in caplog.text
    assert f"the last good one is {newest(run)}; the next one is tried when it is due" in caplog.text
    assert list((run / "attempts" / "2" / "checkpoints").iterdir()) == []  # no debris
    assert threading.active_count() < 50


def test_the_next_one_is_written_when_there_is_room_again(made, run, monkeypatch, caplog):
    commit, calls = manifest.commit, iter(range(100))
    monkeypatch.setattr(manifest, "commit", lambda folder: full() if next(calls) < 1 else commit(folder))
    train(made, checkpoints=Checkpoints(run, run / "attempts" / "2", 0))
    assert caplog.text.count("could not be written") == 1
    assert steps(run / "attempts" / "2") == [20, 22]


@pytest.fixture
def small_disk(tmp_path):
    with disk.small(tmp_path / "disk", "1m") as folder:
        yield folder


# Of threads that fail Orbax leaves behind coroutines that nobody waits for.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("looked", [True, False], ids=["looked", "not looked"])
def test_a_disk_that_fills_up_for_real_ends_no_run(made, whole, small_disk, caplog, monkeypatch, looked):
    if not looked:  # as where a quota, or another process that writes, is not seen beforehand
        monkeypatch.setattr(Checkpoints, "_fits", lambda *_: True)
    run, dispatches = small_disk / "run", iter(range(100))
    with pytest.raises(Preempted):
        train(made, checkpoints=Checkpoints(run, run / "attempts" / "1", 0), watch=Watch(stop=lambda: next(dispatches) == 1))
    assert steps(run / "attempts" / "1") == [4, 8]
    rest = shutil.disk_usage(small_disk).free
    filler = small_disk / "filler"
    filler.write_bytes(bytes(rest - 8192))
    checkpoints = Checkpoints(run, run / "attempts" / "2", 0)
    progress = lambda step, _: filler.unlink() if step == 20 else None  # noqa: E731
    found = train(made, checkpoints=checkpoints, watch=Watch(progress=progress))
    same_bits(found.state, whole.state)
    assert "could not be written" in caplog.text
    assert steps(run / "attempts" / "2")[-1] == 22
    assert all(manifest.wrong(p) == "" for p in run.glob("attempts/*/checkpoints/*"))
    caplog.clear()
    gc.collect()


# Several processes

PROCESSES = 2


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def launched(run, attempt, die):
    """Starts the processes of one attempt."""
    script, address = Path(__file__).with_name("two_checkpoints.py"), f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    arguments = [[str(x) for x in (script, address, PROCESSES, i, run, attempt, die)] for i in range(PROCESSES)]
    return [
        subprocess.Popen([sys.executable, *a], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for a in arguments
    ]


@pytest.mark.faults
def test_killed_and_with_its_newest_checkpoint_damaged_a_run_of_two_processes_goes_on_bit_for_bit(tmp_path):
    first, second = launched(tmp_path, "first", 16)
    said = second.communicate(timeout=300)[1]
    first.kill()
    said += first.communicate()[1]
    assert second.returncode == -signal.SIGKILL, said
    folder = tmp_path / "attempts" / "first" / "checkpoints"
    committed = steps(folder.parent)
    assert len(committed) == 2
    assert committed[1] < 16
    flip(largest(folder / str(committed[-1])))
    outputs = [(process.communicate(timeout=300), process.returncode) for process in launched(tmp_path, "second", 0)]
    assert [code for _, code in outputs] == [0, 0], outputs
    for (out, err), _ in outputs:
        found = json.loads(out.splitlines()[-1])
        assert found["began"] == committed[0]  # not at the one that is damaged, nor at 0
        assert len(found["skipped"]) == 1
        assert "is passed over for an older one" in err
        assert found["found"] == found["whole"]
        assert found["found"][1] > 10  # arrays that are split
        assert len(found["measurements"]) == 3


# Killed


def test_killed_in_the_middle_of_writing_a_run_has_a_whole_checkpoint_and_goes_on_bit_for_bit(made, tmp_path):
    folder = tmp_path / "attempts" / "first" / "checkpoints"

    def half_written():
        """Returns what is newer than the newest that is whole, which is what is being written."""
        committed = steps(folder.parent)
        return [p for p in folder.glob("*") if len(committed) > 1 and int(p.name) > committed[-1]]

    process = subprocess.Popen([sys.executable, Path(__file__).with_name("saving.py"), tmp_path])
    try:
        deadline = time.monotonic() + 300
        while not half_written():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait()
    committed, half = steps(folder.parent), half_written()
    assert len(committed) >= 2
    assert all(manifest.wrong(folder / str(step)) == "" for step in committed)
    checkpoints = Checkpoints(tmp_path, tmp_path / "attempts" / "second", 0)
    state, _ = checkpoints.restore(made.start(made.init(np.uint32(0))))
    assert int(state.step) == committed[-1]
    assert [s.path for s in checkpoints.skipped] == half
    # What an undisturbed run has at that step.
    done, goal = [], committed[-1]
    watch = Watch(progress=lambda step, _: done.append(step), stop=lambda: bool(done) and done[-1] >= goal)
    other = tmp_path / "other"
    with pytest.raises(Preempted):
        saving_script.train(made, other, "only", watch=watch)
    found = Checkpoints(other, other / "attempts" / "2", 0)
    expected, _ = found.restore(made.start(made.init(np.uint32(0))))
    assert int(expected.step) == goal
    same_bits(state, expected)
