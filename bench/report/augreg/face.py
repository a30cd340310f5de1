"""What every figure of the paper says on its face: where its numbers are from, and what is not there."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.report import order, ticks
from bench.report.figures import plain
from bench.report.styles import COLOURS, MARKERS, Style

ORIGIN = "origin"
"""Column of every figure's data: where the number of a row is from."""
TABLE = "the table"
PAPER = "How to train your ViT?"
"""Of which all published numbers here are (arXiv 2106.10270v2)."""
MODELS = ("R+Ti/16", "Ti/16", "S/32", "S/16", "B/32", "R26+S/32", "B/16", "L/16", "R50+L/32")
"""The nine of the paper's figures, by capacity; the release has a tenth, B/8."""

_SETS = {"i1k": "ImageNet-1k, 300 epochs", "i21k_30": "ImageNet-21k, 30 epochs", "i21k": "ImageNet-21k, 300 epochs"}
_SET_STYLES = {"i1k": Style("#E69F00", "o", "--"), "i21k_30": Style("#0072B2", "s", ":"), "i21k": Style("#000000", "^", "-")}
"""Three of Okabe and Ito's colours that stay apart in grey."""
_SMALL, _INCH = 7.5, 0.09
_PER_INCH = 16.0
"""Letters of the foot's size that fit into an inch."""
_TICKS = 5
"""Numbers such as 10,000 that fit below a panel."""


def published(what: str) -> str:
    """The origin of a published number, by its table or figure."""
    return f'published numbers, "{PAPER}", {what}'


def set_name(ds: str) -> str:
    """An upstream set in words, as the paper's legends have it; an unknown one as the column spells it."""
    return _SETS.get(ds, ds)


def of_the_paper(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the paper's nine models where the table has them all, so that the released B/8 stays out; else all rows."""
    return table[table["name"].isin(MODELS)] if set(MODELS) <= set(table["name"].dropna().unique()) else table


def styles(names: Iterable[str]) -> dict[str, Style]:
    """A colour and a mark per name, in their order."""
    return {n: Style(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, n in enumerate(dict.fromkeys(names))}


def set_styles(values: Iterable[str]) -> dict[str, Style]:
    """A style per upstream set; those of the paper always have the same one."""
    found = order.upstream_sets(values)
    others = styles(["", *(ds for ds in found if ds not in _SET_STYLES)])
    return {ds: _SET_STYLES.get(ds) or others[ds] for ds in found}


def sign(fig: Figure, frame: pd.DataFrame, notes: Iterable[str] = ()) -> None:
    """Writes where the numbers are from, and notes, into the lower left corner.

    Args:
      fig: the figure.
      frame: its data, with a column `origin`.
      notes: what else is to be known, such as what `gaps` says; empty ones are left out, long ones wrapped.
    """
    origins = list(dict.fromkeys(frame.loc[frame["value"].notna() if "value" in frame else slice(None), ORIGIN]))
    width, height = fig.get_size_inches()
    letters = int(_PER_INCH * (width - 2 * _INCH))
    text = "\n".join(textwrap.fill(t, letters) for t in ("From " + "; ".join(origins) + ".", *notes) if t)
    fig.text(_INCH / width, _INCH / height, plain(text), ha="left", va="bottom", fontsize=_SMALL, color="#444444")


def gaps(names: Collection[str], of: int, what: str) -> str:
    """A note that says which of so many things are not there; empty where none is missing."""
    if not names:
        return ""
    first = list(names)[:3]
    more = f" and {len(names) - len(first):,} more" if len(names) > len(first) else ""
    return f"Incomplete: {len(names):,} of {of:,} {what} missing ({', '.join(first)}{more})."


def tidy(ax: Axes) -> None:
    """Leaves of an axes what its points need: two spines and a faint grid behind."""
    ax.grid(color="#e3e3e3", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["right", "top"]].set_visible(False)
    ax.tick_params(labelsize=8)


def log_axis(ax: Axes, low: float, high: float) -> None:
    """Makes x logarithmic, with room on both sides of `low` and `high`, and ticks written out."""
    low, high = low / 1.25, high * 1.25
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator(list(ticks.logarithmic(low, high, _TICKS))))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    ax.xaxis.set_minor_locator(NullLocator())
