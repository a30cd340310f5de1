"""What the drawings about scale share: quiet axes, styles by model, a legend beside the panels, a foot with the source."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from bench.report import order, styles, ticks
from bench.report.figures import plain

HEIGHT, WIDTH, LEFT, RIGHT, TOP, BELOW = 2.9, 3.6, 0.8, 1.5, 0.32, 0.46
"""Inches: a panel, and the room around it."""
_REMARK, _FOOT = 0.16, 0.13
"""Inches of a line below a panel, and of one of the foot."""
_PER_INCH = 16.0
"""Letters of the foot's size that fit into an inch."""
_ALIKE = 1.01
"""Ratio below which values are drawn as one, amid room of its own size."""
_UNITS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_LARGE = 1e21


def panels(titles: list[str], foot: str, remarks: int = 0) -> tuple[Figure, list[Axes]]:
    """A figure of its own: a panel per title, one below the other, room for a legend on the right, and a foot.

    Args:
      titles: of the panels.
      foot: is wrapped.
      remarks: lines that `remark` writes below each panel.
    """
    width = LEFT + WIDTH + RIGHT
    lines = wrapped(foot, width)
    below = BELOW + _REMARK * remarks
    bottom, block = 0.16 + _FOOT * len(lines), TOP + HEIGHT + below
    height = bottom + len(titles) * block
    fig = Figure(figsize=(width, height), facecolor="white")
    axes = []
    for i, title in enumerate(titles):
        y = bottom + (len(titles) - 1 - i) * block + below
        ax = fig.add_axes((LEFT / width, y / height, WIDTH / width, HEIGHT / height))
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


def legend(
    fig: Figure, shown: Mapping[str, styles.Style], extra: Iterable[Line2D] = (), *, lines: bool = True, hollow: bool = False
) -> None:
    """Puts the models, and what else is drawn, beside the first panel.

    Args:
      fig: as `panels` made it.
      shown: how the models are drawn.
      extra: further entries.
      lines: whether there are lines, not marks alone.
      hollow: whether marks are.
    """
    handles = [
        Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.dash if lines else "", label=plain(name))
        for name, s in shown.items()
    ]
    for handle in handles:
        handle.set(markersize=5, linewidth=1.2, **({"markerfacecolor": "none"} if hollow else {}))
    place = (1 - (RIGHT - 0.08) / fig.get_figwidth(), 1 - TOP / fig.get_figheight())
    look: dict[str, Any] = {"frameon": False, "fontsize": 7.5, "borderaxespad": 0}
    fig.legend(handles=[*handles, *extra], loc="upper left", bbox_to_anchor=place, **look)


def remark(ax: Axes, text: str) -> None:
    """Writes what a line says below its panel, where it covers no run."""
    at = (0, -72 * BELOW)
    look: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False, "linespacing": 1.35}
    ax.annotate(text, (0, 0), at, xycoords="axes fraction", va="top", fontsize=7.5, **look)


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
    marks = present if every else ticks.logarithmic(low, high)
    getattr(ax, f"set_{axis}scale")("log")
    getattr(ax, f"set_{axis}lim")(low, high)
    side = getattr(ax, f"{axis}axis")
    side.set_major_locator(FixedLocator(list(marks)))
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%" if share else short(value)))
    side.set_minor_locator(NullLocator())
    side.set_minor_formatter(NullFormatter())


def short(value: float) -> str:
    """A number of 0 or more on an axis: 0.25, 20, 5k, 2M, 1G, 3P."""
    if value >= _LARGE:
        return f"{value:.2g}"
    unit, name = next((u for u in _UNITS if value >= (1 - 1e-9) * u[0]), (1.0, ""))
    return f"{value / unit:.4g}{name}"


def wrapped(text: str, width: float) -> list[str]:
    """The lines of a foot that fit into a figure of this width, in inches."""
    return textwrap.wrap(text, int(_PER_INCH * (width - 0.2)))
