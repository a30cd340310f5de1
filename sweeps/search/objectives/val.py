"""Upstream validation accuracy at the end of training."""

from __future__ import annotations

from bench.records.record import Record


def accuracy(record: Record, _base: Record | None = None) -> float:
    """Returns the last validation accuracy, a fraction; 0 where none was measured."""
    last = record.last("val")
    return last.value if last else 0.0
