"""What a benchmark hands back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench.perf.timing import Spread


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
      benchmark: name of the benchmark.
      what: what was measured, of which model or size.
      unit: of the value; "x" marks a ratio.
      value: median with quartiles; both quartiles equal the median where something was measured once.
      against: the ceiling or the alternative that a ratio is to; empty for an absolute number.
      target: what the ratio should be, in words; empty where there is none.
    """

    benchmark: str
    what: str
    unit: str
    value: Spread
    against: str = ""
    target: str = ""

    def row(self) -> dict[str, Any]:
        """Returns the figure as one flat record."""
        row = asdict(self)
        return {**row, **row.pop("value")}


def once(value: float) -> Spread:
    """Returns a number that was measured once, or counted."""
    return Spread(value, value, value)
