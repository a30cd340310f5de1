"""The table of scores: what probes found, in long form, beside the table of runs.

One row is one score of one checkpoint on one task: a proxy that says how well the checkpoint may transfer (`logme`, ...), which
is measured on train, or an accuracy of something simple on frozen features (`linear_probe`, `knn`, `ridge_10`, ...), which is
measured on val and on test.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.points import Probe
from bench.records.atomic import export
from bench.records.check import rows
from bench.records.record import SPLITS, Record
from bench.records.schema import Column

COLUMNS: tuple[Column, ...] = (
    Column("filename", "string", "name of the upstream run"),
    Column("name", "string", "model"),
    Column("adapt_ds", "string", "downstream task"),
    Column("adapt_resolution", "Int64", "pixels"),
    Column("score", "string", "name of the score"),
    Column("split", "string", "images that it was measured on: train, val or test"),
    Column("n", "Int64", "number of these images"),
    Column("value", "float64", "the higher, the better"),
    Column("flops", "float64", "floating-point operations of the forward passes that all scores of the probe share"),
    Column("seconds", "float64", "time of the whole probe, compilation excluded", volatile=True),
)
_NAMES = [c.name for c in COLUMNS]
_KEY = ["filename", "adapt_ds", "adapt_resolution", "score", "split"]


def from_records(records: Iterable[Record]) -> pd.DataFrame:
    """Returns the scores of those records that are probes, sorted; no rows where there is none."""
    rows: list[dict[str, Any]] = []
    for record in records:
        config = record.config
        if not isinstance(config, Probe):
            continue
        of_probe = {
            "filename": config.upstream.name,
            "name": config.upstream.model,
            "adapt_ds": config.task,
            "adapt_resolution": config.resolution,
            "flops": record.cost.train_flops,
            "seconds": record.cost.eval_seconds,
        }
        rows += [{**of_probe, "score": m.metric, "split": m.split, "n": m.n, "value": m.value} for m in record.measurements]
    return check(pd.DataFrame(rows, columns=_NAMES).sort_values(_KEY, ignore_index=True))


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the scores with their columns in order and dtype.

    Raises:
      UserError: a column is missing, a split is unknown, a value is no finite number, or a score stands there twice.
    """
    for name in _NAMES:
        if name not in frame.columns:
            raise UserError(f"the scores have no column {name!r}")
    try:
        whole = frame[_NAMES].astype({c.name: c.dtype for c in COLUMNS})
    except (TypeError, ValueError) as error:
        raise UserError(f"the scores hold something else than they should: {error}") from None
    _refuse(~whole["split"].isin(SPLITS), f"a split is none of {', '.join(SPLITS)}")
    _refuse(whole["value"].isna(), "no value")
    _refuse(whole.duplicated(_KEY), "this score of this checkpoint stands there twice")
    return whole


def _refuse(mask: pd.Series, what: str) -> None:
    if mask.any():
        raise UserError(f"scores, {rows(mask)}: {what}")


def write_scores(frame: pd.DataFrame, path: Path) -> None:
    """Writes the scores as CSV, atomically."""
    export(path, check(frame).to_csv(index=False, lineterminator="\n"))


def read_scores(path: Path) -> pd.DataFrame:
    """Reads what `write_scores` wrote.

    Raises:
      UserError: no such file, no CSV, or what `check` refuses.
    """
    try:
        return check(pd.read_csv(path))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file of scores; a sweep with probes leaves scores.csv in its folder") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a CSV file of scores ({error})") from None
