"""The coordinator when things go wrong: lost, failed and stopped workers, other coordinators, full disks."""

import errno
import json
import os
import platform
import re
import signal
import time

import pytest
from coordination import Fake, Slow, complete, coordinate, lost, points, report
from made import SWEEP, WHOLE, accept, commit, end, python, record

from bench.errors import UserError
from bench.records.atomic import write_json
from sweeps.clock import Clock
from sweeps.grouping import jobs_of
from sweeps.launch import Launch
from sweeps.layout import Run, Workdir
from sweeps.limits import Limits
from sweeps.run import Coordinator
from sweeps.space import Sweep


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path / "work")


def whole_jobs(workdir):
    return jobs_of(SWEEP.points, workdir, largest=WHOLE)


def test_a_lost_worker_is_started_again_with_the_same_job(workdir):
    def die_at_first(launch):
        if launch.number == 1:
            commit(workdir, launch.job.configs[0], launch.attempt)
        else:
            complete(launch)

    executor = Fake(die_at_first)
    assert coordinate(workdir, executor).complete
    assert len(executor.launched) == 8
    assert len(set(executor.launched)) == 4


def test_a_job_that_loses_its_worker_without_end_is_given_up_naming_its_log(workdir):
    bad = whole_jobs(workdir)[0]
    executor = Fake(lambda launch: lost(launch) if launch.job == bad else complete(launch))
    with pytest.raises(UserError) as caught:
        coordinate(workdir, executor)
    log = workdir.path / "jobs" / bad.id / "0021" / "worker.log"
    assert str(caught.value) == (
        f"{bad.configs[0].name} failed: its worker was lost 21 times without getting further; its log is {log}; 3 more failed;"
        f" 8 wait for runs that failed. `augreg why {workdir.path} RUN` tells more, `augreg retry {workdir.path}` has them"
        " tried again"
    )
    assert executor.launched.count(bad) == 21
    # The other model's 4 upstream runs and 8 transfers are done, and only they.
    assert {r.config.name for r in workdir.records()} == {p.name for p in SWEEP.points if "NFNet" in p.name}


def test_a_worker_that_gets_further_every_time_is_not_given_up(workdir):
    """A run longer than what a preemptible machine lives must end all the same."""
    slow = whole_jobs(workdir)[0]

    def preempted(launch):
        if launch.job != slow or launch.number > 50:
            return complete(launch)
        report(launch, step=100 * launch.number)
        return launch.finish("preempted")

    executor = Fake(preempted)
    assert coordinate(workdir, executor).complete
    assert executor.launched.count(slow) == 51


def test_a_worker_that_dies_at_the_same_step_every_time_is_given_up(workdir):
    executor = Fake(lambda launch: report(launch, step=99 + launch.number % 2), capacity=1)
    with pytest.raises(UserError, match=r"lost 21 times without getting further; .*worker\.log; 7 more failed; 16 wait"):
        coordinate(workdir, executor)
    assert executor.launched.count(executor.launched[0]) == 21


def test_a_failed_launch_stops_no_other_job_and_is_reported(workdir):
    bad = whole_jobs(workdir)[1]
    executor = Fake(lambda launch: launch.finish("failed", "ValueError: no") if launch.job == bad else complete(launch))
    with pytest.raises(UserError, match=rf"^\S+ failed: ValueError: no \(its log is .*/{bad.id}/0001/worker.log\); 3 more"):
        coordinate(workdir, executor)
    assert executor.launched.count(bad) == 1
    assert {r.config.name for r in workdir.records()} == {p.name for p in SWEEP.points if "ViT" in p.name}
    # The next coordinator gives it another chance: the cause may be gone.
    assert coordinate(workdir, Fake()).complete


def fail(launch, victim, *, final=False):
    """Does what a worker does when one run of its job raises."""
    for config in launch.job.configs:
        if workdir_of(launch).run(config).record() is None:
            if config == victim:
                workdir_of(launch).run(config).claim(launch.attempt)
                workdir_of(launch).run(config).fail(launch.attempt, "ValueError: no such thing", "line\n", final=final)
            else:
                commit(workdir_of(launch), config, launch.attempt)
    launch.finish("done")


def workdir_of(launch):
    return launch.job.workdir


def test_a_run_that_fails_is_tried_as_often_as_the_limit_says_and_stops_no_other(workdir):
    victim = SWEEP.upstream_points[2]
    executor = Fake(lambda launch: fail(launch, victim))
    shown = []
    with pytest.raises(UserError, match=rf"^{victim.name} failed: ValueError: no such thing; 2 wait for runs that failed\."):
        Coordinator(SWEEP, workdir, executor, limits=Limits(failures=3)).run(shown.append)
    assert sum(victim in launch.job.configs for launch in executor.launches) == 3
    assert shown[-1].named["failed"] == [victim.name]
    assert shown[-1].done == {"upstream": 7, "probe": 0, "transfer": 14}
    # It stays failed until somebody says otherwise: its failures are on record.
    again = Fake()
    with pytest.raises(UserError, match="failed: ValueError: no such thing"):
        coordinate(workdir, again)
    assert again.launched == []
    assert workdir.run(victim).forgive() == 3
    assert coordinate(workdir, again).complete
    assert {c.name for j in again.launched for c in j.configs if workdir.run(c).record().cost.attempt.endswith("0004")} == {
        victim.name
    }


def test_what_only_a_user_can_set_right_is_not_tried_again(workdir):
    victim = SWEEP.upstream_points[2]
    executor = Fake(lambda launch: fail(launch, victim, final=True))
    with pytest.raises(UserError, match="failed: ValueError: no such thing"):
        coordinate(workdir, executor)
    assert sum(victim in launch.job.configs for launch in executor.launches) == 1


def test_a_failed_attempt_leaves_room_for_preemptions_and_the_other_way_round(workdir):
    """The budgets are separate: 19 losses and one failure end nothing."""
    victim = SWEEP.upstream_points[0]

    def unlucky(launch):
        if victim not in launch.job.configs or launch.number > 20:
            complete(launch)
        elif launch.number == 10:
            fail(launch, victim)

    assert coordinate(workdir, Fake(unlucky)).complete


WORKER = """
    import shutil, sys, time
    from pathlib import Path
    from sweeps.launch import Launch
    from sweeps.lock import Lock

    launch = Launch.read(Path(sys.argv[1]))
    lock = Lock.take(launch.lock, "another machine")
    print("working", flush=True)
    sys.stdin.readline()
    for config in launch.job.configs:
        folder = launch.job.workdir.run(config).claim(launch.attempt)
        shutil.copy(Path(sys.argv[2]) / config.name, folder / ".half")
        (folder / ".half").rename(folder / "record.json")
    launch.finish("done")
"""


def made_records(job, folder):
    for config in job.configs:
        record(config).commit(folder / "x")
        (folder / "x" / "record.json").rename(folder / config.name)
    return folder


def test_a_live_worker_of_a_dead_coordinator_is_adopted(workdir, tmp_path):
    job = whole_jobs(workdir)[0]
    job.write()
    launch = Launch.new(job)
    worker = python(WORKER, launch.folder, made_records(job, tmp_path / "made"))
    executor, shown = Fake(), []

    def show(_):
        shown.append(None)
        if len(shown) == 3:
            worker.stdin.write("\n")
            worker.stdin.flush()

    coordinator = Coordinator(SWEEP, workdir, executor)
    coordinator.run(show)
    end(worker)
    assert coordinator.status().complete
    assert len(shown) > 3
    assert job not in executor.launched
    assert len(executor.launched) == 3
    assert points("two-models", workdir)[job.configs[0].name] == "COMPLETE"
    assert len(list(workdir.run(job.configs[0]).folder.glob("attempts/*"))) == 1


def test_a_stopped_worker_is_given_up_and_what_it_commits_when_it_wakes_up_is_never_accepted(workdir, tmp_path):
    """A zombie: SIGSTOP, another attempt in its place, SIGCONT, and then it commits everything."""
    job = whole_jobs(workdir)[0]
    zombies = []

    class Stopping(Fake):
        def launch(self, launch):
            if launch.job == job and launch.number == 1:
                self.launches.append(launch)
                zombies.append(python(WORKER, launch.folder, made_records(job, tmp_path / "made")))
                zombies[0].send_signal(signal.SIGSTOP)
            else:
                super().launch(launch)

    class Quick(Clock):
        """A coordinator's minute is a millisecond."""

        def now(self):
            return super().now() * 60_000

    executor = Stopping(capacity=1)
    coordinator = Coordinator(SWEEP, workdir, executor, limits=Limits(silence=3000), clock=Quick())
    coordinator.run(lambda _: None)
    assert coordinator.status().complete
    first = executor.launches[0]
    assert executor.killed == [first]
    assert first.fenced
    assert first.why_fenced() == "no sign of life for 3000 s"
    [zombie] = zombies
    zombie.send_signal(signal.SIGCONT)
    zombie.stdin.write("\n")
    end(zombie)
    stale = workdir.run(job.configs[0]).attempt(first.attempt) / "record.json"
    assert stale.exists()
    for config in job.configs:
        assert workdir.run(config).record().cost.attempt == f"{job.id}.0002"
    # Nor by a later coordinator that finds no record of its own.
    (workdir.run(job.configs[0]).folder / "record.json").unlink()
    assert coordinate(workdir, Fake()).complete
    assert workdir.run(job.configs[0]).record().cost.attempt != first.attempt


def test_a_worker_that_gives_signs_of_life_is_not_given_up_however_long_it_takes(workdir):
    class Quick(Clock):
        def now(self):
            return super().now() * 60_000

    executor, shown = Slow(capacity=4), []

    def show(_):
        shown.append(None)
        for launch in executor.launches:
            if launch.outcome() is None:
                report(launch, beat=len(shown))
        if len(shown) > 30:
            executor.advance()
        time.sleep(0.005)

    Coordinator(SWEEP, workdir, executor, limits=Limits(silence=3000), clock=Quick()).run(show)
    assert len(shown) > 30
    assert not any(launch.fenced for launch in executor.launches)


def test_a_second_coordinator_is_refused_and_told_who_has_the_folder(workdir):
    first = Coordinator(SWEEP, workdir, Fake())
    me = f"process {os.getpid()} on {platform.node()}"
    with pytest.raises(
        UserError, match=f"^{re.escape(str(workdir.path))} is in use by {re.escape(me)}: wait for it, or stop it"
    ):
        Coordinator(SWEEP, workdir, Fake())
    first.close()
    Coordinator(SWEEP, workdir, Fake()).close()


def test_a_folder_of_another_sweep_is_refused_and_stays_free(workdir):
    Coordinator(SWEEP, workdir, Fake()).close()
    other = Sweep("other", "", SWEEP.upstream)
    for _ in range(2):  # the refused one lets go of the folder
        with pytest.raises(UserError, match=r"holds the sweep 'two-models', not 'other': choose another --workdir"):
            Coordinator(other, workdir, Fake())
    assert coordinate(workdir, Fake()).complete


def test_a_record_of_another_config_under_the_same_name_is_refused(workdir):
    accept(workdir, SWEEP.points[0])
    path = workdir.run(SWEEP.points[0]).folder / "record.json"
    value = json.loads(path.read_text())
    write_json(path, {**value, "digest": "0" * 16})
    with pytest.raises(UserError, match=f"{re.escape(str(path))}: .* was made under digest 0{{16}}, but this code gives"):
        Coordinator(SWEEP, workdir, Fake())


def test_a_run_begun_under_another_config_of_the_same_name_is_refused(workdir):
    config = SWEEP.points[0]
    write_json(workdir.run(config).folder / "config.json", {"digest": "0" * 16, "config": {}})

    def work(launch):
        try:
            complete(launch)
        except UserError as error:
            launch.finish("failed", str(error))

    with pytest.raises(UserError, match=r"config\.json: this name belongs to digest 0{16}, but the config now has digest"):
        coordinate(workdir, Fake(work))
    assert workdir.run(config).record() is None


def test_ctrl_c_asks_every_worker_to_leave_and_frees_the_folder(workdir):
    asked = []

    class Interrupted(Slow):
        def interrupt(self, launch):
            asked.append(launch)
            self.locks[launch.attempt].release()

    def show(_):
        raise KeyboardInterrupt

    executor = Interrupted(capacity=1)
    with pytest.raises(KeyboardInterrupt):
        Coordinator(SWEEP, workdir, executor).run(show)
    assert asked == executor.launches
    assert len(asked) == 1
    assert points("two-models", workdir) == {c.name: "RUNNING" for c in asked[0].job.configs}
    assert coordinate(workdir, Fake()).complete


def test_a_full_disk_holds_the_sweep_up_and_ends_nothing(workdir, monkeypatch):
    """Neither a launch nor a record that finds no room is lost: both are tried again when there is some."""
    full, notes = [], []

    def crowded(method):
        def call(*arguments):
            if len(full) < 3:
                full.append(method.__name__)
                raise OSError(errno.ENOSPC, "No space left on device")
            return method(*arguments)

        return call

    monkeypatch.setattr(Launch, "new", crowded(Launch.new))
    executor = Fake()
    coordinator = Coordinator(SWEEP, workdir, executor)
    coordinator.run(lambda status: notes.append(status.note))
    assert coordinator.status().complete
    assert "the disk is full: waiting for space" in notes
    assert notes[-1] == ""
    assert sorted(executor.runs) == sorted(p.name for p in SWEEP.points)


def test_a_record_that_finds_no_room_is_accepted_later(workdir, monkeypatch):
    accepting, calls = Run.accept, []

    def crowded(run, attempt):
        calls.append(run.config.name)
        if len(calls) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return accepting(run, attempt)

    monkeypatch.setattr(Run, "accept", crowded)
    executor = Fake()
    assert coordinate(workdir, executor).complete
    assert sorted(executor.runs) == sorted(p.name for p in SWEEP.points)  # nothing was trained twice
