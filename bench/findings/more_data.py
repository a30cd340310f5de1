"""Checkpoints of more data are better on tasks of all kinds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.findings.runs import adapted, ended, nested, sides, tops
from bench.points.tasks import TASKS
from bench.select.published import vtab_full
from bench.select.validation import V2_OF

_MORE = 5.0
"""How many times as many images are more data."""


def _measured(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    runs = ended(table)
    pairs = nested(runs["ds"], _MORE)
    if not pairs:
        raise Untestable(f"the table has no two upstream sets of which one has {_MORE:g} times the images of the other")
    reached = adapted(table, tops(runs))
    # ImageNet-1k is no other task to what was trained on it.
    reached = reached[reached["task"] != V2_OF]
    found = {}
    for small, large in pairs:
        found[small, large] = sides(reached[reached["ds"] == large], reached[reached["ds"] == small])
    (small, large), most = max(found.items(), key=lambda item: len(item[1]))
    if most.empty:
        raise Untestable("no model was transferred to one task both from a smaller and from a larger set")
    return most, f"{large} against {small}"


def _published(folder: Path) -> tuple[pd.DataFrame, str]:
    matrix = vtab_full(folder).rename(columns={"name": "model", "n_test": "n", "candidate": "run"})
    columns = ["model", "task", "test", "n", "run"]
    large, small = (matrix.loc[matrix["ds"] == ds, columns] for ds in ("i21k", "i1k"))
    both = large.merge(small, on=["model", "task"], suffixes=("_a", "_b")).rename(columns={"test_a": "a", "test_b": "b"})
    runs = {f"run_{side}": both[f"run_{side}"] + " " + both["task"] for side in "ab"}
    return both.assign(**runs), "i21k against i1k on VTAB"


def test(evidence: Evidence) -> Verdict:
    """Judges test accuracy of the larger set's checkpoint less the smaller's, by model and task; tells the task groups."""
    pairs, said = evidence.read(_measured, _published)
    verdict = judged(paired(pairs), said)
    groups = pairs["task"].map(lambda task: TASKS[task].group if task in TASKS else "other")
    means = (100 * (pairs["a"] - pairs["b"])).groupby(groups).mean()
    by_group = ", ".join(f"{group} {value:+.1f}" for group, value in means.items())
    return Verdict(**{**vars(verdict), "why": f"{verdict.why}; by group: {by_group}"})


FINDING = Finding(
    "more-data-more-generic",
    "More data gives more generic models",
    '"How to train your ViT?", section 4.3, Fig. 3 and Table 5',
    test,
)
