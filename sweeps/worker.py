"""The worker: `python -m sweeps.worker LAUNCH_FOLDER` does the runs of one job and knows nothing of the study.

Several processes that train one run together (`sweeps.member`) all come through here. What they do next is agreed on; the first
one alone reports and commits.

Whatever happens to it, launching its job again is right: an accepted run is skipped, an interrupted one goes on from its newest
whole checkpoint, and results depend on nothing but the configs.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

_STARTED = time.perf_counter()

from bench.errors import UserError  # noqa: E402 - the clock above times the imports
from bench.points import Config, Probe, Transfer  # noqa: E402
from sweeps import lanes  # noqa: E402
from sweeps.lanes import Group  # noqa: E402
from sweeps.launch import DONE, FAILED, PREEMPTED, Launch  # noqa: E402
from sweeps.reporter import Reporter  # noqa: E402
from sweeps.states import PRUNED  # noqa: E402

# Lines of a traceback that are kept.
TAIL = 20
# How several processes end with an error: they start again together, also for the runs that are left.
BROKEN = ""


class Orders:
    """What the worker has been told: to leave (a signal, or it was given up), or to end the current run before its time."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self.leave = False
        self.run = ""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)

    def _signalled(self, *_: Any) -> None:
        self.leave = True

    def why(self) -> str:
        """Returns why the current run shall end before its time; "" where it shall not."""
        return self._launch.dropped().get(self.run, "")

    def stop(self) -> bool:
        """Returns whether the current run shall leave off, to be gone on with or not."""
        self.leave = self.leave or self._launch.fenced
        return self.leave or self.why() not in ("", PRUNED)

    def prune(self) -> bool:
        """Returns whether the current run shall end with what it has."""
        return self.why() == PRUNED


def _run(group: Group, launch: Launch, watch: Any) -> None:
    """Does a run, or trains several as lanes of one program; leaves each one's record in the folder of its attempt."""
    from bench.train import together, upstream
    from bench.train.checkpoints import Checkpoints
    from vtab import adapt

    job, settings = launch.job, launch.job.settings
    runs = [job.workdir.run(config) for config in group]
    attempts = [run.claim(launch.attempt) for run in runs]
    every, execution = settings.checkpoint_seconds, settings.execution
    sources = [job.workdir.weights(c.upstream) for c in group if isinstance(c, Transfer | Probe)]
    if len(group) > 1:
        shared = lanes.folder(job, group)
        checkpoints = Checkpoints(shared, shared / "attempts" / launch.attempt, every)
        if sources:
            records = adapt.run_group(group, sources, attempts, checkpoints, watch, execution)  # type: ignore[arg-type]
        else:
            records = upstream.run_group(group, attempts, checkpoints, watch, execution)  # type: ignore[arg-type]
    elif isinstance(group[0], Probe):
        from vtab import probe

        records = [probe.run(group[0], sources[0], attempts[0], watch, execution, job.workdir.features)]
    elif sources:
        records = [adapt.run(group[0], sources[0], runs[0].folder, attempts[0], every, watch, execution)]  # type: ignore[arg-type]
    else:
        records = [upstream.run(group[0], runs[0].folder, attempts[0], every, watch, execution)]  # type: ignore[arg-type]
    if not together.first():
        return
    for record, attempt in zip(records, attempts, strict=True):
        replace(record, cost=replace(record.cost, attempt=launch.attempt, lanes=len(group))).commit(attempt, patient=True)


def _fail(error: Exception, group: Group, launch: Launch) -> None:
    """Notes what went wrong: of a run; or of a group, whose runs then train alone."""
    traceback.print_exc()
    wrong = isinstance(error, UserError)  # what somebody must set right first
    line = str(error) if wrong else f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exc().splitlines(keepends=True)[-TAIL:])
    if len(group) > 1:
        lanes.part(launch.job, group, line)
    else:
        launch.job.workdir.run(group[0]).fail(launch.attempt, line, trace, final=wrong)


def work(launch: Launch, echo: Callable[[], None] = lambda: None) -> str:
    """Does the job's runs that nobody has done; returns `done`, `preempted` or BROKEN. `echo` is as of `main`."""
    from bench.train import together
    from bench.train.fit import Preempted, Watch
    from bench.train.program import COMPILED

    orders, reporter = Orders(launch), Reporter(launch, COMPILED, silent=not together.first())
    reporter.value["seconds"]["import"] = time.perf_counter() - _STARTED
    watch = Watch(reporter.step, orders.stop, orders.prune, reporter.measured, launch.job.settings.track)

    def wanted(configs: Iterable[Config]) -> list[Config]:
        runs = [launch.job.workdir.run(config) for config in configs]
        names = together.told([run.config.name for run in runs if run.record() is None and not run.cancelled])
        return [run.config for run in runs if run.config.name in names]

    try:
        left = deque(lanes.groups(launch.job, wanted(launch.job.configs), orders.stop))
        reporter.decided()
        while left:
            group = left.popleft()
            # A run of a group cannot be ended before its time: the others need it.
            orders.run = group[0].name if len(group) == 1 else ""
            count = len(wanted(group))
            if together.told(orders.stop() and not orders.why()):
                return PREEMPTED
            if not count:
                continue
            reporter.begin(group[0], len(group) - 1)
            try:
                _run(group, launch, watch)
            except Preempted:
                if not together.everyone(not orders.leave):
                    return PREEMPTED
            except Exception as error:
                echo()
                _fail(error, group, launch)
                if not together.alone():
                    return BROKEN
                if len(group) > 1:
                    left.extendleft((config,) for config in reversed(group))
                    count = 0
            finally:
                reporter.end(count)
    except Preempted:
        return PREEMPTED
    finally:
        reporter.close()
    return DONE


def main(path: str, echo: Callable[[], None] = lambda: None) -> int:
    """Does the launch in the folder `path`; its outcome is written there, and the exit code is 0 unless it failed.

    Args:
      path: of the launch's folder.
      echo: called with every error before it is noted; does not return where the error is but another process's death.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    folder = Path(path)
    try:
        launch = Launch.read(folder)
    except UserError as error:
        from bench.records.atomic import write_json

        write_json(folder / "outcome.json", {"status": FAILED, "error": str(error)})
        return 2
    try:
        from bench.train import compilation

        compilation.switch_on(launch.job.workdir.cache)
        status = work(launch, echo)
    except UserError as error:
        launch.finish(FAILED, str(error))
        return 2
    except Exception as error:
        traceback.print_exc()
        echo()
        launch.finish(FAILED, f"{type(error).__name__}: {error}")
        return 1
    if status == BROKEN:
        return 1
    from bench.train import together

    if together.first():
        launch.finish(status)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
