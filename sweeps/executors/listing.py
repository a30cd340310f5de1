"""What `augreg executors` prints."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec

from sweeps.executors import EXECUTORS, Facts, facts


def missing(found: Facts) -> str:
    """Returns what an executor needs and this machine has not, "" for nothing."""
    needs = []
    if found.module and find_spec(found.module) is None:
        needs.append(f"pip install 'augreg-bench[{found.extra}]'")
    if found.program and shutil.which(found.program) is None:
        needs.append(f"{found.program} in PATH")
    return " and ".join(needs)


def list_lines() -> Iterator[str]:
    """Yields all executors: what they place workers on, whether they can here, and where they have ever run."""
    for name in EXECUTORS:
        found = facts(name)
        needs = missing(found)
        yield f"{name:<6} {found.about}; {f'needs {needs}' if needs else 'ready here'}"
        yield f"{'':<6} ran: {found.ran}"


def detail_lines(name: str) -> Iterator[str]:
    """Yields all that is known of one executor, its options included.

    Raises:
      UserError: there is none of that name.
    """
    found = facts(name)
    yield f"{name}: {found.about}"
    needs = missing(found)
    yield f"here: needs {needs}" if needs else "here: ready"
    yield f"ran: {found.ran}"
    yield f"options, each given as --option {found.options[0].name}=VALUE:"
    for option in found.options:
        default = option.default if option.default != "" else "none"
        yield f"  {option.name:<14} {option.about} (default: {default})"
