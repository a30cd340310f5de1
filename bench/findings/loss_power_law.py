"""Upstream loss against compute, along the frontier of the best runs."""

from __future__ import annotations

import pandas as pd

from bench.findings.finding import CONTRADICTED, NOT_SEPARABLE, SUPPORTED, Evidence, Finding, Untestable, Verdict
from bench.select import compute
from bench.select.frontier import power_law
from bench.select.published_scaling import nfnet

STRAIGHT = 0.02
"""Root mean square of residuals, as a share of the loss, up to which a line in logarithms is straight. Published losses leave
0.7%; reading them off the figure is off by up to 0.2%."""


def one_set(table: pd.DataFrame) -> pd.DataFrame:
    """The upstream runs of the set that has the most of known compute, see `bench.select.compute.upstream`.

    Runs that made no error are left out: they have no logarithm.

    Raises:
      Untestable: there are none.
    """
    runs = compute.upstream(table)
    runs = runs[runs["compute"].notna() & runs["loss"].gt(0)]
    if runs.empty:
        raise Untestable("the compute of no upstream run is known: the number of its training images was never published")
    return of_largest_set(runs)


def of_largest_set(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the upstream set that has the most: losses of different sets do not compare."""
    rows: pd.DataFrame = runs[runs["ds"] == runs["ds"].value_counts().index[0]]
    return rows


def several_models(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs, if they vary what a scaling law is about.

    Raises:
      Untestable: they do not.
    """
    if runs["model"].nunique() < 2 or runs["epochs"].nunique() < 2:
        raise Untestable("runs of one upstream set vary either the model or the epochs, not both")
    return runs


def test(evidence: Evidence) -> Verdict:
    """Judges the exponent and whether the points lie on a line in logarithms."""
    runs = several_models(evidence.read(one_set, nfnet))
    law = power_law(runs)
    what = "loss" if evidence.table is None else "validation error, the table has no loss,"
    unit = "core-hours" if evidence.table is None else "FLOPs"
    why = (
        f"{what} = {law.prefactor.text('.3g')} x {unit} ^ {law.exponent.text('.3f')} along {law.points} runs,"
        f" {100 * law.rms:.1f}% off on average"
    )
    if not law.exponent.known:
        verdict, why = NOT_SEPARABLE, f"{why}; too few to say"
    elif law.exponent.low > 0 or law.rms > STRAIGHT:
        verdict = CONTRADICTED
        why += f"; more than {100 * STRAIGHT:g}% is no line" if law.rms > STRAIGHT else ""
    else:
        verdict = SUPPORTED if law.exponent.high < 0 else NOT_SEPARABLE
    return Verdict(verdict, why, law.exponent.value, law.exponent.low, law.exponent.high, "exponent", len(runs))


FINDING = Finding(
    "loss-power-law",
    "The upstream loss follows a power law of compute",
    '"ConvNets Match Vision Transformers at Scale", section 2 and Fig. 2',
    test,
)
