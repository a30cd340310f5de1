"""File locks that die with their holder, so that nobody has to guess whether a process is still alive."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bench.errors import UserError


class Lock:
    """An exclusive lock on a file; the file's text says who holds it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, path: Path, holder: str) -> Lock | None:
        """Takes the lock, or returns None where another process has it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        lock = cls(descriptor)
        lock.write(holder)
        return lock

    def write(self, holder: str) -> None:
        """Says who holds the lock."""
        os.truncate(self.descriptor, 0)
        os.pwrite(self.descriptor, holder.encode(), 0)

    @classmethod
    def require(cls, path: Path, holder: str) -> Lock:
        """Takes the lock.

        Raises:
          UserError: another process has it; says which.
        """
        lock = cls.take(path, holder)
        if lock is None:
            raise UserError(
                f"{path.parent} is in use by {path.read_text() or 'another process'}: wait for it, or stop it first"
            )
        return lock

    @staticmethod
    def held(path: Path) -> bool:
        """Returns whether some process holds the lock; asks for a share of it, so that two who ask do not see each other."""
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def release(self) -> None:
        """Gives the lock up; once is enough."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
