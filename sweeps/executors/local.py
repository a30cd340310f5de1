"""Local executor: one process a job, each on cores of its own, alive beyond the coordinator that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

from bench.errors import UserError
from sweeps.job import Job
from sweeps.lock import Lock


class Local:
    """Runs jobs on this machine.

    Args:
      workers: how many at once; 0 is one a core.
    """

    def __init__(self, workers: int = 0) -> None:
        self._cores = sorted(os.sched_getaffinity(0))
        self._workers = workers or len(self._cores)
        if self._workers < 0:
            raise UserError(f"--workers is {workers}, but must be at least 1 (or 0 for one a core)")
        self._slots: dict[int, subprocess.Popen[bytes]] = {}

    def capacity(self) -> int:
        """Returns the number of workers."""
        return self._workers

    def launch(self, job: Job) -> None:
        """Starts the worker in a session of its own, so that neither Ctrl-C nor the coordinator's death reaches it."""
        self._slots = {s: p for s, p in self._slots.items() if p.poll() is None}
        slot = next(s for s in range(len(self._slots) + 1) if s not in self._slots)
        # One core a worker: on a CPU a reduction's order, and with it the last bit, follows the number of threads.
        core = self._cores[slot % len(self._cores)]
        lock = Lock.take(job.lock, "")
        if lock is None:
            return
        try:
            with (job.folder / "worker.log").open("ab") as log:
                self._slots[slot] = subprocess.Popen(
                    [sys.executable, "-m", "sweeps.executors.pinned", str(core), str(job.folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[lock.descriptor],
                    start_new_session=True,
                )
            os.pwrite(lock.descriptor, str(self._slots[slot].pid).encode(), 0)
        finally:
            lock.release()  # the worker inherited it: from here on it lives and dies with the worker

    def interrupt(self, job: Job) -> None:
        """Sends SIGTERM to the worker that holds the job's lock."""
        with suppress(ProcessLookupError, ValueError, FileNotFoundError):
            if job.alive:
                os.kill(int(job.lock.read_text()), signal.SIGTERM)
