"""Tables of the page: any data frame as strings that people read, with what its columns are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.findings.text import effect
from bench.report import text
from bench.report.figures import points

_PERCENT = ("val", "test", "test_low", "test_high", "final_val", "final_test")
_POINTS = ("regret", "regret_low", "regret_high")
_SENTENCES = {"reason", "why", "why this one", "fine-tune with", "chooses", "against upstream_best", "claim"}
_NAMES = {"checkpoint", "weights", "filename", "adapt_filename", "effect", "source"}
"""Columns that hold what is too long for a line and is no sentence."""
_CODE = "commands"
"""The column whose values are sequences of commands."""
_FINDING = {"claim": "claim", "verdict": "verdict", "effect": "effect", "runs": "runs", "why": "why", "source": "source"}
"""What the page shows of a finding, of the frame's columns, and under which heading."""


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
      caption: what it shows, a sentence.
      columns: its headings.
      kinds: of each column: `number`, `sentence`, `name` (a long one), `code` or nothing.
      rows: values of each row; of a column `code` a sequence of strings, of the others a string.
      ids: identifier of each row, which links lead to; none where nothing links to it.
    """

    caption: str
    columns: list[str]
    kinds: list[str]
    rows: list[tuple[Any, ...]]
    ids: Sequence[str] = ()


def people(recommended: pd.DataFrame, caption: str) -> Table:
    """What people need of the recommended table, as `bench.report.text.for_people` chooses it."""
    numbers = {text.PEOPLE[c] for c in recommended.select_dtypes("number").columns if c in text.PEOPLE}
    return grid(text.for_people(recommended), numbers, caption)


def by_task(recommended: pd.DataFrame, caption: str) -> Table | None:
    """Test accuracy of the recommended checkpoints, a column per task; None where nothing was transferred."""
    columns = text.task_columns(recommended)
    if not columns:
        return None
    facts = ["name", "ds"] if recommended["ds"].nunique() > 1 else ["name"]
    shown = text.shown_strings(recommended)[[*facts, *columns, "mean_test"]]
    tasks = [text.task_of(c) for c in columns]
    shown.columns = pd.Index([*(text.PEOPLE[c] for c in facts), *tasks, "mean"])
    return grid(shown, {*tasks, "mean"}, caption)


def findings(found: pd.DataFrame, caption: str) -> Table:
    """Claims with their verdicts.

    Args:
      found: columns `claim` and `verdict`; of the others `why`, `effect` with `low`, `high` (its interval) and `unit`, `runs`
        and `source` are shown where they are there.
      caption: of the table.
    """
    shown = pd.DataFrame({heading: [_shown(v, c) for v in found[c]] for c, heading in _FINDING.items() if c in found})
    if "effect" in found:
        whole = found.reindex(columns=["effect", "low", "high", "unit"])
        numbers = whole[["effect", "low", "high"]].astype("float64")
        units = whole["unit"].astype("string").fillna("")
        shown["effect"] = [effect(*row) for row in zip(*(numbers[c] for c in numbers), units, strict=True)]
    return grid(shown, {"runs"}, caption)


def of(frame: pd.DataFrame, caption: str, ids: Sequence[str] = ()) -> Table:
    """All columns of a frame under their own names: accuracies in percent, regret in points."""
    shown = {c: list(frame[c]) if c == _CODE else [_shown(v, c) for v in frame[c]] for c in frame.columns}
    numbers = set(frame.select_dtypes("number").columns)
    return grid(pd.DataFrame(shown, columns=frame.columns), numbers, caption, ids)


def grid(shown: pd.DataFrame, numbers: set[str], caption: str, ids: Sequence[str] = ()) -> Table:
    """A frame of strings as a table, the columns `numbers` to the right and sorted as numbers."""
    kinds = [_kind(c, numbers) for c in shown.columns]
    return Table(caption, list(shown.columns), kinds, list(shown.itertuples(index=False, name=None)), ids)


def _kind(column: str, numbers: set[str]) -> str:
    known = (("number", numbers), ("sentence", _SENTENCES), ("name", _NAMES), ("code", {_CODE}))
    return next((kind for kind, columns in known if column in columns), "")


def _shown(value: Any, column: str) -> str:
    if pd.isna(value):
        return ""
    if column in _PERCENT:
        return f"{100 * value:.1f}%"
    if column in _POINTS:
        return points(value)
    if column in ("finetunes", "train_seconds"):
        return f"{value:,.0f}" if column == "finetunes" else f"{value:,.1f}"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
