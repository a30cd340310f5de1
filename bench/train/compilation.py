"""Compiled programs kept on disk (JAX's persistent cache) so that a damaged one costs a compilation and nothing else.

JAX checks what it reads, warns of a damaged entry and compiles anew, but does not write where an entry is: it would warn and
compile again for ever. Here the entry is put aside at that moment, so that the new program takes its place.
"""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

log = logging.getLogger(__name__)
QUARANTINE = "quarantine"
# Programs that compile faster are not kept: reading them takes as long.
_LEAST_SECONDS = 0.5
# Endings of what JAX keeps of a program, and of when it was last used (jax 0.10, `lru_cache.py`).
_ENTRY, _USED = "-cache", "-atime"
_COMPLAINT = "Error (reading|writing) persistent compilation cache entry for '([^']*)': (.*)"
_ZSTD = b"\x28\xb5\x2f\xfd"


def switch_on(folder: Path) -> None:
    """Keeps compiled programs in `folder`, and takes those that are there from it; call before anything is compiled."""
    folder.mkdir(parents=True, exist_ok=True)
    # Where the size is limited, one entry without its time would stop JAX from writing any other (jax issue 39880).
    for entry in folder.glob(f"*{_ENTRY}"):
        used = entry.with_name(entry.name.removesuffix(_ENTRY) + _USED)
        if jax.config.values["jax_compilation_cache_max_size"] >= 0 and not used.exists():
            used.write_bytes(bytes(8))
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_raise_persistent_cache_errors", False)


@contextlib.contextmanager
def mended() -> Iterator[None]:
    """Puts damaged entries aside while something compiles, as soon as JAX finds them."""
    with warnings.catch_warnings():
        show = warnings.showwarning
        warnings.filterwarnings("always", message=_COMPLAINT)

        def look(message: Warning | str, *rest: Any, **options: Any) -> None:
            if complaint := re.match(_COMPLAINT, str(message), re.DOTALL):
                _put_aside(complaint[2], complaint[3])
            else:
                show(message, *rest, **options)

        warnings.showwarning = look
        yield


def _put_aside(program: str, why: str) -> None:
    folder = Path(jax.config.values["jax_compilation_cache_dir"])
    entries = sorted(folder.glob(f"{program}-*{_ENTRY}"))
    # What unpacks, but is refused all the same, is known only where there is no other.
    damaged = [entry for entry in entries if not _unpacks(entry)] or entries[:1] * (len(entries) == 1)
    for entry in damaged:
        aside = folder / QUARANTINE / entry.name
        try:
            aside.parent.mkdir(exist_ok=True)
            entry.replace(aside)
            entry.with_name(entry.name.removesuffix(_ENTRY) + _USED).unlink(missing_ok=True)
        except OSError as error:
            # Another worker was faster, or the disk is full.
            log.warning("compiled program %s is damaged (%s) and could not be put aside (%s)", entry, why, error)
        else:
            log.warning("compiled program %s was damaged (%s): it is compiled anew, and kept as %s", entry, why, aside)
    if not damaged:
        log.warning("compiled program %s could not be kept or taken from %s: %s", program, folder, why)


def _unpacks(entry: Path) -> bool:
    """Returns whether an entry is as it was written; both ways of packing end in a checksum."""
    try:
        packed = entry.read_bytes()
        if packed.startswith(_ZSTD):
            import zstandard

            zstandard.ZstdDecompressor().decompress(packed)
        else:
            zlib.decompress(packed)
    except Exception:  # each way has errors of its own
        return False
    return True
