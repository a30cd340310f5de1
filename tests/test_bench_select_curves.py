"""Curves over budgets, from hand-made comparisons."""

import math

import pandas as pd
import pytest

from bench.errors import UserError
from bench.select.curves import COLUMNS, budgets, curves

TASKS = [f"t{i}" for i in range(6)]


def at(strategy, regret, finetunes, tasks=TASKS, **more):
    facts = {"name": "m", "adapt_ds": tasks, "adapt_group": "natural", "strategy": strategy}
    return pd.DataFrame({**facts, "regret": regret, "finetunes": finetunes, **more})


WHOLE = at("adapt_all", 0.0, 32)


def test_budgets_grow_as_the_pool_does():
    assert [budgets(n) for n in (1, 2, 4, 27)] == [[1], [1, 2], [1, 2, 3, 4], [1, 2, 3, 5, 8, 13, 21, 27]]
    with pytest.raises(UserError, match="a pool without checkpoints has no budget"):
        budgets(0)


def test_a_curve_is_the_mean_regret_at_each_budget():
    found = curves({1: pd.concat([at("knn", 0.04, 4), WHOLE]), 2: pd.concat([at("knn", 0.01, 8), WHOLE])})
    assert tuple(found.columns) == COLUMNS
    assert found[["strategy", "budget"]].to_numpy().tolist() == [["knn", 1], ["knn", 2], ["adapt_all", 2]]
    assert found["regret"].tolist() == pytest.approx([0.04, 0.01, 0])
    assert found[["low", "high"]].to_numpy() == pytest.approx(found[["regret", "regret"]].to_numpy())
    assert found["share"].tolist() == pytest.approx([0.125, 0.25, 1])
    assert found["tasks"].tolist() == [6, 6, 6]


def test_a_pool_that_is_smaller_than_the_budget_counts_there_too():
    small = at("knn", 0.02, 8).assign(name="n")
    both = pd.concat([WHOLE, WHOLE.assign(name="n", finetunes=8), small])
    found = curves({2: pd.concat([at("knn", 0.06, 8), both]), 4: pd.concat([at("knn", 0.04, 16), both])})
    assert found["regret"].tolist() == pytest.approx([0.04, 0.03, 0])
    assert found["share"].tolist() == pytest.approx([(0.25 + 1) / 2, (0.5 + 1) / 2, 1])
    assert found["tasks"].tolist() == [12, 12, 12]


def test_shares_are_of_flops_where_all_are_known():
    mine, whole = at("knn", 0.0, 4, flops=1e12), WHOLE.assign(flops=10e12)
    assert curves({1: pd.concat([mine, whole])})["share"].tolist() == pytest.approx([0.1, 1])
    assert curves({1: pd.concat([mine.assign(flops=math.nan), whole])})["share"].tolist() == pytest.approx([0.125, 1])
    assert curves({1: pd.concat([mine, whole])}, cost="finetunes")["share"].tolist() == pytest.approx([0.125, 1])
    assert curves({1: pd.concat([mine, whole.assign(flops=0.0)])})["share"].isna().all()


def test_a_task_counts_at_all_budgets_or_at_none():
    gap = at("knn", [0.5, *[0.01] * 5], 8)
    gap.loc[0, "regret"] = math.nan
    found = curves({1: pd.concat([at("knn", [0.9, *[0.04] * 5], 4), WHOLE]), 2: pd.concat([gap, WHOLE])})
    assert found["regret"].tolist() == pytest.approx([0.04, 0.01, 0])
    assert found[["tasks", "left_out"]].to_numpy().tolist() == [[5, 1]] * 3
    # Five tasks are too few for an interval.
    assert found["low"].isna().all()


def test_what_a_curve_needs_is_said():
    with pytest.raises(UserError, match="no curve without a comparison"):
        curves({})
    with pytest.raises(UserError, match="no curve without the column 'regret'"):
        curves({1: WHOLE.drop(columns="regret")})
    with pytest.raises(UserError, match="shares of what adapt_all costs"):
        curves({1: at("knn", 0.0, 4)})
    with pytest.raises(UserError, match=r"no cost 'flop' was compared; .*valid: finetunes"):
        curves({1: WHOLE}, cost="flop")
    with pytest.raises(UserError, match="no task on which every strategy has a test score at every budget"):
        curves({1: WHOLE.assign(regret=math.nan)})
