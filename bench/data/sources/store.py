"""Bytes of files by range, local or elsewhere, with errors that say which file and why; no file position is shared."""

from __future__ import annotations

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import UserError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_INSTALL = "pip install 'augreg-bench[remote]'"
# What tells two versions of a file apart, as file systems of fsspec spell it.
_VERSION = ("ETag", "etag", "md5Hash", "generation", "Last-Modified", "mtime", "updated", "created")


class Version(NamedTuple):
    """What a file is now: its size in bytes, and a number that another content hardly has (when it was written)."""

    size: int
    stamp: int


class Range(NamedTuple):
    """Bytes `start` to `end` of a file."""

    path: str
    start: int
    end: int


class Store(ABC):
    """Where files lie. Paths are those that the user knows, addresses whole."""

    # Bytes worth one request: as many as pass in the time that a request takes.
    block: int

    @abstractmethod
    def version(self, path: str) -> Version:
        """Raises UserError where there is no such file."""

    @abstractmethod
    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """Returns the bytes of each range, fewer where the file ends before; several at once where that helps.

        Raises:
          UserError: a file cannot be read.
        """


class Local(Store):
    """Files of this machine, and of what it has mounted."""

    # A page, which is what a disk hands over at least.
    block = 4096

    def version(self, path: str) -> Version:
        """See `Store.version`."""
        try:
            found = Path(path).stat()
        except OSError as error:
            raise _unreadable(path, error) from None
        return Version(found.st_size, found.st_mtime_ns)

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """See `Store.read`."""
        return [self._one(r) for r in ranges]

    def _one(self, r: Range) -> bytes:
        try:
            # Opened for every range: a training set has more files than a process may hold open, and a batch of random
            # examples wants one of each.
            file = os.open(r.path, os.O_RDONLY)
            try:
                return os.pread(file, r.end - r.start, r.start)
            finally:
                os.close(file)
        except OSError as error:
            raise _unreadable(r.path, error) from None


class Remote(Store):
    """Files that fsspec reaches: `gs://` with gcsfs, others with their packages."""

    block = 1 << 22

    def __init__(self, address: str) -> None:
        self._system = file_system(address)

    def version(self, path: str) -> Version:
        """See `Store.version`."""
        try:
            info = self._system.info(path)
        except Exception as error:
            raise unreachable(path, error) from None
        known = repr([(key, str(info[key])) for key in _VERSION if info.get(key)])
        stamp = hashlib.sha256(known.encode()).digest()[:7]
        return Version(int(info["size"] or 0), int.from_bytes(stamp))

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """See `Store.read`."""
        paths = [r.path for r in ranges]
        starts, ends = [r.start for r in ranges], [r.end for r in ranges]
        try:
            found: list[Any] = self._system.cat_ranges(paths, starts, ends, on_error="return")
        except Exception as error:
            raise unreachable(paths[0], error) from None
        for path, content in zip(paths, found, strict=True):
            if isinstance(content, Exception):
                raise unreachable(path, content) from None
        return found


def is_address(location: str) -> bool:
    """Returns whether a location is an address, not a path of this machine."""
    return bool(_ADDRESS.match(location))


def store(location: str) -> Store:
    """Returns where files at a location lie.

    Raises:
      UserError: reading there needs a package that is not installed.
    """
    return Remote(location) if is_address(location) else Local()


def file_system(address: str) -> Any:
    """Returns fsspec's file system of an address.

    Raises:
      UserError: reading there needs a package that is not installed, or is not known at all.
    """
    try:
        import fsspec

        return fsspec.core.url_to_fs(address)[0]
    except ImportError:
        raise UserError(f"{address}: reading from elsewhere needs more packages: {_INSTALL}") from None
    except Exception as error:
        raise unreachable(address, error) from None


def unreachable(address: str, error: Exception) -> UserError:
    """Returns what to say of a file elsewhere that could not be read."""
    if isinstance(error, FileNotFoundError) or getattr(error, "code", getattr(error, "status", None)) == 404:
        return UserError(f"{address}: no such file or bucket there, or not for these credentials")
    why = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{address}: cannot be read: {why}; check the address and your credentials")


def _unreadable(path: str, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be read: {error.strerror or error}")
