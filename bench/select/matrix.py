"""Selection on any matrix of candidates and tasks in long form: published tables, other people's benchmarks, one's own.

A matrix has an accuracy per candidate and task, and perhaps facts of the candidates (parameters, an ImageNet score) that a rule
may go by. With validation scores it is selected on validation and scored on test, as everywhere. A published table has test
scores only; then the best of a task is the best of its *test* scores, and the choice that goes by other tasks goes by theirs.
That is no protocol but a look back, so it has to be asked for, and every row says `test-on-test`. Its regrets are too large:
the best of many noisy test scores is in part lucky.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from bench.errors import UserError, choose_from
from bench.records.check import rows
from bench.records.schema import COLUMNS
from bench.select import compare as comparing
from bench.select.pools import OF_ALL
from bench.select.strategies.adapt_all import ADAPT_ALL
from bench.select.strategies.ranking import ranker
from bench.select.strategy import Strategy

NEEDED = ("candidate", "task", "test")
VALIDATION, LOOKING_BACK = "validation", "test-on-test"


def read_matrix(path: Path) -> pd.DataFrame:
    """Reads a matrix from a CSV file: columns `NEEDED`, and as in `checked`.

    Raises:
      UserError: no such file, no CSV, or what `checked` raises.
    """
    try:
        return checked(pd.read_csv(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such matrix") from None
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path}: not readable as CSV ({str(error).splitlines()[0]})") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def checked(matrix: pd.DataFrame) -> pd.DataFrame:
    """Returns the matrix sorted by (candidate, task).

    Columns: candidate, task and test; val, group (of the task) and n_test where they are known; name (model), ds (upstream
    set), params and any other facts of the candidate. Accuracies are fractions.

    Raises:
      UserError: a needed column is missing, a pair stands there twice, a score is missing or no fraction, or the facts of a
        candidate or the group of a task differ between rows.
    """
    if missing := [column for column in NEEDED if column not in matrix]:
        raise UserError(f"the matrix has no column {', '.join(map(repr, missing))}; it has {', '.join(matrix.columns)}")
    if matrix.empty:
        raise UserError("the matrix has no rows")
    frame = matrix.reset_index(drop=True)
    for key in ("candidate", "task"):
        _refuse(frame[key].isna(), f"column {key!r} is empty")
    _refuse(frame.duplicated(["candidate", "task"]), "this candidate has two rows on this task")
    for column in (c for c in ("test", "val") if c in frame):
        values = pd.to_numeric(frame[column], errors="coerce")
        _refuse(values.isna(), f"column {column!r} is no number")
        _refuse((values < 0) | (values > 1), f"column {column!r} is not in [0, 1]: accuracies are fractions")
        frame[column] = values.astype(float)
    for key, columns in (("candidate", _facts(frame)), ("task", [c for c in ("group", "n_test") if c in frame])):
        for column in columns:
            several = frame.groupby(key)[column].nunique(dropna=False)
            if bool((several > 1).any()):
                raise UserError(f"{key} {several.index[several > 1][0]!r} has several values of {column!r}")
    return frame.sort_values(["candidate", "task"], ignore_index=True)


def basis(matrix: pd.DataFrame) -> str:
    """What a matrix can be selected on: `validation` where it has validation scores, else `test-on-test`."""
    return VALIDATION if "val" in matrix else LOOKING_BACK


def by(matrix: pd.DataFrame, name: str, *columns: str) -> Strategy:
    """Returns the strategy that takes the candidates with the most of the first column, of those that tie of the second, ...

    Args:
      matrix: as `checked` takes it; the columns are facts of its candidates. One that lacks a fact is never taken.
      name: of the strategy.
      columns: numeric.

    Raises:
      UserError: what `checked` raises, or the matrix has no such column.
    """
    frame = checked(matrix)
    for column in columns:
        if column not in frame:
            raise UserError(f"the matrix has no column {column!r}; {choose_from(column, _facts(frame))}")
    facts = frame.drop_duplicates("candidate").set_index("candidate")[list(columns)].dropna()
    order = facts.sort_values(list(columns), ascending=False, kind="stable").index
    place = pd.Series(range(len(order), 0, -1), index=order, dtype="float64")
    return ranker(name, f"the most {', then the most '.join(columns)}", lambda pool: place.reindex(pool.checkpoints.index))


def compare(matrix: pd.DataFrame, strategies: Iterable[str | Strategy], test_on_test: bool = False) -> pd.DataFrame:
    """What every strategy gets on every task where it may adapt one candidate, against adapting all of them.

    Args:
      matrix: as `checked` takes it.
      strategies: names or strategies, of those that need no scores of probes; `adapt_all` is added in front. What needs other
        tasks, such as `static`, knows all tasks but the one at hand.
      test_on_test: whether a matrix without validation scores may be looked back at.

    Returns:
      As `bench.select.compare.compare` with one pool, and `basis`: `VALIDATION`, or `LOOKING_BACK`, where `val` is empty.
      `finetunes` counts candidates. Looking back, nothing can be better than `adapt_all`: an interval against it leaves zero
      out for that reason.

    Raises:
      UserError: the matrix is not as it should be, it has no validation scores and `test_on_test` was not asked for, or what
        `bench.select.compare.compare` raises.
    """
    table = to_table(matrix, test_on_test=test_on_test)
    found = comparing.compare(table, strategies=[ADAPT_ALL, *strategies], pool="all", budget=1)
    what = basis(matrix)
    return found.assign(basis=what, val=found["val"] if what == VALIDATION else float("nan"))


def to_table(matrix: pd.DataFrame, prior: str | None = None, test_on_test: bool = False) -> pd.DataFrame:
    """The matrix in the columns of the table, so that any strategy can be compared on it, one run a candidate and task.

    Args:
      matrix: as `checked` takes it, with name and ds where strategies are to know the model and the upstream set.
      prior: column that becomes `final_val`, what `upstream_best` goes by; None for none.
      test_on_test: whether test scores may stand in for validation scores that the matrix lacks. Whoever shows what comes of
        it has to say so.

    Returns:
      Columns and dtypes of `bench.records.schema`; `filename` is the candidate, `adapt_filename` the candidate and the task.

    Raises:
      UserError: as `compare`, or there is no column `prior`.
    """
    frame = checked(matrix)
    if basis(frame) == LOOKING_BACK and not test_on_test:
        raise UserError("the matrix has no column 'val', and test scores select nothing; ask for a look back: --test-on-test")
    if prior is not None and prior not in frame:
        raise UserError(f"the matrix has no column {prior!r}; {choose_from(prior, _facts(frame))}")
    cells = {
        "filename": frame["candidate"],
        "name": frame.get("name", OF_ALL),
        "adapt_ds": frame["task"],
        "adapt_filename": frame["candidate"] + "--" + frame["task"],
        "adapt_final_val": frame["val"] if "val" in frame else frame["test"],
        "adapt_final_test": frame["test"],
        "status": "ok",
        "adapt_status": "ok",
    }
    renamed = {"ds": "ds", "params": "params", "group": "adapt_group", "n_test": "adapt_n_test", prior: "final_val"}
    cells |= {new: frame[old] for old, new in renamed.items() if old in frame}
    table = pd.DataFrame(cells, index=frame.index)
    return table.reindex(columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


def _facts(frame: pd.DataFrame) -> list[str]:
    """The columns that belong to the candidate."""
    of_the_pair: Collection[str] = ("candidate", "task", "test", "val", "group", "n_test")
    return [str(column) for column in frame if column not in of_the_pair]


def _refuse(mask: Iterable[bool], what: str) -> None:
    bad = pd.Series(mask)
    if bad.any():
        raise UserError(f"matrix, {rows(bad)}: {what}")
