"""Selection on any matrix of candidates and tasks in long form: published tables, other people's benchmarks, one's own.

A matrix has an accuracy per candidate and task, and perhaps facts of the candidates (parameters, an ImageNet score) that a rule
may go by. With validation scores it is selected on validation and scored on test, as everywhere. A published table has test
scores only; then the best of a task is the best of its *test* scores, and the choice that goes by other tasks goes by theirs.
That is no protocol but a look back, so it has to be asked for, and every row says `test-on-test`. Its regrets are too large:
the best of many noisy test scores is in part lucky.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bench.errors import UserError, choose_from
from bench.records.check import rows
from bench.records.schema import COLUMNS
from bench.select.measures import REFERENCE

NEEDED = ("candidate", "task", "test")
VALIDATION, LOOKING_BACK = "validation", "test-on-test"
ANY = "any model"
"""The pool of a matrix, as `name` in a comparison: all candidates compete."""

RESULT = {
    **dict.fromkeys(("name", "adapt_ds", "adapt_group", "strategy", "filename", "adapt_filename"), "string"),
    "adapt_synthetic": "boolean",
    **dict.fromkeys(("val", "test", "regret", "flops", "train_seconds"), "float64"),
    **dict.fromkeys(("finetunes", "adapted", "budget"), "int64"),
    "n_test": "Int64",
    "basis": "string",
}
"""Columns of a comparison; `basis` is `VALIDATION` or `LOOKING_BACK`."""

Choose = Callable[[pd.DataFrame, pd.DataFrame, str], "str | None"]
"""Chooses from (scores, facts, task): scores f64[candidate, task] and the candidates' facts, both sorted by candidate. The
scores of `task` itself are blanked."""


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


def by(*columns: str) -> Choose:
    """The rule that takes the candidate with the most of the first column, of those that tie of the second, and so on."""

    def choose(_scores: pd.DataFrame, facts: pd.DataFrame, _task: str) -> str | None:
        if missing := [column for column in columns if column not in facts]:
            raise UserError(f"the matrix has no column {missing[0]!r}; {choose_from(missing[0], facts.columns)}")
        known = facts.dropna(subset=list(columns))
        return None if known.empty else str(known.sort_values(list(columns), ascending=False, kind="stable").index[0])

    return choose


def static(scores: pd.DataFrame, _facts: pd.DataFrame, task: str) -> str | None:
    """The candidate that is best on average over all other tasks; None where there is no other."""
    others = scores.drop(columns=task)
    return None if others.empty else str(others.mean(axis=1).idxmax())


def static_in(groups: Mapping[str, str]) -> Choose:
    """The rule `static` among the tasks of the same group."""

    def choose(scores: pd.DataFrame, facts: pd.DataFrame, task: str) -> str | None:
        return static(scores[[t for t in scores if groups[str(t)] == groups[task]]], facts, task)

    return choose


LARGEST = by("params", "seen")
"""The rule that takes the largest model; of one model's checkpoints the one that saw the most images in pre-training."""


def compare(matrix: pd.DataFrame, rules: Mapping[str, Choose], test_on_test: bool = False) -> pd.DataFrame:
    """What every rule gets on every task, against the best candidate of the task.

    Args:
      matrix: as `checked` takes it; every candidate needs a score on every task.
      rules: by the name that the comparison shows.
      test_on_test: whether a matrix without validation scores may be looked back at.

    Returns:
      One row per (task, strategy), `adapt_all` first; columns and dtypes of `RESULT`, which is what measures, means, intervals
      and figures take. `finetunes` and `adapted` count candidates: all of them for `adapt_all`, one for a rule; other costs are
      unknown. Looking back, no rule can be better than `adapt_all`: an interval against it leaves zero out for that reason.

    Raises:
      UserError: the matrix is not as it should be, it has no validation scores and `test_on_test` was not asked for, or a rule
        goes by a column that it lacks.
    """
    frame = checked(matrix)
    what = basis(frame)
    if what == LOOKING_BACK and not test_on_test:
        raise UserError("the matrix has no column 'val', and test scores select nothing; allow a look back: test_on_test")
    tests = frame.pivot(index="candidate", columns="task", values="test")
    scores = tests if what == LOOKING_BACK else frame.pivot(index="candidate", columns="task", values="val")
    holes = tests.isna().stack()
    if bool(holes.any()):
        candidate, task = holes.index[holes.to_numpy()][0]
        raise UserError(f"the matrix has no score of {candidate!r} on {task!r}: rules are compared where all have one")
    facts = frame.drop_duplicates("candidate").set_index("candidate")[_facts(frame)]
    of_tasks = frame.drop_duplicates("task").set_index("task").reindex(columns=["group", "n_test"])
    found = []
    for task, group, n_test in of_tasks.sort_index().itertuples(name=None):
        test, val = (_floats(values[task]) for values in (tests, scores))
        best = max(val, key=val.__getitem__)
        unseen = scores.assign(**{task: np.nan})
        chosen = {REFERENCE: best} | {name: rule(unseen, facts, task) for name, rule in rules.items()}
        for strategy, candidate in chosen.items():
            size = len(test) if strategy == REFERENCE else 1
            row = {"name": ANY, "adapt_ds": task, "adapt_group": group, "strategy": strategy, "filename": candidate}
            row |= {"finetunes": size, "adapted": size, "budget": size, "n_test": n_test, "basis": what}
            if candidate is not None:
                row |= {"adapt_filename": f"{candidate}--{task}", "val": None if what == LOOKING_BACK else val[candidate]}
                row |= {"test": test[candidate], "regret": test[best] - test[candidate]}
            found.append(row)
    return pd.DataFrame(found, columns=list(RESULT)).astype(RESULT)


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
        raise UserError("the matrix has no column 'val', and test scores select nothing; allow a look back: test_on_test")
    if prior is not None and prior not in frame:
        raise UserError(f"the matrix has no column {prior!r}; {choose_from(prior, _facts(frame))}")
    cells = {
        "filename": frame["candidate"],
        "name": frame.get("name", ANY),
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


def _floats(values: pd.Series) -> dict[str, float]:
    return {str(candidate): float(value) for candidate, value in values.items()}


def _refuse(mask: Iterable[bool], what: str) -> None:
    bad = pd.Series(mask)
    if bad.any():
        raise UserError(f"matrix, {rows(bad)}: {what}")
