"""At a tenth of the epochs on the large set, augmentation and regularisation help the largest models only."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.findings.effects import line_at, slopes
from bench.findings.finding import CONTRADICTED, NOT_SEPARABLE, SUPPORTED, Evidence, Finding, Untestable, Verdict
from bench.findings.runs import cells, ended, short
from bench.select.costs import image_flops
from bench.select.published import fig4_cells

_BAR = 0.5
"""Points that a model must gain before it is said to be helped: half of what the published figure can show."""
_FEWEST = 4
"""Models that a trend over sizes needs."""
_PIXELS = 224


def gains(grid: pd.DataFrame) -> pd.DataFrame:
    """What the best cell with augmentation or dropout has over the plain one: one row per model, columns name, size, gain.

    Args:
      grid: columns ds, name, do, aug, value, of one upstream set.

    Returns:
      By size, FLOPs of an image; gain in points.
    """
    bare = grid["aug"].eq("none") & grid["do"].eq(0)
    plain, helped = (grid[side].groupby("name")["value"].max() for side in (bare, ~bare))
    found = (100 * (helped - plain)).dropna().rename("gain").reset_index()
    found["size"] = [image_flops(str(name), _PIXELS) for name in found["name"]]
    return found.dropna().sort_values("size", ignore_index=True)


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    return cells(ended(table))


def test(evidence: Evidence) -> Verdict:
    """Judges how the gain grows with the model, whether the largest gains, and whether the smaller half does not."""
    grid = evidence.read(_measured, fig4_cells)
    grid = grid[grid["ds"].map(lambda ds: short(str(ds))).astype(bool)]
    if grid.empty:
        raise Untestable("no upstream run is of the large set at a short budget (ds ending in _30)")
    found = gains(grid)
    if len(found) < _FEWEST:
        raise Untestable(
            f"{len(found)} models have both a plain run and one with AugReg at a short budget; {_FEWEST} are needed"
        )
    size = np.log10(found["size"])
    [slope] = slopes(found["gain"], size)
    small, large = (line_at(found["gain"], size, at) for at in (size.iloc[: len(found) // 2].mean(), size.iloc[-1]))
    why = (
        f"along a line over sizes the best run with AugReg has {small} points over the plain one in the smaller half of the"
        f" models, {large} in {found['name'].iloc[-1]}; from {_BAR:+.1f} on a model is helped"
    )
    if slope.high < 0 or large.high < _BAR or small.low > _BAR:
        verdict = CONTRADICTED
    elif slope.low > 0 and large.low > _BAR and small.high <= _BAR:
        verdict = SUPPORTED
    else:
        verdict = NOT_SEPARABLE
    return Verdict(verdict, why, slope.value, slope.low, slope.high, "points per tenfold model", len(grid))


FINDING = Finding(
    "short-budget-largest-only",
    "On ten times the data at a short budget, augmentation and regularisation help the largest models only",
    '"How to train your ViT?", Fig. 4 (middle)',
    test,
)
