"""`python -m sweeps.perf`: all of `bench.perf`, and the coordinator, a grid, adaptation and a simulated fleet as well."""

from __future__ import annotations

from bench.perf import runner
from bench.perf.command import command
from sweeps.perf import adapt, grid, overhead, simulate

BENCHMARKS: runner.Benchmarks = {
    **runner.BENCHMARKS,
    "overhead": overhead.run,
    "grid": grid.run,
    "adapt": adapt.run,
    "simulate": simulate.run,
}

if __name__ == "__main__":
    command(BENCHMARKS)()
