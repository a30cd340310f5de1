"""Local executor: one process a launch, each on cores of its own, alive beyond the coordinator that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import sweeps
from bench.errors import UserError
from sweeps.executors import Capabilities
from sweeps.executors.pinned import cores
from sweeps.launch import Launch
from sweeps.lock import Lock

# Workers import this very code: a folder `bench` or `sweeps` where the command was given must not stand in for it.
SOURCE = str(Path(sweeps.__file__).parents[1])


class Local:
    """Runs launches on this machine.

    Args:
      workers: how many at once; 0 is one a core.
    """

    def __init__(self, workers: int = 0) -> None:
        if workers < 0:
            raise UserError(f"--workers is {workers}, but must be at least 1 (or 0 for one a core)")
        self._cores = cores()
        self._workers = workers or len(self._cores)
        self._children: list[subprocess.Popen[bytes]] = []
        self._locks: list[Path] | None = None

    def capacity(self) -> int:
        """Returns the number of workers."""
        return self._workers

    def launch(self, launch: Launch) -> None:
        """Starts the worker in a session of its own, so that neither Ctrl-C nor the coordinator's death reaches it."""
        self._children = [c for c in self._children if c.poll() is None]
        lock = Lock.take(launch.lock, "")
        if lock is None:
            return
        # One core a worker: on a CPU a reduction's order, and with it the last bit, follows the number of threads.
        if self._locks is None:
            self._locks = list(launch.job.workdir.jobs.glob("*/*/lock"))  # others may have started some
        held = {path: core for path in self._locks if (core := _holder(path)[1]) is not None}
        used = Counter(held.values())
        core = min(self._cores, key=lambda c: used[c])
        self._locks = [*held, launch.lock]
        try:
            with launch.log.open("ab") as log:
                child = subprocess.Popen(
                    [sys.executable, "-P", "-m", "sweeps.executors.pinned", str(core), str(launch.folder)],
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[lock.descriptor],
                    start_new_session=True,
                )
            lock.write(f"{child.pid} {core}")
            self._children.append(child)
        finally:
            lock.release()  # the worker inherited it: from here on it lives and dies with the worker

    def alive(self, launch: Launch) -> bool:
        """Returns whether the launch's lock is held."""
        return Lock.held(launch.lock)

    def interrupt(self, launch: Launch) -> None:
        """Sends SIGTERM to the worker that holds the launch's lock."""
        self._signal(launch, signal.SIGTERM)

    def kill(self, launch: Launch) -> None:
        """Sends SIGKILL to the worker that holds the launch's lock."""
        self._signal(launch, signal.SIGKILL)

    @staticmethod
    def _signal(launch: Launch, number: signal.Signals) -> None:
        pid, _ = _holder(launch.lock)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait(self, seconds: float) -> None:
        """Waits; any launch may have changed."""
        time.sleep(seconds)

    def describe(self) -> Capabilities:
        """Returns what it can do."""
        return Capabilities("local", self._workers)


def _holder(lock: Path) -> tuple[int | None, int | None]:
    """Returns the process and the core of the worker that holds a launch's lock, two times None where nobody does."""
    if not Lock.held(lock):
        return None, None
    pid, core = (int(word) for word in lock.read_text().split() or (0, -1))
    return (pid, core) if pid else (None, None)
