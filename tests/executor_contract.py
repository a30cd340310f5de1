"""What every executor must do, as tests that a class of tests for one executor inherits; see docs/how-to/add-an-executor.md."""

import json
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

import pytest
from made import SWEEP
from quick_member import checkpoint

from sweeps import members
from sweeps.executors import Capabilities, start
from sweeps.job import Job, Settings
from sweeps.launch import DONE, PREEMPTED, Launch
from sweeps.layout import Workdir

QUICK = (str(Path(__file__).with_name("quick_member.py")),)


def wait_for(condition, seconds=30.0):
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def quick(workdir, steps, seconds=0.05, hosts=1, configs=SWEEP.points[:1], **plan):
    """Returns a job whose worker only counts."""
    job = Job(Workdir(workdir), tuple(configs), Settings(hosts=hosts))
    job.write()
    (job.folder / "quick.json").write_text(json.dumps({"steps": steps, "seconds": seconds, **plan}))
    return job


def under_way(job):
    """Waits until a job has a checkpoint."""
    wait_for(lambda: checkpoint(job.folder) > 0)


def gone(executor, launch, seconds=30.0):
    """Waits until a launch is over."""
    wait_for(lambda: not executor.alive(launch), seconds)


def reap(executor):
    """Waits for the processes that an executor has started itself, as a coordinator that goes on does by and by."""
    wait_for(lambda: executor.wait(0.05) or not (getattr(executor, "_children", None) or getattr(executor, "_jobs", None)))


class Contract(ABC):
    """Tests of an executor; a class that inherits them says how one is made.

    `make()` returns an executor that remembers nothing, for jobs of so many processes.
    """

    @abstractmethod
    def make(self, hosts=1):
        """Returns an executor."""

    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch):
        monkeypatch.setattr(start, "ENTRY", QUICK)
        made, make = [], self.make
        monkeypatch.setattr(self, "make", lambda **options: made.append(make(**options)) or made[-1])
        yield
        for executor in made:
            reap(executor)

    def test_it_says_what_it_can_do(self):
        made = self.make()
        found = made.describe()
        assert isinstance(found, Capabilities)
        assert found.slots == made.capacity() >= 1
        assert (found.device, found.hosts) == ("cpu", 1)

    def test_a_launch_lives_from_the_moment_it_was_made_to_its_end(self, tmp_path):
        executor, job = self.make(), quick(tmp_path, 5)
        launch = Launch.new(job)
        executor.launch(launch)
        assert executor.alive(launch)
        gone(executor, launch)
        assert launch.outcome() == {"status": DONE, "error": ""}
        assert checkpoint(job.folder) == 5
        assert not executor.alive(Launch.new(job))

    def test_interrupted_it_checkpoints_and_the_next_launch_goes_on(self, tmp_path):
        executor, job = self.make(), quick(tmp_path, 10_000)
        launch = Launch.new(job)
        executor.launch(launch)
        under_way(job)
        executor.interrupt(launch)
        gone(executor, launch)
        assert launch.outcome()["status"] == PREEMPTED
        reached = checkpoint(job.folder)
        quick(tmp_path, reached + 2)
        again = Launch.new(job)
        executor.launch(again)
        gone(executor, again)
        assert again.outcome()["status"] == DONE
        assert again.progress()["step"] == reached + 2
        assert again.progress()["beat"] == 2

    def test_killed_it_says_nothing(self, tmp_path):
        executor, job = self.make(), quick(tmp_path, 10_000)
        launch = Launch.new(job)
        executor.launch(launch)
        under_way(job)
        executor.kill(launch)
        gone(executor, launch)
        assert launch.outcome() is None

    def test_another_executor_adopts_it(self, tmp_path):
        job = quick(tmp_path, 10_000)
        launch, first = Launch.new(job), self.make()
        first.launch(launch)
        under_way(job)
        fresh = self.make()
        adopted = Launch.read(launch.folder)
        assert fresh.alive(adopted)
        fresh.interrupt(adopted)
        gone(fresh, adopted)
        assert launch.outcome()["status"] == PREEMPTED
        gone(first, launch)

    def test_another_executor_kills_it(self, tmp_path):
        job = quick(tmp_path, 10_000)
        launch, first = Launch.new(job), self.make()
        first.launch(launch)
        under_way(job)
        fresh = self.make()
        fresh.kill(Launch.read(launch.folder))
        gone(fresh, launch)
        assert launch.outcome() is None
        gone(first, launch)

    def test_waiting_ends(self, tmp_path):
        executor = self.make()
        started = time.monotonic()
        executor.wait(0.2)
        launch = Launch.new(quick(tmp_path, 4))
        executor.launch(launch)
        executor.wait(0.2)
        assert time.monotonic() - started < 30
        gone(executor, launch)

    def test_its_processes_live_and_die_together(self, tmp_path):
        executor, job = self.make(hosts=2), quick(tmp_path, 10_000, hosts=2)
        assert executor.describe().hosts == 2
        launch = Launch.new(job)
        executor.launch(launch)
        wait_for(lambda: len(members.pids(launch.folder)) == 2)
        under_way(job)
        os.kill(members.pids(launch.folder)[1], signal.SIGKILL)
        gone(executor, launch, 10)
        assert members.pids(launch.folder) == []
        assert launch.outcome() is None
        again = Launch.new(quick(tmp_path, checkpoint(job.folder) + 3, hosts=2))
        executor.launch(again)
        gone(executor, again)
        assert again.outcome()["status"] == DONE
        assert "member 1 of 2" in members.log_of(again.folder, 1).read_text()

    def test_a_launch_is_done_once(self, tmp_path):
        executor, job = self.make(), quick(tmp_path, 3)
        launch = Launch.new(job)
        executor.launch(launch)
        gone(executor, launch)
        before = launch.progress()
        again = subprocess.run([sys.executable, *QUICK, launch.folder], env=start.source(), check=False)
        assert again.returncode == 3
        assert launch.progress() == before
