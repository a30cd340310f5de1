"""`python -m bench.perf`: measures and prints."""

from __future__ import annotations

from bench.perf.command import command
from bench.perf.runner import BENCHMARKS

if __name__ == "__main__":
    command(BENCHMARKS)()
