"""Metrics of a run while it trains: one `metrics.csv` an attempt, and what they are together.

An attempt goes on from a checkpoint of an earlier one, which may have trained beyond it. Its first row says which that was, so
a run's metrics are those of its last attempt, before them those of the one it went on from up to the checkpoint, and so on.
What other attempts wrote beyond their checkpoints, or beside, is no part of the run.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

FILE = "metrics.csv"
# The split and metric of an attempt's first row; `step` is that of the checkpoint, `value` how many attempts came before.
BEGINNING = "attempt"


class Row(NamedTuple):
    """One measurement.

    Attributes:
      step: steps done.
      epoch: the same in passes through the training set.
      split: `train`, `val` or `test`.
      metric: `loss` (the mean over the steps of a dispatch), `learning_rate`, `images_per_second`, `accuracy`.
      value: of it.
      seconds: that the run had trained and evaluated, over all attempts it consists of.
    """

    step: int
    epoch: float
    split: str
    metric: str
    value: float
    seconds: float


HEADER = Row._fields


def line(row: Row) -> str:
    """Returns a row as it stands in the file."""
    return f"{row.step},{row.epoch:.6g},{row.split},{row.metric},{row.value!r},{row.seconds:.3f}\n"


def beginning(step: int, earlier: str, attempts: int) -> Row:
    """Returns the first row of an attempt that goes on from `step` of the attempt `earlier`, "" for one that begins."""
    return Row(step, 0.0, BEGINNING, earlier, float(attempts), 0.0)


def read_attempt(path: Path) -> tuple[Row, list[Row]] | None:
    """Returns how an attempt began and its rows, None where it wrote none.

    What comes after the last line break was being written when the attempt was killed, and does not count.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    rows = []
    for fields in csv.reader(text[: text.rfind("\n") + 1].splitlines()):
        if len(fields) == len(HEADER) and tuple(fields) != HEADER:
            step, epoch, split, metric, value, seconds = fields
            rows.append(Row(int(step), float(epoch), split, metric, float(value), float(seconds)))
    if not rows or rows[0].split != BEGINNING:
        return None
    return rows[0], rows[1:]


def read_metrics(run: Path, attempt: str | None = None) -> list[Row]:
    """Returns the metrics of a run in the order of its steps, each once.

    Args:
      run: folder of the run, with the folders of its attempts in `attempts`.
      attempt: the last attempt that counts, such as the accepted one (`Cost.attempt` of its record); by default the one that
        got furthest.
    """
    found = {path.parent.name: read for path in run.glob(f"attempts/*/{FILE}") if (read := read_attempt(path))}
    if attempt is None:
        attempt = max(found, default="", key=lambda name: (_end(found[name]), found[name][0].value, name))
    parts: list[list[Row]] = []
    end: int | None = None
    while attempt in found:
        # An attempt that is gone on from itself would never end.
        began, rows = found.pop(attempt)
        parts.append(rows if end is None else [row for row in rows if row.step <= end])
        end, attempt = began.step, began.metric
    return [row for part in reversed(parts) for row in part]


def _end(read: tuple[Row, list[Row]]) -> int:
    began, rows = read
    return rows[-1].step if rows else began.step
