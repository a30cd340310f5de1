"""The processes of one launch, as the folder of the launch shows them: who lives, who left, what they have been told.

A launch has one process a host. Each holds a lock of its own from before it does anything until it is gone, so whoever sees the
folder knows who is alive, whatever started it.
"""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from bench.errors import UserError
from bench.records.atomic import write
from sweeps.lock import Lock

LOCK, ADDRESS, STOP, KILLED = "lock", "address", "stop", "killed"
# What a lock's file also says once its process has ended in an orderly way.
_LEFT = " left"
# Until all processes of a launch have started: hosts of one allocation come up minutes apart. Less than the silence after which
# the coordinator gives a launch up.
START_SECONDS = 240.0


def lock_of(folder: Path, process: int) -> Path:
    """Returns the lock of the `process`-th process of the launch in a folder."""
    return folder / (f"{LOCK}.{process}" if process else LOCK)


def log_of(folder: Path, process: int) -> Path:
    """Returns the file that takes what a process of a launch prints."""
    return folder / (f"worker.{process}.log" if process else "worker.log")


def holder(pid: int = 0) -> str:
    """Returns what the lock of a process of this machine says, of this one by default."""
    return f"{pid or os.getpid()} {platform.node()}"


def alive(folder: Path) -> bool:
    """Returns whether any process of a launch is alive."""
    return any(map(Lock.held, folder.glob(f"{LOCK}*")))


def begun(folder: Path) -> bool:
    """Returns whether any process of a launch was ever there."""
    return any(folder.glob(f"{LOCK}*"))


def pids(folder: Path) -> list[int]:
    """Returns the numbers of the live processes of a launch that run on this machine."""
    found = []
    for path in sorted(folder.glob(f"{LOCK}*")):
        said = path.read_text().split() if Lock.held(path) else []
        if len(said) >= 2 and said[1] == platform.node():
            found.append(int(said[0]))
    return found


def leave(lock: Lock) -> None:
    """Notes that this process ends in an orderly way; it still holds its lock."""
    with suppress(OSError):  # of a full disk: who cannot say so has still left
        lock.write(holder() + _LEFT)


def lost(folder: Path, process: int) -> bool:
    """Returns whether a process of a launch is gone without having left."""
    path = lock_of(folder, process)
    if not path.exists() or Lock.held(path):
        return False
    # An empty one is about to be locked.
    said = path.read_text()
    return bool(said) and not said.endswith(_LEFT)


def tell(folder: Path, what: str) -> None:
    """Tells all processes of a launch to stop (`STOP`) or to end at once (`KILLED`); those still to come never begin."""
    (folder / what).touch()


def told(folder: Path, what: str) -> bool:
    """Returns whether they have been told so."""
    return (folder / what).exists()


def over(folder: Path) -> bool:
    """Returns whether a process that starts now comes too late."""
    return any((folder / name).exists() for name in (STOP, KILLED, "fenced"))


def announce(folder: Path, address: str) -> None:
    """Says under which `HOST:PORT` the first process can be reached."""
    write(folder / ADDRESS, lambda file: file.write(address.encode()))


def address(folder: Path, seconds: float = START_SECONDS) -> str:
    """Waits for the address of the first process.

    Raises:
      UserError: it did not come.
    """
    path, deadline = folder / ADDRESS, time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise UserError(f"{folder}: the first process of this launch did not start within {seconds:.0f} s")
        time.sleep(0.1)
    return path.read_text()
