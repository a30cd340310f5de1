"""Where each record of a TFRecord file begins, found once and kept.

A TFRecord file is a chain: each record starts with its length, so only a walk from the first one finds the others. The walk
reads the lengths alone; what it found is kept in the user's cache for as long as the file stays the same.
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import cache
from bench.data.sources import crc32c
from bench.data.sources.source import Progress
from bench.data.sources.store import Range, Store, Version
from bench.errors import UserError

# uint64 length, uint32 masked checksum of the length; the record; uint32 masked checksum of the record; all little end first.
HEADER = struct.Struct("<QI")
FOOTER = 4
# Of the files in the cache.
_FORMAT = 1
# Walks wait for the disk or the network most of the time.
_WALKS_AT_ONCE = 16


def offsets(store: Store, paths: Sequence[str], progress: Progress | None = None) -> list[NDArray[np.int64]]:
    """Returns where the records of each file begin.

    Args:
      store: where the files lie.
      paths: of the files.
      progress: told the number of files.

    Returns:
      For each file `int64[records + 1]`, ascending from 0 to the size of the file.

    Raises:
      UserError: a file is missing, empty, damaged or cut short, or the cache cannot be written.
    """
    with ThreadPoolExecutor(_WALKS_AT_ONCE) as pool:
        tasks = [pool.submit(_one, store, path) for path in paths]
        try:
            for done, task in enumerate(as_completed(tasks), 1):
                task.result()
                if progress:
                    progress(done, len(paths))
        finally:
            pool.shutdown(cancel_futures=True)
    return [task.result() for task in tasks]


def _one(store: Store, path: str) -> NDArray[np.int64]:
    version = store.version(path)
    kept = cache.folder("index") / f"{hashlib.sha256(path.encode()).hexdigest()[:24]}.npy"
    found = _load(kept, version)
    if found is None:
        found = walk(store, path, version.size)
        _save(kept, version, found)
    return found


def walk(store: Store, path: str, size: int) -> NDArray[np.int64]:
    """Returns where the records of a file of `size` bytes begin, and `size`.

    Raises:
      UserError: the file is empty, damaged or cut short.
    """
    if not size:
        raise UserError(f"{path}: the file is empty: fetch or prepare it again")
    at, starts, headers = 0, [], []
    block, block_start = b"", 0
    # A damaged length leads anywhere, so the walk stops at the end, and what it passed is checked thereafter.
    while at + HEADER.size <= size:
        inside = at - block_start
        if inside + HEADER.size > len(block):
            [block] = store.read([Range(path, at, min(at + store.block, size))])
            block_start, inside = at, 0
            if len(block) < HEADER.size:
                break
        headers.append(block[inside : inside + HEADER.size])
        starts.append(at)
        at += HEADER.size + int.from_bytes(headers[-1][:8], "little") + FOOTER
    rows = np.frombuffer(b"".join(headers), np.uint8).reshape(-1, HEADER.size)
    wrong = crc32c.masked(crc32c.of_rows(rows[:, :8])) != np.ascontiguousarray(rows[:, 8:]).view("<u4")[:, 0]
    if wrong.any():
        first = int(np.argmax(wrong))
        what = "not a TFRecord file, or a compressed one" if first == 0 else "the file is damaged"
        raise UserError(f"{path}, record {first} at byte {starts[first]:,}: {what}: fetch or prepare it again")
    if at != size:
        record = len(starts) - (at > size)
        raise UserError(f"{path}, record {record}: the file ends within it at byte {size:,}: fetch or prepare it again")
    return np.array([*starts, size], np.int64)


def _load(kept: Path, version: Version) -> NDArray[np.int64] | None:
    """Returns the offsets kept for this version of a file; None where there are none, or not whole."""
    try:
        content = np.load(kept, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if content.dtype != np.int64 or content.ndim != 1 or len(content) < 6:
        return None
    head, found = content[:4], content[4:]
    if head.tolist() != _head(version, found) or found[0] != 0 or found[-1] != version.size:
        return None
    return found if (np.diff(found) >= HEADER.size + FOOTER).all() else None


def _save(kept: Path, version: Version, found: NDArray[np.int64]) -> None:
    """Writes the offsets whole or not at all."""
    content = np.concatenate([np.array(_head(version, found), np.int64), found])
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            unfinished = Path(folder) / kept.name
            np.save(unfinished, content)
            unfinished.replace(kept)
    except OSError as error:
        raise UserError(f"cannot write {kept}: {error.strerror or error}; {cache.VARIABLE} sets the cache") from None


def _head(version: Version, found: NDArray[np.int64]) -> list[int]:
    """Returns what stands before the offsets: format, size and stamp of the file, and a checksum of the offsets."""
    return [_FORMAT, version.size, version.stamp, int.from_bytes(hashlib.sha256(found.tobytes()).digest()[:7])]
