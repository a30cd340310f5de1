"""A residual network on a tenth of a set, with AugReg, against plain training on all of it."""

from __future__ import annotations

import pandas as pd

from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.findings.runs import ended, nested, of_families, plain, tops
from bench.points.datasets import part

_TENTH = (9.9, 10.1)
BAR = 0.01
"""Less than a point is as good as nothing missing."""


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    runs = ended(table)
    runs = runs[of_families(runs, "resnet")]
    found = []
    for small, large in nested(runs["ds"], *_TENTH):
        if part(small)[1] == 1:
            continue  # another set, with other validation images
        whole = tops(runs[runs["ds"].eq(large) & plain(runs)])
        tenth = tops(runs[runs["ds"].eq(small) & ~plain(runs)])
        both = whole.merge(tenth, on="name", suffixes=("_a", "_b")).assign(task=large)
        found.append(both)
    if not found or (both := pd.concat(found, ignore_index=True)).empty:
        raise Untestable("no ResNet was trained plain on all of a set and with AugReg on a tenth of it")
    names = {f"{c}_{s}": f"{to}{s}" for c, to in (("final_val", ""), ("n_val", "n_"), ("filename", "run_")) for s in "ab"}
    return both.rename(columns={"name": "model", **names})


def test(evidence: Evidence) -> Verdict:
    """Judges how much upstream validation accuracy is still missing; both were validated on the same images."""
    pairs = evidence.read(_measured, None, "accuracies of ResNet-50 on a tenth of ImageNet were not published as numbers")
    return judged(paired(pairs), "plain on everything less AugReg on a tenth", BAR)


FINDING = Finding(
    "tenth-not-recovered",
    "Augmentation does not make up for 90% of ImageNet left out, for ResNet-50",
    '"How to train your ViT?", section 4.1',
    test,
)
