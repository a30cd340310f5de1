"""What `augreg sweeps` prints: the named sweeps, or one of them with its axes. No point is made for it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from bench.points.datasets import PROPRIETARY_SETS
from sweeps.axes import Grid, shown
from sweeps.named import find, names
from sweeps.space import Axis, Sweep

# Columns of a line.
WIDTH = 110


def list_lines() -> Iterator[str]:
    """Returns one line a named sweep: its numbers of runs and what it is for."""
    yield f"{'sweep':<28}{'upstream':>9}{'transfers':>11}  about"
    for name in names():
        sweep = find(name)
        upstream, transfers = map(str, sweep.size)
        if sweep.search:
            upstream = f"<= {sweep.search.trials}"
        yield f"{name:<28}{upstream:>9}{transfers:>11}  {sweep.about.strip().splitlines()[0]}"


def sweep_lines(sweep: Sweep) -> Iterator[str]:
    """Returns a sweep's docstring, grids, axes, conditions and numbers of points."""
    yield from sweep.about.strip().splitlines()
    yield ""
    axes = sweep.axes()
    for number, grid in enumerate(sweep.upstream_grids):
        yield f"upstream{_numbered(number, sweep.upstream_grids)}: {grid.size:,} points"
        yield from _grid(grid, [a for a in axes if (a.kind, a.grid) == ("upstream", number)])
    for number, grid in enumerate(sweep.transfer_grids):
        joint = [j for u in sweep.upstream_grids if (j := grid.under(u)) is not None]
        of = " and ".join(f"{field} is {' or '.join(map(str, values))}" for field, values in grid.of.items())
        whose = f"the upstream runs whose {of}" if of else "every upstream run"
        yield f"transfer{_numbered(number, sweep.transfer_grids)} of {whose}: {sum(j.size for j in joint):,} points"
        yield from _grid(grid, [a for a in axes if (a.kind, a.grid) == ("transfer", number)])
    if sweep.search:
        yield from sweep.search.lines()
    else:
        upstream, transfers = sweep.size
        if sweep.probe:
            yield "probes: every checkpoint on every task, once a resolution"
        yield f"in all: {upstream:,} upstream runs, {transfers:,} transfers that depend on them"
        yield "an axis is static where its values need different compiled programs, traced where one program takes them all"
    if sweep.figures:
        yield f"figures when it is done: {', '.join(sweep.figures)}"
    if closed := [name for name in sweep.sets() if name in PROPRIETARY_SETS]:
        yield f"{' and '.join(closed)}: proprietary; put another upstream set in its place with --upstream"


def _numbered(number: int, grids: tuple[Grid, ...]) -> str:
    return f" {number + 1} of {len(grids)}" if len(grids) > 1 else ""


def _grid(grid: Grid, axes: list[Axis]) -> Iterator[str]:
    listed = {axis.name for axis in axes}
    for axis in axes:
        yield from _wrapped(axis.name, "static" if axis.static else "traced", shown(axis.values))
        if axis.condition:
            yield from _wrapped("", "", axis.condition)
    alone = {name: spec for name, spec in grid.axes.items() if name not in listed}
    for name, value in {**alone, **grid.fixed}.items():
        yield from _wrapped(name, "fixed", shown(value))


def _wrapped(name: str, kind: str, text: str) -> list[str]:
    head = f"  {name:<14}{kind:<8}"
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]
