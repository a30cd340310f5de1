"""Checkpoints that were tried on a task, best first: the answer to which of them to take for it.

Ranks are by validation alone, unless a strategy has chosen. The test split is read for the first of each task, and only to say
what to expect of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from bench.report.text import markdown
from bench.select.gap import gap
from bench.select.runs import best, require, transfer_runs
from bench.select.validation import refuse_mixtures, validation

COLUMNS: dict[str, str] = {
    "adapt_ds": "string",
    "filename": "string",
    "name": "string",
    "val": "float64",
    "behind": "float64",
    "behind_low": "float64",
    "behind_high": "float64",
    "test": "float64",
    "linear_probe": "float64",
    "final_val": "float64",
    "adapt_lr": "float64",
    "adapt_steps": "Int64",
    "adapt_resolution": "Int64",
    "params": "float64",
    "runs": "Int64",
    "weights": "string",
}
"""What `ranking` returns, with the dtypes."""
_SETTINGS = ("adapt_lr", "adapt_steps", "adapt_resolution", "params")
_PROBE = "linear_probe"
_HEADS = {
    "filename": "checkpoint",
    "val": "val",
    "behind": "behind, points",
    "test": "test",
    "linear_probe": "linear probe",
    "final_val": "upstream",
    "adapt_lr": "lr",
    "adapt_steps": "steps",
    "adapt_resolution": "px",
    "params": "parameters",
    "weights": "weights",
}
_PERCENT = ("val", "test", "linear_probe", "final_val")


def ranking(
    table: pd.DataFrame,
    scores: pd.DataFrame | None = None,
    chosen: Mapping[str, str] = MappingProxyType({}),
    weights: Callable[[str], str | None] = lambda _: None,
) -> pd.DataFrame:
    """Ranks the checkpoints of a table on every task that they were adapted to.

    Args:
      table: columns of `bench.records.schema`; all of its models compete.
      scores: columns of `bench.records.scores`; None for none.
      chosen: by task, the `adapt_filename` that a strategy has chosen, which is then first.
      weights: says where the weights of a checkpoint lie, by its `filename`; None where that is not known.

    Returns:
      One row per task and checkpoint that was adapted to it, tasks by name, the best on validation first, equal ones by name;
      columns of `COLUMNS`. `val` is the best validation score of its `runs`, `adapt_lr`, `adapt_steps` and `adapt_resolution`
      are the settings that gave it; `behind` is what the first has more, with a 95% interval from the number of images, and
      empty for the first; `test` is that of the first; `linear_probe` the validation accuracy of the probe at that resolution.
      A checkpoint whose runs all diverged comes last, its `val` empty.

    Raises:
      UserError: a column is missing, the table is empty, or a task's runs do not compare.
    """
    require(table, ("name", "final_val", *_SETTINGS, "adapt_n_val"))
    transfers = transfer_runs(table)
    refuse_mixtures(transfers)
    rows: list[dict[str, Any]] = []
    for task, of_task in transfers.groupby("adapt_ds"):
        val, _ = validation(of_task)
        wanted = of_task.index[of_task["adapt_filename"] == chosen.get(str(task))]
        tried = []
        for filename, runs in of_task.groupby("filename"):
            mine = wanted.intersection(runs.index)
            at = mine[0] if len(mine) else best(val[runs.index])
            row = {"adapt_ds": task, "filename": filename, "name": runs["name"].iloc[0], "runs": len(runs)}
            row |= {"final_val": runs["final_val"].iloc[0], "weights": weights(str(filename)), "val": math.nan}
            tried.append((not len(mine), row | ({} if at is None else _reached(runs.loc[[at]].iloc[0], val[at], scores))))
        tried.sort(key=lambda each: (each[0], *_order(each[1])))
        (_, first), *others = tried
        rows += [first, *({**row, **_behind(first, row), "test": math.nan} for _, row in others)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    missing = math.isnan(row["val"])
    return missing, 0.0 if missing else -row["val"], row["filename"]


def _reached(run: pd.Series, val: float, scores: pd.DataFrame | None) -> dict[str, Any]:
    settings = {column: run[column] for column in _SETTINGS}
    images = math.nan if pd.isna(run["adapt_n_val"]) else float(run["adapt_n_val"])
    found = {"val": val, "images": images, "test": run["adapt_final_test"], _PROBE: _probe(run, scores)}
    return {**settings, **found}


def _behind(first: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    apart = gap(first["val"], first.get("images", math.nan), row["val"], row.get("images", math.nan))
    return {"behind": apart.estimate, "behind_low": apart.low, "behind_high": apart.high}


def _probe(run: pd.Series, scores: pd.DataFrame | None) -> float:
    if scores is None:
        return math.nan
    rows = scores[(scores["score"] == _PROBE) & (scores["split"] == "val")]
    for column in ("filename", "adapt_ds", "adapt_resolution"):
        rows = rows[rows[column] == run[column]]
    return float(rows["value"].iloc[0]) if len(rows) else math.nan


def to_markdown(ranked: pd.DataFrame) -> str:
    """Returns the ranking as Markdown: of every task a sentence that recommends, and a table of all that were tried."""
    parts = []
    for task, rows in ranked.groupby("adapt_ds"):
        known = [c for c in _HEADS if rows[c].notna().any()]
        shown = pd.DataFrame({_HEADS[c]: [_shown(row, c) for row in rows.to_dict("records")] for c in known})
        numbers = {_HEADS[c] for c in known if COLUMNS[c] != "string"}
        parts.append(f"## {task}\n\n{sentence(rows)}\n\n{markdown(shown, numbers)}")
    return "\n".join(parts)


def sentence(rows: pd.DataFrame) -> str:
    """Returns what the rows of one task recommend, and whether what came second can be told apart."""
    first, others = rows.iloc[0], rows.iloc[1:]
    if pd.isna(first["val"]):
        return "No checkpoint can be recommended: all runs diverged."
    how = f"lr {first['adapt_lr']:g}, {first['adapt_steps']:,} steps, {first['adapt_resolution']} px"
    said = f"Take {first['filename']} with {how}: {100 * first['val']:.1f}% on validation"
    said += "" if pd.isna(first["test"]) else f", {100 * first['test']:.1f}% on test"
    if others.empty:
        return f"{said}. No other checkpoint was adapted."
    close = others[~(others["behind_low"] > 0) & others["val"].notna()]
    if close.empty:
        return f"{said}. All others are behind by more than the number of images leaves open."
    return f"{said}. Not separable from {_several(close['filename'].tolist())}."


def _several(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _shown(row: dict[Any, Any], column: str) -> str:
    value = row[column]
    if pd.isna(value):
        return ""
    if column in _PERCENT:
        return f"{100 * value:.1f}%"
    if column == "behind":
        ends = [100 * row[f"behind_{end}"] for end in ("low", "high")]
        return f"{100 * value:.1f}" + ("" if pd.isna(ends[0]) else f" [{ends[0]:+.1f}, {ends[1]:+.1f}]")
    if column in ("adapt_steps", "params"):
        return f"{value:,.0f}"
    return f"{value:g}" if isinstance(value, float) else str(value)
