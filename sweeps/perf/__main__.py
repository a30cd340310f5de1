"""`python -m sweeps.perf`: measures the coordinator and a whole grid, and prints."""

from __future__ import annotations

from bench.perf.command import command
from bench.perf.runner import Benchmarks
from sweeps.perf import grid, overhead, simulate

BENCHMARKS: Benchmarks = {"overhead": overhead.run, "grid": grid.run, "simulate": simulate.run}

if __name__ == "__main__":
    command(BENCHMARKS)()
