"""A grid of differences in points, coloured by sign and size: what the figures of selection share.

Colours are ColorBrewer's RdBu, as in the heatmap: worse is red, better is blue; better is bold as well, as no symmetric map
shows a sign in grey.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bench.report.figures import plain, points

_MAP = colormaps["RdBu"]
CELL, ROW = 0.48, 0.28
"""Inches of a cell."""


def limits(values: NDArray[np.float64]) -> Normalize:
    """Symmetric limits that show small differences beside a few large ones: their 95th percentile, 1 point at least."""
    sizes = np.abs(values[~np.isnan(values)])
    widest = max(1.0, float(np.quantile(100 * sizes, 0.95)) if len(sizes) else 1.0)
    return Normalize(-widest, widest, clip=True)


def panel(
    ax: Axes, values: NDArray[np.float64], norm: Normalize, columns: Sequence[str], rows: Sequence[str], decimals: int = 1
) -> None:
    """Draws f64[rows, columns], fractions, NaN where there is none (hatched); positive is better.

    Args:
      ax: the axes, as large as `CELL` and `ROW` say.
      values: what is written into the cells, in points.
      norm: as `limits` gives it, the same for all panels of a figure.
      columns: labels below.
      rows: labels on the left, empty where a neighbour has them.
      decimals: of the texts.
    """
    ax.pcolormesh(np.ma.masked_invalid(100 * values), cmap=_MAP, norm=norm, edgecolors="white", linewidth=0.8)
    for (y, x), value in np.ndenumerate(values):
        if np.isnan(value):
            ax.add_patch(
                Rectangle((x + 0.02, y + 0.02), 0.96, 0.96, linewidth=0, edgecolor="#b0b0b0", fill=False, hatch="////")
            )
            continue
        red, green, blue, _ = _MAP(norm(100 * value))
        ink = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"
        text = points(float(value), decimals)
        weight = "bold" if value > 0 and float(text) != 0 else "normal"
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center_baseline", fontsize=8, color=ink, fontweight=weight)
    ax.invert_yaxis()
    ax.tick_params(length=0, pad=3)
    ax.spines[:].set_visible(False)
    at = np.arange(len(columns)) + 0.5
    ax.set_xticks(at, [plain(c) for c in columns], rotation=40, ha="right", rotation_mode="anchor", fontsize=8.5)
    ax.set_yticks(np.arange(len(rows)) + 0.5, [plain(r) for r in rows], fontsize=8.5)
