"""The recommended checkpoints as text: for programs (csv, json) and for people (md)."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from bench.errors import UserError, choose_from
from bench.report.figures import points

FACTS = ("ds", "aug", "wd", "do", "sd", "final_val", "final_test")
SIZES = ("params", "infer_samples_per_sec")
HEAD = ("name", "filename", *FACTS, *SIZES)
TAIL = ("mean_val", "mean_test", "regret_vs_adapt_all", "finetunes", "finetunes_adapt_all", "reason")
FORMATS = ("csv", "md", "json")
_PERCENT = ("final_val", "final_test", "mean_val", "mean_test")


def task_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of `recommend` that hold a task's score."""
    return [c for c in frame.columns if c not in HEAD and c not in TAIL]


def to_text(frame: pd.DataFrame, format: str) -> str:
    """The frame of `bench.report.recommended.recommend` as text that ends in a newline.

    Args:
      frame: what `recommend` returned.
      format: `csv` and `json` (a list of objects, null where empty) carry the raw values, floats so that they read back to the
        same bits; `md` is a Markdown table with accuracies in percent and the regret in points.

    Raises:
      UserError: another format.
    """
    if format == "csv":
        return frame.to_csv(index=False, lineterminator="\n")
    if format == "json":
        return json.dumps([_raw(r) for r in frame.to_dict("records")], indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if format == "md":
        shown = shown_strings(frame)
        numbers = set(frame.select_dtypes("number").columns)
        lines = ["| " + " | ".join(_cell(c) for c in shown.columns) + " |"]
        lines.append("|" + "|".join("---:" if c in numbers else "---" for c in shown.columns) + "|")
        lines += ["| " + " | ".join(_cell(v) for v in row) + " |" for row in shown.itertuples(index=False, name=None)]
        return "\n".join(lines) + "\n"
    raise UserError(f"unknown format {format!r}; {choose_from(format, FORMATS)}")


def shown_strings(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every value as people read it: accuracies in percent, regret in points, empty cells empty."""
    percent = {*_PERCENT, *task_columns(frame)}
    return pd.DataFrame({c: [_shown(v, c, c in percent) for v in frame[c]] for c in frame.columns}, columns=frame.columns)


def _shown(value: Any, column: str, percent: bool) -> str:
    if pd.isna(value):
        return ""
    if percent:
        return f"{100 * value:.1f}%"
    if column == "regret_vs_adapt_all":
        return points(value)
    if column in SIZES:
        return f"{value:,.0f}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _raw(record: dict[Any, Any]) -> dict[Any, Any]:
    return {key: None if pd.isna(value) else value for key, value in record.items()}


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
