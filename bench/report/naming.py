"""Names beside the points of a panel, as many as have room."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from bench.report.figures import plain

_PLACES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
"""Directions from a point in which its name may lie."""
_ACROSS, _ALONG = {0: "center", 1: "left", -1: "right"}, {0: "center", 1: "bottom", -1: "top"}
_APART = (2.0, 7.0)
"""Points between a mark and a name, and where there is no room so near."""
_STEP = 3.0
"""Dots between the places of a line that a name keeps away from."""

Floats = NDArray[np.float64]


class Point(NamedTuple):
    """A point with a name, in data coordinates."""

    x: float
    y: float
    name: str
    colour: str = "black"


def name_points(ax: Axes, points: Iterable[Point], fontsize: float = 8) -> None:
    """Writes names beside points, each where it is farthest from what is drawn; those without room are left out.

    Args:
      ax: the panel; everything else is drawn.
      points: with their names, the most important first.
      fontsize: of the names, points.
    """
    ax.autoscale_view()  # else the limits are found later, when the figure is written
    dot = ax.figure.dpi / 72
    centres, radii, lines = _drawn(ax, dot)
    taken: list[Bbox] = []
    for point in points:
        centre = ax.transData.transform((point.x, point.y))
        other = np.abs(centres - centre).max(axis=1) > 1
        radius = float(radii[~other].max(initial=0)) / dot
        at_point: dict[str, Any] = {"xytext": (0, 0), "textcoords": "offset points"}
        label = ax.annotate(plain(point.name), (point.x, point.y), **at_point, fontsize=fontsize, color=point.colour)
        free: list[tuple[bool, float, _Place, Bbox]] = []
        for apart, direction in itertools.product(_APART, _PLACES):
            place = _Place(radius + apart, *direction)
            box = _placed(label, place)
            inside = ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 and ax.bbox.y0 <= box.y0 and box.y1 <= ax.bbox.y1
            clear = (_distances(box, centres[other]) - radii[other]).min(initial=np.inf)
            if inside and clear > 0 and not any(box.overlaps(one) for one in taken):
                free.append((apart == _APART[0], min(clear, _distances(box, lines).min(initial=np.inf)), place, box))
        if not free:
            label.remove()
            continue
        # Of places that are alike the first counts.
        *_, place, box = max(free, key=lambda each: each[:2])
        _placed(label, place)
        taken.append(box)


class _Place(NamedTuple):
    """How far from a point a name lies, in points, and in which direction."""

    far: float
    across: int
    along: int


def _placed(label: Annotation, place: _Place) -> Bbox:
    label.set(ha=_ACROSS[place.across], va=_ALONG[place.along])
    # On a diagonal the mark is as far away as on an axis.
    far = place.far * (0.7 if place.across and place.along else 1.0)
    label.xyann = (far * place.across, far * place.along)
    return Bbox(label.get_window_extent())


def _drawn(ax: Axes, dot: float) -> tuple[Floats, Floats, Floats]:
    """Centres of all marks, [n, 2], their radii, [n], and places along all lines, [m, 2]; dots."""
    centres, radii, along = [np.empty((0, 2))], [np.empty(0)], [np.empty((0, 2))]
    for line in ax.lines:
        at = line.get_transform().transform(np.asarray(line.get_xydata(), float))
        if line.get_marker() not in ("", "None", None):
            centres.append(at)
            radii.append(np.full(len(at), dot * line.get_markersize() / 2))
        if line.get_linestyle() not in ("", "None"):
            along += [np.linspace(one, two, 2 + int(np.hypot(*(two - one)) / _STEP)) for one, two in itertools.pairwise(at)]
    return np.concatenate(centres), np.concatenate(radii), np.concatenate(along)


def _distances(box: Bbox, at: Floats) -> Floats:
    """Distances of points, [n, 2], from a box; 0 inside of it."""
    low, high = np.array([box.x0, box.y0]), np.array([box.x1, box.y1])
    return np.asarray(np.hypot(*np.maximum(np.maximum(low - at, at - high), 0).T))
