"""Coordinators of a sweep made by hand, over executors whose workers train nothing."""

import optuna
from made import SWEEP, commit

from sweeps.executors import Capabilities
from sweeps.launch import Launch
from sweeps.lock import Lock
from sweeps.perf.simulate import Nobody
from sweeps.run import Coordinator


class Fake:
    """An executor whose workers have finished when `launch` returns; `behave` may do something else than commit all runs."""

    def __init__(self, behave=None, capacity=2):
        self.launches, self.killed, self._behave, self._capacity = [], [], behave, capacity

    @property
    def launched(self):
        return [launch.job for launch in self.launches]

    def capacity(self):
        return self._capacity

    def describe(self):
        return Capabilities("fake", self._capacity)

    def launch(self, launch):
        self.launches.append(launch)
        (self._behave or complete)(launch)

    def alive(self, launch):
        return Lock.held(launch.lock)

    def interrupt(self, _):
        raise AssertionError("nobody pressed Ctrl-C")

    def kill(self, launch):
        self.killed.append(launch)

    def wait(self, _):
        return None

    @property
    def runs(self):
        return [c.name for job in self.launched for c in job.configs]


def complete(launch):
    """Does what a worker does: every run that has no record yet, in order."""
    launch = Launch.read(launch.folder)
    workdir = launch.job.workdir
    for config in launch.job.configs:
        if workdir.run(config).record() is None:
            assert commit(workdir, config, launch.attempt)
    launch.finish("done")


def lost(_):
    """A worker that dies before it says anything."""


def report(launch, **value):
    """Does what a reporter does."""
    whole = {"kind": launch.job.configs[0].kind, "run": "", "step": 0, "steps": 0, "done": 0, "beat": 0, "compiled": []}
    launch.report({**whole, **value})


def coordinate(workdir, executor, sweep=SWEEP):
    """Runs a coordinator to its end and returns what it showed last."""
    shown = []
    Coordinator(sweep, workdir, executor).run(shown.append)
    return shown[-1]


def points(study, workdir):
    storage = f"sqlite:///{workdir.path / 'study.db'}"
    return {t.user_attrs["name"]: t.state.name for t in optuna.load_study(study_name=study, storage=storage).get_trials()}


def lead_over_deaths(sweep, workdir, chance, share):
    """Leads a sweep whose coordinator dies between two runs of a launch, at chance with probability `share`, to its end."""

    class DiedError(Exception):
        pass

    def dies(launch):
        for config in chance.sample(launch.job.configs, len(launch.job.configs)):
            if chance.random() < share:
                raise DiedError
            if workdir.run(config).record() is None:
                commit(workdir, config, launch.attempt)
        launch.finish("done")

    for _ in range(200):
        coordinator = Coordinator(sweep, workdir, Fake(dies), study=Nobody)
        try:
            return coordinator.run(lambda _: None)
        except DiedError:
            coordinator.close()
    raise AssertionError("it never came to its end")


class Slow(Fake):
    """Its workers live until `advance` has had them finish their runs, one at a time."""

    def __init__(self, **options):
        super().__init__(**options)
        self.locks = {}

    def launch(self, launch):
        self.launches.append(launch)
        self.locks[launch.attempt] = Lock.take(launch.lock, "")

    def advance(self):
        for launch in self.launches:
            workdir = launch.job.workdir
            pending = [c for c in launch.job.configs if not (workdir.run(c).attempt(launch.attempt) / "record.json").exists()]
            if pending:
                commit(workdir, pending[0], launch.attempt)
                report(launch, done=len(launch.job.configs) - len(pending) + 1, beat=100 - len(pending), step=1)
            elif launch.outcome() is None:
                launch.finish("done")
                self.locks[launch.attempt].release()
