"""Curves over budgets, from hand-made comparisons."""

import math

import pandas as pd
import pytest

from bench.errors import UserError
from bench.select.curves import COLUMNS, budgets, curves

TASKS = [f"t{i}" for i in range(6)]


def at(strategy, budget, regret, finetunes, tasks=TASKS, **more):
    facts = {"name": "m", "adapt_ds": tasks, "adapt_group": "natural", "strategy": strategy, "budget": budget}
    return pd.DataFrame({**facts, "regret": regret, "finetunes": finetunes, **more})


WHOLE = at("adapt_all", 8, 0.0, 32)


def test_budgets_grow_as_the_pool_does():
    assert [budgets(n) for n in (1, 2, 4, 27)] == [[1], [1, 2], [1, 2, 3, 4], [1, 2, 3, 5, 8, 13, 21, 27]]
    with pytest.raises(UserError, match="a pool without checkpoints has no budget"):
        budgets(0)


def test_a_curve_is_the_mean_regret_at_each_budget():
    found = curves([pd.concat([at("knn", 1, 0.04, 4), WHOLE]), pd.concat([at("knn", 2, 0.01, 8), WHOLE])])
    assert tuple(found.columns) == COLUMNS
    assert found[["strategy", "budget"]].to_numpy().tolist() == [["knn", 1], ["knn", 2], ["adapt_all", 8]]
    assert found["regret"].tolist() == pytest.approx([0.04, 0.01, 0])
    assert found[["low", "high"]].to_numpy() == pytest.approx(found[["regret", "regret"]].to_numpy())
    assert found["share"].tolist() == pytest.approx([0.125, 0.25, 1])
    assert found["tasks"].tolist() == [6, 6, 6]


def test_shares_are_of_flops_where_all_are_known():
    mine, whole = at("knn", 1, 0.0, 4, flops=1e12), WHOLE.assign(flops=10e12)
    assert curves(pd.concat([mine, whole]))["share"].tolist() == pytest.approx([0.1, 1])
    assert curves(pd.concat([mine.assign(flops=math.nan), whole]))["share"].tolist() == pytest.approx([0.125, 1])
    assert curves(pd.concat([mine, whole]), cost="finetunes")["share"].tolist() == pytest.approx([0.125, 1])
    free = curves(pd.concat([mine, whole.assign(flops=0.0)]))
    assert free["share"].isna().all()


def test_a_task_counts_at_all_budgets_or_at_none():
    gap = at("knn", 2, [0.5, *[0.01] * 5], 8)
    gap.loc[0, "regret"] = math.nan
    found = curves(pd.concat([at("knn", 1, [0.9, *[0.04] * 5], 4), gap, WHOLE]))
    assert found["regret"].tolist() == pytest.approx([0.04, 0.01, 0])
    assert found[["tasks", "left_out"]].to_numpy().tolist() == [[5, 1]] * 3
    # Five tasks are too few for an interval.
    assert found["low"].isna().all()


def test_what_a_curve_needs_is_said():
    with pytest.raises(UserError, match="no curve without the column 'budget'"):
        curves(WHOLE.drop(columns="budget"))
    with pytest.raises(UserError, match="shares of what adapt_all costs"):
        curves(at("knn", 1, 0.0, 4))
    with pytest.raises(UserError, match=r"no cost 'flop' was compared; .*valid: finetunes"):
        curves(WHOLE, cost="flop")
    with pytest.raises(UserError, match="no task on which every strategy has a test score at every budget"):
        curves(WHOLE.assign(regret=math.nan))
