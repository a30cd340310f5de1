"""Tables of the page: any data frame as strings that people read, with what its columns are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter

from bench.findings.text import effect
from bench.report import text
from bench.report.figures import points

_COMPUTE = EngFormatter("FLOPs")
_SHOWN: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("val", "test", "final_val", "final_test"), lambda value: f"{100 * value:.1f}%"),
    **dict.fromkeys(("finetunes", "n_test"), lambda value: f"{value:,.0f}"),
    "regret": points,
    # Three digits and a prefix of SI, by which the page's script sorts.
    "flops": lambda value: _COMPUTE(float(f"{value:.3g}")),
    "train_seconds": lambda value: f"{value:,.1f}",
    "chip_hours": lambda value: f"{value:.3g}" if value < 1000 else f"{value:,.0f}",
}
"""How values of these columns are shown; those of others as they are."""
_SENTENCES = {"reason", "why", "why this one", "fine-tune with", "chooses", "against upstream_best", "claim"}
_NAMES = {"checkpoint", "weights", "filename", "chosen transfer run", "effect", "source"}
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
    """What people need of the recommended table, as `bench.report.text.for_people` chooses it, sentences last."""
    numbers = {text.PEOPLE[c] for c in recommended.select_dtypes("number").columns if c in text.PEOPLE}
    shown = text.for_people(recommended)
    return grid(shown[sorted(shown.columns, key=lambda c: c in _SENTENCES)], numbers, caption)


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


def headed(frame: pd.DataFrame, headings: Mapping[str, str], caption: str) -> Table:
    """Those columns of `headings` that have a value, under these headings; intervals where the frame has their ends."""
    said = {c: heading for c, heading in headings.items() if c in frame and frame[c].notna().any()}
    numbers = {said[c] for c in frame[list(said)].select_dtypes("number").columns}
    return grid(pd.DataFrame({heading: _bounded(frame, c) for c, heading in said.items()}), numbers, caption)


def grid(shown: pd.DataFrame, numbers: set[str], caption: str, ids: Sequence[str] = ()) -> Table:
    """A frame of strings as a table, the columns `numbers` to the right and sorted as numbers."""
    kinds = [_kind(c, numbers) for c in shown.columns]
    return Table(caption, list(shown.columns), kinds, list(shown.itertuples(index=False, name=None)), ids)


def _kind(column: str, numbers: set[str]) -> str:
    known = (("number", numbers), ("sentence", _SENTENCES), ("name", _NAMES), ("code", {_CODE}))
    return next((kind for kind, columns in known if column in columns), "")


def _bounded(frame: pd.DataFrame, column: str) -> list[str]:
    shown = [_shown(v, column) for v in frame[column]]
    if f"{column}_low" not in frame:
        return shown
    lows, highs = ([_shown(v, column) for v in frame[f"{column}_{end}"]] for end in ("low", "high"))
    return [f"{v} [{low}, {high}]" if low else v for v, low, high in zip(shown, lows, highs, strict=True)]


def _shown(value: Any, column: str) -> str:
    if pd.isna(value):
        return ""
    if column in _SHOWN:
        return _SHOWN[column](value)
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
