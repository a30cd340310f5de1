"""The manifest of a checkpoint: size and SHA-256 of all its files, written last, so that it is also what commits it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.errors import UserError
from bench.records.atomic import read_json, write_json

FILE = "manifest.json"
_VERSION = 1
# Files that are read at once; hashing lets go of the interpreter's lock.
_THREADS = 4


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hashes(paths: Iterable[Path]) -> list[str]:
    with ThreadPoolExecutor(_THREADS, "checksum") as pool:
        return list(pool.map(_sha256, paths))


def commit(folder: Path) -> None:
    """Writes the manifest of a folder whose files are complete.

    Raises:
      OSError: a file cannot be read, or the manifest not be written.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE)
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": digest}
        for path, digest in zip(paths, _hashes(paths), strict=True)
    }
    write_json(folder / FILE, {"version": _VERSION, "name": folder.name, "files": files})


def committed(folder: Path) -> bool:
    """Returns whether the folder was ever complete."""
    return (folder / FILE).exists()


def wrong(folder: Path, part: int = 0, parts: int = 1) -> str:
    """Returns what is wrong with a folder, nothing if it is as it was committed.

    Args:
      folder: of the checkpoint.
      part: with `parts`, which of them to hash; that all files are there, and how long they are, is always checked.
      parts: among how many processes the hashing is shared.
    """
    try:
        value = read_json(folder / FILE)
        files = [(folder / name, int(f["bytes"]), str(f["sha256"])) for name, f in sorted(value["files"].items())]
        if (value["version"], value["name"]) != (_VERSION, folder.name):
            return f"its {FILE} is that of version {value['version']} of {value['name']!r}"
    except UserError as error:
        return f"its {FILE} is damaged: {error}" if committed(folder) else f"it has no {FILE}: it was not finished"
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return f"its {FILE} is damaged ({type(error).__name__}: {error})"
    if not files:
        return f"its {FILE} lists no file"
    try:
        for path, size, _ in files:
            if not path.is_file():
                return f"{path.relative_to(folder)} is missing"
            if (found := path.stat().st_size) != size:
                return f"{path.relative_to(folder)} has {found:,} bytes instead of {size:,}"
        mine = files[part::parts]
        for (path, _, expected), digest in zip(mine, _hashes(path for path, _, _ in mine), strict=True):
            if digest != expected:
                return f"{path.relative_to(folder)} is not what was written (SHA-256)"
    except OSError as error:
        return f"{error.filename or folder} cannot be read ({error.strerror or error})"
    return ""
