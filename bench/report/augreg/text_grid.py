"""A table as a figure: texts in rows and columns, the best of every column in bold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from bench.report.figures import plain

_ROW, _MARGIN, _FOOT, _LETTER, _BOLD = 0.2, 0.12, 0.5, 0.072, 0.1
"""Inches."""


def draw(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    bold: Sequence[Sequence[bool]],
    rules: Sequence[int] = (),
    slanted: bool = False,
) -> Figure:
    """Draws a table, as wide and as high as its texts need; the foot is left to `bench.report.augreg.face.sign`.

    Args:
      title: above.
      header: of each column; the first column is set to the left, the others are centred.
      rows: texts, as many a row as `header` has.
      bold: which of them are bold.
      rules: numbers of rows above which there is a line.
      slanted: whether the header is turned by 60 degrees.
    """
    widest = [max(len(r[i]) for r in rows) for i in range(len(header))]
    if not slanted:
        widest = [max(w, *map(len, h.split("\n"))) for w, h in zip(widest, header, strict=True)]
    wide = [_LETTER * w + 0.16 for w in widest]
    tall = 0.045 + (0.05 + 0.055 * max(map(len, header)) if slanted else 0.15 * max(h.count("\n") + 1 for h in header))
    width = max(2 * _MARGIN + sum(wide) + (0.4 * tall if slanted else 0), 2 * _MARGIN + _BOLD * len(title))
    height = 0.34 + tall + _ROW * len(rows) + _FOOT
    fig = Figure(figsize=(width, height), facecolor="white")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    ax.text(_MARGIN, 0.09, plain(title), va="top", fontsize=9.5, fontweight="bold")
    top = 0.34 + tall
    edges = [_MARGIN + sum(wide[:i]) for i in range(len(wide))]
    middle = [x + w / 2 for x, w in zip(edges, wide, strict=True)]
    for i, text in enumerate(header):
        x = edges[0] if i == 0 else middle[i]
        turned = (
            {"rotation": 60, "ha": "left", "rotation_mode": "anchor"} if slanted and i else {"ha": "center" if i else "left"}
        )
        ax.text(x, top - 0.06, plain(text), va="bottom", fontsize=7.5, **turned)
    for y, (texts, strong) in enumerate(zip(rows, bold, strict=True)):
        for i, (text, heavy) in enumerate(zip(texts, strong, strict=True)):
            at = (edges[0], "left") if i == 0 else (middle[i], "center")
            style: dict[str, Any] = {"fontsize": 8, "fontweight": "bold" if heavy else "normal"}
            ax.text(at[0], top + _ROW * (y + 0.5), plain(text), ha=at[1], va="center", **style)
    for y in (0, *rules, len(rows)):
        ax.plot([_MARGIN, edges[-1] + wide[-1]], [top + _ROW * y] * 2, color="#555555", linewidth=0.8)
    return fig
