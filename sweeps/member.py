"""`python -m sweeps.member LAUNCH_FOLDER ...`: one process of a launch, as every executor starts it.

It takes its devices, holds its lock, watches over the launch, meets the other processes of the run, and then is the worker. The
watch is a thread, so that it sees to things while the worker computes, compiles or waits for a process that will never answer:

- told to stop, or left behind by what started it: it sends itself SIGTERM;
- told to end, left behind for too long, or in the company of a process that died: it ends itself with SIGKILL. All members of a
  run go together and start again together, from the newest checkpoint.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bench.errors import UserError
from sweeps import members
from sweeps.executors import slots
from sweeps.lock import Lock

WATCH_SECONDS = 0.5
# After an error: within this time a process that died shows, and then the error was but its echo.
ECHO_SECONDS = 3.0
# A launch of several processes ends within this time after the first of them has finished.
PARTING_SECONDS = 60
# Exit code of a process that has no business here: the launch is over, or somebody else is this member.
IDLE = 3


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Returns the arguments of a member."""
    parser = argparse.ArgumentParser(prog="python -m sweeps.member")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--process", type=int, default=0, help="number of this process, from 0")
    parser.add_argument("--of", type=int, default=1, help="processes of the launch")
    parser.add_argument("--host", default="", help="name or address under which the others reach this one")
    parser.add_argument("--lock", type=int, default=-1, help="descriptor of the lock, where it is inherited")
    parser.add_argument("--parent", type=int, default=0, help="process whose end is this one's")
    parser.add_argument("--grace", type=float, default=20.0, help="seconds from being left behind to SIGKILL")
    parser.add_argument("--device", default="cpu", help="kind of the devices that are masked")
    parser.add_argument("--masks", default="", help="take the least used of these: 0,1|2,3")
    parser.add_argument("--cores", type=int, default=0, help="take so many cores")
    parser.add_argument("--log", action="store_true", help="print into the launch's folder")
    return parser.parse_args(arguments)


class Watch:
    """The thread that watches over a member."""

    def __init__(self, folder: Path, process: int, of: int, parent: int = 0, grace: float = 20.0) -> None:
        self._folder, self._others = folder, [i for i in range(of) if i != process]
        self._parent, self._grace = parent, grace
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def end(self) -> None:
        """Stops watching."""
        self._ended.set()
        self._thread.join()

    def alone(self) -> bool:
        """Returns whether another process of the launch is gone without having left."""
        return any(members.lost(self._folder, i) for i in self._others)

    def echo(self) -> None:
        """Ends this process where an error that it has just met is but another's death; returns where it is its own."""
        deadline = time.monotonic() + ECHO_SECONDS
        while self._others and time.monotonic() < deadline:
            if self.alone():
                self._die("another process of this launch has died")
            time.sleep(0.1)

    def _orphaned(self) -> bool:
        return bool(self._parent) and os.getppid() != self._parent

    def _watch(self) -> None:
        stopped = 0.0
        while not self._ended.wait(WATCH_SECONDS):
            if members.told(self._folder, members.KILLED):
                self._die("told to end")
            if self.alone():
                self._die("another process of this launch has died")
            orphaned = self._orphaned()
            if stopped:
                if orphaned and time.monotonic() - stopped > self._grace:
                    self._die("what started this process is gone")
            elif orphaned or members.told(self._folder, members.STOP):
                stopped = time.monotonic()
                os.kill(os.getpid(), signal.SIGTERM)

    def _die(self, why: str) -> None:
        print(f"{time.strftime('%F %T')} member {os.getpid()}: {why}", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def join(folder: Path, process: int, of: int, host: str) -> None:
    """Makes one jax of all processes of the launch.

    Raises:
      UserError: the first process did not start.
    """
    if process == 0:
        with socket.socket() as listening:
            listening.bind(("", 0))
            port = listening.getsockname()[1]  # free, and another one for every launch: a zombie's peers never meet
        members.announce(folder, f"{host or socket.gethostbyname(socket.gethostname())}:{port}")
    import jax

    # CPU's default where there are several processes; every other device has its own.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # The worker decides with the others when to leave, and this service would take SIGTERM from it.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        members.address(folder),
        of,
        process,
        cluster_detection_method="deactivate",  # Slurm's would take one GPU a process
        initialization_timeout=int(members.START_SECONDS),
        shutdown_timeout_seconds=PARTING_SECONDS,
    )
    if jax.default_backend() == "cpu":
        # The first process would load what it once wrote, the others compile: they then enter their sums in different orders,
        # and gloo ends them (jax 0.10: three of three training programs that were loaded).
        jax.config.update("jax_enable_compilation_cache", False)


def work(given: argparse.Namespace, watch: Watch) -> int:
    """Does the launch; returns the worker's exit code."""
    if given.of > 1:
        join(given.folder, given.process, given.of, given.host)
    from sweeps import worker

    return worker.main(str(given.folder), watch.echo)


def _hold(given: argparse.Namespace) -> Lock | None:
    """Returns the lock of this member, None where the launch is over, or somebody else is this member."""
    path = members.lock_of(given.folder, given.process)
    if given.lock >= 0:
        lock: Lock | None = Lock(given.lock)
    else:
        lock, tries = None, 20
        # A launch is done once: restarts are the coordinator's, under other numbers. Who asks for the lock has it for a moment.
        while lock is None and tries and not (path.exists() and path.read_text()):
            lock, tries = Lock.take(path, ""), tries - 1
            time.sleep(0 if lock else 0.05)
    if lock is None or members.over(given.folder):
        return None
    with suppress(OSError):  # on a full disk nobody can be signalled; the folder's files still say what to do
        lock.write(members.holder())
    return lock


def main(arguments: Sequence[str], work: Callable[[argparse.Namespace, Watch], int] = work) -> int:
    """Is one process of a launch, from its devices to its end; returns the exit code of `work`."""
    given = parsed(arguments)
    if given.log:
        with members.log_of(given.folder, given.process).open("ab") as log:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(log.fileno(), stream.fileno())
    lock = _hold(given)
    if lock is None:
        return IDLE
    signal.signal(signal.SIGUSR2, lambda *_: os.kill(os.getpid(), signal.SIGTERM))  # Slurm's warning
    if given.masks or given.cores:
        choices = slots.masks(given.masks) if given.masks else slots.shares(given.cores)
        slots.confine(given.device, slots.take(given.device, choices))
    watch = Watch(given.folder, given.process, given.of, given.parent, given.grace)
    watch.start()
    try:
        code = work(given, watch)
    except UserError as error:
        print(f"member {given.process}: {error}", file=sys.stderr)
        code = 2
    except Exception:
        traceback.print_exc()
        code = 1
    if code and given.of > 1:
        sys.stderr.flush()
        os._exit(code)  # not through jax's farewell, which waits for processes that wait for this one
    members.leave(lock)
    watch.end()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
