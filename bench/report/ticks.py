"""Ticks of logarithmic axes: numbers that people read, enough of them however little or much an axis spans."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

_EVEN = 0.7
"""Decades below which ticks are evenly spaced: so short an axis may hold no more than one of 1, 2 and 5."""
_STEPS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))


def logarithmic(low: float, high: float, most: int = 9) -> NDArray[np.float64]:
    """Returns the ticks between two positive numbers: 1, 2 and 5 of every power of ten, or fewer where those are above `most`.

    Below half a decade or so they are evenly spaced.
    """
    decades = np.log10([low, high])
    if decades[1] - decades[0] < _EVEN:
        return _between(np.asarray(MaxNLocator(min(most, 6), steps=[1, 2, 5, 10]).tick_values(low, high)), low, high)
    powers = 10.0 ** np.arange(np.floor(decades[0]), np.ceil(decades[1]) + 1)
    found = [_between(np.outer(powers, steps).ravel(), low, high) for steps in _STEPS]
    return next((ticks for ticks in found if len(ticks) <= most), found[-1])


def _between(ticks: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return ticks[(ticks >= low) & (ticks <= high)]
