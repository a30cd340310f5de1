"""AugReg on a set against plain training on about ten times its images, after fine-tuning."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.findings.runs import adapted, ended, nested, plain, published, sides, tops

_TENFOLD = (7.0, 15.0)
"""How many times as many images are about ten times: ImageNet-21k has 10.2 times those of ImageNet-1k (Fig. 1)."""
BAR = -0.01
"""A point less still is "about as good"."""


def _measured(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    runs = ended(table)
    pairs = nested(runs["ds"], *_TENFOLD)
    if not pairs:
        raise Untestable("the table has no two upstream sets of which one has about ten times the images of the other")
    found = []
    for small, large in pairs:
        with_it = adapted(table, tops(runs[runs["ds"].eq(small) & ~plain(runs)]))
        without = adapted(table, tops(runs[runs["ds"].eq(large) & plain(runs)]))
        found.append(sides(with_it, without).assign(sets=f"{small} against plain {large}"))
    both = pd.concat(found, ignore_index=True)
    if both.empty:
        raise Untestable(
            "no model was transferred to one task both from the smaller set with AugReg and, plain, from the larger"
        )
    # Of several pairs of sets the one that most is known of: they must not be averaged.
    sets = both["sets"].value_counts().index[0]
    return both[both["sets"] == sets], f"AugReg on {sets}, fine-tuned"


def _published(folder: Path) -> tuple[pd.DataFrame, str]:
    pairs = sides(published(folder, "i21k", 384, "imagenet_v2"), published(folder, "jft300m", 384, ""))
    said = (
        "plain ImageNet-21k runs are not tabulated, but AugReg on it against plain JFT-300M, 23 times as large, on ImageNet-1k"
    )
    return pairs, said


def test(evidence: Evidence) -> Verdict:
    """Judges the difference of AugReg on the smaller set to plain training on the larger; better or about as good will do."""
    pairs, said = evidence.read(_measured, _published)
    return judged(paired(pairs), said, BAR)


FINDING = Finding(
    "augreg-worth-tenfold",
    "Augmentation and regularisation are worth about ten times as much data",
    '"How to train your ViT?", section 4.1 and Fig. 1',
    test,
)
