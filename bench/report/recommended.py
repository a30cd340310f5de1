"""The recommended checkpoint of every model: which one, why, what choosing so may lose, and how to fine-tune it.

Source of the rule that holds unless another strategy is asked for: "How to train your ViT?", section 4.5: the recommended
checkpoint has the highest final upstream validation accuracy, which costs far less than adapting every checkpoint and loses
little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd

from bench.records.scores import check
from bench.report.settings import settings
from bench.report.text import EVERY, FACTS, HEAD, TAIL, TEXT, WHOLE, bounded, short, task_column, to_text
from bench.select.compare import compare
from bench.select.criterion import Criterion, comparable, criterion, upstream
from bench.select.intervals import TASKS, Interval, interval
from bench.select.limits import parameters, speed
from bench.select.pools import contests, of_sets, pools
from bench.select.runs import over_transfer_seeds, transfer_runs
from bench.select.strategies import find
from bench.select.strategies.adapt_all import ADAPT_ALL
from bench.select.strategies.upstream_best import UPSTREAM_BEST
from bench.select.strategy import Strategy

__all__ = ["recommend", "to_text"]


def recommend(
    table: pd.DataFrame,
    ds: Iterable[str] | None = None,
    strategy: str = UPSTREAM_BEST.name,
    budget: int | None = None,
    scores: pd.DataFrame | None = None,
    weights: Callable[[str], str | None] = lambda _: None,
) -> pd.DataFrame:
    """The recommended checkpoint of every model of the table.

    Transfers that differ in nothing but their seed count as one, with the mean of their scores.

    Args:
      table: columns of `bench.records.schema`; `bench.select.limits.within` leaves out what is too large or too slow.
      ds: upstream sets to choose from; None for all.
      strategy: what chooses, a name of `bench.select.strategies.STRATEGIES`.
      budget: number of checkpoints of each model that it may adapt; None for what is usual for it.
      scores: columns of `bench.records.scores`, for strategies that need them.
      weights: says where the weights of a run lie, by its `filename`; None where that is not known.

    Returns:
      One row per model, or, with a strategy that looks at the task, one per model and task: `task` says for which. A strategy
      that looks at upstream accuracies chooses among those that compare: a model that was trained on ImageNet-1k and on
      ImageNet-21k has a row for either (`bench.select.criterion.comparable`). The checkpoint: `name`, `filename`, `ds`, `aug`
      (released name), `wd`, `do`, `sd`, `final_val`, `final_test` (fractions);
      `params` and `infer_samples_per_sec` at the largest resolution of the settings to use. One column `test_TASK` per task:
      the test score, a fraction, of the transfer run with the best downstream validation. `mean_val`, `mean_test`: means over
      the tasks that have a score. `criterion`: the score that chose, with its value in `score`; `runner_up`, the checkpoint
      that came second by it; `gap` between the two, with the 95% interval `gap_low` to `gap_high` that the number of images
      leaves. `regret`: test accuracy that adapting all checkpoints would have added, the mean over the `regret_tasks` tasks
      that say what to expect: all of them for a row that is for every task, the others for a row that is for one.
      `regret_low` and `regret_high` are its 95% interval over tasks, empty for fewer than six; `adapt_all` itself has no
      regret. `finetunes`, `finetunes_adapt_all`: transfer runs over the row's tasks that this choice and adapting all need.
      `settings`: of the transfer to run; `weights`: where they lie. `reason`: a sentence.
      Sorted by `task`, then by `mean_val`, best first; a model with fewer scored tasks comes after those with more, as its mean
      does not compare, and a model that was never transferred comes last with its task columns empty. So does, without a
      checkpoint, a model of which no run ended.

    Raises:
      UserError: unknown strategy, or as `bench.select.compare.compare`.
    """
    chooser = find(strategy)
    table = over_transfer_seeds(of_sets(table, ds or ()))
    scores = None if scores is None else check(scores)
    splits = "final_val" in chooser.needs and not table.empty
    tasks = sorted(transfer_runs(table)["adapt_ds"].unique())
    rows = [
        row
        for part in (comparable(table) if splits else [table])
        for row in _rows(part, chooser, budget, scores, weights, tasks)
    ]
    # Stable sorts: `pools` has the models by name, and equal means keep that order.
    rows.sort(key=lambda r: -r[1]["mean_val"] if r[0] else 0.0)
    rows.sort(key=lambda r: (r[1]["task"], -r[0]))
    columns = [*HEAD, *map(task_column, tasks), *TAIL]
    frame = pd.DataFrame([row for _, row in rows], columns=columns)
    return frame.astype({c: "string" if c in TEXT else "int64" if c in WHOLE else "float64" for c in columns})


def _rows(
    table: pd.DataFrame,
    chooser: Strategy,
    budget: int | None,
    scores: pd.DataFrame | None,
    weights: Callable[[str], str | None],
    tasks: list[str],
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of checkpoints that compete with each other, each with the number of its tasks that have a score."""
    by_name, transfers = pools(table), transfer_runs(table)
    compared = compare(table, scores, strategies=dict.fromkeys((chooser, ADAPT_ALL)), budget=budget)
    if chooser == UPSTREAM_BEST and budget in (None, 1):
        criteria = {(name, EVERY): upstream(pool) for name, pool in by_name.items()}
    else:
        criteria = {
            (each.name, each.pool.task): criterion(chooser, each, scores, budget)
            for each in contests(by_name, transfers, scores, 0)
        }
    for (name, task), decided in criteria.items():
        of_model = compared[compared["name"] == name]
        mine, everything = (of_model[of_model["strategy"] == s.name].set_index("adapt_ds") for s in (chooser, ADAPT_ALL))
        chosen, all_of_it = (f if task == EVERY else f.loc[[task]] for f in (mine, everything))
        pool, scored = by_name[name], int(chosen["test"].notna().sum())
        row = {"name": name, "task": task, **_checkpoint(pool, decided, chosen), **_scores(chosen, tasks)}
        row |= _uses(table, transfers, chosen, row["filename"]) | _gap(decided, row["filename"])
        row |= _regret(mine.iloc[:0] if chooser == ADAPT_ALL else mine, task)
        row |= {"finetunes": int(chosen["finetunes"].sum()), "finetunes_adapt_all": int(all_of_it["finetunes"].sum())}
        row["weights"] = None if row["filename"] is None else weights(row["filename"])
        row["reason"] = _reason(pool, decided, row, scored, len(tasks) if task == EVERY else 1)
        yield scored, row


def _checkpoint(pool: pd.DataFrame, decided: Criterion, chosen: pd.DataFrame) -> dict[str, Any]:
    picked = chosen["filename"].dropna()
    filename = str(picked.iloc[0]) if len(picked) else decided.first
    found = pool[pool["filename"] == filename]
    return {"filename": filename} | {c: found[c].iloc[0] for c in FACTS if c in found and len(found)}


def _scores(chosen: pd.DataFrame, tasks: list[str]) -> dict[str, Any]:
    scores = chosen["test"].dropna()
    return {task_column(t): scores.get(t) for t in tasks} | {"mean_val": chosen["val"].mean(), "mean_test": scores.mean()}


def _uses(table: pd.DataFrame, transfers: pd.DataFrame, chosen: pd.DataFrame, filename: str | None) -> dict[str, Any]:
    """The settings to use, and the size and speed of the model there; of what was never transferred, as it was upstream."""
    rows = transfers[transfers["adapt_filename"].isin(chosen["adapt_filename"].dropna())]
    out: dict[str, Any] = {"settings": settings(rows.to_dict("records")) or None}
    sized = rows if len(rows) else table[table["filename"] == filename]
    if len(sized):
        out |= {"params": parameters(sized).max(), "infer_samples_per_sec": speed(sized).min()}
    return out


def _gap(decided: Criterion, filename: str | None) -> dict[str, Any]:
    second = decided.runner_up(filename)
    ahead = decided.gap(filename, second)
    return {
        "criterion": decided.name,
        "score": decided.value(filename),
        "runner_up": second,
        **({} if ahead is None else {"gap": ahead.estimate, "gap_low": ahead.low, "gap_high": ahead.high}),
    }


def _regret(mine: pd.DataFrame, task: str) -> dict[str, Any]:
    others = mine[mine.index != task].dropna(subset="regret").reset_index()
    if others.empty:
        return {"regret_tasks": 0}
    lost = interval(others, "regret", (TASKS,))
    return {"regret": lost.estimate, "regret_low": lost.low, "regret_high": lost.high, "regret_tasks": lost.tasks}


def _reason(pool: pd.DataFrame, decided: Criterion, row: dict[str, Any], scored: int, tasks: int) -> str:
    if row["filename"] is None:
        return f"no checkpoint has {'an' if decided.words[0] in 'aeiou' else 'a'} {decided.words} score"
    if len(pool) == 1:
        return "the only checkpoint" + ("; not transferred" if not scored else _covered(scored, tasks, "; scored"))
    sentence = _first(pool, decided, row)
    if not scored:
        return f"{sentence}; not transferred"
    if row["finetunes"] == row["finetunes_adapt_all"]:
        return f"{sentence}; all of them were adapted"
    covered = _covered(scored, tasks, "")
    if pd.isna(row.get("regret")):
        return f"{sentence}; no {'other ' if tasks == 1 else ''}task says what adapting all would add{covered}"
    lost = Interval(row["regret"], row["regret_low"], row["regret_high"], row["regret_tasks"])
    gain = round(100 * lost.estimate, 1)
    changes = f"{'loses' if gain < 0 else 'gains'} {abs(gain):.1f} points" if gain else "neither gains nor loses"
    unsure = " (not separable)" if gain and lost.known and not lost.separable else ""
    where = "" if row["task"] == EVERY else " on other tasks"
    ratio = f"{row['finetunes_adapt_all'] / row['finetunes']:.3g}x"
    return f"{sentence}; adapting all {changes}{where}{unsure}{covered} for {ratio} the fine-tunes"


def _first(pool: pd.DataFrame, decided: Criterion, row: dict[str, Any]) -> str:
    sets, having = pool["ds"].nunique(), int(decided.scores.notna().sum())
    among = f"{len(pool)} checkpoints" if having == len(pool) else f"the {having} of {len(pool)} checkpoints that have one"
    sentence = f"best {decided.words} of {among}" + (f" from {sets} upstream sets" if sets > 1 else "")
    if row["filename"] != decided.first and decided.value(row["filename"]) != decided.value(decided.first):
        return f"chosen from {among}"
    if (tied := decided.tied(row["filename"])) > 0:
        return f"{sentence}, tied with {tied} more and first by name"
    if row["runner_up"] is None:
        return sentence
    second = short(row["runner_up"], row["filename"])
    if "gap" not in row:
        return f"{sentence}, {row['score']:.3g} before {second} with {decided.value(row['runner_up']):.3g}"
    ahead = Interval(row["gap"], row["gap_low"], row["gap_high"], 1)
    unsure = ": not separable" if ahead.known and not ahead.separable else ""
    return f"{sentence}, {bounded(ahead.estimate, ahead.low, ahead.high)} points before {second}{unsure}"


def _covered(scored: int, tasks: int, verb: str) -> str:
    return "" if scored == tasks else f"{verb} on {scored} of {tasks} tasks"
