"""Intervals against the enumerated bootstrap, Student's, the binomial's variance, and by how often they hold the truth."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.errors import UserError
from bench.select.intervals import EXAMPLES, SEEDS, TASKS, Interval, against, difference, fewest, interval, verdict


def frame(tests, groups=None, name="m", **more):
    n = len(tests)
    facts = {"name": name, "adapt_ds": [f"t{i:02}" for i in range(n)], "adapt_group": groups or ["natural"] * n}
    return pd.DataFrame({**facts, "strategy": "mine", "adapt_filename": [f"r{i}" for i in range(n)], "test": tests, **more})


def test_six_tasks_are_needed_for_95_percent():
    assert [fewest(level) for level in (0.5, 0.75, 0.9, 0.95, 0.99)] == [2, 3, 5, 6, 8]
    few = interval(frame([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert few.estimate == pytest.approx(0.3)
    assert (few.known, few.separable, math.isnan(few.high)) == (False, False, True)
    assert interval(frame([0.1, 0.2, 0.3, 0.4, 0.5]), level=0.9).known
    assert interval(frame([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])).known


def test_it_is_the_enumerated_bootstrap_with_percentiles_moved_outwards():
    tests = [0.10, 0.25, 0.30, 0.55, 0.60, 0.95]
    means = np.sort([np.mean(draw) for draw in itertools.product(tests, repeat=6)])
    # Student's 97.5% point of 5 degrees of freedom is 2.5706.
    beyond = stats.norm.cdf(-2.5706 * math.sqrt(6 / 5))
    found = interval(frame(tests), draws=200_000)
    assert found.estimate == pytest.approx(np.mean(tests))
    assert [found.low, found.high] == pytest.approx(np.quantile(means, [beyond, 1 - beyond]), abs=2e-3)


def test_on_many_normal_values_it_is_students():
    tests = np.random.default_rng(0).normal(0.5, 0.1, 60)
    half = stats.t.ppf(0.975, 59) * tests.std(ddof=1) / math.sqrt(60)
    found = interval(frame(tests))
    assert [found.low, found.high] == pytest.approx([tests.mean() - half, tests.mean() + half], abs=0.05 * half)


def test_it_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [interval(frame(rng.normal(0.5, 0.1, 8)), draws=2000) for _ in range(300)]
    assert 0.91 <= np.mean([i.low <= 0.5 <= i.high for i in intervals]) <= 0.98
    # The plain percentile of 8 tasks would be narrower by a fifth.
    assert np.mean([i.high - i.low for i in intervals]) > 1.2 * 2 * 1.96 * 0.1 / math.sqrt(8) * 0.94


def test_groups_are_resampled_by_themselves_where_each_has_four_tasks():
    tests = [0.1] * 4 + [0.9] * 4
    apart = interval(frame(tests, ["natural"] * 4 + ["structured"] * 4))
    assert (apart.low, apart.high) == pytest.approx((0.5, 0.5))
    together = interval(frame(tests, ["natural"] * 3 + ["structured"] * 5))
    assert together.high - together.low > 0.5


def test_both_conventions_of_the_mean():
    groups = ["natural"] * 6 + ["structured"] * 2
    tests = [0.9] * 6 + [0.5] * 2
    assert interval(frame(tests, groups)).estimate == pytest.approx(0.8)
    assert interval(frame(tests, groups), by_group=True).estimate == pytest.approx(0.7)
    # A model that lacks the tasks of one group has the mean of the other.
    both = pd.concat([frame(tests, groups), frame(tests[:6], groups[:6], name="n")])
    assert interval(both, by_group=True).estimate == pytest.approx((0.7 + 0.9) / 2)
    assert interval(both).tasks == 8


def test_a_task_is_drawn_for_all_models_together():
    tests = np.linspace(0.2, 0.8, 7)
    one = interval(frame(tests))
    two = interval(pd.concat([frame(tests), frame(tests, name="n")]))
    assert (two.low, two.high) == pytest.approx((one.low, one.high), abs=1e-12)
    # What one model wins on a task the other loses, so that their mean does not vary.
    opposite = interval(pd.concat([frame(tests), frame(1 - tests, name="n")]))
    assert (opposite.low, opposite.high) == pytest.approx((0.5, 0.5))


def test_examples_vary_as_a_binomial_does():
    found = interval(frame([0.8], n_test=1000), over=(EXAMPLES,))
    half = 1.96 * math.sqrt(0.8 * 0.2 / 1000)
    assert [found.low, found.high] == pytest.approx([0.8 - half, 0.8 + half], abs=0.1 * half)
    two = interval(frame([0.8, 0.6], n_test=1000), over=(EXAMPLES,))
    half = 1.96 * math.sqrt((0.16 + 0.24) / 1000) / 2
    assert [two.low, two.high] == pytest.approx([0.7 - half, 0.7 + half], abs=0.1 * half)
    certain = interval(frame([1.0], n_test=50), over=(EXAMPLES,))
    assert (certain.low, certain.high) == (1, 1)


def test_seeds_vary_by_themselves():
    drawn = pd.concat([frame([0.5 + d], seed=s) for s, d in enumerate((-0.02, -0.01, 0.0, 0.01, 0.02))])
    found = interval(drawn, over=(SEEDS,))
    half = stats.t.ppf(0.975, 4) * np.std([-0.02, -0.01, 0, 0.01, 0.02], ddof=1) / math.sqrt(5)
    assert found.estimate == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5 - half, abs=0.2 * half)
    assert not interval(frame([0.5, 0.6]), over=(SEEDS,)).known
    # The seeds' mean counts, so a task does not weigh more for having more of them.
    uneven = pd.concat([frame([0.2, 0.6], seed=0), frame([0.4], seed=1)])
    assert interval(uneven, over=(SEEDS,)).estimate == pytest.approx((0.3 + 0.6) / 2)


def compared(first, second, **more):
    sides = [frame(first, **more), frame(second, **more).assign(strategy="other")]
    sides[1]["adapt_filename"] = sides[0]["adapt_filename"].where(np.equal(first, second), "other")
    return pd.concat(sides, ignore_index=True)


def test_differences_are_paired():
    first = np.array([0.2, 0.4, 0.6, 0.8, 0.3, 0.7])
    found = difference(compared(first + 0.01, first), "mine", "other")
    assert (found.low, found.high) == pytest.approx((0.01, 0.01))
    assert found.separable
    assert verdict(found, "mine", "other") == "mine is better than other by +1.00 [+1.00, +1.00] points on 6 tasks"
    back = difference(compared(first, first + 0.01), "mine", "other")
    assert verdict(back, "mine", "other") == "other is better than mine by +1.00 [+1.00, +1.00] points on 6 tasks"


def test_the_same_run_differs_by_nothing_and_other_runs_by_their_examples():
    same = compared([0.8, 0.6], [0.8, 0.6], n_test=100)
    found = difference(same, "mine", "other", over=(EXAMPLES,))
    assert (found.estimate, found.low, found.high) == (0, 0, 0)
    apart = difference(compared([0.8, 0.6], [0.8, 0.5], n_test=100), "mine", "other", over=(EXAMPLES,))
    half = 1.96 * math.sqrt((0.6 * 0.4 + 0.5 * 0.5) / 100) / 2
    assert [apart.low, apart.high] == pytest.approx([0.05 - half, 0.05 + half], abs=0.1 * half)


def test_verdicts_say_when_nothing_can_be_told():
    assert verdict(Interval(0.012, -0.003, 0.028, 8), "a", "b") == (
        "not separable: +1.20 [-0.30, +2.80] points on 8 tasks, the interval holds 0"
    )
    assert verdict(Interval(0.012, math.nan, math.nan, 2), "a", "b") == (
        "not separable: 2 tasks are too few to say (difference +1.20 points)"
    )
    assert not Interval(0.01, 0.0, 0.02, 8).separable


def test_differences_on_few_tasks_say_nothing_in_general():
    first = np.linspace(0.3, 0.9, 12)
    won = np.where(np.arange(12) < 5, 0.01, 0.0)
    found = difference(compared(first + won, first), "mine", "other")
    assert (found.low > 0, found.telling, found.separable) == (True, 5, False)
    assert verdict(found, "mine", "other").endswith("points, but only 5 of 12 tasks differ")
    # A sign test of six differences, all one way, would say so as well: 2 ** -5 < 0.05.
    assert difference(compared(first + np.where(np.arange(12) < 6, 0.01, 0.0), first), "mine", "other").separable
    # On these very tasks their images may tell them apart however few they are.
    few = compared([0.9, 0.5], [0.5, 0.5], n_test=1000)
    assert difference(few, "mine", "other", over=(EXAMPLES,)).separable


def test_every_strategy_against_one():
    first = np.array([0.2, 0.4, 0.6, 0.8, 0.3, 0.7])
    both = pd.concat([compared(first, first - 0.02), frame([math.nan] * 6).assign(strategy="void")], ignore_index=True)
    found = against(both, "mine").set_index("strategy")
    assert found.loc["other", ["tasks", "separable"]].tolist() == [6, True]
    assert found.loc["other", ["difference", "low", "high"]].tolist() == pytest.approx([-0.02] * 3)
    assert found.loc["void", "verdict"] == "not separable: no task on which both have a score"
    with pytest.raises(UserError, match="no strategy 'mne' was compared; did you mean 'mine'"):
        against(both, "mne")


def test_equal_seeds_give_equal_intervals_in_any_order_of_rows():
    rows = frame(np.linspace(0.1, 0.9, 9), n_test=200)
    over = (TASKS, SEEDS, EXAMPLES)
    found = interval(rows, over=over, draws=500)
    assert interval(rows.sample(frac=1, random_state=1), over=(EXAMPLES, TASKS, SEEDS), draws=500) == found
    assert interval(rows, over=over, draws=500, seed=1) != found


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        (frame([0.5]), {"over": ("task",)}, "cannot resample 'task'; did you mean 'tasks'"),
        (frame([math.nan]), {}, "test are empty in all rows"),
        (frame([0.5]), {"value": "tests"}, "no column 'tests'"),
        (frame([0.5]), {"over": (EXAMPLES,)}, "examples cannot be resampled: no column 'n_test'"),
        (frame([0.5, 0.6], n_test=[10, None]), {"over": (EXAMPLES,)}, "'n_test' is empty for m on t01"),
        (frame([0.5], regret=0.1), {"over": (EXAMPLES,), "value": "regret"}, "for test accuracies, not for 'regret'"),
        (pd.concat([frame([0.5]), frame([0.6])]), {}, "several rows for m on t00"),
    ],
)
def test_what_cannot_be_resampled_is_said(rows, more, message):
    with pytest.raises(UserError, match=message):
        interval(rows, **more)
