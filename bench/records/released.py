"""The released index of AugReg's 51,509 transfers, read as the table: fetched once, checked, and what is odd about it said.

Source: the index beside the checkpoints of "How to train your ViT?", 21 columns, a row a transfer run.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench import remote
from bench.errors import UserError
from bench.records import atomic
from bench.records.check import rows
from bench.records.oddities import Oddity, oddities
from bench.records.schema import RELEASED
from bench.records.table import read_cells, typed

INDEX = "gs://vit_models/augreg/index.csv"
"""Where the release has it; over https it is at storage.googleapis.com/vit_models/augreg/index.csv."""
# Which of two spellings the names of the short runs have was never published: the column `ds` says i21k_30, and so may they.
_SHORT, _OURS = "-i21k_30-30ep-", "-i21k-30ep-"
_NAMES = ("filename", "adapt_filename")
# Columns in which all rows of an upstream run are the same.
_OF_THE_RUN = [c for c in RELEASED if not c.startswith("adapt_") and c not in ("params", "infer_samples_per_sec", "filename")]


@dataclass(frozen=True)
class Released:
    """An index that was read.

    Attributes:
      table: columns of `bench.records.schema`, the rows in the order of the file.
      source: where it is from.
      sha256: of the file, in hexadecimal.
      oddities: what is odd about it, what the release is known for first.
    """

    table: pd.DataFrame
    source: str
    sha256: str
    oddities: tuple[Oddity, ...]

    def report(self) -> str:
        """Returns what was read and what is odd about it, a line each."""
        table = self.table
        lines = [
            f"{self.source}: {len(table):,} rows of {table['filename'].nunique():,} upstream runs, sha256 {self.sha256}",
            *(f"{'known' if o.known else 'odd'}: {o.says}{f' ({o.rows:,} rows)' if o.rows else ''}" for o in self.oddities),
        ]
        return "\n".join(lines if self.oddities else [*lines, "nothing odd"])


def read_released(source: str | Path = INDEX, sha256: str = "") -> Released:
    """Reads the index, or a table of its columns, and looks for what is odd; no number is changed.

    A file from elsewhere is kept in the cache with its checksum, and fetched anew when there is another version. Names of runs
    over 30 epochs that say `i21k_30-30ep` are written as here, `i21k-30ep`, which is an oddity that is said.

    Args:
      source: gs:// or https:// address, or path, of a .csv or .parquet file.
      sha256: that the file must have, in hexadecimal; empty for any.

    Raises:
      UserError: it cannot be fetched or read, is truncated, has another checksum, was altered in the cache, does not satisfy
        `bench.records.check`, or has rows of one upstream run that contradict each other.
    """
    path = remote.fetch(str(source), kind="tables") if remote.is_remote(source) else Path(source)
    try:
        found = _checksum(path, sha256)
        if remote.is_remote(source):
            _kept(path, found)
        cells, renamed = _spelled(read_cells(path))
        table = typed(cells)
        _agree(table)
    except UserError as error:
        why = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{source}: {f'truncated, its last line does not end; {why}' if _broken(path) else why}") from None
    return Released(table, str(source), found, (*renamed, *oddities(table)))


def _checksum(path: Path, expected: str) -> str:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise UserError("no such table") from None
    except OSError as error:
        raise UserError(f"not readable ({error.strerror or error})") from None
    if expected and found != expected.lower():
        raise UserError(f"has the sha256 checksum {found}, not {expected.lower()}: altered, or another version")
    return found


def _kept(path: Path, found: str) -> None:
    """Compares a file of the cache with the checksum that it had when it was fetched, which is beside it."""
    beside = path.with_name(f"{path.name}.sha256")
    if not beside.exists():
        atomic.write(beside, lambda file: file.write(found.encode()))
    elif beside.read_text().strip() != found:
        raise UserError(f"{path} was altered since it was fetched: delete it, and it is fetched anew")


def _broken(path: Path) -> bool:
    """Whether a CSV file ends within a line, as one does that was broken off."""
    if path.suffix != ".csv" or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _agree(table: pd.DataFrame) -> None:
    several = table.groupby("filename")[_OF_THE_RUN].nunique().gt(1)
    for column in several.columns[several.any()]:
        run = several.index[several[column]][0]
        raise UserError(f"{rows(table['filename'] == run)}: upstream run {run} has several values of {column!r}: altered")


def _spelled(cells: pd.DataFrame) -> tuple[pd.DataFrame, list[Oddity]]:
    present = [c for c in _NAMES if c in cells]
    short = {c: cells[c].astype("string").str.contains(_SHORT, regex=False).fillna(False).astype(bool) for c in present}
    concerned = int(max((mask.sum() for mask in short.values()), default=0))
    if not concerned:
        return cells, []
    changed = cells.assign(**{c: cells[c].astype("string").str.replace(_SHORT, _OURS, regex=False) for c in present})
    says = f"names say {_SHORT.strip('-')!r}, and are written {_OURS.strip('-')!r} here; weights lie under the former"
    return changed, [Oddity(says, concerned)]
