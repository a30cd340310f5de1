"""Regret, rankings and wins against closed forms and a plain rewriting of their definitions."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.select import measures
from bench.select.measures import recall_at, regret, rel_at, relative_regret, weighted_tau


def series(*values):
    return pd.Series(values, index=list("abcdefghij")[: len(values)], dtype=float)


def rows(strategy, tests, regrets=None, name="m", **more):
    """One row per task t0, t1, ... of a comparison."""
    n = len(tests)
    frame = {"name": name, "adapt_ds": [f"t{i}" for i in range(n)], "adapt_group": "natural", "strategy": strategy}
    facts = {"adapt_filename": [f"{strategy}{i}" for i in range(n)], "test": tests, "regret": regrets or [0.0] * n}
    return pd.DataFrame({**frame, **facts, **more})


def test_regret_is_signed_and_its_relative_form_counts_what_can_still_be_won():
    assert regret(0.75, 0.70) == pytest.approx(0.05)
    assert regret(0.70, 0.75) == pytest.approx(-0.05)
    assert relative_regret(0.98, 0.96) == pytest.approx(0.5)
    assert relative_regret(0.62, 0.60) == pytest.approx(0.05)
    assert relative_regret(0.96, 0.98) == pytest.approx(-0.5)
    assert relative_regret(1.0, 1.0) == 0
    assert relative_regret(1.0, 0.5) == 1


def tau_by_definition(x, y):
    """Vigna's weighted tau, additive hyperbolic weights: the mean over the ranks by x and by y, ties broken by the other."""

    def by_rank_of(main, other):
        order = np.lexsort((other, main))[::-1]
        rank = np.empty(len(main), int)
        rank[order] = np.arange(len(main))
        above = left = right = 0.0
        for i in range(len(x)):
            for j in range(i):
                weight = 1 / (rank[i] + 1) + 1 / (rank[j] + 1)
                a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
                above, left, right = above + weight * a * b, left + weight * a * a, right + weight * b * b
        return above / math.sqrt(left * right)

    return (by_rank_of(x, y) + by_rank_of(y, x)) / 2


values = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=9)


@given(values)
def test_tau_is_the_weighted_one(pairs):
    x, y = (np.array(side, float) for side in zip(*pairs, strict=True))
    found = weighted_tau(series(*x), series(*y))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found == 0
    else:
        assert found == pytest.approx(tau_by_definition(x, y), abs=1e-9)


def test_tau_weighs_the_top():
    best = series(0.9, 0.8, 0.7, 0.6, 0.5)
    assert weighted_tau(best, best) == pytest.approx(1)
    assert weighted_tau(-best, best) == pytest.approx(-1)
    at_the_top = weighted_tau(series(8, 9, 7, 6, 5), best)
    at_the_end = weighted_tau(series(9, 8, 7, 5, 6), best)
    assert at_the_top < at_the_end < 1


def test_tau_matches_candidates_by_name():
    assert weighted_tau(series(3, 2, 1), series(0.3, 0.2, 0.1)[["c", "a", "b"]]) == pytest.approx(1)


def test_rel_and_recall():
    scores, accuracy = series(5, 4, 3, 2), series(0.6, 0.5, 0.8, 0.7)
    assert rel_at(scores, accuracy) == pytest.approx(0.75)
    assert rel_at(scores, accuracy, 2) == pytest.approx(0.75)
    assert rel_at(scores, accuracy, 3) == 1
    assert [recall_at(scores, accuracy, k) for k in (1, 2, 3, 4)] == [0, 0, 1, 1]
    assert recall_at(series(1, 1), series(0.8, 0.8)) == 1
    # Two that tie in the score are ranked by name, whatever the order of the rows.
    assert rel_at(series(1, 1)[["b", "a"]], series(0.4, 0.8)) == pytest.approx(0.5)
    assert rel_at(series(1, 2), series(0, 0)) == 1


@pytest.mark.parametrize(
    ("predicted", "actual", "message"),
    [
        (series(1, math.nan), series(0.1, 0.2), "the score of checkpoint 'b' is no finite number"),
        (series(1, 2), series(math.inf, 0.2), "the accuracy of checkpoint 'a' is no finite number"),
        (series(1, 2, 3), series(0.1, 0.2), "checkpoint 'c' has a score or an accuracy, but not both"),
        (series(1), series(0.1), "two checkpoints or more"),
        (series(), series(), "no checkpoints"),
        (pd.Series([1.0, 2.0], index=["a", "a"]), series(0.1), "checkpoint 'a' has two values of one score"),
    ],
)
def test_a_ranking_is_refused_with_the_reason(predicted, actual, message):
    with pytest.raises(UserError, match=message):
        weighted_tau(predicted, actual)


def test_wins_and_pairs():
    both = pd.concat([rows("mine", [0.5, 0.6, 0.7, math.nan]), rows("other", [0.4, 0.6, 0.8, 0.9])], ignore_index=True)
    found = measures.wins(both, "mine", "other")
    assert found["win"].tolist() == [1, 0.5, 0]
    assert found["adapt_filename_against"].tolist() == ["other0", "other1", "other2"]
    with pytest.raises(UserError, match="no strategy 'others' was compared; did you mean 'other'"):
        measures.wins(both, "mine", "others")
    with pytest.raises(UserError, match="mine has several rows for m on t0: take one budget at a time"):
        measures.paired(pd.concat([both, rows("mine", [0.1])]), "mine", "other")


@pytest.mark.parametrize("turned", [False, True])
def test_a_strategy_with_one_seed_meets_all_seeds_of_the_other(turned):
    drawn = [rows("drawn", [0.1 * s, 0.2 * s], seed=s) for s in (1, 2, 3)]
    both = pd.concat([*drawn, rows("fixed", [0.5, 0.7], seed=0)], ignore_index=True)
    names = ("fixed", "drawn") if turned else ("drawn", "fixed")
    found = measures.paired(both, *names).sort_values(["adapt_ds", "seed"])
    sides = found[["test", "test_against"]].to_numpy()
    expected = np.array([[0.1, 0.5], [0.2, 0.5], [0.3, 0.5], [0.2, 0.7], [0.4, 0.7], [0.6, 0.7]])
    assert sides == pytest.approx(expected[:, ::-1] if turned else expected)
    assert found["seed"].tolist() == [1, 2, 3, 1, 2, 3]
    first, second = found["adapt_filename"].iloc[0], found["adapt_filename_against"].iloc[0]
    assert (first, second) == (("fixed0", "drawn0") if turned else ("drawn0", "fixed0"))


def test_costs_are_shares_of_adapting_everything():
    cheap = rows("cheap", [0.90, 1.0], [0.05, 0.0], finetunes=[2, 2], flops=[1e12, math.nan])
    whole = rows("adapt_all", [0.95, 1.0], finetunes=[8, 4], flops=[4e12, 0])
    found = measures.measured(pd.concat([cheap, whole], ignore_index=True))
    assert found["relative_regret"].tolist() == pytest.approx([0.5, 0, 0, 0])
    assert found["share_of_finetunes"].tolist() == [0.25, 0.5, 1, 1]
    assert found["share_of_flops"].tolist()[:3:2] == [0.25, 1]
    assert found["share_of_flops"].isna().tolist() == [False, True, False, True]
    with pytest.raises(UserError, match="shares of what adapt_all costs"):
        measures.measured(cheap)
