"""What the drawings about scale share: quiet axes, styles by model, a legend beside the panels, a foot with the source."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from bench.report import order, styles
from bench.report.figures import plain

HEIGHT, WIDTH, LEFT, RIGHT, BOTTOM, TOP, GAP = 2.9, 3.6, 0.62, 1.45, 0.72, 0.32, 0.85
"""Inches: a panel, the room around all of them, and between two."""
_PER_INCH = 16.0
"""Letters of the foot's size that fit into an inch."""
_FEW, _MANY = 0.7, 3.0
"""Decades below which ticks are evenly spaced numbers, and above which only powers of ten."""
_ALIKE = 1.01
"""Ratio below which values are drawn as one, amid room of its own size."""
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_LARGE = 1e12

Floats = NDArray[np.float64]


def panels(titles: list[str], foot: str) -> tuple[Figure, list[Axes]]:
    """A figure of its own with a panel per title, side by side, room for a legend on the right and a foot below."""
    count = len(titles)
    width = LEFT + count * WIDTH + (count - 1) * GAP + RIGHT
    lines = wrapped(foot, width)
    bottom = BOTTOM + 0.13 * (len(lines) - 1)
    height = bottom + HEIGHT + TOP
    fig = Figure(figsize=(width, height), facecolor="white")
    axes = []
    for i, title in enumerate(titles):
        x = LEFT + i * (WIDTH + GAP)
        ax = fig.add_axes((x / width, bottom / height, WIDTH / width, HEIGHT / height))
        ax.set_title(plain(title), fontsize=9, loc="left")
        ax.grid(color="#e3e3e3", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.spines[["right", "top"]].set_visible(False)
        ax.tick_params(labelsize=8)
        axes.append(ax)
    fig.text(0.1 / width, 0.06 / height, plain("\n".join(lines)), va="bottom", fontsize=7, color="#444444")
    return fig, axes


def by_model(models: Iterable[str]) -> dict[str, styles.Style]:
    """A style per model, by capacity."""
    return styles.strategies(order.models(models))


def legend(fig: Figure, shown: Mapping[str, styles.Style], extra: Iterable[Line2D] = ()) -> None:
    """Puts the models, and what else is drawn, beside the panels."""
    handles = [
        Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.dash, markersize=5, linewidth=1.2, label=plain(name))
        for name, s in shown.items()
    ]
    place = (1 - (RIGHT - 0.08) / fig.get_figwidth(), 1 - TOP / fig.get_figheight())
    look: dict[str, Any] = {"frameon": False, "fontsize": 7.5, "borderaxespad": 0}
    fig.legend(handles=[*handles, *extra], loc="upper left", bbox_to_anchor=place, **look)


def remark(ax: Axes, text: str, at: tuple[float, float], side: Literal["left", "right"]) -> None:
    """Writes what a line says into the panel, at shares of it, above all that is drawn."""
    under = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    ax.text(*at, text, transform=ax.transAxes, ha=side, va="top", fontsize=7.5, linespacing=1.35, zorder=5, bbox=under)


def logarithmic(ax: Axes, axis: str, values: Iterable[float], *, every: bool = False, share: bool = False) -> None:
    """A logarithmic axis whose ticks are numbers that people read: 1, 2 and 5 in each decade, or only 1 over many decades.

    Args:
      ax: of the panel.
      axis: `x` or `y`.
      values: that are drawn on it.
      every: whether the ticks are the values themselves.
      share: whether values are fractions, written as percent.
    """
    present = np.unique(np.asarray(list(values), float))
    ratio = present[-1] / present[0]
    margin = ratio**0.06 if ratio > _ALIKE else 1.5
    low, high = present[0] / margin, present[-1] * margin
    ticks = present if every else _ticks(low, high)
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    getattr(ax, f"set_{axis}scale")("log")
    getattr(ax, f"set_{axis}lim")(low, high)
    side = getattr(ax, f"{axis}axis")
    side.set_major_locator(FixedLocator(ticks))
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%" if share else short(value)))
    side.set_minor_locator(NullLocator())
    side.set_minor_formatter(NullFormatter())


def _ticks(low: float, high: float) -> Floats:
    decades = np.log10(high / low)
    if decades < _FEW:
        return np.asarray(MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high))
    steps = (1.0,) if decades > _MANY else (1.0, 2.0, 5.0)
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    return np.outer(powers, steps).ravel()


def short(value: float) -> str:
    """A number of 0 or more on an axis: 0.25, 20, 5k, 2M, 1G, 3e+15."""
    if value >= _LARGE:
        return f"{value:.2g}"
    unit, name = next((u for u in _UNITS if value >= u[0]), (1.0, ""))
    return f"{value / unit:.4g}{name}"


def wrapped(text: str, width: float) -> list[str]:
    """The lines of a foot that fit into a figure of this width, in inches."""
    return textwrap.wrap(text, int(_PER_INCH * (width - 0.2)))
