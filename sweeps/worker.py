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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

_STARTED = time.perf_counter()

from bench.errors import UserError  # noqa: E402 - the clock above times the imports
from bench.points import Config, Transfer, Upstream  # noqa: E402
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


def _run(config: Config, launch: Launch, watch: Any) -> None:
    from bench.train import together, upstream
    from vtab import adapt

    job, run = launch.job, launch.job.workdir.run(config)
    attempt, settings = run.claim(launch.attempt), job.settings
    if isinstance(config, Transfer):
        source = job.workdir.run(config.upstream).output(upstream.WEIGHTS)
        record = adapt.run(config, source, run.folder, attempt, settings.checkpoint_seconds, watch, settings.execution)
    else:
        assert isinstance(config, Upstream)
        record = upstream.run(config, run.folder, attempt, settings.checkpoint_seconds, watch, settings.execution)
    if together.first():
        replace(record, cost=replace(record.cost, attempt=launch.attempt)).commit(attempt)


def work(launch: Launch, echo: Callable[[], None] = lambda: None) -> str:
    """Does the job's runs that nobody has done; returns `done`, `preempted` or BROKEN. `echo` is as of `main`."""
    from bench.train import together
    from bench.train.fit import Preempted, Watch
    from bench.train.program import COMPILED

    orders, reporter = Orders(launch), Reporter(launch, COMPILED, silent=not together.first())
    reporter.value["seconds"]["import"] = time.perf_counter() - _STARTED
    watch = Watch(reporter.step, orders.stop, orders.prune, reporter.measured)
    try:
        for config in launch.job.configs:
            run = launch.job.workdir.run(config)
            orders.run = config.name
            leave, skip = orders.stop() and not orders.why(), run.record() is not None or run.cancelled
            leave, skip = together.told([leave, skip])
            if leave:
                return PREEMPTED
            if skip:
                continue
            reporter.begin(config)
            try:
                _run(config, launch, watch)
            except Preempted:
                if not together.everyone(not orders.leave):
                    return PREEMPTED
            except Exception as error:
                traceback.print_exc()
                echo()
                wrong = isinstance(error, UserError)  # what somebody must set right first
                line = str(error) if wrong else f"{type(error).__name__}: {error}"
                trace = "".join(traceback.format_exc().splitlines(keepends=True)[-TAIL:])
                run.fail(launch.attempt, line, trace, final=wrong)
                if not together.alone():
                    return BROKEN
            finally:
                reporter.end(1)
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
