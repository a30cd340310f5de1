"""The lowest upstream loss is not always the best fine-tune: pairs of runs that cost nearly the same.

Source: "ConvNets Match Vision Transformers at Scale", section 3.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.errors import UserError
from bench.report import styles
from bench.report.catalogue import OWN, PUBLISHED, TABLE, FigureFacts
from bench.report.figures import plain, points
from bench.report.scaling import axes, source
from bench.select import equal_compute
from bench.select.runs import require

_REVERSED, _AGREE = styles.Style(styles.COLOURS[1], ">"), styles.Style(styles.OTHER, "<", ":")
"""The other run of a pair is to the right of the first where it is better, and else to the left."""
_SHOWN = 40
"""Pairs that can be read one above the other."""


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """Columns of `bench.select.equal_compute.pairs`, and used, unit, note, task, ds; pairs are of one upstream set.

    Raises:
      UserError: what `source.accuracies` raises, or no two models cost nearly the same.
    """
    runs = source.accuracies(table)
    facts = {column: runs[column].iloc[0] for column in ("used", "unit", "note", "task")}
    found = [equal_compute.pairs(rows).assign(ds=ds) for ds, rows in runs.groupby("ds")]
    both = pd.concat(found, ignore_index=True)
    if both.empty:
        nearly = f"{100 * equal_compute.NEARLY:.0f}%"
        raise UserError(f"no two models of the {len(runs)} fine-tuned runs cost the same within {nearly}")
    return both.assign(**facts)


def draw(pairs: pd.DataFrame) -> Figure:
    """Draws a row per pair, the costliest on top: accuracy of the run with the lower loss, and a line to that of the other.

    Of more than 40 pairs the costliest are drawn.

    Raises:
      UserError: a column is missing, or there are no pairs.
    """
    needed = ("note", "task", "unit", "gain", "reversed", "larger", *equal_compute.COLUMNS)
    require(pairs, (*needed, *(f"{c}_other" for c in equal_compute.COLUMNS)))
    rows = pairs.sort_values("compute", kind="stable").tail(_SHOWN).reset_index(drop=True)
    left, right, row, bottom, top, body = 2.3, 1.2, 0.34, 0.75, 0.62, 3.4
    width, height = left + body + right, bottom + row * len(rows) + top
    fig = Figure(figsize=(width, height), facecolor="white")
    ax = fig.add_axes((left / width, bottom / height, body / width, row * len(rows) / height))
    for y, (_, pair) in enumerate(rows.iterrows()):
        look = _REVERSED if pair["reversed"] else _AGREE
        first, other = 100 * pair["accuracy"], 100 * pair["accuracy_other"]
        ax.plot([first, other], [y, y], color=look.colour, linestyle=look.dash, linewidth=1.6, zorder=2)
        ax.plot([other], [y], color=look.colour, marker=look.marker, markersize=6, linestyle="", zorder=3)
        ax.plot([first], [y], color="black", marker="o", markersize=4.5, linestyle="", zorder=4)
        said = f"{points(pair['gain'], 2)} points"
        ax.text(1.02, y, said, transform=ax.get_yaxis_transform(), va="center", fontsize=7.5, color="black")
    ax.set_yticks(range(len(rows)), [_said(pair) for _, pair in rows.iterrows()], fontsize=7.5, linespacing=1.25)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.margins(x=0.08)
    ax.locator_params(axis="x", nbins=6)
    ax.grid(axis="x", color="#e3e3e3", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["left", "right", "top"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_xlabel(f"accuracy on {plain(str(rows['task'].iloc[0]))} after fine-tuning, %", fontsize=9)
    fig.text(0.1 / width, 1 - 0.07 / height, _head(pairs), va="top", fontsize=9)
    handles = [
        Line2D([], [], color="black", marker="o", markersize=4.5, linestyle="", label="lower upstream loss"),
        *(
            Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.dash, markersize=5, label=f"other run, {what}")
            for s, what in ((_REVERSED, "better"), (_AGREE, "not better"))
        ),
    ]
    place = (0.05 / width, 1 - 0.27 / height)
    fig.legend(handles=handles, loc="upper left", bbox_to_anchor=place, ncols=3, frameon=False, fontsize=7.5, borderaxespad=0)
    for i, line in enumerate(reversed(axes.wrapped(str(rows["note"].iloc[0]), width))):
        fig.text(0.1 / width, (0.06 + 0.12 * i) / height, plain(line), va="bottom", fontsize=7, color="#444444")
    return fig


def _head(pairs: pd.DataFrame) -> str:
    wrong, larger = int(pairs["reversed"].sum()), int((pairs["reversed"] & pairs["larger"]).sum())
    of = f"{len(pairs):,} pair{'' if len(pairs) == 1 else 's'}"
    if not wrong:
        return f"In none of {of} does the higher loss fine-tune better"
    which = "larger model" if larger == wrong else "smaller model" if larger == 0 else f"larger model in {larger:,} of them"
    return f"In {wrong:,} of {of} the higher loss fine-tunes better, with the {which}"


def _said(pair: pd.Series) -> str:
    runs = [f"{pair[f'model{o}']} {pair[f'epochs{o}']:g} ep" for o in ("", "_other")]
    return plain(f"{runs[0]} against {runs[1].removeprefix('NFNet-')}\n{axes.short(pair['compute'])} {pair['unit']}")


FACTS = FigureFacts(
    name="nfnet-pairs",
    about="pairs of equal compute in which the lower loss is, or is not, the better fine-tune",
    source=f"{source.PAPER}, section 3",
    uses=(OWN, TABLE, PUBLISHED),
    data=data,
    draw=draw,
)
