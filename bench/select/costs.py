"""FLOPs of what strategies ask for: as recorded, else in closed form."""

from __future__ import annotations

import math
from functools import cache

import pandas as pd

from bench.cost.flops import forward_flops, training_flops
from bench.errors import UserError
from bench.points import VARIANTS, parse_transfer, parse_upstream


def run_flops(transfers: pd.DataFrame) -> pd.Series:
    """Returns the FLOPs of training each transfer run: as recorded, else by its name; NaN where neither says it."""
    if "adapt_train_flops" in transfers:
        recorded = transfers["adapt_train_flops"].astype(float)
        recorded = recorded.where(recorded > 0)  # 0 is what a record says that did not count
    else:
        recorded = pd.Series(math.nan, index=transfers.index, dtype="float64")
    unknown = transfers.loc[recorded.isna(), "adapt_filename"]
    # The FLOPs of a transfer are those of its model and settings, of which the release's 51,509 names have 646.
    known: dict[tuple[str | None, str], float] = {}
    found = []
    for name in unknown:
        upstream, _, settings = str(name).partition("--")
        key = _model(upstream), settings
        if key not in known:
            known[key] = _of_name(str(name))
        found.append(known[key])
    return recorded.fillna(pd.Series(found, index=unknown.index, dtype="float64"))


@cache
def _of_name(name: str) -> float:
    try:
        return training_flops(parse_transfer(name))
    except UserError:
        return math.nan


@cache
def _model(upstream: str) -> str | None:
    try:
        return parse_upstream(upstream).model
    except UserError:
        return None


@cache
def image_flops(model: str, resolution: int) -> float:
    """Returns the FLOPs of an image's forward pass without the classifier; NaN for a model that is not known."""
    return forward_flops(model, resolution, 0) if model in VARIANTS else math.nan
