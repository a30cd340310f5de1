"""A transferred checkpoint against the same model trained from scratch on the task's images."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.findings.runs import ADAPTED, adapted, ended, images, published, sides, tops
from bench.points.tasks import TASKS
from bench.select.validation import V2_OF, upstream_set

_TASK_OF = {"i1k": V2_OF}
"""Upstream sets that are a task under another name; others, such as `resisc45`, have the task's."""


def _task(ds: str) -> str:
    found = upstream_set(ds)
    name = found.name if found else ds
    return _TASK_OF.get(name, name)


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    runs = ended(table)
    tasks = runs["ds"].map(lambda ds: _task(str(ds)))
    whole = runs["ds"].eq(tasks) | runs["ds"].isin(_TASK_OF)
    scratch = tops(runs[whole & tasks.isin(TASKS) & runs["final_test"].notna()])
    if scratch.empty:
        raise Untestable("no model was trained from scratch on a task's own images with a test accuracy (final_test)")
    own = scratch.assign(task=scratch["ds"].map(_task), run=scratch["filename"], test=scratch["final_test"].astype(float))
    reached = adapted(table, tops(runs))
    reached = reached[reached["ds"].map(_task) != reached["task"]]
    # Of the sets that a model was transferred from the largest counts: to take the best would be to choose by test.
    # Names of short budgets follow those of their sets.
    order = reached.assign(images=reached["ds"].map(images))
    order = order.sort_values(["images", "ds"], ascending=[False, True], kind="stable")
    pairs = sides(order.groupby(["name", "task"]).head(1)[list(ADAPTED)], own[["ds", "name", "task", "test", "n_test", "run"]])
    if pairs.empty:
        raise Untestable("no model was both trained from scratch on a task's images and transferred to it")
    return pairs


def _published(folder: Path) -> pd.DataFrame:
    return sides(published(folder, "i21k", 224, "upstream_best"), published(folder, "i1k", 224, "as_it_is"))


def test(evidence: Evidence) -> Verdict:
    """Judges test accuracy after transfer less that after training from scratch, by model and task."""
    pairs = evidence.read(_measured, _published)
    tasks = ", ".join(sorted(pairs["task"].unique()))
    return judged(paired(pairs), f"transferred less from scratch on {tasks}")


FINDING = Finding(
    "transfer-beats-scratch",
    "Transferring a pre-trained model beats training from scratch, whatever the augmentation",
    '"How to train your ViT?", Fig. 2',
    test,
)
