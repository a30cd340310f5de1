"""Choosing by upstream validation loses little against adapting everything."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.findings.runs import images, tested
from bench.select import chosen
from bench.select.published import MINIVAL, upstream_vs_downstream
from bench.select.runs import ok, transfer_runs, upstream_runs
from bench.select.validation import V2_OF, saw, validation

BAR = -0.01
"""A point less still is "nearly as good"; where more is lost, that is an outlier."""
_SHOWN = 3
_PAIR = ["name", "adapt_ds"]


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    sets = transfer_runs(table)["ds"].value_counts()
    if sets.empty:
        raise Untestable("nothing was transferred")
    # Upstream scores of different sets do not compare, so one set is taken: what most was transferred from, else the largest.
    ds = max(sets.index, key=lambda s: (sets[s], -1.0 if pd.isna(images(s)) else images(s)))
    mine = table[table["ds"].eq(ds).fillna(False).astype(bool)]
    runs = upstream_runs(mine)
    rows = chosen.valued(mine, ["name"])
    rows = rows[rows["filename"].isin(runs.loc[ok(runs["status"]), "filename"])]
    rows = rows[rows.groupby(_PAIR)["filename"].transform("nunique") > 1]
    if rows.empty:
        raise Untestable("no model has several checkpoints that were transferred to a task: there is nothing to choose")
    if saw(ds, V2_OF):
        # By minival neither choice is one: that is a finding of its own.
        judged_by = {name: validation(group)[1] for name, group in rows[rows["adapt_ds"].eq(V2_OF)].groupby("name")}
        rows = rows[~(rows["adapt_ds"].eq(V2_OF) & rows["name"].map(judged_by).eq("val"))]
    first = chosen.recommended(runs, ["name"])["filename"]
    return _side(rows[rows["filename"].isin(first)], "a").merge(_side(rows, "b"), on=["model", "task"])


def _side(rows: pd.DataFrame, side: str) -> pd.DataFrame:
    """What validation chooses of each model and task, as one side of the pairs of `bench.findings.effects.paired`."""
    best = chosen.best(rows.assign(n=tested(rows)), _PAIR).dropna(subset="value")
    names = {"name": "model", "adapt_ds": "task", "value": side, "n": f"n_{side}", "adapt_filename": f"run_{side}"}
    return best[list(names)].rename(columns=names)


def _published(folder: Path) -> pd.DataFrame:
    cells = upstream_vs_downstream(folder)
    cells = cells[cells["adapt_ds"] != MINIVAL]
    # What was published is the difference: one number has both sides.
    cell = cells["name"] + " " + cells["adapt_ds"]
    return cells.rename(columns={"name": "model", "adapt_ds": "task", "value": "a"}).assign(b=0.0, run_a=cell, run_b=cell)


def test(evidence: Evidence) -> Verdict:
    """Judges test accuracy of upstream's choice less that of the best of all by downstream validation; names the outliers."""
    pairs = evidence.read(_measured, _published)
    verdict = judged(paired(pairs), "test accuracy of upstream's choice less downstream's", BAR)
    # A loss of exactly a point is within the bar, however it is rounded.
    lost = (pairs["a"] - pairs["b"]).astype(float).round(9)
    worst = lost[lost < BAR].sort_values()
    first = pairs.loc[worst.index[:_SHOWN]]
    names = [f"{m} on {t} {100 * (a - b):+.1f}" for m, t, a, b in first[["model", "task", "a", "b"]].itertuples(index=False)]
    said = f"{len(worst)} of {len(pairs)} lose more than a point" + (f" ({'; '.join(names)})" if names else "")
    return Verdict(**{**vars(verdict), "why": f"{verdict.why}; {said}"})


FINDING = Finding(
    "upstream-best-suffices",
    "The checkpoint with the best upstream validation is nearly as good as the best after adapting all, with outliers",
    '"How to train your ViT?", section 4.5 and Fig. 5 (left)',
    test,
)
