"""Means of a comparison over tasks, under both conventions that the literature uses, with the interval of each."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import UserError
from bench.points.tasks import GROUPS
from bench.select.intervals import EXAMPLES, IN_GENERAL, TASKS, fewest, interval
from bench.select.measures import COSTS, REFERENCE, paired

OVER_TASKS = "mean_over_tasks"
OF_GROUPS = "mean_of_group_means"
OVERALL = "overall"
ALL_MODELS = "all models"
UNGROUPED = "ungrouped"
_SCORES = ["val", "test", "regret"]
_ENDS = ("test_low", "test_high", "regret_low", "regret_high")
_HEAD = ("name", "strategy", "scope", "convention", "tasks", "left_out")
COLUMNS = (*_HEAD, *_SCORES, *_ENDS, *COSTS)
# Of a comparison, what means and their intervals are made of; what runs are called, for the examples alone.
_USED = {"name", "adapt_ds", "adapt_group", "strategy", "seed", "adapt_filename", "n_test", *_SCORES, *COSTS}
PER_TASK = ("adapt_ds", "adapt_group", "strategy", "models", *_SCORES, "test_low", "test_high", *COSTS)


def means(comparison: pd.DataFrame, over: Collection[str] = IN_GENERAL) -> pd.DataFrame:
    """Per-group and overall means of what strategies got.

    A task counts for a model where every strategy has a test score on it, so that the strategies of a model are averaged over
    the same tasks; the others are counted in `left_out`.

    Args:
      comparison: as `compare` returns it, at one budget; a column `seed` where strategies were run with several seeds.
      over: what the intervals resample (`bench.select.intervals`): tasks and seeds to say how it would be on other tasks,
        seeds and examples to say how it would come out again; nothing for no intervals.

    Returns:
      One row per (name, strategy, scope, convention): `scope` is a task group or `overall`; `convention` is `mean_over_tasks`
      (every task weighs the same) or `mean_of_group_means` (every group weighs the same; overall only, as within a group the
      two agree). `val`, `test`, `regret`: means, fractions, over seeds first. `test_low`, `test_high`, `regret_low`,
      `regret_high`: 95% intervals, empty where there is too little to resample (under six tasks, say). Costs: sums over
      tasks of the mean over seeds. The rows named `all models` average the models' rows; `tasks`, `left_out` and the costs are
      sums there too.

    Raises:
      UserError: a strategy has several rows on one task, or what `interval` raises.
    """
    if comparison.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    by_seed = _completed(comparison)
    tasks = _over_seeds(by_seed)
    found: list[dict[str, Any]] = []
    for name in [*dict.fromkeys(tasks["name"]), ALL_MODELS]:
        mine, drawn = (f if name == ALL_MODELS else f[f["name"] == name] for f in (tasks, by_seed))
        for strategy in dict.fromkeys(mine["strategy"]):
            rows = mine[mine["strategy"] == strategy]
            for scope in [*groups_of(rows["adapt_group"]), OVERALL]:
                within, seeds = (f if scope == OVERALL else f[f["adapt_group"] == scope] for f in (rows, drawn))
                counted = within[within["complete"]]
                head = {"name": name, "strategy": strategy, "scope": scope}
                head |= {"tasks": len(counted), "left_out": len(within) - len(counted), **_costs(counted)}
                for convention in (OVER_TASKS, OF_GROUPS) if scope == OVERALL else (OVER_TASKS,):
                    of_groups = convention == OF_GROUPS
                    ends = _ends(seeds, strategy, over, of_groups)
                    found.append({**head, "convention": convention, **_scores(counted, of_groups), **ends})
    return pd.DataFrame(found, columns=list(COLUMNS))


def task_means(comparison: pd.DataFrame, over: Collection[str] = (EXAMPLES,)) -> pd.DataFrame:
    """What each strategy got on each task, over all models and seeds.

    Args:
      comparison: as of `means`.
      over: what the intervals of `test` resample; tasks cannot be, as there is one.

    Returns:
      One row per (task, strategy), tasks by group, columns `PER_TASK`: means and intervals as of `means`, over the models on
      which every strategy has a test score; `models` counts them. Empty where there is none.

    Raises:
      UserError: as `means`.
    """
    if comparison.empty:
        return pd.DataFrame(columns=list(PER_TASK))
    by_seed = _completed(comparison)
    tasks = _over_seeds(by_seed)
    found: list[dict[str, Any]] = []
    for group in groups_of(tasks["adapt_group"]):
        of_group = tasks[tasks["adapt_group"] == group].sort_values("adapt_ds", kind="stable")
        for (task, strategy), rows in of_group.groupby(["adapt_ds", "strategy"], sort=False):
            counted = rows[rows["complete"]]
            ends = _ends(by_seed[by_seed["adapt_ds"] == task], str(strategy), over, False)
            head = {"adapt_ds": task, "adapt_group": group, "strategy": strategy, "models": len(counted)}
            found.append({**head, **_scores(counted, False), **ends, **_costs(counted)})
    return pd.DataFrame(found, columns=list(PER_TASK))


def groups_of(groups: pd.Series) -> list[str]:
    """The distinct task groups: VTAB's in its order, then others by name."""
    there = set(groups)
    return [g for g in GROUPS if g in there] + sorted(there.difference(GROUPS))


def _completed(comparison: pd.DataFrame) -> pd.DataFrame:
    """The comparison with its missing costs as empty columns, and whether all strategies of a model have a score on a task."""
    keys = ["name", "adapt_ds", "strategy", *(["seed"] if "seed" in comparison else [])]
    if bool((twice := comparison.duplicated(keys)).any()):
        name, task, strategy = comparison.loc[twice, keys[:3]].iloc[0]
        raise UserError(f"{strategy} has several rows for {name} on {task}: take one budget at a time")
    # Python's strings: the arrays that pandas keeps its own in are slow to take small parts of.
    named = {key: comparison[key].astype(object) for key in keys[:3]}
    frame = comparison[[c for c in comparison if c in _USED]].assign(
        **named,
        adapt_group=comparison["adapt_group"].astype("string").fillna(UNGROUPED).astype(object),
        complete=comparison["test"].notna().groupby([comparison["name"], comparison["adapt_ds"]]).transform("all"),
    )
    return frame.assign(**{c: np.nan for c in COSTS if c not in frame})


def _over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = [*_SCORES, *COSTS]
    how: dict[str, Any] = {"adapt_group": "first", "complete": "all", **dict.fromkeys(numbers, "mean")}
    return (
        frame.astype(dict.fromkeys(numbers, float)).groupby(["name", "adapt_ds", "strategy"], sort=False).agg(how).reset_index()
    )


def _scores(rows: pd.DataFrame, of_groups: bool) -> dict[str, float]:
    """Means over tasks or groups within a model, then over models."""
    keys = ["name", "adapt_group"] if of_groups else ["name"]
    found = rows.groupby(keys)[_SCORES].mean()
    return _named((found.groupby("name").mean() if of_groups else found).mean())


def _costs(rows: pd.DataFrame) -> dict[str, float]:
    return _named(rows[list(COSTS)].sum(min_count=1))


def _ends(rows: pd.DataFrame, strategy: str, over: Collection[str], by_group: bool) -> dict[str, float]:
    """Intervals of a strategy's test accuracy and of its regret; `rows` are those of all strategies."""
    counted = rows[rows["complete"]]
    mine = counted[counted["strategy"] == strategy]
    too_few = TASKS in over and mine["adapt_ds"].nunique() < fewest()
    if mine.empty or not over or too_few:
        return {}
    test = interval(mine, "test", over, by_group=by_group)
    ends = {"test_low": test.low, "test_high": test.high}
    if mine["regret"].notna().any():
        # Two runs, which are redrawn with their examples; without examples the difference says the same.
        if EXAMPLES in over and strategy != REFERENCE and counted["strategy"].eq(REFERENCE).any():
            lost = interval(paired(counted, REFERENCE, strategy), ("test", "test_against"), over, by_group=by_group)
        else:
            lost = interval(mine, "regret", [what for what in over if what != EXAMPLES], by_group=by_group)
        ends |= {"regret_low": lost.low, "regret_high": lost.high}
    return ends


def _named(values: pd.Series) -> dict[str, float]:
    return {str(key): float(value) for key, value in values.items()}
