"""The worker: `python -m sweeps.worker JOB_FOLDER` does the runs of one job and knows nothing of the study.

Whatever happens to it, starting it again is right: a committed run is skipped, an interrupted one goes on from its newest whole
checkpoint, and results depend on nothing but the configs.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

_STARTED = time.perf_counter()

from bench.errors import UserError  # noqa: E402 - the clock above times the imports
from bench.points import Config, Transfer, Upstream  # noqa: E402
from bench.records.atomic import write_json  # noqa: E402
from sweeps.job import Job, finish  # noqa: E402


class Reporter:
    """Keeps `progress-NNNN.json` current: what this worker is at, how far, and where its time went."""

    def __init__(self, job: Job, compiled: Sequence[Any]) -> None:
        self._compiled = compiled
        self._path = job.folder / f"progress-{len(job.progress()) + 1:04d}.json"
        self._written = 0.0
        self.value: dict[str, Any] = {
            "kind": job.configs[0].kind,
            "run": "",
            "step": 0,
            "steps": 0,
            "done": 0,
            "runs": len(job.configs),
            "pid": os.getpid(),
            "seconds": {"import": 0.0, "compile": 0.0, "upstream": 0.0, "transfer": 0.0},
            "compiled": [],
        }

    def write(self, *, now: bool = True) -> None:
        """Writes the file, at most five times a second unless `now`."""
        if now or time.monotonic() - self._written > 0.2:
            self.value["compiled"] = [asdict(c) for c in self._compiled]
            write_json(self._path, self.value, durable=False)
            self._written = time.monotonic()

    def step(self, done: int, of: int) -> None:
        """Notes how far the current run is."""
        self.value |= {"step": done, "steps": of}
        self.write(now=False)


def _run(config: Config, job: Job, watch: Any) -> None:
    from bench.train import upstream
    from vtab import adapt

    run = job.workdir.run(config)
    if run.record() is not None:
        return
    attempt = run.claim()
    if isinstance(config, Transfer):
        source = job.workdir.run(config.upstream).output(upstream.WEIGHTS)
        record = adapt.run(config, source, run.folder, attempt, job.checkpoint_seconds, watch, job.execution)
    else:
        assert isinstance(config, Upstream)
        record = upstream.run(config, run.folder, attempt, job.checkpoint_seconds, watch, job.execution)
    record.commit(run.folder)
    run.clean()


def work(job: Job) -> str:
    """Does the job's runs; returns `done` or `preempted`."""
    from bench.train.fit import Preempted, Watch
    from bench.train.program import COMPILED

    stopped = False

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    reporter = Reporter(job, COMPILED)
    reporter.value["seconds"]["import"] = time.perf_counter() - _STARTED
    watch = Watch(reporter.step, lambda: stopped)
    for config in job.configs:
        reporter.value |= {"run": config.name, "step": 0, "steps": 0}
        reporter.write()
        started, compiled = time.perf_counter(), sum(c.seconds for c in COMPILED)
        try:
            _run(config, job, watch)
        except Preempted:
            return "preempted"
        finally:
            compiling = sum(c.seconds for c in COMPILED) - compiled
            seconds = reporter.value["seconds"]
            seconds["compile"] += compiling
            seconds[config.kind] += time.perf_counter() - started - compiling
        reporter.value["done"] += 1
        reporter.write()
        if stopped:
            return "preempted"
    return "done"


def main(path: str) -> int:
    """Runs the job in the folder `path`; its outcome is written there, and the exit code is 0 unless it failed."""
    folder = Path(path)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        job = Job.read(folder)
        import jax

        jax.config.update("jax_compilation_cache_dir", str(job.workdir.cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        status = work(job)
    except UserError as error:
        finish(folder, "failed", str(error))
        return 2
    except Exception as error:
        traceback.print_exc()
        finish(folder, "failed", f"{type(error).__name__}: {error}")
        return 1
    finish(folder, status)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
