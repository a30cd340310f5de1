"""How the processes of a launch are started, wherever."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import sweeps
from bench.points import files
from sweeps.launch import Launch

# How a member is started, in front of its arguments.
ENTRY: tuple[str, ...] = ("-P", "-m", "sweeps.member")


def command(folder: Path, process: int | None, of: int, *further: str) -> list[str]:
    """Returns the arguments of Python for a process of a launch; None where only the process itself will know its number."""
    number = [] if process is None else ["--process", str(process)]
    return [*ENTRY, str(folder), *number, "--of", str(of), *further]


def source() -> dict[str, str]:
    """Returns the environment of a member: it imports this very code, whatever lies where the command was given."""
    path = str(Path(sweeps.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))}


def carried() -> dict[str, str]:
    """Returns what of this environment a member needs on any machine: where data is."""
    return {name: os.environ[name] for name in (files.DATA, "TFDS_DATA_DIR") if os.environ.get(name)}


def title(launch: Launch) -> str:
    """Returns a name for a launch where several sweeps share a cluster: of letters, digits and dashes, at most 45 of them."""
    where = hashlib.sha256(str(launch.folder.resolve()).encode()).hexdigest()[:8]
    return f"augreg-{where}-{launch.attempt.replace('.', '-')}"
