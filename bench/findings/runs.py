"""What several findings read: the checkpoint of a model and set, what it reaches downstream, upstream cells, sizes of sets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from bench.findings.finding import Untestable
from bench.points import VARIANTS
from bench.points.datasets import part
from bench.points.tasks import TASKS
from bench.select.published import imagenet_transfer
from bench.select.runs import best, ok, transfer_runs, upstream_runs
from bench.select.validation import V2_OF, refuse_mixtures, upstream_set, validation

ADAPTED = {"ds": "string", "name": "string", "task": "string", "test": "float64", "n_test": "float64", "run": "string"}
CELLS = ["ds", "name", "do", "aug"]
_LADDER = {"i1k": 1.28e6, "i21k": 13e6, "jft300m": 300e6, "jft3b": 3e9, "jft4b": 4e9}
"""Images of the sets that papers climb. Sources: "How to train your ViT?", Fig. 1; the names of the proprietary ones."""


def ended(table: pd.DataFrame) -> pd.DataFrame:
    """The upstream runs that ended well and have a validation score, one row each; see `bench.select.runs.upstream_runs`.

    Raises:
      Untestable: there are none.
    """
    runs = upstream_runs(table)
    found = runs[ok(runs["status"]) & runs["final_val"].notna()].reset_index(drop=True)
    if found.empty:
        raise Untestable("no upstream run has a validation score")
    return found


def plain(runs: pd.DataFrame) -> pd.Series:
    """Whether a run had neither augmentation nor regularisation."""
    return runs["aug"].eq("none") & runs["do"].eq(0) & runs["sd"].fillna(0).eq(0)


def tops(runs: pd.DataFrame) -> pd.DataFrame:
    """The run with the highest upstream validation score of each set and model, the first by name where several tie."""
    ordered = runs.sort_values(["final_val", "filename"], ascending=[False, True], kind="stable")
    return ordered.groupby(["ds", "name"], sort=True).head(1).sort_values(["ds", "name"], ignore_index=True)


def adapted(table: pd.DataFrame, checkpoints: pd.DataFrame) -> pd.DataFrame:
    """What checkpoints reach on every task that they were transferred to: test accuracy of the best run by validation.

    Args:
      table: columns of `bench.records.schema`.
      checkpoints: rows of `ended`, one per set and model, as of `tops`.

    Returns:
      One row per set, model and task: columns `ADAPTED`; the accuracy is a fraction.

    Raises:
      UserError: transfers to a task mix protocols or versions.
    """
    transfers = transfer_runs(table)
    mine = transfers[transfers["filename"].isin(checkpoints["filename"]) & ok(transfers["adapt_status"])]
    refuse_mixtures(mine)
    rows: list[tuple[Any, ...]] = []
    for (ds, name, task), of_one in mine.groupby(["ds", "name", "adapt_ds"]):
        at = best(validation(of_one)[0])
        if at is not None and not math.isnan(test := float(of_one["adapt_final_test"].astype(float)[at])):
            rows.append((ds, name, task, test, tested(of_one)[at], of_one["adapt_filename"][at]))
    return pd.DataFrame(rows, columns=list(ADAPTED)).astype(ADAPTED)


def published(folder: Path, ds: str, resolution: int, rule: str) -> pd.DataFrame:
    """What the published checkpoints of a set reach on ImageNet-1k, as columns `ADAPTED`, and img_per_sec; see
    `bench.select.published.imagenet_transfer`.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    rows = imagenet_transfer(folder)
    rows = rows[rows["ds"].eq(ds) & rows["resolution"].eq(resolution) & rows["rule"].eq(rule)]
    named = [f"{name} {ds} {resolution} {rule}" for name in rows["name"]]
    columns = [*ADAPTED, "img_per_sec"]
    return rows.assign(task=V2_OF, n_test=TASKS[V2_OF].test, run=named)[columns].reset_index(drop=True)


def tested(transfers: pd.DataFrame) -> pd.Series:
    """Test images of transfer runs: as recorded, else those of the task; NaN where neither says it."""
    known = transfers["adapt_ds"].map(lambda task: TASKS[task].test if task in TASKS else math.nan).astype("float64")
    return transfers["adapt_n_test"].astype("float64").fillna(known)


def of_families(frame: pd.DataFrame, *families: str) -> pd.Series:
    """Whether the model `name` of a row is of one of the families."""
    return frame["name"].map(lambda name: name in VARIANTS and VARIANTS[name].family in families).astype(bool)


def sides(a: pd.DataFrame, b: pd.DataFrame, on: tuple[str, ...] = ("name", "task")) -> pd.DataFrame:
    """Two frames of columns `ADAPTED` as the pairs of `bench.findings.effects.paired`, where both have a row."""
    both = a.merge(b, on=list(on), suffixes=("_a", "_b"))
    names = {"name": "model", **{f"{c}_{s}": f"{short}_{s}" for c, short in (("n_test", "n"), ("run", "run")) for s in "ab"}}
    return both.rename(columns={**names, "test_a": "a", "test_b": "b"})


def cells(runs: pd.DataFrame) -> pd.DataFrame:
    """Highest upstream validation score by set, model, dropout and augmentation: columns `CELLS` and value, a fraction."""
    return runs.groupby(CELLS)["final_val"].max().astype(float).rename("value").reset_index()


def images(ds: str) -> float:
    """Number of images of an upstream set as the column `ds` spells it, its fraction included; NaN where it is not known."""
    found = upstream_set(ds)
    if found is None:
        return math.nan
    return _LADDER.get(found.name, found.train or math.nan) * part(ds)[1]


def short(ds: str) -> bool:
    """Whether a set was trained on for a tenth of the released epochs only: the release's `i21k_30`."""
    return ds.endswith("_30")


def nested(sets: Iterable[str], least: float, most: float = math.inf) -> list[tuple[str, str]]:
    """Pairs of a smaller and a larger upstream set: fractions of one set, or two of those that papers climb.

    Args:
      sets: values of the column `ds`; short budgets are left out.
      least: how many times as many images the larger one must have.
      most: how many times as many it may have.

    Returns:
      By size of the smaller, then of the larger set.
    """
    known = sorted((s for s in {*sets} if not short(s) and not math.isnan(images(s))), key=lambda s: (images(s), s))
    pairs = []
    for small, large in combinations(known, 2):
        same = upstream_set(small) == upstream_set(large)
        if (same or {small, large} <= _LADDER.keys()) and least <= images(large) / images(small) <= most:
            pairs.append((small, large))
    return pairs
