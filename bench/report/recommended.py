"""The recommended checkpoint of every model: the one with the best upstream validation, and what it gives on every task.

Source of the rule: "How to train your ViT?", section 4.5: the recommended checkpoint has the highest final upstream validation
accuracy, which costs far less than adapting every checkpoint and loses little.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.report.text import FACTS, HEAD, SIZES, TAIL, to_text
from bench.select.compare import compare
from bench.select.pools import pools
from bench.select.runs import best

__all__ = ["recommend", "to_text"]


def recommend(table: pd.DataFrame, ds: Iterable[str] | None = None) -> pd.DataFrame:
    """The recommended checkpoint of every model of the table.

    Args:
      table: columns of `bench.records.schema`.
      ds: upstream sets to choose from; None for all.

    Returns:
      One row per model. The checkpoint: `name`, `filename`, `ds`, `aug` (released name), `wd`, `do`, `sd`, `final_val`,
      `final_test` (fractions), `params` and `infer_samples_per_sec` (at the lowest downstream resolution that has them). One
      column per task: the test score, a fraction, of the transfer run with the best downstream validation. `mean_val`,
      `mean_test`: means over the tasks that have a score. `regret_vs_adapt_all`: mean over tasks of the test score that
      adapting all checkpoints gives minus this one. `finetunes`, `finetunes_adapt_all`: transfer runs over all tasks that this
      choice and adapting all need. `reason`: a sentence.
      Sorted by `mean_val`, best first; a model with fewer scored tasks comes after those with more, as its mean does not
      compare, and a model that was never transferred comes last with its task columns empty. So does, without a checkpoint, a
      model of which no run ended.

    Raises:
      UserError: as `bench.select.compare.compare`.
    """
    ds = None if ds is None else list(ds)
    compared = compare(table, ds=ds, strategies=("upstream_best", "adapt_all"))
    tasks = sorted(compared["adapt_ds"].unique())
    rows = []
    for name, pool in pools(table, ds).items():
        of_model = compared[compared["name"] == name]
        mine, everything = (of_model[of_model["strategy"] == s].set_index("adapt_ds") for s in ("upstream_best", "adapt_all"))
        row: dict[str, Any] = {"name": name, **dict.fromkeys(("filename", *FACTS, *SIZES))}
        at = best(pool["final_val"])
        if at is not None:
            row |= {c: pool.at[at, c] for c in ("filename", *FACTS) if c in pool}
            row |= _sizes(table, str(row["filename"]))
        scores = mine["test"].dropna()
        row |= {task: scores.get(task) for task in tasks}
        row |= {"mean_val": mine["val"].mean(), "mean_test": scores.mean(), "regret_vs_adapt_all": mine["regret"].mean()}
        row |= {"finetunes": int(mine["finetunes"].sum()), "finetunes_adapt_all": int(everything["finetunes"].sum())}
        row["reason"] = _reason(pool, row, len(scores), len(tasks))
        rows.append((len(scores), row))
    # Two stable sorts: `pools` has the models by name, and equal means keep that order.
    rows.sort(key=lambda r: -r[1]["mean_val"] if r[0] else 0.0)
    rows.sort(key=lambda r: -r[0])
    frame = pd.DataFrame([row for _, row in rows], columns=[*HEAD, *tasks, *TAIL])
    text = ("name", "filename", "ds", "aug", "reason")
    whole = ("finetunes", "finetunes_adapt_all")
    return frame.astype({c: "string" if c in text else "int64" if c in whole else "float64" for c in frame.columns})


def _sizes(table: pd.DataFrame, filename: str) -> dict[str, Any]:
    rows = table[table["filename"] == filename]
    if "adapt_resolution" in rows:
        rows = rows.sort_values("adapt_resolution", kind="stable")
    present = {c: rows[c].dropna() for c in SIZES if c in rows}
    return {c: values.iloc[0] for c, values in present.items() if len(values)}


def _reason(pool: pd.DataFrame, row: dict[str, Any], scored: int, tasks: int) -> str:
    if row["filename"] is None:
        return "no checkpoint has an upstream validation score"
    if len(pool) == 1:
        chosen = "the only checkpoint"
    else:
        sets = pool["ds"].nunique()
        chosen = f"best upstream validation of {len(pool)} checkpoints" + (f" from {sets} upstream sets" if sets > 1 else "")
        tied = int((pool["final_val"] == row["final_val"]).sum()) - 1
        chosen += f", tied with {tied} more and first by name" if tied else ""
    if not scored:
        return f"{chosen}; not transferred"
    covered = "" if scored == tasks else f" on {scored} of {tasks} tasks"
    if len(pool) == 1:
        return chosen + (f"; scored{covered}" if covered else "")
    if pd.isna(row["regret_vs_adapt_all"]):
        return f"{chosen}; nothing to compare with{covered}"
    gain = round(100 * float(row["regret_vs_adapt_all"]), 1)
    verb = "loses" if gain < 0 else "gains"
    ratio = f"{row['finetunes_adapt_all'] / row['finetunes']:.3g}x"
    return f"{chosen}; adapting all {verb} {abs(gain):.1f} points{covered} for {ratio} the fine-tunes"
