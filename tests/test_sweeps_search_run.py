"""The coordinator of a search: proposals become jobs, results come back, hopeless runs end early."""

import dataclasses
import errno
import signal

import optuna
import pytest
import tiny
from made import SWEEP, commit
from searching import FEW, NUMBERS, accuracy
from test_sweeps_run import Fake, coordinate, report

from bench.errors import UserError
from bench.points import parse
from bench.records.record import Measurement
from sweeps import named, story
from sweeps.job import Job
from sweeps.launch import Launch
from sweeps.layout import Workdir
from sweeps.lock import Lock
from sweeps.run import Coordinator
from sweeps.search import files as proposals_on_disk
from sweeps.space import Sweep

SEARCH = Sweep("a-search", "", search=dataclasses.replace(NUMBERS, trials=8))


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path / "work")


def train(launch, **changes):
    """Does what a worker does, with an accuracy that depends on the config alone."""
    launch = Launch.read(launch.folder)
    for config in launch.job.configs:
        commit(launch.job.workdir, config, launch.attempt, **{"value": accuracy(config), **changes})
    launch.finish("done")


def trials(workdir, name="a-search"):
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{workdir.path / 'study.db'}")
    return [(t.user_attrs["name"], t.params, t.state.name, t.value) for t in study.get_trials()]


def files(workdir):
    return sorted(p.name for p in (workdir.path / "proposals").iterdir())


def test_a_search_is_run_to_its_end_and_projected(workdir):
    executor = Fake(train)
    status = coordinate(workdir, executor, SEARCH)
    assert status.complete
    assert (status.done["upstream"], status.runs["upstream"], status.unknown) == (8, 8, 0)
    assert [len(job.configs) for job in executor.launched] == [1] * 8
    assert files(workdir) == [f"{n:06d}.json" for n in range(1, 9)]
    found = trials(workdir)
    assert [name for name, *_ in found] == executor.runs
    for name, params, state, value in found:
        assert (state, value) == ("COMPLETE", accuracy(parse(name)))
        assert SEARCH.search.config(params).name == name
    assert coordinate(workdir, Fake(train), SEARCH).complete
    assert trials(workdir) == found


@pytest.mark.parametrize("keep", [True, False])
def test_a_coordinator_that_died_goes_on_with_the_same_proposals_also_without_the_study(workdir, tmp_path, keep):
    class Death(BaseException):
        pass

    def die(launch):
        if len(executor.launches) == 5:
            raise Death
        train(launch)

    executor = Fake(die, capacity=1)
    with pytest.raises(Death):
        coordinate(workdir, executor, SEARCH)
    if not keep:
        (workdir.path / "study.db").unlink()
    again = Fake(train, capacity=1)
    assert coordinate(workdir, again, SEARCH).complete
    assert again.runs[0] == executor.runs[-1]
    undisturbed = Workdir(tmp_path / "undisturbed")
    coordinate(undisturbed, Fake(train, capacity=1), SEARCH)
    assert sorted(trials(workdir), key=str) == sorted(trials(undisturbed), key=str)
    assert files(workdir) == files(undisturbed)


def test_no_more_is_proposed_than_can_run(workdir):
    executor = Fake(lambda _: None, capacity=3)
    coordinator = Coordinator(SEARCH, workdir, executor)
    coordinator._launch()
    coordinator._launch()
    assert len(files(workdir)) == 3
    assert coordinator.status().unknown == 5
    coordinator.close()


def test_equal_points_are_run_once_and_are_one_trial(workdir):
    sweep = Sweep("a-search", "", search=FEW)
    executor = Fake(train)
    status = coordinate(workdir, executor, sweep)
    assert status.complete
    assert len(files(workdir)) == 12 > len(executor.runs) == status.runs["upstream"]
    assert sorted(name for name, *_ in trials(workdir)) == sorted(executor.runs)


def test_a_run_that_fails_does_not_hold_a_search_up(workdir):
    bad = []

    def fail(launch):
        launch = Launch.read(launch.folder)
        [config] = launch.job.configs
        if not bad or config.name in bad:
            bad.append(config.name)
            run = launch.job.workdir.run(config)
            run.claim(launch.attempt)
            run.fail(launch.attempt, "boom", "", final=True)
            launch.finish("done")
        else:
            train(launch)

    with pytest.raises(UserError, match=r"failed: boom"):
        coordinate(workdir, Fake(fail), SEARCH)
    assert [state for _, _, state, _ in trials(workdir)].count("COMPLETE") == 7


def test_its_status_counts_what_may_still_be_proposed(workdir, monkeypatch):
    monkeypatch.setattr(story, "sweep_of", lambda _: SEARCH)
    coordinator = Coordinator(SEARCH, workdir, Fake(train))
    coordinator.close()
    status = story.Story(workdir.path).status()
    assert (status.done["upstream"], status.runs["upstream"], status.complete) == (0, 8, False)


def test_it_waits_for_space_on_a_full_disk(workdir, monkeypatch):
    write, refused = proposals_on_disk.write, []

    def sometimes(*arguments):
        if len(refused) < 20 and len(refused) % 5 != 4:
            refused.append(arguments)
            raise OSError(errno.ENOSPC, "No space left on device")
        refused.append(arguments)
        write(*arguments)

    monkeypatch.setattr(proposals_on_disk, "write", sometimes)
    assert coordinate(workdir, Fake(train), SEARCH).complete
    assert len(refused) > 8 == len(trials(workdir))


class Steps(Fake):
    """Its workers measure a quarter of their run at every turn, and obey."""

    def __init__(self, curve):
        super().__init__(capacity=2)
        self.curve, self.locks, self.at = curve, {}, {}

    def launch(self, launch):
        self.launches.append(launch)
        self.locks[launch.attempt] = Lock.take(launch.lock, "")
        self.at[launch.attempt] = 0

    def wait(self, _):
        for launch in self.launches:
            if launch.attempt not in self.locks:
                continue
            at = self.at[launch.attempt] = self.at[launch.attempt] + 1
            [config] = launch.job.configs
            pruned = launch.dropped().get(config.name) == "pruned"
            # 400 examples of the record, batches of 64: 6 steps an epoch.
            values = [
                [config.name, round(6 * (i + 1) / 4), self.curve(config, i + 1)] for i in range(at if not pruned else at - 1)
            ]
            if at == 4 or pruned:
                status = "pruned" if pruned else "ok"
                commit(launch.job.workdir, config, launch.attempt, value=accuracy(config), status=status)
                launch.finish("done")
                self.locks.pop(launch.attempt).release()
            report(launch, run=config.name, step=values[-1][1], steps=6, values=values, beat=at)


@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_hopeless_runs_end_early_as_pruned(workdir, pruner):
    executor = Steps(lambda config, quarter: accuracy(config) * quarter / 4)
    search = dataclasses.replace(NUMBERS, sampler="random", trials=24)
    status = coordinate(workdir, executor, Sweep("a-search", "", search=search, pruner=pruner))
    assert status.complete
    assert status.runs["upstream"] == 24
    states = [state for _, _, state, _ in trials(workdir)]
    assert 0 < states.count("PRUNED") == len(status.named["pruned"]) < 24
    records = {r.config.name: r.status for r in workdir.records()}
    assert sorted(records.values()).count("pruned") == states.count("PRUNED")
    ended = [accuracy(parse(name)) for name, status in records.items() if status == "ok"]
    assert max(accuracy(parse(name)) for name in records) in ended


def test_a_grid_takes_no_pruner():
    with pytest.raises(
        UserError, match=r"'two-models' is a grid and takes no pruner \('median'\): .*prefers weak regularisation"
    ):
        dataclasses.replace(SWEEP, pruner="median")


def test_an_unknown_pruner_is_refused(workdir):
    with pytest.raises(UserError, match=r"no pruner 'medium'; did you mean 'median'\? valid: median, halving, hyperband"):
        Coordinator(Sweep("a-search", "", search=NUMBERS, pruner="medium"), workdir, Fake())
    Lock.require(workdir.path / "coordinator.lock", "").release()


def test_a_worker_ends_a_pruned_run_with_what_it_has_measured(workdir, monkeypatch):
    from sweeps.worker import work

    tiny.register(monkeypatch)
    config = dataclasses.replace(named.find("smoke").upstream_points[0], model="tiny", epochs=40.0)
    job = Job(workdir, (config,))
    job.write()
    launch = Launch.new(job)
    launch.drop(config.name, "pruned")
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert work(launch) == "done"
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    record = workdir.run(config).accept(launch.attempt)
    total = config.steps(record.data["train"])
    assert (record.status, record.last("test")) == ("pruned", None)
    assert 0 < record.cost.steps < total
    assert record.why == f"ended after step {record.cost.steps} of {total}: others were better by then"
    measured = [[config.name, m.step, m.value] for m in record.measurements]
    assert launch.progress()["values"] == measured
    assert all(isinstance(m, Measurement) and m.split == "val" for m in record.measurements)
