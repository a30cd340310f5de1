"""The coordinator, with an executor whose workers commit records made by hand."""

import json
import os
import platform
import re

import optuna
import pytest
from made import SWEEP, WHOLE, commit, end, largest, python, record

from bench.errors import UserError
from bench.points import Transfer
from bench.records.atomic import write_json
from sweeps import run
from sweeps.job import Job, finish
from sweeps.layout import Workdir
from sweeps.lock import Lock
from sweeps.run import Coordinator, jobs_of
from sweeps.space import Sweep
from sweeps.study import Study


class Fake:
    """An executor whose workers have finished when `launch` returns; `behave` may do something else than commit all runs."""

    def __init__(self, behave=None, capacity=2):
        self.launched, self._behave, self._capacity = [], behave, capacity

    def capacity(self):
        return self._capacity

    def launch(self, job):
        self.launched.append(job)
        (self._behave or complete)(job)

    def interrupt(self, _):
        raise AssertionError("nobody pressed Ctrl-C")

    @property
    def runs(self):
        return [c.name for job in self.launched for c in job.configs]


def complete(job):
    """Does what a worker does: every run that has no record yet, in order."""
    job = Job.read(job.folder)
    for config in job.configs:
        if job.workdir.run(config).record() is None:
            assert commit(job.workdir, config)
    finish(job.folder, "done")


def lost(job):
    """A worker that dies before it says anything."""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(run, "POLL_SECONDS", 0.0)


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path / "work")


def coordinate(workdir, executor, sweep=SWEEP):
    """Runs a coordinator to its end and returns what it showed last."""
    shown = []
    Coordinator(sweep, workdir, executor, 30.0).run(shown.append)
    return shown[-1]


def points(study, workdir):
    storage = f"sqlite:///{workdir.path / 'study.db'}"
    return {t.user_attrs["name"]: t.state.name for t in optuna.load_study(study_name=study, storage=storage).get_trials()}


# The sweep


def test_everything_runs_once_and_upstream_before_its_transfers(workdir, monkeypatch):
    executor = Fake()
    monkeypatch.setattr(run, "LARGEST_JOB", largest(2))
    status = coordinate(workdir, executor)
    assert sorted(executor.runs) == sorted(p.name for p in SWEEP.points)
    assert len(executor.runs) == 24
    assert status.complete
    assert status.done == {"upstream": 8, "transfer": 16}
    for i, job in enumerate(executor.launched):
        done = {c.name for j in executor.launched[:i] for c in j.configs}
        assert {c.upstream.name for c in job.configs if isinstance(c, Transfer)} <= done
    assert sorted(r.config.name for r in workdir.records()) == sorted(p.name for p in SWEEP.points)
    assert set(points("two-models", workdir).values()) == {"COMPLETE"}
    assert set(points("two-models-transfer", workdir)) == {p.name for p in SWEEP.transfer_points}


def test_a_transfer_waits_for_every_upstream_run_that_its_job_needs(workdir, monkeypatch):
    started = {}

    class Slow(Fake):
        """Its workers live, and each finishes a run whenever it is looked at."""

        def launch(self, job):
            started[job.id] = {r.config.name for r in workdir.records()}
            self.launched.append(job)
            self._lock = getattr(self, "_lock", {}) | {job.id: Lock.take(job.lock, "")}

        def advance(self, _):
            for job in self.launched:
                pending = [c for c in job.configs if workdir.run(c).record() is None]
                if pending:
                    commit(workdir, pending[0])
                elif job.outcome() is None:
                    finish(job.folder, "done")
                    self._lock[job.id].release()

    executor = Slow(capacity=3)
    most = []
    monkeypatch.setattr(run, "LARGEST_JOB", largest(4))
    coordinator = Coordinator(SWEEP, workdir, executor, 30.0)

    def show(status):
        executor.advance(status)
        most.append(sum(j.alive for j in executor.launched))

    coordinator.run(show)
    assert coordinator.status().complete
    assert max(most) == 3
    assert sorted(executor.runs) == sorted(p.name for p in SWEEP.points)
    for job in executor.launched:
        assert {c.upstream.name for c in job.configs if isinstance(c, Transfer)} <= started[job.id]


def test_programs_are_compiled_by_one_worker_before_others_load_them(workdir, monkeypatch):
    held, seen = {}, []

    class Compiling(Fake):
        """Its workers hold their locks, and nobody finishes a run before the test says so."""

        def launch(self, job):
            self.launched.append(job)
            held[job.id] = Lock.take(job.lock, "")

    executor = Compiling(capacity=8)
    monkeypatch.setattr(run, "LARGEST_JOB", largest(2))

    def show(_):
        seen.append([(j.configs[0].kind, j.configs[0].model) for j in executor.launched if j.configs[0].kind == "upstream"])
        if len(seen) == 3:
            for job in executor.launched:
                commit(workdir, job.configs[0])
        if len(seen) > 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(Compiling, "interrupt", lambda _, job: held[job.id].release())
    with pytest.raises(KeyboardInterrupt):
        Coordinator(SWEEP, workdir, executor, 30.0).run(show)
    first = [("upstream", "ViT-mu"), ("upstream", "NFNet-mu")]
    assert seen[0] == seen[2] == first  # four jobs, eight places, but two of them would compile what the others compile
    assert seen[-1] == first * 2


def test_a_job_shares_its_programs_and_grouping_is_the_same_every_time(workdir):
    jobs = jobs_of(SWEEP.points, workdir, 30.0, WHOLE)
    assert [(len(j.configs), j.configs[0].kind) for j in jobs] == [(4, "upstream")] * 2 + [(8, "transfer")] * 2
    assert [c.name for j in jobs for c in j.configs] == [p.name for p in SWEEP.points]
    assert [j.id for j in jobs] == [j.id for j in jobs_of(SWEEP.points, workdir, 1.0, WHOLE)]
    assert len({j.id for j in jobs}) == 4
    assert [len(j.configs) for j in jobs_of(SWEEP.points, workdir, 30.0, largest(3))] == [2, 2, 2, 2, 3, 3, 2, 3, 3, 2]


def test_a_restart_launches_the_same_jobs_and_accepts_what_is_committed(workdir):
    def stop(job):
        commit(workdir, job.configs[0])
        raise KeyboardInterrupt

    first, second = Fake(stop), Fake()
    first.interrupt = lambda _: None
    with pytest.raises(KeyboardInterrupt):
        coordinate(workdir, first)
    committed = workdir.run(SWEEP.points[0]).folder / "record.json"
    before = committed.stat().st_mtime_ns
    assert coordinate(workdir, second).complete
    assert first.launched == second.launched[:1]
    assert committed.stat().st_mtime_ns == before
    assert len(list(committed.parent.glob("attempt-*"))) == 1


def test_a_complete_sweep_launches_nothing_and_its_study_is_built_again(workdir):
    coordinate(workdir, Fake())
    before = points("two-models", workdir), points("two-models-transfer", workdir)
    (workdir.path / "study.db").unlink()
    executor = Fake()
    coordinator = Coordinator(SWEEP, workdir, executor, 30.0)
    assert coordinator.status().complete
    coordinator.close()
    assert (points("two-models", workdir), points("two-models-transfer", workdir)) == before
    assert coordinate(workdir, executor).complete
    assert executor.launched == []


def test_a_diverged_run_is_a_result_and_not_run_again(workdir):
    victim = SWEEP.points[1]

    def diverge(job):
        if victim in job.configs:
            commit(workdir, victim, status="diverged")
        complete(job)

    status = coordinate(workdir, Fake(diverge))
    assert status.diverged == [victim.name]
    assert status.complete
    assert points("two-models", workdir)[victim.name] == "FAIL"
    again = Fake()
    coordinate(workdir, again)
    assert again.launched == []


# What goes wrong


def test_a_lost_worker_is_started_again_with_the_same_job(workdir):
    def die_at_first(job):
        if executor.launched.count(job) == 1:
            commit(workdir, job.configs[0])
        else:
            complete(job)

    executor = Fake(die_at_first)
    assert coordinate(workdir, executor).complete
    assert len(executor.launched) == 8
    assert len(set(executor.launched)) == 4


def test_a_job_that_loses_its_worker_without_end_is_given_up_naming_its_log(workdir):
    bad = jobs_of(SWEEP.points, workdir, 30.0, WHOLE)[0]
    executor = Fake(lambda job: lost(job) if job == bad else complete(job))
    with pytest.raises(UserError) as caught:
        coordinate(workdir, executor)
    log = workdir.path / "jobs" / bad.id / "worker.log"
    assert str(caught.value) == (f"job {bad.id} failed: its worker was lost 21 times without getting further; its log is {log}")
    assert executor.launched.count(bad) == 21
    # The other model's 4 upstream runs and 8 transfers are done, and only they.
    assert {r.config.name for r in workdir.records()} == {p.name for p in SWEEP.points if "NFNet" in p.name}


def test_a_worker_that_gets_further_every_time_is_not_given_up(workdir):
    """A run longer than what a preemptible machine lives must end all the same."""
    slow = jobs_of(SWEEP.points, workdir, 30.0, WHOLE)[0]

    def preempted(job):
        n = executor.launched.count(job)
        if job != slow or n > 50:
            return complete(job)
        write_json(job.folder / f"progress-{n:04d}.json", {"kind": "upstream", "run": "", "step": 100 * n, "steps": 0})
        return finish(job.folder, "preempted")

    executor = Fake(preempted)
    assert coordinate(workdir, executor).complete
    assert executor.launched.count(slow) == 51


def test_a_worker_that_dies_at_the_same_step_every_time_is_given_up(workdir):
    def stuck(job):
        n = executor.launched.count(job)
        write_json(job.folder / f"progress-{n:04d}.json", {"kind": "upstream", "run": "", "step": 99 + n % 2, "steps": 0})

    executor = Fake(stuck, capacity=1)
    with pytest.raises(UserError, match=r"lost 21 times without getting further; .*worker\.log \(1 more jobs failed\)"):
        coordinate(workdir, executor)
    assert executor.launched.count(executor.launched[0]) == 21


def test_a_failed_job_stops_no_other_and_is_reported(workdir):
    bad = jobs_of(SWEEP.points, workdir, 30.0, WHOLE)[1]
    executor = Fake(lambda job: finish(job.folder, "failed", "ValueError: no such thing") if job == bad else complete(job))
    with pytest.raises(UserError, match=f"^job {bad.id} failed: ValueError: no such thing; its log is .*/{bad.id}/worker.log$"):
        coordinate(workdir, executor)
    assert executor.launched.count(bad) == 1
    assert {r.config.name for r in workdir.records()} == {p.name for p in SWEEP.points if "ViT" in p.name}
    # The next coordinator gives it another chance: the cause may be gone.
    assert coordinate(workdir, Fake()).complete


WORKER = """
    import shutil, sys, time
    from pathlib import Path
    from sweeps.job import Job, finish
    from sweeps.lock import Lock

    job = Job.read(Path(sys.argv[1]))
    lock = Lock.take(job.lock, "another machine")
    print("working", flush=True)
    sys.stdin.readline()
    for config in job.configs:
        folder = job.workdir.run(config).claim().parent
        shutil.copy(Path(sys.argv[2]) / config.name, folder / ".half")
        (folder / ".half").rename(folder / "record.json")
    finish(job.folder, "done")
"""


def test_a_live_worker_of_a_dead_coordinator_is_adopted(workdir, tmp_path):
    job = jobs_of(SWEEP.points, workdir, 30.0, WHOLE)[0]
    job.write()
    made = tmp_path / "made"
    for config in job.configs:
        record(config).commit(made / "x")
        (made / "x" / "record.json").rename(made / config.name)
    worker = python(WORKER, job.folder, made)
    executor, shown = Fake(), []

    def show(status):
        shown.append(status)
        if len(shown) == 3:
            worker.stdin.write("\n")
            worker.stdin.flush()

    coordinator = Coordinator(SWEEP, workdir, executor, 30.0)
    coordinator.run(show)
    end(worker)
    assert shown[-1].complete
    assert len(shown) > 3
    assert job not in executor.launched
    assert len(executor.launched) == 3
    assert points("two-models", workdir)[job.configs[0].name] == "COMPLETE"
    assert len(list(workdir.run(job.configs[0]).folder.glob("attempt-*"))) == 1


def test_a_second_coordinator_is_refused_and_told_who_has_the_folder(workdir):
    first = Coordinator(SWEEP, workdir, Fake(), 30.0)
    me = f"process {os.getpid()} on {platform.node()}"
    with pytest.raises(
        UserError, match=f"^{re.escape(str(workdir.path))} is in use by {re.escape(me)}: wait for it, or stop it"
    ):
        Coordinator(SWEEP, workdir, Fake(), 30.0)
    first.close()
    Coordinator(SWEEP, workdir, Fake(), 30.0).close()


def test_a_folder_of_another_sweep_is_refused_and_stays_free(workdir):
    Coordinator(SWEEP, workdir, Fake(), 30.0).close()
    other = Sweep("other", "", SWEEP.upstream)
    for _ in range(2):  # the refused one lets go of the folder
        with pytest.raises(UserError, match=r"holds the sweep 'two-models', not 'other': choose another --workdir"):
            Coordinator(other, workdir, Fake(), 30.0)
    assert coordinate(workdir, Fake()).complete


def test_a_record_of_another_config_under_the_same_name_is_refused(workdir):
    commit(workdir, SWEEP.points[0])
    path = workdir.run(SWEEP.points[0]).folder / "record.json"
    value = json.loads(path.read_text())
    write_json(path, {**value, "digest": "0" * 16})
    with pytest.raises(UserError, match=f"{re.escape(str(path))}: .* was made under digest 0{{16}}, but this code gives"):
        Coordinator(SWEEP, workdir, Fake(), 30.0)


def test_a_run_begun_under_another_config_of_the_same_name_is_refused(workdir):
    config = SWEEP.points[0]
    write_json(workdir.run(config).folder / "config.json", {"digest": "0" * 16, "config": {}})

    def work(job):
        try:
            complete(job)
        except UserError as error:
            finish(job.folder, "failed", str(error))

    with pytest.raises(UserError, match=r"config\.json: this name belongs to digest 0{16}, but the config now has digest"):
        coordinate(workdir, Fake(work))
    assert workdir.run(config).record() is None


def test_ctrl_c_asks_every_worker_to_leave_and_frees_the_folder(workdir):
    asked = []

    class Interrupted(Fake):
        def launch(self, job):
            self.launched.append(job)
            self.lock = Lock.take(job.lock, "")

        def interrupt(self, job):
            asked.append(job)
            self.lock.release()

    def show(_):
        raise KeyboardInterrupt

    executor = Interrupted(capacity=1)
    with pytest.raises(KeyboardInterrupt):
        Coordinator(SWEEP, workdir, executor, 30.0).run(show)
    assert asked == executor.launched
    assert len(asked) == 1
    assert points("two-models", workdir) == {c.name: "RUNNING" for c in asked[0].configs}
    assert coordinate(workdir, Fake()).complete


def test_workers_start_before_the_study_is_written(workdir, monkeypatch):
    """A thousand trials take seconds, in which the workers could work."""
    executor, seen = Fake(), []
    monkeypatch.setattr(Study, "started", lambda _, config: seen.append(config.name in executor.runs))
    coordinate(workdir, executor)
    assert len(seen) > 0
    assert all(seen)
