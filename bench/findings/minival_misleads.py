"""ImageNetV2 selects better than minival where upstream training saw minival's images."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.points.tasks import TASKS
from bench.select.imagenet import MINIVAL as BY_MINIVAL
from bench.select.imagenet import V2, rules
from bench.select.published import MINIVAL, upstream_vs_downstream
from bench.select.runs import transfer_runs
from bench.select.validation import V2_OF, saw


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    transfers = transfer_runs(table)
    of_it = transfers[transfers["adapt_ds"] == V2_OF]
    seen = of_it[of_it["ds"].map(lambda ds: saw(str(ds), V2_OF)).astype(bool)]
    if seen.empty:
        raise Untestable("no checkpoint that saw ImageNet-1k's training images upstream was transferred to it")
    if seen["adapt_final_val_v2"].isna().all():
        raise Untestable("no transfer to ImageNet-1k has an ImageNetV2 score (adapt_final_val_v2)")
    picks = rules(table, [seen["ds"].value_counts().index[0]]).dropna(subset=["test"])
    v2, minival = (picks[picks["rule"] == rule] for rule in (V2, BY_MINIVAL))
    both = v2.merge(minival, on="name", suffixes=("_a", "_b"))
    names = {"name": "model", "test_a": "a", "test_b": "b", "adapt_filename_a": "run_a", "adapt_filename_b": "run_b"}
    images = TASKS[V2_OF].test
    return both.rename(columns=names).assign(task=V2_OF, n_a=images, n_b=images)


def _published(folder: Path) -> pd.DataFrame:
    cells = upstream_vs_downstream(folder)
    wide = cells.pivot(index="name", columns="adapt_ds", values="value").reset_index()
    # Both columns are the same upstream choice less what the rule picks, so their difference is one pick less the other.
    return pd.DataFrame({"model": wide["name"], "task": V2_OF, "a": wide[MINIVAL], "b": wide[V2_OF]})


def test(evidence: Evidence) -> Verdict:
    """Judges test accuracy of what ImageNetV2 picks less that of what minival picks, by model."""
    pairs = evidence.read(_measured, _published)
    return judged(paired(pairs), "test accuracy on ImageNet-1k of ImageNetV2's pick less minival's")


FINDING = Finding(
    "minival-misleads",
    "Held-out training images mislead for checkpoints that saw them upstream, and ImageNetV2 repairs it",
    '"How to train your ViT?", section 4.5 and Fig. 5 (right)',
    test,
)
