"""Runs benchmarks, prints one table and writes the figures to a file."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from bench.errors import UserError, choose_from
from bench.perf import augment, compile, decode, lanes, noise, order, probe, pytorch, report, step
from bench.perf.figure import Figure
from bench.perf.timing import Spread

Benchmarks = Mapping[str, Callable[[bool], list[Figure]]]

BENCHMARKS: Benchmarks = {
    "order": order.run,
    "compile": compile.run,
    "noise": noise.run,
    "augment": augment.run,
    "decode": decode.run,
    "step": step.run,
    "lanes": lanes.run,
    "probe": probe.run,
    "pytorch": pytorch.run,
    "report": report.run,
}


def machine() -> dict[str, Any]:
    """Returns what the figures depend on: jax, its device and the cores this process may use."""
    device = jax.devices()[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"jax": jax.__version__, "platform": device.platform, "device": device.device_kind, "cores": cores}


def run(only: Iterable[str], quick: bool, console: Console, benchmarks: Benchmarks = BENCHMARKS) -> list[Figure]:
    """Runs the named benchmarks, all of them when none is named, in the order of `benchmarks`; says which one is running.

    Raises:
      UserError: there is no benchmark of that name, or a named one cannot run here.
    """
    named = list(only)
    wanted = named or list(benchmarks)
    for name in wanted:
        if name not in benchmarks:
            raise UserError(f"unknown benchmark {name!r}: {choose_from(name, benchmarks)}")
    figures = []
    for name, benchmark in benchmarks.items():
        if name in wanted:
            with console.status(f"{name}: {(benchmark.__doc__ or '').splitlines()[0]}"):
                try:
                    figures += benchmark(quick)
                except UserError as error:
                    if named:
                        raise
                    console.print(f"{name}: skipped; {error}")
    return figures


def table(figures: list[Figure]) -> Table:
    """Returns the figures as a table for people: median, quartiles, what a ratio is to and what it should be."""
    about = machine()
    found = Table(title=f"jax {about['jax']}, {about['device']}, {about['cores']} core(s); median \\[quartiles]")
    for column in ("benchmark", "what", "value", "of / against", "target"):
        found.add_column(column, justify="right" if column == "value" else "left", overflow="fold")
    for figure in figures:
        found.add_row(figure.benchmark, figure.what, f"{_text(figure.value)} {figure.unit}", figure.against, figure.target)
    return found


def save(figures: list[Figure], path: Path) -> None:
    """Writes the figures as JSON or CSV, by the suffix of `path`.

    Raises:
      UserError: the suffix is another one.
    """
    check_suffix(path)
    rows = [figure.row() for figure in figures]
    if path.suffix == ".json":
        text = json.dumps({"machine": machine(), "figures": rows}, indent=2, allow_nan=False) + "\n"
    else:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, [*rows[0], *machine()], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **machine()} for row in rows)
        text = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def check_suffix(path: Path) -> None:
    """Refuses a path that is neither JSON nor CSV.

    Raises:
      UserError: it is not.
    """
    if path.suffix not in (".json", ".csv"):
        raise UserError(f"cannot write figures to {path}: its name must end in .json or .csv")


def _text(value: Spread) -> str:
    middle = _number(value.median)
    return middle if value.low == value.high else f"{middle} [{_number(value.low)}, {_number(value.high)}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
