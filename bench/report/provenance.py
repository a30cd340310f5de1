"""Where the numbers of a table come from, and what they must not be used for."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.points.datasets import EMBEDDED_SETS
from bench.points.tasks import EMBEDDED_TASKS, TASKS
from bench.report.heatmap import cells
from bench.select.criterion import comparable
from bench.select.runs import ok, transfer_runs, upstream_runs


def missing_cells(table: pd.DataFrame) -> tuple[int, int]:
    """Number of cells of the heatmap's grid that have no run, and number of cells of the grid."""
    have = cells(table)
    total = 1
    for key in ("ds", "name", "do", "aug"):
        total *= have[key].nunique()
    return total - len(have), total


def provenance(table: pd.DataFrame) -> list[tuple[str, str]]:
    """(what, value) lines: versions, devices, seeds, data, and how many runs are there, diverged, pruned and missing."""
    runs, transfers = upstream_runs(table), transfer_runs(table)
    ended = ok(runs["status"])
    pairs = int(ended.sum()) * transfers["adapt_ds"].nunique()
    of_ended = transfers[transfers["filename"].isin(runs.loc[ended, "filename"])]
    have = len(of_ended[["filename", "adapt_ds"]].drop_duplicates())
    gaps, grid = missing_cells(table)
    return [
        ("Code version", _values(runs, "code_version")),
        ("Device", _values(runs, "device")),
        ("Upstream seeds", _values(runs, "seed")),
        ("Transfer seeds", _values(transfers, "adapt_seed")),
        ("Upstream data fingerprints", _values(runs, "data_fingerprint")),
        ("Transfer data fingerprints", _values(transfers, "adapt_data_fingerprint")),
        ("Upstream runs", _counted(runs["status"])),
        ("Transfer runs", _counted(transfers["adapt_status"])),
        ("Missing from the upstream grid", f"{gaps:,} of {grid:,} cells"),
        ("Missing transfers", f"{pairs - have:,} of {pairs:,} pairs of checkpoint and task"),
    ]


def _counted(status: pd.Series) -> str:
    counts = {kind: int(status.astype("string").eq(kind).sum()) for kind in ("diverged", "pruned")}
    pruned = f", {counts['pruned']:,} pruned" if counts["pruned"] else ""
    return f"{len(status):,}, {counts['diverged']:,} of them diverged{pruned}"


def warnings(table: pd.DataFrame) -> list[str]:
    """Sentences that limit what the numbers say: rendered and embedded data, incomparable pools, the imagenet2012 score."""
    tasks = sorted(table["adapt_ds"].dropna().unique())
    synthetic = [t for t in tasks if _rendered(table, t)]
    embedded = [t for t in tasks if t in EMBEDDED_TASKS]
    sets = sorted(table["ds"].dropna().unique())
    small = [s for s in sets if any(s == e or s.startswith(e + "_") for e in EMBEDDED_SETS)]
    out = []
    if synthetic:
        out.append(f"Synthetic tasks, with rendered images: {', '.join(synthetic)}. No finding may rest on them.")
    if embedded or small:
        out.append(f"Small data that Python packages carry: {', '.join(small + embedded)}. No finding may rest on it.")
    out += competing(table)
    if "imagenet2012" in tasks and not _has_v2(table):
        out.append(
            "imagenet2012: no ImageNetV2 score in the table, so transfers are chosen by the held-out part of its training set, "
            "which overrates models that saw these images upstream."
        )
    return out


def competing(table: pd.DataFrame) -> list[str]:
    """A sentence where strategies choose by upstream accuracies that do not compare, else none."""
    if len(comparable(table)) < 2:
        return []
    return [
        f"Checkpoints of {', '.join(sorted(table['ds'].dropna().unique()))} compete in the comparison of strategies, also by"
        " upstream validation accuracy, which compares only where these sets share classes and validation images."
    ]


def _rendered(table: pd.DataFrame, task: str) -> bool:
    if "adapt_synthetic" in table:
        recorded = table.loc[table["adapt_ds"] == task, "adapt_synthetic"].dropna()
        if len(recorded):
            return bool(recorded.iloc[0])
    return task in TASKS and TASKS[task].synthetic


def _has_v2(table: pd.DataFrame) -> bool:
    return "adapt_final_val_v2" in table and bool(table["adapt_final_val_v2"].notna().any())


def _values(frame: pd.DataFrame, column: str) -> str:
    present: list[Any] = sorted(frame[column].dropna().unique()) if column in frame else []
    return ", ".join(str(v) for v in present) or "not recorded"
