"""Colours, marks and dashes that tell strategies and task groups apart, on screen, in grey and to the colour-blind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bench.points.tasks import GROUPS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's colours, safe for the colour-blind; the shapes tell them apart in grey."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
"""One more than there are colours, so that 56 pairs of both differ."""
Dash = Literal["-", "--", ":"]
_DASHES: tuple[Dash, ...] = ("-", "--", ":")
OTHER = "#8c8c8c"
"""Whatever has no colour of its own."""


@dataclass(frozen=True)
class Style:
    """How a strategy or a group is drawn."""

    colour: str
    marker: str
    dash: Dash = "-"


def strategies(names: Iterable[str]) -> dict[str, Style]:
    """A style per strategy, by the order in which they first appear; 56 differ as marks alone, 21 as lines alone."""
    distinct = dict.fromkeys(names)
    kinds = len(COLOURS)
    return {
        name: Style(COLOURS[i % kinds], MARKERS[i % len(MARKERS)], _DASHES[i // kinds % len(_DASHES)])
        for i, name in enumerate(distinct)
    }


def group(name: str) -> Style:
    """The style of a task group; grey for one that VTAB does not have."""
    if name not in GROUPS:
        return Style(OTHER, "o")
    i = GROUPS.index(name)
    return Style(COLOURS[i], MARKERS[i])
