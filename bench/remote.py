"""Files elsewhere: fetched once into the user's cache, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from bench import cache
from bench.errors import UserError
from bench.records import atomic

_INSTALL = "pip install 'augreg-bench[remote]'"
_ADDRESS = re.compile(r"(gs|https?)://", re.IGNORECASE)
# Where Google serves the public objects of its buckets.
_PUBLIC = "https://storage.googleapis.com"
# What tells two versions of a file apart, as file systems of fsspec spell it.
_VERSION = ("ETag", "etag", "md5Hash", "generation", "Last-Modified", "created", "size")
_CHUNK = 1 << 20
# Seconds without an answer, or without a byte; a whole download may take as long as it takes.
_PATIENCE = 60.0


def is_remote(location: str | Path) -> bool:
    """Returns whether a location is an address to fetch from."""
    return isinstance(location, str) and bool(_ADDRESS.match(location))


def fetch(address: str, check: Callable[[bytes], object] = lambda _: None, kind: str = "weights") -> Path:
    """Returns the local copy of a file elsewhere; it is fetched unless this version of it is already here.

    Args:
      address: gs://BUCKET/PATH, https:// or http://.
      check: sees the beginning of the file before the rest is fetched, and raises where that is not worth it.
      kind: of the file, which has its own folder in the cache.

    Raises:
      UserError: unreachable, missing, forbidden, broken off, other bytes than the server has the checksum of; or the cache
        cannot be written.
    """
    system, path, via = _open(address)
    try:
        info = system.info(path)
    except Exception as error:
        raise _failure(address, via, error) from None
    version = repr([(key, str(info[key])) for key in _VERSION if info.get(key)])
    name = re.sub(r"[^\w.-]", "_", address.split("?")[0].rsplit("/", 1)[-1])[-80:]
    local = cache.folder(kind) / f"{hashlib.sha256(f'{address} {version}'.encode()).hexdigest()[:16]}-{name}"
    if not local.exists():
        try:
            atomic.write(local, lambda file: _copy(system, path, info, file, address, via, check))
        except OSError as error:
            raise UserError(f"cannot write {local}: {error.strerror or error}; {cache.VARIABLE} sets the cache") from None
    return local


# What these write besides what they raise would stand before the one message that says it all.
_LOGGERS = ("fsspec", "gcsfs", "google.auth")


def _open(address: str) -> tuple[Any, str, str]:
    """Returns the file system, the path in it, and a remark on the way there."""
    try:
        import fsspec
    except ImportError:
        raise UserError(f"{address}: reading from elsewhere needs more packages: {_INSTALL}") from None

    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    scheme, _, path = address.partition("://")
    via = ""
    if scheme.lower() == "gs":
        try:
            return fsspec.filesystem("gs"), path, via
        except ImportError:
            via = " (over https, which reaches public objects alone; gcsfs is not installed)"
            address = f"{_PUBLIC}/{path}"
    try:
        import aiohttp
    except ImportError:
        raise UserError(f"{address}: reading over https needs more packages: {_INSTALL}") from None
    # By default, whatever takes longer than five minutes is broken off.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_PATIENCE, sock_read=_PATIENCE)
    return fsspec.filesystem("https", client_kwargs={"timeout": timeout}), address, via


def _copy(
    system: Any, path: str, info: dict[str, Any], file: BinaryIO, address: str, via: str, check: Callable[[bytes], object]
) -> None:
    size, md5 = info.get("size"), hashlib.md5(usedforsecurity=False)
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(address.rsplit("/", 1)[-1] + via, total=size)
        done = 0
        for chunk in _chunks(system, path, address, via):
            if done == 0:
                check(chunk)
            file.write(chunk)
            md5.update(chunk)
            done += len(chunk)
            progress.update(task, completed=done)
    if size is not None and done != size:
        raise UserError(f"{address}: broke off after {done:,} of {size:,} bytes; try again")
    # Google's buckets have it, in base 64, of every object that was written in one piece.
    if (said := info.get("md5Hash")) and said != base64.b64encode(md5.digest()).decode():
        raise UserError(f"{address}: came with other bytes than the bucket has the checksum of; try again")


def _chunks(system: Any, path: str, address: str, via: str) -> Iterator[bytes]:
    # Over https, block size 0 is one plain stream; other file systems choose their own.
    options = {"block_size": 0} if "https" in system.protocol else {}
    try:
        with system.open(path, "rb", **options) as source:
            gathered = b""
            while chunk := source.read(_CHUNK):
                gathered += chunk
                if len(gathered) >= _CHUNK:
                    yield gathered
                    gathered = b""
            if gathered:
                yield gathered
    except Exception as error:
        raise _failure(address, via, error) from None


def _failure(address: str, via: str, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # fsspec says "not found" of whatever goes wrong over https
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status == 404:
        return UserError(f"{address}: no such file there{via}")
    why = f"the server answers {status}" if status else " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{address}: cannot be fetched{via}: {why}")
