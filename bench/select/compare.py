"""What every strategy gets and costs on a finished table.

A strategy sees a `Pool`, without test columns, and asks for runs; their validation scores are looked up, and the test score of
what it chose is looked up afterwards, here alone. (The released recommendation compares within i21k only, because validation
accuracies of different upstream sets do not compare.)

Sources: "How to train your ViT?", section 3.1 (hyper-parameters are chosen on validation, numbers are reported on test),
section 4.5 and Fig. 5 (upstream against downstream selection).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.errors import UserError, choose_from
from bench.points.tasks import TASKS
from bench.records import scores as scoring
from bench.select.drive import drive
from bench.select.pools import Contest, contests, pools
from bench.select.runs import by_transfer_seed, require, transfer_runs
from bench.select.strategies import STRATEGIES, find
from bench.select.strategies.adapt_all import ADAPT_ALL
from bench.select.strategy import FACTS, Choice, Strategy
from bench.select.validation import refuse_mixtures

NEEDED = (
    *("name", "ds", "filename", "final_val", "status"),
    *("adapt_ds", "adapt_filename", "adapt_status", "adapt_final_val", "adapt_final_test"),
)

RESULT: dict[str, str] = {
    "name": "string",
    "adapt_ds": "string",
    "adapt_group": "string",
    "adapt_synthetic": "boolean",
    "strategy": "string",
    "budget": "Int64",
    "filename": "string",
    "adapt_filename": "string",
    "val": "float64",
    "test": "float64",
    "finetunes": "int64",
    "adapted": "Int64",
    "flops": "float64",
    "train_seconds": "float64",
    "chip_hours": "float64",
    "regret": "float64",
    "n_test": "Int64",
    "val_split": "string",
    "why": "string",
}


def compare(
    table: pd.DataFrame,
    scores: pd.DataFrame | None = None,
    ds: Iterable[str] | None = None,
    strategies: Iterable[str | Strategy] | None = None,
    budget: int | None = None,
    pool: str = "model",
    tasks: Iterable[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """What every strategy gets and costs, for every pool and every task that it was transferred to.

    Args:
      table: columns of `bench.records.schema`.
      scores: columns of `bench.records.scores`; None for no probes.
      ds: upstream sets to restrict the pools to; None for all.
      strategies: names or strategies; None for all of `STRATEGIES` that the table and the scores give something to choose by.
      budget: number of checkpoints that each may adapt; None for what is usual for each.
      pool: `model`, checkpoints of each model compete, or `all`, those of all models together.
      tasks: those to compare on; None for all. The others remain what is known of earlier tasks.
      seed: of strategies that draw.

    Returns:
      One row per (name, adapt_ds, strategy), in this order, strategies in the order given; columns and dtypes of `RESULT`:
      `name`, the model, or `bench.select.pools.OF_ALL`;
      `budget`, the number of checkpoints that the strategy could adapt; `adapted`, the number of those that it did;
      `filename` and `adapt_filename` of the choice, empty where there was nothing to choose by;
      `val` and `test`, its downstream validation score and test accuracy, fractions; `n_test`, images of the latter;
      `val_split`, the images of `val`, see `bench.select.validation`;
      `finetunes`, the number of transfer runs that the strategy needs on this task, diverged ones included, and
      `train_seconds`, the sum of those of them that recorded their time (training the tuned one again is not counted);
      `flops` of these and, for a strategy that needs scores, of probing every checkpoint, empty where it is not known;
      `chip_hours`, the time of both on the runs' device, one chip a run;
      `regret`, test of `adapt_all` minus test of this strategy, a fraction, negative where the cheaper choice is the better;
      `why`, in a few words.

    Raises:
      UserError: a column of `NEEDED` is missing, the table is empty or contradicts itself, mixes versions of a task, `ds`,
        `tasks`, `pool` or a strategy is unknown, the budget is below 1, a score is not a number, or a strategy that was asked
        for needs scores that nobody measured.
    """
    require(table, NEEDED)
    by_name = pools(table, ds, pool)
    transfers = transfer_runs(table)
    refuse_mixtures(transfers[transfers["filename"].isin([f for rows in by_name.values() for f in rows["filename"]])])
    measured = None if scores is None else scoring.check(scores)
    wanted = None if tasks is None else _known(tasks, transfers)
    all_of = [c for c in contests(by_name, transfers, measured, seed) if wanted is None or c.pool.task in wanted]
    chosen_by = _usable(all_of) if strategies is None else _checked(strategies, all_of)
    records: list[dict[str, Any]] = []
    for contest in all_of:
        everything = _play(contest, ADAPT_ALL, None)
        reference = _test(contest, everything[1])
        for strategy in chosen_by:
            # No budget binds the reference.
            allowed, choice, asked = everything if strategy is ADAPT_ALL else _play(contest, strategy, budget)
            records.append(_row(contest, strategy, allowed, choice, asked, reference))
    return pd.DataFrame(records, columns=list(RESULT)).astype(RESULT)


def compare_seeds(table: pd.DataFrame, scores: pd.DataFrame | None = None, draws: int = 1, **more: Any) -> pd.DataFrame:
    """As `compare`, once for each seed of the transfers and each draw: a seed repeats a comparison, it is no setting to choose.

    Args:
      table: as of `compare`.
      scores: as of `compare`.
      draws: of strategies that draw.
      **more: of `compare`, but for `seed`.

    Returns:
      What `compare` returns, and the column `seed`, which counts the repetitions from 0.

    Raises:
      UserError: as `compare`.
    """
    repeated = [part for part in by_transfer_seed(table) for _ in range(draws)]
    found = [compare(part, scores, **more, seed=seed).assign(seed=seed) for seed, part in enumerate(repeated)]
    return pd.concat(found, ignore_index=True)


def _known(tasks: Iterable[str], transfers: pd.DataFrame) -> list[str]:
    known = sorted(transfers["adapt_ds"].unique())
    for wanted in (tasks := list(tasks)):
        if wanted not in known:
            raise UserError(f"no run of the table was transferred to {wanted!r}; {choose_from(wanted, known)}")
    return tasks


def _usable(all_of: list[Contest]) -> list[Strategy]:
    return [s for s in STRATEGIES.values() if any(not s.lacks(contest.pool) for contest in all_of)]


def _checked(strategies: Iterable[str | Strategy], all_of: list[Contest]) -> list[Strategy]:
    chosen = [find(s) if isinstance(s, str) else s for s in strategies]
    for strategy in chosen:
        for need in strategy.needs:
            if need not in FACTS and all_of and all(need in strategy.lacks(contest.pool) for contest in all_of):
                raise UserError(strategy.complaint(need))
    return chosen


def _play(contest: Contest, strategy: Strategy, budget: int | None) -> tuple[int, Choice, list[str]]:
    """Returns the budget that counted, the choice, and the runs that were asked for."""
    allowed = strategy.budget(contest.pool, budget)
    if lacking := strategy.lacks(contest.pool):
        return allowed, Choice(None, None, f"the pool lacks {', '.join(lacking)}"), []
    choice, asked = drive(strategy, contest.pool, budget, lambda runs: contest.val.loc[_labels(runs)])
    return allowed, choice, asked


def _row(
    contest: Contest, strategy: Strategy, allowed: int, choice: Choice, asked: list[str], reference: float
) -> dict[str, Any]:
    test = _test(contest, choice)
    of_it = _labels(asked)
    seconds = _sum(contest.rows, "adapt_train_seconds", of_it)
    probed = any(need not in FACTS for need in strategy.needs)
    flops, probing = contest.probes if probed else (0.0, 0.0)
    return {
        "name": contest.name,
        "adapt_ds": contest.pool.task,
        "adapt_group": contest.group,
        "adapt_synthetic": contest.synthetic,
        "strategy": strategy.name,
        "budget": allowed,
        "filename": choice.filename,
        "adapt_filename": choice.run,
        "val": math.nan if choice.run is None else contest.val.at[choice.run],
        "test": test,
        "finetunes": len(asked),
        "adapted": contest.pool.runs.loc[of_it, "filename"].nunique(),
        "flops": contest.pool.runs.loc[of_it, "flops"].sum(skipna=False) + flops,
        "train_seconds": seconds,
        "chip_hours": (seconds + probing) / 3600,
        "regret": reference - test,
        "n_test": _n_test(contest, choice),
        "val_split": contest.split,
        "why": choice.why,
    }


def _test(contest: Contest, choice: Choice) -> float:
    found: Any = pd.NA if choice.run is None else contest.rows.at[choice.run, "adapt_final_test"]
    return math.nan if pd.isna(found) else float(found)


def _n_test(contest: Contest, choice: Choice) -> int | None:
    if choice.run is None:
        return None
    recorded: Any = contest.rows.at[choice.run, "adapt_n_test"] if "adapt_n_test" in contest.rows else pd.NA
    known = TASKS.get(contest.pool.task)
    return int(recorded) if pd.notna(recorded) else known.test if known else None


def _labels(runs: list[str]) -> pd.Index[Any]:
    """The names as an index of the dtype that pools have; of a list pandas would make another, and convert it back."""
    return pd.Index(runs, dtype="object")


def _sum(rows: pd.DataFrame, column: str, runs: pd.Index[Any]) -> float:
    return math.nan if column not in rows else float(rows.loc[runs, column].astype(float).sum(min_count=1))
