"""Progressive learning against training at full resolution and strength throughout: time and accuracy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from bench.errors import UserError
from bench.findings.effects import mean_of, paired
from bench.findings.finding import CONTRADICTED, NOT_SEPARABLE, SUPPORTED, Evidence, Finding, Untestable, Verdict
from bench.findings.runs import ended
from bench.points import Upstream, parse_upstream

BAR = -0.005
"""Half a point less still is "equal accuracy"."""


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    runs = ended(table)
    runs = runs[runs["train_seconds"].gt(0) & runs["device"].notna()]
    configs = {name: config for name in runs["filename"] if (config := _config(str(name))) is not None}
    runs = runs[runs["filename"].isin(configs)]
    grows = runs["filename"].map(lambda name: bool(configs[name].progressive)).astype(bool)
    # What a run would be called that trained throughout as this one ends.
    runs = runs.assign(twin=[replace(configs[name], progressive="").name for name in runs["filename"]])
    both = runs[grows].merge(runs[~grows], on=["twin", "name", "ds", "device"], suffixes=("_a", "_b"))
    if both.empty:
        raise Untestable(
            "no model was trained on one kind of device, with times, both progressively and without, all else being equal"
        )
    return both


def _config(name: str) -> Upstream | None:
    try:
        return parse_upstream(name)
    except UserError:
        return None


def test(evidence: Evidence) -> Verdict:
    """Judges the share of training time that is saved, and that accuracy is at most half a point lower."""
    both = evidence.read(
        _measured, None, "no paper's training times with and without progressive learning are among the numbers"
    )
    both = both.assign(log=np.log((both["train_seconds_a"] / both["train_seconds_b"]).to_numpy(float)))
    # Models are what may differ in general; of one model its runs.
    unit = "name" if both["name"].nunique() > 1 else "twin"
    numbers = ["log", *(f"{column}_{s}" for column in ("final_val", "n_val") for s in "ab")]
    means = both.astype(dict.fromkeys(numbers, "float64")).groupby([unit, "ds"])[numbers].mean().reset_index()
    sides = {f"{c}_{s}": f"{to}{s}" for c, to in (("final_val", ""), ("n_val", "n_")) for s in "ab"}
    accuracy = paired(means.rename(columns={unit: "model", "ds": "task", **sides})).interval
    ratio = mean_of(means["log"])
    saved, low, high = (100 * (1 - math.exp(log)) for log in (ratio.value, ratio.high, ratio.low))
    over = f"{len(means)} {'models' if unit == 'name' else 'runs of one model'}"
    why = f"over {over} the accuracy differs by {accuracy} points"
    if math.isnan(low) or not accuracy.known:
        verdict, why = NOT_SEPARABLE, f"{why}; too few to say"
    elif low > 0 and accuracy.low > BAR:
        verdict = SUPPORTED
    else:
        verdict = CONTRADICTED if high < 0 or accuracy.high < BAR else NOT_SEPARABLE
    runs = len({*both["filename_a"], *both["filename_b"]})
    return Verdict(verdict, why, saved, low, high, "% of training time saved", runs)


FINDING = Finding(
    "progressive-saves-time",
    "Progressive learning saves training time at equal accuracy",
    '"EfficientNetV2", section 4',
    test,
)
