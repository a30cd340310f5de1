"""How far apart two accuracies are, and whether the images that they were measured on can tell them apart at all."""

from __future__ import annotations

import math

from bench.select.intervals import Interval

# Two-sided 95% of a normal distribution.
_Z = 1.959963984540054


def wilson(accuracy: float, n: float) -> tuple[float, float]:
    """Returns Wilson's 95% interval of an accuracy over `n` images; unlike the usual one it stays within 0 and 1."""
    centre = accuracy + _Z**2 / (2 * n)
    half = _Z * math.sqrt(accuracy * (1 - accuracy) / n + _Z**2 / (4 * n**2))
    return (centre - half) / (1 + _Z**2 / n), (centre + half) / (1 + _Z**2 / n)


def gap(a: float, n_a: float, b: float, n_b: float) -> Interval:
    """Returns a - b with Newcombe's hybrid score interval (method 10 of "Interval estimation for the difference", 1998).

    It takes both accuracies as measured on images of their own. On the same images they rise and fall together, so the interval
    is too wide rather than too narrow; the images' own answers, which would tell, are not in the table.

    Args:
      a: accuracy, a fraction.
      n_a: number of images; nan where unknown, which leaves the interval open.
      b: accuracy that is taken away.
      n_b: number of its images.
    """
    if not (n_a > 0 and n_b > 0):
        return Interval(a - b, math.nan, math.nan, 1)
    (low_a, high_a), (low_b, high_b) = wilson(a, n_a), wilson(b, n_b)
    below = math.hypot(a - low_a, high_b - b)
    above = math.hypot(high_a - a, b - low_b)
    return Interval(a - b, a - b - below, a - b + above, 1)
