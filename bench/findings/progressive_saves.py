"""Progressive learning against training at full resolution and strength throughout: time and accuracy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from bench.errors import UserError
from bench.findings.effects import paired
from bench.findings.finding import CONTRADICTED, NOT_SEPARABLE, SUPPORTED, Evidence, Finding, Untestable, Verdict
from bench.findings.runs import ended
from bench.points import parse_upstream
from bench.select.intervals import LEVEL

BAR = -0.005
"""Half a point less still is "equal accuracy"."""


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    runs = ended(table)
    runs = runs[runs["train_seconds"].gt(0)]
    runs = runs.assign(schedule=runs["filename"].map(_schedule)).dropna(subset=["schedule"])
    keys = ["name", "ds", "epochs", "seed", "device"]
    grows, constant = runs[runs["schedule"].ne("")], runs[runs["schedule"].eq("")]
    both = grows.merge(constant, on=keys, suffixes=("_a", "_b"))
    if both.empty:
        raise Untestable("no model was trained on one kind of device both with a progressive schedule and without, with times")
    return both


def _schedule(name: str) -> str | None:
    try:
        return parse_upstream(name).progressive
    except UserError:
        return None


def test(evidence: Evidence) -> Verdict:
    """Judges the share of training time that is saved, and that accuracy is at most half a point lower."""
    both = evidence.read(
        _measured, None, "no paper's training times with and without progressive learning are among the numbers"
    )
    images = {f"n_{s}": both[f"n_val_{s}"].astype("float64") for s in "ab"}
    pairs = pd.DataFrame(
        {
            "model": [f"{name} {i}" for i, name in enumerate(both["name"])],
            "task": both["ds"],
            **{s: both[f"final_val_{s}"].astype(float) for s in "ab"},
            **images,
            **{f"run_{s}": both[f"filename_{s}"] for s in "ab"},
        }
    )
    accuracy = paired(pairs).interval
    logs = np.log((both["train_seconds_a"] / both["train_seconds_b"]).to_numpy(float))
    saved = 100 * (1 - math.exp(logs.mean()))
    low, high = math.nan, math.nan
    if len(logs) > 1:
        ends = stats.ttest_1samp(logs, 0.0).confidence_interval(LEVEL)
        low, high = 100 * (1 - math.exp(ends.high)), 100 * (1 - math.exp(ends.low))
    why = f"over {len(both)} pairs of runs the accuracy differs by {accuracy} points"
    if math.isnan(low) or not accuracy.known:
        verdict, why = NOT_SEPARABLE, f"{why}; too few to say"
    elif low > 0 and accuracy.low > BAR:
        verdict = SUPPORTED
    else:
        verdict = CONTRADICTED if high < 0 or accuracy.high < BAR else NOT_SEPARABLE
    runs = len({*pairs["run_a"], *pairs["run_b"]})
    return Verdict(verdict, why, saved, low, high, "% of training time saved", runs)


FINDING = Finding(
    "progressive-saves-time",
    "Progressive learning saves training time at equal accuracy",
    '"EfficientNetV2", section 4',
    test,
)
