"""Files that are either absent or whole: written beside their place, flushed, then renamed into it.

Where the disk is full, a result that took hours is not given up: who writes it says that it is patient, and waits for space.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from bench.errors import UserError

log = logging.getLogger(__name__)
# Seconds after which a patient writer looks for space again.
PAUSE = 5.0

# What a patient writer calls each time that it finds no space: with the file, the error, and how often it has waited before. It
# may raise to give up.
Waits = Callable[[Path, OSError, int], None]


def full(error: BaseException) -> bool:
    """Returns whether an error says that there is no space, on the disk or within a quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def say(path: Path, error: OSError, waited: int) -> None:
    """Logs once that a file waits for space."""
    if not waited:
        log.warning("%s waits for space (%s) and is written as soon as there is some", path, error.strerror or error)


def write(
    path: Path,
    fill: Callable[[BinaryIO], object],
    *,
    exclusive: bool = False,
    durable: bool = True,
    patient: bool | Waits = False,
) -> bool:
    """Writes a file atomically.

    Args:
      path: where the file shall be; its folder is made.
      fill: writes the content to an open binary file.
      exclusive: never replace an existing file.
      durable: flush to the disk first, so that a power cut cannot leave an empty file.
      patient: wait for space where there is none, every `PAUSE` seconds anew; True says so once, by `say`. `fill` is called
        again each time.

    Returns:
      False when `exclusive` and the file was already there, else True.

    Raises:
      OSError: it cannot be written; for lack of space only without patience.
    """
    waited = 0
    while True:
        try:
            return _write(path, fill, exclusive, durable)
        except OSError as error:
            if not (patient and full(error)):
                raise
            (say if patient is True else patient)(path, error, waited)
        waited += 1
        time.sleep(PAUSE)


def _write(path: Path, fill: Callable[[BinaryIO], object], exclusive: bool, durable: bool) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Cut, so that the longest possible name still fits with what is added to it.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            fill(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        if exclusive:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
        else:
            Path(temporary).replace(path)
        return True
    finally:
        Path(temporary).unlink(missing_ok=True)


def export(path: Path, content: bytes | str) -> None:
    """Writes a file that somebody asked for by its path, atomically.

    Raises:
      UserError: it cannot be written there.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        write(path, lambda file: file.write(data))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def write_json(
    path: Path, value: Mapping[str, Any], *, exclusive: bool = False, durable: bool = True, patient: bool | Waits = False
) -> bool:
    """Writes a JSON object atomically; see `write`."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
    return write(path, lambda file: file.write(text.encode()), exclusive=exclusive, durable=durable, patient=patient)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
      UserError: the file is missing or does not hold a JSON object.
    """
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: holds {type(value).__name__}, not a JSON object")
    return value
