"""The recommended checkpoints as text: for programs (csv, json) and for people (md)."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from bench.errors import UserError, choose_from
from bench.report.figures import points

EVERY = "every task"
"""In the column `task`, where the choice does not depend on the task."""
FACTS = ("ds", "aug", "wd", "do", "sd", "final_val", "final_test")
SIZES = ("params", "infer_samples_per_sec")
HEAD = ("name", "filename", *FACTS, *SIZES, "task")
WHY = ("criterion", "score", "runner_up", "gap", "gap_low", "gap_high")
LOSS = ("regret", "regret_low", "regret_high", "regret_tasks")
TAIL = ("mean_val", "mean_test", *WHY, *LOSS, "finetunes", "finetunes_adapt_all", "settings", "weights", "reason")
TEXT = ("name", "filename", "ds", "aug", "task", "criterion", "runner_up", "settings", "weights", "reason")
WHOLE = ("regret_tasks", "finetunes", "finetunes_adapt_all")
FORMATS = ("csv", "md", "json")
_TASK = "test_"
_PERCENT = ("final_val", "final_test", "mean_val", "mean_test")
PEOPLE = {
    "name": "model",
    "task": "for",
    "ds": "pre-trained on",
    "filename": "checkpoint",
    "reason": "why this one",
    "regret": "expected regret, points",
    "mean_test": "test",
    "params": "parameters",
    "infer_samples_per_sec": "images/s",
    "settings": "fine-tune with",
    "weights": "weights",
}
"""What people are shown, of the frame's columns, and under which heading."""


def task_column(task: str) -> str:
    """Returns the column of `recommend` that holds the test score on a task."""
    return _TASK + task


def task_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of `recommend` that hold a task's score."""
    return [c for c in frame.columns if c.startswith(_TASK)]


def task_of(column: str) -> str:
    """Returns the task of such a column."""
    return column.removeprefix(_TASK)


def to_text(frame: pd.DataFrame, format: str) -> str:
    """The frame of `bench.report.recommended.recommend` as text that ends in a newline.

    Args:
      frame: what `recommend` returned.
      format: `csv` and `json` (a list of objects, null where empty) carry all columns and raw values, floats so that they read
        back to the same bits; `md` is a Markdown table of what people need (`for_people`).

    Raises:
      UserError: another format.
    """
    if format == "csv":
        return frame.to_csv(index=False, lineterminator="\n")
    if format == "json":
        return json.dumps([_raw(r) for r in frame.to_dict("records")], indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if format == "md":
        return markdown(for_people(frame), {PEOPLE[c] for c in frame.select_dtypes("number").columns if c in PEOPLE})
    raise UserError(f"unknown format {format!r}; {choose_from(format, FORMATS)}")


def for_people(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of the recommended table that a person needs to decide and to go on, as strings under plain headings.

    What says nothing is left out: a column that is empty, the task where every choice is for every task, and the upstream set
    where there is one.
    """
    shown = shown_strings(frame)[list(PEOPLE)]
    said = [c for c in PEOPLE if c in ("name", "filename", "reason") or (shown[c] != "").any()]
    if frame["task"].eq(EVERY).all():
        said.remove("task")
    if "ds" in said and frame["ds"].nunique() < 2:
        said.remove("ds")
    return shown[said].rename(columns=PEOPLE)


def markdown(shown: pd.DataFrame, numbers: set[str]) -> str:
    """A frame of strings as a Markdown table, the columns `numbers` to the right."""
    lines = ["| " + " | ".join(_cell(c) for c in shown.columns) + " |"]
    lines.append("|" + "|".join("---:" if c in numbers else "---" for c in shown.columns) + "|")
    lines += ["| " + " | ".join(_cell(v) for v in row) + " |" for row in shown.itertuples(index=False, name=None)]
    return "\n".join(lines) + "\n"


def shown_strings(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every value as people read it: accuracies in percent, differences in points with their interval."""
    percent = {*_PERCENT, *task_columns(frame)}
    columns = [c for c in frame.columns if c not in ("gap_low", "gap_high", *LOSS[1:])]
    shown = {c: [_shown(v, c in percent, c in SIZES) for v in frame[c]] for c in columns}
    shown["gap"] = [bounded(*row) for row in frame[list(WHY[-3:])].itertuples(index=False, name=None)]
    shown["regret"] = [
        bounded(*row) + (f" on {tasks} task{'' if tasks == 1 else 's'}" if tasks else "")
        for *row, tasks in frame[list(LOSS)].itertuples(index=False, name=None)
    ]
    return pd.DataFrame(shown, columns=columns)


def rule_lines(rules: pd.DataFrame) -> list[str]:
    """What minival and ImageNetV2 each pick of all transfers to ImageNet-1k, a line a model, after which counts and why.

    Args:
      rules: as `bench.select.imagenet.rules` returns it.
    """
    lines = []
    for why, alike in rules.groupby("why", sort=False):
        lines.append(f"imagenet2012: {why}")
        for name, rows in alike.groupby("name", sort=False):
            picks = [
                f"{row['rule']} picks {row['adapt_filename'].replace('--imagenet2012', '')} (test {100 * row['test']:.1f}%)"
                for row in rows.dropna(subset=["adapt_filename"]).to_dict("records")
            ]
            lines.append(f"  {name}: {', '.join(picks) or 'no score'}")
    return lines


def short(name: str, other: str) -> str:
    """Returns the parts of a run's name that differ from another's, or the whole name where the two are not built alike."""
    parts, others = name.split("-"), other.split("-")
    if len(parts) != len(others) or name == other:
        return name
    return " ".join(p for p, o in zip(parts, others, strict=True) if p != o)


def bounded(value: float, low: float, high: float) -> str:
    """Returns a difference in points with its interval, where that is known: "+2.0 [+0.4, +3.6]"; empty for no number."""
    if math.isnan(value):
        return ""
    return points(value) + ("" if math.isnan(low + high) else f" [{points(low)}, {points(high)}]")


def _shown(value: Any, percent: bool, whole: bool) -> str:
    if pd.isna(value):
        return ""
    if percent:
        return f"{100 * value:.1f}%"
    if whole:
        return f"{value:,.0f}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _raw(record: dict[Any, Any]) -> dict[Any, Any]:
    return {key: None if pd.isna(value) else value for key, value in record.items()}


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
