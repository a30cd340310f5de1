"""The commands that lead to a run of a table: what repeats it, and what adapts its checkpoint."""

from __future__ import annotations

from collections.abc import Iterable

from bench.errors import UserError
from bench.points import parse_upstream
from sweeps import named
from sweeps.released import released


def commands(filenames: Iterable[str]) -> dict[str, list[str]]:
    """Returns commands by upstream run: the smallest named sweep that has it, and the transfer of a released checkpoint.

    A run that no sweep has, as one that a search proposed, is in none; what is not known at all has no entry.

    Args:
      filenames: names of upstream runs.
    """
    wanted, found = set(filenames), {}
    sweeps = sorted((named.find(name) for name in named.names()), key=lambda sweep: sum(sweep.size), reverse=True)
    for sweep in sweeps:
        for name in wanted.intersection(point.name for point in sweep.upstream_points):
            found[name] = [f"augreg run {sweep.name}"]
    for name in sorted(filter(_released, wanted)):
        found.setdefault(name, []).append(f"augreg transfer {name} --data FOLDER --workdir results/transfer")
    return found


def _released(name: str) -> bool:
    try:
        return released(parse_upstream(name))
    except UserError:  # a name of another scheme
        return False
