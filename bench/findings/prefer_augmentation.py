"""Augmentation alone against regularisation alone, by upstream validation accuracy."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.findings.runs import ended
from bench.select.published import fig4_cells

_KEYS = ["ds", "name"]


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    runs = ended(table).rename(columns={"filename": "run", "n_val": "n"})
    return runs.assign(value=runs["final_val"].astype(float))[[*_KEYS, "do", "aug", "value", "run", "n"]]


def _published(folder: Path) -> pd.DataFrame:
    grid = fig4_cells(folder)
    return grid.assign(run=[f"cell {i}" for i in range(len(grid))], n=float("nan"))


def _highest(rows: pd.DataFrame, side: str) -> pd.DataFrame:
    ordered = rows.sort_values(["value", "run"], ascending=[False, True], kind="stable").groupby(_KEYS).head(1)
    return ordered.rename(columns={"value": side, "run": f"run_{side}", "n": f"n_{side}"}).drop(columns=["do", "aug"])


def test(evidence: Evidence) -> Verdict:
    """Judges the best run with augmentation alone less the best with regularisation alone, by model and set."""
    rows = evidence.read(_measured, _published)
    augmented = rows[rows["do"].eq(0) & rows["aug"].ne("none")]
    regularised = rows[rows["do"].gt(0) & rows["aug"].eq("none")]
    pairs = _highest(augmented, "a").merge(_highest(regularised, "b"), on=_KEYS)
    if pairs.empty:
        raise Untestable("no model has both a run with augmentation alone and one with dropout alone")
    narrow = _adding(rows)
    said = "augmentation alone against regularisation alone"
    verdict = judged(paired(pairs.rename(columns={"name": "model", "ds": "task"})), said)
    return verdict if narrow is None else Verdict(**{**vars(verdict), "why": f"{verdict.why}; {narrow}"})


def _adding(rows: pd.DataFrame) -> str | None:
    """What regularisation adds to augmentation: the narrow column of Fig. 4, as a sentence."""
    both, alone = (rows[side].groupby(_KEYS)["value"].max() for side in (rows["do"].gt(0), rows["do"].eq(0)))
    added = (both - alone).dropna()
    if added.empty:
        return None
    by_set = ", ".join(f"{100 * v.mean():+.1f} points on {ds}" for ds, v in added.groupby("ds"))
    return f"the best run with regularisation, augmented or not, has {by_set} over the best without"


FINDING = Finding(
    "prefer-augmentation",
    "Augmentation is to be preferred to regularisation",
    '"How to train your ViT?", Figures 4 and 7',
    test,
)
