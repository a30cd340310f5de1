"""Which checkpoints of a table to adapt to somebody's own images, of which there are probes and no fine-tune yet.

Source of the rule that holds unless another strategy is asked for: "Which Model to Transfer? Finding the Needle in the Growing
Haystack" (arXiv 2010.06402): the checkpoint that is best upstream, and those that a linear probe likes best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from bench.records.scores import check
from bench.report.settings import settings, usual
from bench.report.text import FACTS, HEAD, TAIL, TEXT, WHOLE, bounded, short
from bench.select.compare import compare
from bench.select.criterion import Criterion, ranking
from bench.select.drive import Driver
from bench.select.intervals import TASKS, interval
from bench.select.limits import parameters, speed
from bench.select.pool import Pool
from bench.select.pools import contests, pools
from bench.select.runs import ok, transfer_runs, upstream_runs
from bench.select.strategies import find
from bench.select.strategies.adapt_all import ADAPT_ALL
from bench.select.strategy import FACTS as KNOWN
from bench.select.strategy import Strategy

HYBRID, PROBE = "hybrid", "linear_probe"


def advise(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    task: str,
    strategy: str = HYBRID,
    budget: int | None = None,
    weights: Callable[[str], str | None] = lambda _: None,
) -> pd.DataFrame:
    """Says which of the checkpoints that were probed on a task to adapt first.

    Args:
      table: columns of `bench.records.schema`, with the checkpoints and what is known of them on other tasks.
      scores: columns of `bench.records.scores`: of `task` for the choice, of the table's tasks for what it may lose.
      task: somebody's own, which the table does not know.
      strategy: what chooses, a name of `bench.select.strategies.STRATEGIES`.
      budget: number of checkpoints that may be adapted; None for what is usual for the strategy.
      weights: says where the weights of a run lie, by its `filename`.

    Returns:
      One row per checkpoint that was probed, columns of `bench.report.recommended.recommend`: first those that the strategy
      would adapt, then the others, either by what the strategy ranks by (by the linear probe, where it has no order), best
      first. `runner_up` is the next best checkpoint by that score, and `gap` how far the row is ahead of it. `regret` is what
      the strategy loses on the table's tasks against adapting all, and empty where they have no scores that it needs.
      `settings` are those that did best on the table's tasks. Nothing was fine-tuned: `finetunes` is 0.

    Raises:
      UserError: unknown strategy, no checkpoint has a score that it needs, or as `bench.select.compare.compare`.
    """
    chooser, scores = find(strategy), check(scores)
    mine = scores[(scores["adapt_ds"] == task) & (scores["split"] != "test")]
    runs = upstream_runs(table)
    runs = runs[ok(runs["status"]) & runs["filename"].isin(mine["filename"])].reset_index(drop=True)
    sized = table.assign(params=parameters(table), speed=speed(table)).groupby("filename")
    runs = runs.assign(params=sized["params"].min().reindex(runs["filename"]).to_numpy())
    pool = _pool(runs, mine, table, task)
    first = set(Driver(chooser, pool, budget).wanted)
    decided = ranking(chooser if chooser.rank else find(PROBE), pool, mine)
    lost = _regret(table, scores[scores["adapt_ds"] != task], chooser, budget)
    transfers = transfer_runs(table)
    order = sorted(pool.checkpoints.index, key=lambda f: (f not in first, -_low(decided.value(f)), f))
    rows: list[dict[str, Any]] = []
    for filename in order:
        facts = runs[runs["filename"] == filename].iloc[0]
        row = {"name": facts["name"], "filename": filename, **{c: facts[c] for c in FACTS if c in facts}, "task": task}
        row |= {"params": facts["params"], "infer_samples_per_sec": sized["speed"].max()[filename]}
        row |= _ahead(decided, filename) | lost | {"finetunes": 0, "finetunes_adapt_all": 0}
        known = transfers[transfers["filename"] == filename]
        same = transfers[transfers["name"] == facts["name"]]
        row["settings"] = settings(usual(known if len(known) else same)) or None
        row["weights"] = weights(filename)
        row["reason"] = _reason(chooser, pool, decided, row, filename in first, len(first))
        rows.append(row)
    columns = [*HEAD, *TAIL]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({c: "string" if c in TEXT else "int64" if c in WHOLE else "float64" for c in columns})


def _pool(runs: pd.DataFrame, mine: pd.DataFrame, table: pd.DataFrame, task: str) -> Pool:
    """The checkpoints, each with one run to ask for, which stands for adapting it."""
    wide = mine.sort_values("adapt_resolution").groupby(["filename", "score"])["value"].first().unstack().reset_index()
    asked = runs[["filename"]].assign(adapt_filename=runs["filename"])
    return Pool.of(runs, asked, wide, _history(table), task=task, group="own")


def _history(table: pd.DataFrame) -> pd.DataFrame | None:
    """Best validation score of every checkpoint on every task of the table."""
    parts = [
        each.val.groupby(each.rows["filename"])
        .max()
        .dropna()
        .rename("score")
        .reset_index()
        .assign(adapt_ds=each.pool.task, adapt_group=each.group)
        for each in contests(pools(table, None, "all"), transfer_runs(table), None, 0)
    ]
    return pd.concat(parts, ignore_index=True) if parts else None


def _ahead(decided: Criterion, filename: str) -> dict[str, Any]:
    value = decided.value(filename)
    behind = decided.scores[(decided.scores < value) | ((decided.scores == value) & (decided.scores.index > filename))].dropna()
    second = None if behind.empty else str(behind.index[int(behind.to_numpy().argmax())])
    ahead = decided.gap(filename, second)
    return {
        "criterion": decided.name,
        "score": value,
        "runner_up": second,
        **({} if ahead is None else {"gap": ahead.estimate, "gap_low": ahead.low, "gap_high": ahead.high}),
    }


def _regret(table: pd.DataFrame, scores: pd.DataFrame, chooser: Strategy, budget: int | None) -> dict[str, Any]:
    """What choosing like this loses on the table's tasks, where all models compete as they do here."""
    nothing = {"regret": math.nan, "regret_low": math.nan, "regret_high": math.nan, "regret_tasks": 0}
    needs = {need for need in chooser.needs if need not in KNOWN}
    if transfer_runs(table).empty or not needs <= set(scores["score"]):
        return nothing
    compared = compare(table, scores if len(scores) else None, None, dict.fromkeys((chooser, ADAPT_ALL)), budget, "all")
    found = compared[compared["strategy"] == chooser.name].dropna(subset="regret")
    if found.empty:
        return nothing
    lost = interval(found, "regret", (TASKS,))
    return {"regret": lost.estimate, "regret_low": lost.low, "regret_high": lost.high, "regret_tasks": lost.tasks}


def _reason(chooser: Strategy, pool: Pool, decided: Criterion, row: dict[str, Any], wanted: bool, number: int) -> str:
    filename = row["filename"]
    rank = int((decided.scores > row["score"]).sum()) + 1
    shown = f"{100 * row['score']:.1f}%" if decided.accuracy else f"{row['score']:.3g}"
    said = f"{decided.words} {shown}, {_place(rank)} of {int(decided.scores.notna().sum())}"
    if "gap" in row:
        ahead = bounded(row["gap"], row["gap_low"], row["gap_high"])
        unsure = ": not separable" if row["gap_low"] <= 0 <= row["gap_high"] else ""
        said += f", {ahead} points before {short(row['runner_up'], filename)}{unsure}"
    if math.isnan(row["score"]):
        said = f"no {decided.words} score"
    upstream = pool.checkpoints["final_val"]
    best = f"best upstream of {len(upstream)}; " if "final_val" in chooser.needs and filename == upstream.idxmax() else ""
    return f"adapt it, {chooser.name} takes {number}: {best}{said}" if wanted else f"leave it: {said}"


def _place(rank: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(rank, f"number {rank}")


def _low(value: float) -> float:
    return -math.inf if math.isnan(value) else value
