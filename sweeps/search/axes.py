"""What an axis of a search may be: a range of numbers, or choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError

# Of a number in a config, hence in a run's name: finer differences than 0.05% are no differences between runs.
_DIGITS = 4


@dataclass(frozen=True)
class Float:
    """A range of numbers, both ends included; a point has the number to 4 significant digits.

    Attributes:
      low, high: the ends.
      log: whether equal ratios, not equal differences, are equally far apart.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _range(self.low, self.high, self.log)

    def rounded(self, value: float) -> float:
        """Returns `value` as a point has it."""
        return float(f"{value:.{_DIGITS}g}")

    def unit(self, value: float) -> float:
        """Returns where in the range, as a number in [0, 1], `value` lies."""
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return (at - low) / (high - low)

    def at(self, unit: float) -> float:
        """Returns the value at `unit`, a number in [0, 1]."""
        low, high = (math.log(x) if self.log else x for x in (self.low, self.high))
        value = low + unit * (high - low)
        return min(max(math.exp(value) if self.log else value, self.low), self.high)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (" (log)" if self.log else "")


@dataclass(frozen=True)
class Int:
    """A range of whole numbers, both ends included.

    Attributes:
      low, high: the ends.
      log: whether equal ratios, not equal differences, are equally far apart.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _range(self.low, self.high, self.log)

    def rounded(self, value: int) -> int:
        """Returns `value` as a point has it."""
        return int(value)

    def unit(self, value: int) -> float:
        """Returns the middle of what `at` rounds to `value`, a number in [0, 1]."""
        return self._around.unit(value)

    def at(self, unit: float) -> int:
        """Returns the value at `unit`, a number in [0, 1]: all values have a share of it."""
        return min(max(round(self._around.at(unit)), self.low), self.high)

    @property
    def _around(self) -> Float:
        return Float(self.low - 0.5, self.high + 0.5, self.log)

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" + (" (log)" if self.log else "")


@dataclass(frozen=True)
class Choice:
    """A few values, in an order that only some samplers use.

    Attributes:
      values: strings, numbers or booleans.
    """

    values: Sequence[Any]

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) < len(self.values):
            raise UserError(f"an axis of choices needs values, each once, not {list(self.values)}")

    def rounded(self, value: Any) -> Any:
        """Returns `value` as a point has it."""
        return value

    def at(self, unit: float) -> Any:
        """Returns the value at `unit`, a number in [0, 1]: all values have a share of it."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


Axis = Float | Int | Choice


def _range(low: float, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (log and low <= 0):
        raise UserError(
            f"an axis goes from a lower to a higher number{', both above 0' if log else ''}, not from {low} to {high}"
        )
