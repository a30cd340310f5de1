"""Means of comparisons with their intervals, over models, groups, tasks and seeds."""

import math

import numpy as np
import pandas as pd
import pytest

from bench.errors import UserError
from bench.select.intervals import ON_THESE, interval
from bench.select.means import COLUMNS, PER_TASK, means, task_means

GROUPS = ["natural"] * 3 + ["structured"] * 3


def rows(strategy, tests, name="m", groups=None, regret=0.0, **more):
    n = len(tests)
    facts = {"name": name, "adapt_ds": [f"t{i}" for i in range(n)], "adapt_group": groups or GROUPS[:n], "strategy": strategy}
    scores = {"adapt_filename": [f"{strategy}{i}" for i in range(n)], "val": tests, "test": tests, "regret": regret}
    return pd.DataFrame({**facts, **scores, "finetunes": 2, "train_seconds": 1.0, **more})


TESTS = np.array([0.9, 0.8, 0.7, 0.5, 0.3, 0.1])
BOTH = pd.concat([rows("upstream_best", TESTS - 0.02, regret=0.02), rows("adapt_all", TESTS, finetunes=8)], ignore_index=True)


def overall(found, strategy="upstream_best", name="m", convention="mean_over_tasks", scope="overall"):
    at = found["strategy"].eq(strategy) & found["name"].eq(name) & found["convention"].eq(convention) & found["scope"].eq(scope)
    assert at.sum() == 1
    return found[at].iloc[0]


def test_every_mean_has_its_interval():
    found = means(BOTH)
    assert tuple(found.columns) == COLUMNS
    mine = overall(found)
    assert mine[["val", "test", "regret"]].tolist() == pytest.approx([0.53, 0.53, 0.02])
    expected = interval(BOTH[BOTH["strategy"] == "upstream_best"])
    assert (mine["test_low"], mine["test_high"]) == (expected.low, expected.high)
    assert (mine["regret_low"], mine["regret_high"]) == pytest.approx((0.02, 0.02))
    of_groups = overall(found, convention="mean_of_group_means")
    assert of_groups["test"] == pytest.approx((0.78 + 0.28) / 2)
    assert of_groups["test_low"] < of_groups["test"] < of_groups["test_high"]
    # Three tasks are too few for an interval.
    assert found.loc[found["scope"] == "natural", ["test_low", "regret_high"]].isna().all(axis=None)
    assert means(BOTH, over=())["test_low"].isna().all()


def test_costs_are_summed_and_those_that_nobody_recorded_stay_empty():
    found = means(BOTH.assign(adapted=1, flops=[1e12] * 6 + [math.nan] * 6))
    assert overall(found)[["finetunes", "adapted", "flops", "train_seconds"]].tolist() == [12, 6, 6e12, 6]
    assert overall(found, "adapt_all")[["finetunes", "adapted"]].tolist() == [48, 6]
    assert math.isnan(overall(found, "adapt_all")["flops"])
    assert math.isnan(overall(found)["chip_hours"])


def test_seeds_are_averaged_before_tasks():
    drawn = [rows("random_k", TESTS + d, regret=0.1 - d, seed=s, finetunes=2 + s) for s, d in enumerate((-0.05, 0.05))]
    both = pd.concat([*drawn, rows("adapt_all", TESTS + 0.1, seed=0)], ignore_index=True)
    mine = overall(means(both), "random_k")
    assert mine[["tasks", "test", "regret", "finetunes"]].tolist() == pytest.approx([6, 0.55, 0.1, 15])
    # One seed fails on a task: the task is left out for everybody.
    both.loc[both["strategy"].eq("random_k") & both["seed"].eq(1) & both["adapt_ds"].eq("t5"), "test"] = math.nan
    mine = overall(means(both), "random_k")
    assert mine[["tasks", "left_out", "test"]].tolist() == pytest.approx([5, 1, 0.64])


def test_all_models_is_the_mean_of_the_models():
    two = pd.concat([BOTH, rows("upstream_best", TESTS[:3] - 0.1, "n"), rows("adapt_all", TESTS[:3], "n")], ignore_index=True)
    found = means(two)
    assert overall(found, name="all models")["test"] == pytest.approx((0.53 + 0.7) / 2)
    assert overall(found, name="all models", scope="structured")["test"] == pytest.approx(0.28)
    assert overall(found, name="all models")["tasks"] == 9
    assert overall(found, name="all models")["test_low"] < 0.615 < overall(found, name="all models")["test_high"]


def test_examples_are_redrawn_for_both_runs_of_a_regret():
    counted = BOTH.assign(n_test=1000)
    found = overall(means(counted, over=ON_THESE))
    share = lambda p: p * (1 - p)  # noqa: E731
    half = 1.96 * math.sqrt(sum(share(TESTS - 0.02) + share(TESTS)) / 1000) / 6
    assert [found["regret_low"], found["regret_high"]] == pytest.approx([0.02 - half, 0.02 + half], abs=0.1 * half)
    # Where it chose the reference's runs, it loses nothing whatever the examples.
    same = counted.assign(adapt_filename=[f"r{i}" for i in range(6)] * 2, test=[*TESTS, *TESTS], regret=0.0)
    assert overall(means(same, over=ON_THESE))[["regret_low", "regret_high"]].tolist() == [0, 0]
    with pytest.raises(UserError, match="no column 'n_test'"):
        means(BOTH, over=ON_THESE)


def test_means_of_every_task():
    two = pd.concat([BOTH, rows("upstream_best", TESTS[:1] - 0.1, "n"), rows("adapt_all", TESTS[:1], "n")], ignore_index=True)
    found = task_means(two.assign(n_test=400))
    assert tuple(found.columns) == PER_TASK
    assert found["adapt_ds"].tolist() == [f"t{i}" for i in range(6) for _ in range(2)]
    first = found.iloc[0]
    assert first[["strategy", "models", "test"]].tolist() == ["upstream_best", 2, pytest.approx(0.84)]
    assert first["test_low"] < 0.84 < first["test_high"]
    assert task_means(two, over=())["test_low"].isna().all()


def test_several_budgets_are_refused_and_nothing_has_no_means():
    with pytest.raises(UserError, match="upstream_best has several rows for m on t0: take one budget at a time"):
        means(pd.concat([BOTH.assign(budget=1), BOTH.assign(budget=2)]))
    assert means(BOTH.iloc[:0]).empty
    assert task_means(BOTH.iloc[:0]).empty
    nothing = BOTH.assign(test=math.nan, regret=math.nan)
    assert overall(means(nothing))[["tasks", "left_out"]].tolist() == [0, 6]
