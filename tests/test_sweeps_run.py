"""The coordinator: what it launches when, what it accepts, what it does for people."""

import json

import pytest
from coordination import Fake, Slow, complete, coordinate, points, report
from made import SWEEP, accept, commit, largest

from bench.points import Transfer
from sweeps import grouping
from sweeps.layout import Workdir
from sweeps.run import Coordinator
from sweeps.study import Study


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path / "work")


# The sweep


def test_everything_runs_once_and_upstream_before_its_transfers(workdir, monkeypatch):
    executor = Fake()
    monkeypatch.setattr(grouping, "LARGEST_JOB", largest(2))
    status = coordinate(workdir, executor)
    assert sorted(executor.runs) == sorted(p.name for p in SWEEP.points)
    assert len(executor.runs) == 24
    assert status.complete
    assert status.done == {"upstream": 8, "probe": 0, "transfer": 16}
    for i, job in enumerate(executor.launched):
        done = {c.name for j in executor.launched[:i] for c in j.configs}
        assert {c.upstream.name for c in job.configs if isinstance(c, Transfer)} <= done
    assert sorted(r.config.name for r in workdir.records()) == sorted(p.name for p in SWEEP.points)
    assert {r.cost.attempt for r in workdir.records()} == {launch.attempt for launch in executor.launches}
    assert set(points("two-models", workdir).values()) == {"COMPLETE"}
    assert set(points("two-models-transfer", workdir)) == {p.name for p in SWEEP.transfer_points}


def test_a_transfer_waits_for_every_upstream_run_that_its_job_needs(workdir, monkeypatch):
    started, most = {}, []

    class Noting(Slow):
        def launch(self, launch):
            started[launch.job.id] = {r.config.name for r in workdir.records()}
            super().launch(launch)

    executor = Noting(capacity=3)
    monkeypatch.setattr(grouping, "LARGEST_JOB", largest(4))
    coordinator = Coordinator(SWEEP, workdir, executor)

    def show(_):
        executor.advance()
        most.append(sum(executor.alive(launch) for launch in executor.launches))

    coordinator.run(show)
    assert coordinator.status().complete
    assert max(most) == 3
    assert sorted(executor.runs) == sorted(p.name for p in SWEEP.points)
    for job in executor.launched:
        assert {c.upstream.name for c in job.configs if isinstance(c, Transfer)} <= started[job.id]


def test_programs_are_compiled_by_one_worker_before_others_load_them(workdir, monkeypatch):
    """However many workers could start at once: the others wait until the first one's report says that it has compiled."""
    seen = []

    class Compiling(Slow):
        def interrupt(self, launch):
            self.locks[launch.attempt].release()

    executor = Compiling(capacity=8)
    monkeypatch.setattr(grouping, "LARGEST_JOB", largest(2))

    def show(_):
        seen.append([(j.configs[0].kind, j.configs[0].model) for j in executor.launched if j.configs[0].kind == "upstream"])
        if len(seen) == 3:
            for launch in executor.launches:
                report(launch, beat=1, compiled=[{"program": "train step"}])
        if len(seen) > 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Coordinator(SWEEP, workdir, executor).run(show)
    first = [("upstream", "ViT-mu"), ("upstream", "NFNet-mu")]
    assert seen[0] == seen[2] == first  # four jobs, eight places, but two of them would compile what the others compile
    assert seen[-1] == first * 2


def test_jobs_that_waited_for_a_compilation_go_on_when_the_compiling_worker_dies(workdir, monkeypatch):
    monkeypatch.setattr(grouping, "LARGEST_JOB", largest(2))

    class Dying(Slow):
        def launch(self, launch):
            if len(self.launches) < 2:
                super().launch(launch)
            else:
                Fake.launch(self, launch)

    executor = Dying(capacity=8)

    def show(_):
        for lock in executor.locks.values():
            lock.release()

    Coordinator(SWEEP, workdir, executor).run(show)
    assert sorted(r.config.name for r in workdir.records()) == sorted(p.name for p in SWEEP.points)


def test_a_restart_launches_the_same_jobs_and_accepts_what_is_committed(workdir):
    def stop(launch):
        commit(workdir, launch.job.configs[0], launch.attempt)
        raise KeyboardInterrupt

    first, second = Fake(stop), Fake()
    with pytest.raises(KeyboardInterrupt):
        coordinate(workdir, first)
    committed = workdir.run(SWEEP.points[0]).folder / "record.json"
    assert not committed.exists()  # the coordinator was interrupted before it accepted it
    assert coordinate(workdir, second).complete
    assert first.launched == second.launched[:1]
    assert [launch.number for launch in second.launches[:2]] == [2, 1]
    assert json.loads(committed.read_text())["cost"]["attempt"] == first.launches[0].attempt
    assert [p.name for p in (committed.parent / "attempts").iterdir()] == [first.launches[0].attempt]


def test_groups_that_were_once_formed_stay(workdir, monkeypatch):
    """Lanes of one program must come back together, whatever a later coordinator would group."""

    def stop(_):
        raise KeyboardInterrupt

    first, second = Fake(stop), Fake()
    with pytest.raises(KeyboardInterrupt):
        coordinate(workdir, first)
    monkeypatch.setattr(grouping, "LARGEST_JOB", largest(3))
    assert coordinate(workdir, second).complete
    assert first.launched[0] in second.launched
    assert len(first.launched[0].configs) == 4
    assert max(len(j.configs) for j in second.launched if j != first.launched[0]) == 3
    assert sorted(second.runs) == sorted(p.name for p in SWEEP.points)


def test_a_complete_sweep_launches_nothing_and_its_study_is_built_again(workdir):
    coordinate(workdir, Fake())
    before = points("two-models", workdir), points("two-models-transfer", workdir)
    (workdir.path / "study.db").unlink()
    executor = Fake()
    coordinator = Coordinator(SWEEP, workdir, executor)
    assert coordinator.status().complete
    coordinator.close()
    assert (points("two-models", workdir), points("two-models-transfer", workdir)) == before
    assert coordinate(workdir, executor).complete
    assert executor.launched == []


def test_a_diverged_run_is_a_result_and_not_run_again(workdir):
    victim = SWEEP.points[1]

    def diverge(launch):
        if victim in launch.job.configs:
            accept(workdir, victim, launch.attempt, status="diverged")
        complete(launch)

    status = coordinate(workdir, Fake(diverge))
    assert status.diverged == [victim.name]
    assert status.complete
    assert points("two-models", workdir)[victim.name] == "FAIL"
    again = Fake()
    coordinate(workdir, again)
    assert again.launched == []


def test_workers_start_before_the_study_is_written(workdir, monkeypatch):
    """A thousand trials take seconds, in which the workers could work."""
    executor, seen = Fake(), []
    monkeypatch.setattr(Study, "started", lambda _, config: seen.append(config.name in executor.runs))
    coordinate(workdir, executor)
    assert len(seen) > 0
    assert all(seen)


# What people want


def test_a_cancelled_run_is_not_run_and_its_transfers_neither(workdir):
    victim = SWEEP.upstream_points[0]
    workdir.run(victim).cancel()
    executor = Fake()
    status = coordinate(workdir, executor)
    assert status.named["cancelled"] == [victim.name]
    assert {r.config.name for r in workdir.records()} == {p.name for p in SWEEP.points if victim.name not in p.name}
    assert status.states["transfer"]["waiting"] == 2
    workdir.run(victim).forgive()
    assert coordinate(workdir, Fake()).complete


def test_a_run_that_is_cancelled_while_it_runs_is_dropped_and_its_job_goes_on(workdir):
    executor, shown = Slow(capacity=4), []

    def show(_):
        shown.append(None)
        if len(shown) == 2:
            victims.append(executor.launches[0].job.configs[-1])
            workdir.run(victims[0]).cancel()
        if len(shown) > 4:
            executor.advance()

    victims = []
    coordinator = Coordinator(SWEEP, workdir, executor)
    coordinator.run(show)
    [victim] = victims
    assert executor.launches[0].dropped() == {victim.name: "cancelled"}
    assert coordinator.status().named["cancelled"] == [victim.name]
    assert workdir.run(victim).record() is None
    assert coordinator.status().done == {"upstream": 7, "probe": 0, "transfer": 14}
