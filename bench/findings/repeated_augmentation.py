"""Fine-tuning with every image several times in a batch, augmented anew, against once."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from bench.errors import UserError
from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.findings.runs import tested
from bench.points.tasks import TASKS
from bench.select import published_scaling
from bench.select.runs import ok, transfer_runs
from bench.select.validation import V2_OF

_MOST = 0.002
"""Twice a tenth of a point: what adds more does not add about a tenth."""
_REPEATED = re.compile(r"-mult_\d+")
_APART = re.compile(r"-(?:mult|seed)_\d+")
"""What two transfers may differ in that are set against each other: each is a mean over seeds, under the name of its lowest."""


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    transfers = transfer_runs(table)
    transfers = transfers[ok(transfers["adapt_status"]) & transfers["adapt_final_test"].notna()]
    facts = {"model": transfers["name"], "task": transfers["adapt_ds"], "test": transfers["adapt_final_test"].astype(float)}
    found = pd.DataFrame({**facts, "run": transfers["adapt_filename"], "n": tested(transfers)})
    # A checkpoint's name keeps its own multiplicity and seed.
    parts = [str(run).partition("--") for run in found["run"]]
    found["setting"] = pd.Series([f"{upstream}--{_APART.sub('', rest)}" for upstream, _, rest in parts], found.index, "string")
    repeated = pd.Series([bool(_REPEATED.search(rest)) for *_, rest in parts], index=found.index, dtype=bool)
    both = found[repeated].merge(found[~repeated], on="setting", suffixes=("_a", "_b"))
    if both.empty:
        raise Untestable("no transfer was done both with repeated augmentation (-mult_N in its name) and without")
    return both.rename(columns={"model_a": "model", "task_a": "task", "test_a": "a", "test_b": "b"})


def _published(folder: Path) -> pd.DataFrame:
    rows = published_scaling.repeated_augmentation(folder).set_index("model")
    repeated = rows["multiplicity"].gt(1)
    both = pd.DataFrame({"a": rows["accuracy"][repeated], "b": rows["accuracy"][~repeated]}).dropna().rename_axis("model")
    if both.empty:
        raise UserError(f"{folder}: no model is given with repeated augmentation and without")
    images = TASKS[V2_OF].test
    return both.reset_index().assign(task=V2_OF, n_a=images, n_b=images)


def test(evidence: Evidence) -> Verdict:
    """Judges whether test accuracy with repeated augmentation is above that without by up to `_MOST`, all else being equal."""
    pairs = evidence.read(_measured, _published)
    # A model may have several such pairs on a task: settings are no models, so each is taken by itself.
    alone = pairs.assign(model=[f"{m} {i}" for i, m in enumerate(pairs["model"])])
    return judged(paired(alone, general=False), "with repeated augmentation less without", most=_MOST)


FINDING = Finding(
    "repeated-augmentation",
    "Repeated augmentation adds about 0.1 point in fine-tuning",
    '"ConvNets Match Vision Transformers at Scale", section 3',
    test,
)
