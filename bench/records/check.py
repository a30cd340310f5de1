"""What a table must satisfy; every complaint names its rows as a spreadsheet counts them (the header is row 1)."""

from __future__ import annotations

import pandas as pd

from bench.errors import UserError, choose_from
from bench.points import LEVELS, VARIANTS, parse
from bench.records.schema import BY_NAME, COLUMNS, STATUSES, Column

_SHOWN = 3


def rows(mask: pd.Series) -> str:
    """Returns the numbers of the first rows where `mask` holds, and how many more there are."""
    numbers = [i + 2 for i, bad in enumerate(mask.tolist()) if bad is True]
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return ("row " if len(numbers) == 1 else "rows ") + ", ".join(map(str, numbers[:_SHOWN])) + more


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the frame with all columns of the schema in order and dtype.

    Raises:
      UserError: unknown or missing column, wrong type, accuracy outside [0, 1], unknown model or level, a transfer listed
        twice, one upstream name with two digests, or a cell that contradicts the run's name.
    """
    for name in frame.columns:
        if name not in BY_NAME:
            raise UserError(f"unknown column {name!r}; {choose_from(name, BY_NAME)}")
    for column in COLUMNS:
        if column.released and column.name not in frame.columns:
            raise UserError(f"missing column {column.name!r}")
    whole = pd.DataFrame({c.name: _cast(frame, c) for c in COLUMNS})
    for column in COLUMNS:
        if column.unit:
            _refuse((whole[column.name] < 0) | (whole[column.name] > 1), f"column {column.name!r} is not in [0, 1]")
    for name in ("name", "filename"):
        _refuse(whole[name].isna(), f"column {name!r} is empty")
    _members(whole, "name", VARIANTS)
    _members(whole, "aug", LEVELS)
    _members(whole, "status", STATUSES)
    _members(whole, "adapt_status", STATUSES)
    _refuse(whole["adapt_filename"].notna() & whole["adapt_filename"].duplicated(keep=False), "one transfer run listed twice")
    digests = whole.groupby("filename")["digest"].transform("nunique")
    _refuse(digests > 1, "one upstream name with several digests (results of different configs)")
    _names_agree(whole)
    return whole


def _cast(frame: pd.DataFrame, column: Column) -> pd.Series:
    if column.name not in frame.columns:
        return pd.Series(pd.NA, index=range(len(frame)), dtype=column.dtype if column.dtype != "float64" else "Float64").astype(
            column.dtype
        )
    values = frame[column.name].reset_index(drop=True)
    if column.dtype == "string":
        return values.astype("string")
    if column.dtype == "boolean":
        text = values.astype("string")
        known = {"True": True, "False": False}
        _refuse(text.notna() & ~text.isin(list(known)), f"column {column.name!r} is neither True nor False")
        return text.map(known).astype("boolean")
    numbers = pd.to_numeric(values, errors="coerce")
    _refuse(values.notna() & numbers.isna(), f"column {column.name!r} is not a number")
    if column.dtype == "Int64":
        _refuse(numbers.notna() & (numbers % 1 != 0), f"column {column.name!r} is not a whole number")
        return numbers.astype("Int64")
    return numbers.astype("float64")


def _refuse(mask: pd.Series, what: str) -> None:
    mask = mask.fillna(False).astype(bool)
    if mask.any():
        raise UserError(f"{rows(mask)}: {what}")


def _members(frame: pd.DataFrame, name: str, valid: object) -> None:
    names = list(valid)  # type: ignore[call-overload]
    bad = frame[name].notna() & ~frame[name].isin(names)
    if bad.any():
        raise UserError(f"{rows(bad)}: column {name!r} holds {frame[name][bad].iloc[0]!r}; {choose_from(frame[name][bad].iloc[0], names)}")


def _names_agree(frame: pd.DataFrame) -> None:
    """A cell that says something else than the run's name is an error of whoever made the table."""
    columns = ("name", "ds", "epochs", "lr", "aug", "wd", "do", "sd")
    for filename, group in frame.groupby("filename", sort=False):
        config = parse(str(filename))
        for column in columns:
            expected = config.model if column == "name" else getattr(config, column)  # type: ignore[union-attr]
            _refuse(
                (frame["filename"] == filename) & frame[column].notna() & (frame[column] != expected),
                f"column {column!r} is not {expected!r} as in the name {filename}",
            ) if (group[column].dropna() != expected).any() else None
