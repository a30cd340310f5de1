"""What is known of given checkpoints besides their weights: where they came from, and their upstream validation accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.errors import UserError, choose_from
from bench.points import Checkpoint
from bench.records.atomic import read_json, write_json
from sweeps.layout import Workdir

if TYPE_CHECKING:
    from sweeps.given import Given

_COLUMNS = ("filename", "final_val")


def read(path: Path, checkpoints: Sequence[Checkpoint]) -> dict[str, float]:
    """Returns the upstream validation accuracy of those checkpoints that a file knows.

    Args:
      path: a CSV file with columns `filename`, which is a checkpoint's name or label, and `final_val`, a fraction; others, as
        those of a table or of the released index, are passed over, and so are rows of other checkpoints.
      checkpoints: whose accuracy is wanted.

    Returns:
      `final_val` by the checkpoints' names.

    Raises:
      UserError: the file cannot be read, has no such columns, knows none of the checkpoints, or says two things of one.
    """
    try:
        frame = pd.read_csv(path, dtype="string")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of upstream scores") from None
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        raise UserError(f"{path}: not readable as CSV ({str(error).splitlines()[0]})") from None
    for column in _COLUMNS:
        if column not in frame:
            raise UserError(f"{path}: has no column {column!r}: upstream scores are lines of {','.join(_COLUMNS)}")
    names = {name: each.name for each in checkpoints for name in (each.label, each.name)}
    mine = frame[frame["filename"].isin(list(names)) & frame["final_val"].notna()]
    found: dict[str, float] = {}
    for row, filename, text in zip(mine.index, mine["filename"], mine["final_val"], strict=True):
        value = _fraction(text, f"{path}, row {row + 1}")
        if found.setdefault(names[filename], value) != value:
            raise UserError(
                f"{path}, row {row + 1}: {filename} has final_val {value:g} and, before, {found[names[filename]]:g}"
            )
    if not found:
        raise UserError(
            f"{path}: has the final_val of none of the {len(checkpoints)} checkpoints;"
            f" {choose_from(next(iter(frame['filename'].dropna()), ''), dict.fromkeys(names))}"
        )
    return found


def _fraction(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UserError(f"{place}: final_val is {text!r}, but must be a fraction from 0 to 1")
    return value


def note(workdir: Workdir, given: Sequence[Given], scores: Mapping[str, float]) -> None:
    """Writes down what is known of checkpoints, beside what was known before; `scores` count more than the checkpoints' own."""
    known = about(workdir)
    for each in given:
        name = each.checkpoint.name
        before = known.get(name, {}).get("final_val")
        value = scores.get(name, before if each.val is None else each.val)
        known[name] = {"source": each.source, "final_val": value}
    write_json(_file(workdir), known)


def about(workdir: Workdir) -> dict[str, Any]:
    """Returns `source` and `final_val` (None where unknown) of the given checkpoints, by name."""
    path = _file(workdir)
    return read_json(path) if path.exists() else {}


def known(workdir: Workdir) -> dict[str, float]:
    """Returns the upstream validation accuracy of all given checkpoints that have a known one, by name."""
    return {name: facts["final_val"] for name, facts in about(workdir).items() if facts["final_val"] is not None}


def accuracies(workdir: Workdir, checkpoints: Sequence[Checkpoint]) -> dict[str, float]:
    """Returns the upstream validation accuracy of those checkpoints that have a known one, by name."""
    found = known(workdir)
    return {each.name: found[each.name] for each in checkpoints if each.name in found}


def fill(table: pd.DataFrame, accuracies: Mapping[str, float]) -> pd.DataFrame:
    """Returns the table with these upstream validation accuracies, by `filename`, where it has none."""
    if not accuracies:
        return table
    values = table["filename"].map(dict(accuracies)).astype("float64")
    return table.assign(final_val=table["final_val"].fillna(values))


def _file(workdir: Workdir) -> Path:
    return workdir.path / "checkpoints" / "about.json"
