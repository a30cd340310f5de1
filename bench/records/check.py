"""What a table must satisfy; every complaint names its rows as a spreadsheet counts them (the header is row 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import UserError, choose_from
from bench.points import LEVELS, TASKS, VARIANTS, parse_transfer, parse_upstream
from bench.points.config import MAX_NAME
from bench.points.names import checkpoint_model, transfer_fields
from bench.records.schema import BY_NAME, COLUMNS, STATUSES, Column

_SHOWN = 3
# Stands for any upstream run.
_ANY = "Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0"


def rows(mask: pd.Series) -> str:
    """Returns the numbers of the first rows where `mask` holds, and how many more there are."""
    numbers = [i + 2 for i, bad in enumerate(mask.tolist()) if bad is True]
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return ("row " if len(numbers) == 1 else "rows ") + ", ".join(map(str, numbers[:_SHOWN])) + more


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the frame with all columns of the schema in order and dtype.

    Raises:
      UserError: unknown or missing column, wrong type, accuracy outside [0, 1], unknown model, level or status, a run listed
        twice, one upstream name with two digests, or a name that cannot be read or that its row's cells contradict.
    """
    _headers(list(frame.columns))
    whole = pd.DataFrame({c.name: _cast(frame, c) for c in COLUMNS})
    for column in COLUMNS:
        if column.unit:
            _refuse((whole[column.name] < 0) | (whole[column.name] > 1), f"column {column.name!r} is not in [0, 1]")
    for name in ("name", "filename"):
        _refuse(whole[name].isna(), f"column {name!r} is empty")
    for name, valid in (("name", VARIANTS), ("aug", LEVELS), ("status", STATUSES), ("adapt_status", STATUSES)):
        _members(whole[name], valid)
    transfer = whole["adapt_filename"]
    _refuse(transfer.notna() & transfer.duplicated(keep=False), "one transfer run listed twice")
    _refuse(transfer.isna() & whole["filename"].duplicated(keep=False), "an upstream run listed again without a transfer")
    digests = whole.groupby("filename")["digest"].transform("nunique")
    _refuse(digests > 1, "one upstream name with several digests (results of different configs)")
    _agree(whole, "filename", _upstream_cells)
    _agree(whole, "adapt_filename", _transfer_cells)
    return whole


def _headers(names: list[str]) -> None:
    for name in names:
        if name not in BY_NAME:
            raise UserError(f"unknown column {name!r}; {choose_from(name, BY_NAME)}")
        if names.count(name) > 1:
            raise UserError(f"column {name!r} stands there twice")
    for column in COLUMNS:
        if column.released and column.name not in names:
            raise UserError(f"missing column {column.name!r}")


def _cast(frame: pd.DataFrame, column: Column) -> pd.Series:
    if column.name not in frame.columns:
        return pd.Series(index=range(len(frame)), dtype=column.dtype)
    values = frame[column.name].reset_index(drop=True)
    if column.dtype == "string":
        text = values.astype("string")
        return text.mask(text == "")  # a CSV file cannot tell an empty text from none
    if column.dtype == "boolean":
        text = values.astype("string").str.lower()
        _refuse(text.notna() & ~text.isin(["true", "false"]), f"column {column.name!r} is neither True nor False")
        return text.eq("true").astype("boolean")
    empty = values.isna()
    codes, distinct = pd.factorize(values)  # an empty cell has code -1, which takes the last
    numbers = pd.Series(np.array([*map(_finite, distinct), math.nan])[codes], dtype="float64")
    _refuse(~empty & numbers.isna(), f"column {column.name!r} is not a finite number")
    if column.dtype == "Int64":
        _refuse(numbers % 1 > 0, f"column {column.name!r} is not a whole number")
        return numbers.astype("Int64")
    return numbers


def _finite(value: Any) -> float:
    """Returns the float nearest to the text, as Python (unlike some parsers of pandas) guarantees; NaN where there is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _refuse(mask: pd.Series, what: str) -> None:
    mask = mask.fillna(False).astype(bool)
    if mask.any():
        raise UserError(f"{rows(mask)}: {what}")


def _members(cells: pd.Series, valid: Collection[str]) -> None:
    bad = cells.isin([value for value in cells.dropna().unique() if value not in valid])
    if bad.any():
        first = cells[bad].iloc[0]
        _refuse(bad, f"column {cells.name!r} holds {first!r}; {choose_from(first, valid)}")


def _upstream_cells(filename: str) -> dict[str, Any]:
    if model := checkpoint_model(filename):
        return {"name": model}
    config = parse_upstream(filename)
    fields = ("ds", "epochs", "lr", "aug", "wd", "do", "sd", "seed")
    return {"name": config.model, **{field: getattr(config, field) for field in fields}}


def _transfer_cells(filename: str) -> dict[str, Any]:
    upstream, _, settings = filename.partition("--")
    if len(filename) > MAX_NAME:
        return _transfer_fields(filename)
    try:
        return {**_settings(settings), "filename": upstream}
    except UserError:
        return _transfer_fields(filename)  # so that a complaint is about this name


@lru_cache(maxsize=4096)
def _settings(text: str) -> dict[str, Any]:
    """What follows an upstream run's name is right or wrong whatever run that is: the release's 51,509 names have 68 of it."""
    return _transfer_fields(f"{_ANY}--{text}")


def _transfer_fields(filename: str) -> dict[str, Any]:
    upstream, said = transfer_fields(filename)
    if said["task"] in TASKS and checkpoint_model(upstream) is None:
        parse_transfer(filename)
    fields = {"seed": 0, "fit": "train", **said}
    cells = {f"adapt_{field}": fields[field] for field in ("lr", "steps", "resolution", "seed", "fit")}
    return {"filename": upstream, "adapt_ds": fields["task"], **cells}


def _agree(frame: pd.DataFrame, key: str, cells_of: Callable[[str], dict[str, Any]]) -> None:
    """Refuses a name that does not parse and cells that say something else than the name."""
    codes, names = pd.factorize(frame[key])
    said: list[dict[str, Any]] = []
    for filename in names:
        try:
            said.append(cells_of(filename))
        except UserError as error:
            _refuse(frame[key] == filename, str(error))
    said.append({})  # of an empty name, whose code is -1
    for column in dict.fromkeys(column for cells in said for column in cells):
        expected = pd.Series([cells.get(column) for cells in said], dtype=frame[column].dtype).take(codes).set_axis(frame.index)
        bad = (expected.notna() & frame[column].notna() & (frame[column] != expected)).fillna(False).astype(bool)
        if bad.any():
            at = int(bad.to_numpy().argmax())
            _refuse(bad, f"column {column!r} is not {said[codes[at]][column]!r} as in the name {frame[key].iloc[at]}")
