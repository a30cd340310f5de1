"""Means of a comparison over tasks, under both conventions that the literature uses."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.points.tasks import GROUPS

OVER_TASKS = "mean_over_tasks"
OF_GROUPS = "mean_of_group_means"
OVERALL = "overall"
ALL_MODELS = "all models"
UNGROUPED = "ungrouped"
_SCORES = ["val", "test", "regret"]
_COSTS = ["finetunes", "train_seconds"]
COLUMNS = ("name", "strategy", "scope", "convention", "tasks", "left_out", *_SCORES, *_COSTS)


def means(comparison: pd.DataFrame) -> pd.DataFrame:
    """Per-group and overall means of `bench.select.strategies.compare`.

    A task counts for a model where every strategy has a test score on it, so that the strategies of a model are averaged over
    the same tasks; the others are counted in `left_out`.

    Returns:
      One row per (name, strategy, scope, convention): `scope` is a task group or `overall`; `convention` is `mean_over_tasks`
      (every task weighs the same) or `mean_of_group_means` (every group weighs the same; overall only, as within a group the
      two agree). `val`, `test`, `regret`: means, fractions. `finetunes`, `train_seconds`: sums. The rows named `all models`
      average the models' rows; `tasks`, `left_out` and the costs are sums there too.
    """
    columns = list(COLUMNS)
    if comparison.empty:
        return pd.DataFrame(columns=columns)
    complete = comparison["test"].notna().groupby([comparison["name"], comparison["adapt_ds"]]).transform("all")
    grouped = comparison.assign(adapt_group=comparison["adapt_group"].fillna(UNGROUPED), complete=complete)
    records: list[dict[str, Any]] = []
    for (name, strategy), rows in grouped.groupby(["name", "strategy"], sort=False):
        groups = set(rows["adapt_group"])
        ordered = [g for g in GROUPS if g in groups] + sorted(groups.difference(GROUPS))
        for scope in [*ordered, OVERALL]:
            within = rows if scope == OVERALL else rows[rows["adapt_group"] == scope]
            counted = within[within["complete"]]
            head = {"name": name, "strategy": strategy, "scope": scope}
            size = {"tasks": len(counted), "left_out": len(within) - len(counted)}
            cost = _named(counted[_COSTS].sum(min_count=1))
            records.append({**head, "convention": OVER_TASKS, **size, **_named(counted[_SCORES].mean()), **cost})
            if scope == OVERALL:
                by_group = _named(counted.groupby("adapt_group")[_SCORES].mean().mean())
                records.append({**head, "convention": OF_GROUPS, **size, **by_group, **cost})
    per_model = pd.DataFrame(records, columns=columns)
    how: dict[str, Any] = {"tasks": "sum", "left_out": "sum", **dict.fromkeys(_SCORES, "mean"), **dict.fromkeys(_COSTS, _total)}
    keys = ["strategy", "scope", "convention"]
    together = per_model.groupby(keys, sort=False).agg(how).reset_index().assign(name=ALL_MODELS)
    return pd.concat([per_model, together[columns]], ignore_index=True)


def _total(values: pd.Series) -> float:
    return float(values.sum(min_count=1))


def _named(values: pd.Series) -> dict[str, float]:
    return {str(key): float(value) for key, value in values.items()}
