"""At equal upstream loss, is the larger model the better one to fine-tune?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.findings.effects import slopes
from bench.findings.finding import CONTRADICTED, NOT_SEPARABLE, SUPPORTED, Evidence, Finding, Untestable, Verdict
from bench.findings.loss_power_law import of_largest_set, several_models
from bench.select import compute
from bench.select.equal_compute import pairs
from bench.select.published_scaling import nfnet

_SHOWN = 4


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    runs = compute.finetuned(table)
    runs = runs[runs["compute"].notna() & runs["loss"].gt(0)]
    if runs.empty:
        raise Untestable("the compute of no upstream run that was transferred to ImageNet-1k is known")
    return of_largest_set(runs)


def _reversals(runs: pd.DataFrame) -> str:
    """The pairs of equal compute in which the higher loss fine-tunes better, as a sentence."""
    found = pairs(runs)
    back = found[found["reversed"]]
    said = f"of {len(found)} pairs of equal compute {len(back)} fine-tune better with the higher loss"
    if back.empty:
        return said
    larger = int(back["larger"].sum())
    named = [
        f"{r['model_other']} x {r['epochs_other']:g} epochs before {r['model']} x {r['epochs']:g} by {100 * r['gain']:.2f}"
        for r in back.sort_values("gain", ascending=False, kind="stable").head(_SHOWN).to_dict("records")
    ]
    return f"{said}, {larger} of them with the larger model ({'; '.join(named)})"


def _rates(runs: pd.DataFrame) -> str:
    """How often another rate than that of the lowest loss fine-tunes best, as a sentence; empty where one rate was tried."""
    if "lr" not in runs:
        return "learning rates of these were not published"
    by = [rows for _, rows in runs.groupby(["model", "epochs"]) if rows["lr"].nunique() > 1]
    if not by:
        return ""
    higher = sum(rows["lr"].iloc[rows["accuracy"].argmax()] > rows["lr"].iloc[rows["loss"].argmin()] for rows in by)
    return f"in {higher} of {len(by)} cases a higher rate than that of the lowest loss fine-tunes best"


def test(evidence: Evidence) -> Verdict:
    """Judges the points that a doubling of the model adds to fine-tuned accuracy beyond what its loss foretells.

    Accuracy is regressed on the logarithm of the loss, its square, and the logarithm of the model's compute for an epoch.
    """
    runs = several_models(evidence.read(_measured, nfnet)).dropna(subset=["accuracy"])
    loss = np.log(runs["loss"].astype(float))
    *_, by_size = slopes(100 * runs["accuracy"], loss - loss.mean(), (loss - loss.mean()) ** 2, np.log2(runs["size"]))
    why = "; ".join(part for part in (_reversals(runs), _rates(runs)) if part)
    verdict = SUPPORTED if by_size.low > 0 else CONTRADICTED if by_size.high < 0 else NOT_SEPARABLE
    unit = "points per doubling of the model at equal loss"
    return Verdict(verdict, why, by_size.value, by_size.low, by_size.high, unit, len(runs))


FINDING = Finding(
    "finetuning-prefers-larger",
    "Fine-tuning prefers a slightly larger model, fewer epochs and sometimes a higher pre-training rate than the loss does",
    '"ConvNets Match Vision Transformers at Scale", section 3 and Fig. 1',
    test,
)
