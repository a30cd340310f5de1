"""How the best peak learning rate changes with the size of the model and with the epochs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.findings.effects import slopes
from bench.findings.finding import CONTRADICTED, NOT_SEPARABLE, SUPPORTED, Evidence, Finding, Untestable, Verdict
from bench.findings.loss_power_law import of_largest_set
from bench.select import compute
from bench.select.costs import image_flops
from bench.select.published_scaling import nfnet_rates

_TRIED = 3
"""Learning rates that must have been tried before one of them is called the best."""
_PIXELS = 224


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    runs = compute.upstream(table)
    tried = runs.groupby(["ds", "model", "epochs"])["lr"].transform("nunique")
    enough = runs[tried >= _TRIED].sort_values(["loss", "filename"], kind="stable")
    best = enough.groupby(["ds", "model", "epochs"]).head(1)
    if best.empty:
        raise Untestable(f"no model was trained for one number of epochs at {_TRIED} learning rates or more")
    return of_largest_set(best)


def test(evidence: Evidence) -> Verdict:
    """Judges both slopes: octaves of the best rate per doubling of epochs, and of the model's FLOPs."""
    rates = evidence.read(_measured, nfnet_rates)
    rates = rates.assign(size=[image_flops(str(model), _PIXELS) for model in rates["model"]]).dropna(subset=["size"])
    if rates["model"].nunique() < 2 or rates["epochs"].nunique() < 2:
        raise Untestable("the best learning rate is not known for several models and several numbers of epochs")
    by_epochs, by_size = slopes(*(np.log2(rates[column].astype(float)) for column in ("lr", "epochs", "size")))
    why = f"factors of 2 in the best rate: {by_epochs} per doubling of the epochs, {by_size} per doubling of the model's FLOPs"
    if by_epochs.high < 0 and by_size.high < 0:
        verdict = SUPPORTED
    else:
        verdict = CONTRADICTED if by_epochs.low > 0 or by_size.low > 0 else NOT_SEPARABLE
    unit = "factors of 2 per doubling of epochs"
    return Verdict(verdict, why, by_epochs.value, by_epochs.low, by_epochs.high, unit, len(rates))


FINDING = Finding(
    "best-lr-falls",
    "The best learning rate falls with the size of the model and with the epochs",
    '"ConvNets Match Vision Transformers at Scale", section 2 and Fig. 3',
    test,
)
