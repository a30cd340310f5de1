"""Tables of the page about ways of choosing: how they stand, their means, every comparison, and what picks for ImageNet-1k."""

from __future__ import annotations

import pandas as pd

from bench.report import standings
from bench.report.page_tables import Table, grid, headed
from bench.select.imagenet import V2
from bench.select.means import OF_GROUPS, OVER_TASKS

_SCORES = {"val": "validation", "test": "test", "regret": "regret, points"}
_COSTS = {
    "adapted": "adapted",
    "finetunes": "fine-tunes",
    "flops": "compute",
    "train_seconds": "training, s",
    "chip_hours": "chip-hours",
}
_MEANS = {
    "name": "model",
    "strategy": "strategy",
    "scope": "task group",
    "convention": "equal weight of",
    "tasks": "tasks",
    "left_out": "tasks left out",
    **_SCORES,
    **_COSTS,
}
_COMPARED = {
    "name": "model",
    "adapt_ds": "task",
    "adapt_group": "task group",
    "adapt_synthetic": "synthetic",
    "strategy": "strategy",
    **_SCORES,
    "budget": "budget",
    **_COSTS,
    "why": "why",
    "adapt_filename": "chosen transfer run",
    "val_split": "validated on",
    "n_test": "test images",
}
_RULES = {
    "name": "model",
    "rule": "chosen by",
    "taken": "counts",
    "val": "validation",
    "test": "test",
    "adapt_filename": "chosen transfer run",
    "why": "why",
}
_EQUAL = {OVER_TASKS: "tasks", OF_GROUPS: "groups"}
_ADAPTED = "Adapted: the checkpoints that a strategy fine-tunes; fine-tunes: the runs that this takes"


def standing(found: pd.DataFrame) -> Table:
    """How strategies stand, as `bench.report.standings.standings` says it."""
    numbers = {"regret, points", "test", "fine-tunes", "of all", "models x tasks"}
    caption = f"Strategies over all models and tasks, the one that loses least first{_intervals(found, '; ')}."
    return grid(standings.for_people(found), numbers, caption)


def means(averaged: pd.DataFrame) -> Table:
    """Means over tasks, as `bench.select.means.means` takes them."""
    caption = (
        f"Means over the tasks on which every strategy has a score{_intervals(averaged, ', with ')}. Either all tasks weigh "
        f"the same or all groups of tasks. {_ADAPTED}. Costs are sums over tasks."
    )
    shown = averaged.assign(convention=averaged["convention"].map(_EQUAL))
    return headed(shown if averaged["left_out"].any() else shown.drop(columns="left_out"), _MEANS, caption)


def comparisons(compared: pd.DataFrame) -> Table:
    """What every strategy got and cost, as `bench.select.compare.compare` returns it."""
    caption = (
        f"Every model, task and strategy. Budget: the checkpoints that a strategy may fine-tune. {_ADAPTED}. "
        "A transfer run is named after its checkpoint, the task and the settings."
    )
    alike = [c for c in ("adapt_synthetic", "val_split") if compared[c].nunique(dropna=False) < 2]
    return headed(compared.drop(columns=alike), _COMPARED, caption)


def rules(both: pd.DataFrame) -> Table | None:
    """What minival and ImageNetV2 pick, as `bench.select.imagenet.rules` returns it; None where no run has ImageNetV2's score.

    Then a warning says so (`bench.report.provenance`).
    """
    if both.loc[both["rule"] == V2, "val"].isna().all():
        return None
    caption = "What either validation score picks of all transfers to ImageNet-1k"
    if both["why"].nunique() == 1:
        caption, both = f"{caption}: {both['why'].iloc[0]}", both.drop(columns="why")
    return headed(both, _RULES, f"{caption}.")


def _intervals(frame: pd.DataFrame, before: str) -> str:
    return f"{before}95% intervals over tasks" if "regret_low" in frame and frame["regret_low"].notna().any() else ""
