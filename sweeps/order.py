"""The order in which a factorial grid is walked: stopped anywhere, it has told as much about every main effect as it could.

The walk goes along the diagonal of the product of the axes: step t stands at level (t + shift) mod n of an axis of n levels.
The shifts are the cosets of the diagonal in the product of the cyclic groups, so for every t modulo the least common multiple
of the sizes each shift is due exactly once. Which one comes next is what decides whether two axes stay aliased (along the
plain diagonal of a 2 x 2 grid the two factors are one): of the shifts still due, the walk takes the one that keeps all levels
and all pairs of levels most even, pairs weighted so that their sum of squares is that of Cramer's V, the correlation of two
axes.

Nothing is random and nothing is searched twice: the work of a step depends on the number of axes, not on the number of points.
What holds, and is tested: at 30% of a grid, if that is at least twice the number of parameters of the model of main effects,
every main effect is estimable with at most `INFLATION` times the variance that a balanced part of that size would give; in
every prefix the counts of an axis's levels differ from equal shares by at most the number of levels of the longest axis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

INFLATION = 2.0
# Shifts compared at a step, evenly spread over those still due; bounds the work where axes have few levels and are many.
_COMPARED = 64
# Weight of one axis's levels against that of a pair of axes.
_LEVELS = 8


@lru_cache(maxsize=256)
def walk(sizes: tuple[int, ...]) -> NDArray[np.int64]:
    """Returns every point of the full grid once, as level numbers `int64[points, axes]`, in the order to run them.

    Args:
      sizes: number of levels of every axis.
    """
    longest = sorted(range(len(sizes)), key=lambda axis: -sizes[axis])
    found = np.zeros((math.prod(sizes), len(sizes)), np.int64)
    if len(found) > 1:
        found[:, longest] = _walk(tuple(sizes[axis] for axis in longest if sizes[axis] > 1), len(sizes))
    found.flags.writeable = False
    return found


def _walk(sizes: tuple[int, ...], width: int) -> NDArray[np.int64]:
    total, period = math.prod(sizes), math.lcm(*sizes)
    found = np.zeros((total, width), np.int64)
    # One shift a coset: an axis is shifted by what the axes before it leave undecided.
    undecided = [math.gcd(math.lcm(*sizes[:axis]), size) for axis, size in enumerate(sizes)]
    shifts = np.array(list(itertools.product(*map(range, undecided))))
    due = [list(range(len(shifts))) for _ in range(period)]
    # All tables of counts lie in one array: the levels of each axis, then the pairs of levels of each pair of axes.
    axes = range(len(sizes))
    one, other = np.array([(a, a) for a in axes] + list(itertools.combinations(axes, 2)), np.int64).reshape(-1, 2).T
    levels = np.array(sizes, np.int64)
    rows = np.where(one == other, 1, levels[other])
    cells = levels[one] * rows
    first = np.cumsum(cells) - cells
    common = math.lcm(*(size - 1 for size in sizes))
    degrees = np.minimum(levels[one], levels[other]) - 1
    weights = np.where(one == other, _LEVELS * common * cells, common * cells // degrees)
    counts = np.zeros(cells.sum(), np.int64)
    for step in range(total):
        waiting = due[step % period]
        compared = min(len(waiting), _COMPARED)
        places = [i * len(waiting) // compared for i in range(compared)]
        points = (step + shifts[[waiting[place] for place in places]]) % levels
        touched = first + points[:, one] * rows + np.where(one == other, 0, points[:, other])
        best = int(((2 * counts[touched] + 1) * weights).sum(axis=1).argmin())
        counts[touched[best]] += 1
        waiting.pop(places[best])
        found[step, : len(sizes)] = points[best]
    return found


def interleave(groups: Sequence[Sequence[T]]) -> list[T]:
    """Returns the members of all groups, each group in its own order; every prefix has about the same share of every group."""
    places = [((i + 0.5) / len(group), g, i) for g, group in enumerate(groups) for i in range(len(group))]
    return [groups[g][i] for _, g, i in sorted(places)]
