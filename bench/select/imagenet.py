"""ImageNet-1k, whose held-out training images some upstream sets have seen: what either validation score picks.

Source: "How to train your ViT?", section 4.5 and Fig. 5: ImageNet-21k holds the training images of ImageNet-1k, and minival is
cut from them, so large models that trained long score on minival what they remember. ImageNetV2, collected anew, selects there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.select.pools import pools
from bench.select.runs import best, ok, transfer_runs
from bench.select.validation import V2_OF, saw, validation

MINIVAL, V2 = "minival", "ImageNetV2"
_SCORES = {MINIVAL: "adapt_final_val", V2: "adapt_final_val_v2"}
COLUMNS: dict[str, str] = {
    "name": "string",
    "rule": "string",
    "taken": "boolean",
    "filename": "string",
    "adapt_filename": "string",
    "val": "float64",
    "test": "float64",
    "why": "string",
}


def rules(table: pd.DataFrame, ds: Iterable[str] | None = None) -> pd.DataFrame:
    """What minival and ImageNetV2 each pick of all transfers to ImageNet-1k, and which of them counts.

    Args:
      table: columns of `bench.records.schema`.
      ds: upstream sets to restrict the pools to; None for all.

    Returns:
      Two rows per model that was transferred to ImageNet-1k, minival first; columns and dtypes of `COLUMNS`: the pick and its
      score `val` and test accuracy, empty where the score is not there; `taken`, whether this rule counts; `why`, a sentence.
    """
    by_model = pools(table, ds)
    transfers = transfer_runs(table)
    transfers = transfers[(transfers["adapt_ds"] == V2_OF) & ok(transfers["adapt_status"])]
    records: list[dict[str, Any]] = []
    for name, pool in by_model.items():
        rows = transfers[transfers["filename"].isin(pool["filename"])]
        if rows.empty:
            continue
        seen = sorted(s for s in rows["ds"].dropna().unique() if saw(s, V2_OF))
        without = int(rows[_SCORES[V2]].isna().sum()) if _SCORES[V2] in rows else len(rows)
        taken = MINIVAL if validation(rows)[1] == "val" else V2
        why = _why(seen, without, len(rows))
        for rule, column in _SCORES.items():
            at = best(rows[column]) if column in rows else None
            pick = {} if at is None else {c: rows.at[at, c] for c in ("filename", "adapt_filename")}
            pick |= {} if at is None else {"val": rows.at[at, column], "test": rows.at[at, "adapt_final_test"]}
            records.append({"name": name, "rule": rule, "taken": rule == taken, **pick, "why": why})
    return pd.DataFrame(records, columns=list(COLUMNS)).astype(COLUMNS)


def _why(seen: list[str], without: int, runs: int) -> str:
    if not seen:
        return "no upstream set of this pool holds ImageNet-1k's training images, so minival is new to all of its checkpoints"
    held = f"{', '.join(seen)} {'holds' if len(seen) == 1 else 'hold'} ImageNet-1k's training images, minival among them"
    if not without:
        return f"{held}: it would reward remembering, so ImageNetV2 decides"
    missing = "no run has" if without == runs else f"{without} of {runs} runs lack"
    return f"{held}, so ImageNetV2 should decide, but {missing} its score: minival does, and may overrate what it picks"
