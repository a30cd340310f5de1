"""Fair timing on a machine that others use too: contenders take turns, and ratios are of neighbours in time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

Clock = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """A positive quantity: its median with the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Returns median and quartiles of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), low, high)

    def times(self, factor: float) -> Spread:
        """Returns the values multiplied by a positive `factor`."""
        return Spread(self.median * factor, self.low * factor, self.high * factor)

    def per(self, amount: float) -> Spread:
        """Returns `amount` over the values: a rate out of seconds."""
        return Spread(amount / self.median, amount / self.high, amount / self.low)


class Times:
    """Seconds of every contender, round by round: `seconds[name][round]`."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self.seconds = seconds

    def of(self, name: str) -> Spread:
        """Returns the seconds of one contender."""
        return Spread.of(self.seconds[name])

    def ratio(self, name: str, to: str) -> Spread:
        """Returns the seconds of `name` over those of `to`, each pair from the same round."""
        return Spread.of([a / b for a, b in zip(self.seconds[name], self.seconds[to], strict=True)])


# Seconds before each timed call: freeing what a large step held goes on after its result is there.
REST = 0.1


def interleave(
    contenders: Mapping[str, Callable[[], Any]], rounds: int, clock: Clock = time.perf_counter, rest: float = REST
) -> Times:
    """Times every contender once a round, for `rounds` rounds after one that does not count.

    Args:
      contenders: by name; what one returns is waited for if jax still computes it.
      rounds: at least 1.
      clock: returns seconds.
      rest: seconds to wait before each timed call.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            time.sleep(rest)
            started = clock()
            jax.block_until_ready(run())
            if turn:
                seconds[name].append(clock() - started)
    return Times(seconds)


def share(times: Times, name: str, flops: float, product: str, product_flops: float) -> Spread:
    """Returns which part of the rate of `product` the contender `name` reaches, each pair from the same round.

    Args:
      times: both contenders' times.
      name: the contender.
      flops: what it computes in a call.
      product: the contender whose rate is the ceiling.
      product_flops: what that computes in a call.
    """
    return times.ratio(product, name).times(flops / product_flops)
