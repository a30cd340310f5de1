"""Verdicts as text: raw for programs, and what a person needs to read."""

from __future__ import annotations

import json
import math

import pandas as pd

from bench.errors import UserError, choose_from

RAW = ("csv", "json")


def raw(frame: pd.DataFrame, form: str) -> str:
    """The frame of `bench.findings.verdicts` as `csv` or `json` (a list of objects, null where empty), ending in a newline.

    Raises:
      UserError: another format.
    """
    if form == "csv":
        return frame.to_csv(index=False, lineterminator="\n")
    if form == "json":
        rows = [{key: None if pd.isna(value) else value for key, value in row.items()} for row in frame.to_dict("records")]
        return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    raise UserError(f"unknown format {form!r}; {choose_from(form, RAW)}")


def for_people(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of the verdicts that a person needs, as strings under plain headings.

    What they were tested on is a column only where there are both kinds.
    """
    shown = {
        "claim": frame["claim"],
        "tested on": frame["evidence"],
        "verdict": frame["verdict"],
        "effect [95% interval]": [effect(*row) for row in frame[["effect", "low", "high", "unit"]].itertuples(index=False)],
        "runs": ["" if not n else f"{n:,}" for n in frame["runs"]],
        "why": frame["why"],
        "source": frame["source"],
    }
    out = pd.DataFrame(shown).astype("string")
    return out if frame["evidence"].nunique() > 1 else out.drop(columns="tested on")


def effect(value: float, low: float, high: float, unit: str) -> str:
    """An effect with its interval and unit, such as `+2.96 [+2.44, +3.44] points`; empty for none."""
    if math.isnan(value):
        return ""
    digits = 3 if max(abs(v) for v in (value, low, high) if not math.isnan(v)) < 0.1 else 2
    ends = "" if math.isnan(low + high) else f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    return f"{value:+.{digits}f}{ends} {unit}".rstrip()
