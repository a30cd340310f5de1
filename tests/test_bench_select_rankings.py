"""What each strategy picks, on pools whose answer is known by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from bench.errors import UserError
from bench.select.drive import Driver, drive
from bench.select.pool import Pool
from bench.select.strategies import STRATEGIES
from bench.select.strategies.ranking import top
from bench.select.strategies.thrifty import Constants, _condition, _gain, _prior, thrifty
from bench.select.strategy import Choice, Strategy


def pool_of(names="abcd", settings=((0.1, 100),), scores=None, history=(), task="digits", group="natural", seed=0, **columns):
    checkpoints = pd.DataFrame({"filename": list(names), "name": "ViT-mu", "ds": "mnist5k", **columns})
    runs = [
        {"adapt_filename": f"{n}-{lr}-{steps}", "filename": n, "adapt_lr": lr, "adapt_steps": steps, "flops": float(steps)}
        for n in names
        for lr, steps in settings
    ]
    told = None if scores is None else pd.DataFrame({"filename": list(names), **scores})
    past = pd.DataFrame(history, columns=["filename", "adapt_ds", "adapt_group", "score"]) if history else None
    return Pool.of(checkpoints, pd.DataFrame(runs), told, past, task=task, group=group, seed=seed)


def order(name, pool):
    return top(STRATEGIES[name].rank(pool), len(pool.checkpoints))


def asked(name, pool, val, budget=None):
    choice, runs = drive(STRATEGIES[name], pool, budget, lambda names: pd.Series(val).loc[names])
    return choice, runs


def test_top_takes_the_highest_first_by_name_where_they_tie_and_none_without_a_value():
    ranks = pd.Series({"d": 0.5, "c": 0.9, "b": 0.5, "a": math.nan})
    assert top(ranks, 2) == ["c", "b"]
    assert top(ranks, 9) == ["c", "b", "d"]


def test_rankings_by_what_is_known_of_a_checkpoint():
    pool = pool_of("abc", final_val=[0.1, 0.3, 0.2], params=[3e6, 1e6, 2e6])
    assert order("upstream_best", pool) == ["b", "c", "a"]
    assert order("size", pool) == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("name", "score"),
    [
        *((s, s) for s in ("linear_probe", "knn", "logme", "leep", "nleep", "parc", "transrate")),
        *(("ridge", "ridge_10"), ("h_score", "h_score_regularized")),
    ],
)
def test_rankings_by_score(name, score):
    others = {other: [0.3, 0.2, 0.1] for other in ("linear_probe", "logme", "ridge_1", "h_score") if other != score}
    pool = pool_of("abc", scores={**others, score: [-2.0, -1.0, -3.0]})
    assert STRATEGIES[name].needs == (score,)
    assert order(name, pool) == ["b", "a", "c"]


def test_static_centres_tasks_so_that_gaps_favour_nobody():
    history = [
        *(("a", "pets", "natural", 0.9), ("b", "pets", "natural", 0.8), ("c", "pets", "natural", 0.7)),
        *(("b", "kitti", "structured", 0.2), ("c", "kitti", "structured", 0.4)),
    ]
    # By plain means a has 0.9, b 0.5 and c 0.55. Centred: a +0.1, b (0 - 0.1) / 2, c (-0.1 + 0.1) / 2.
    found = STRATEGIES["static"].rank(pool_of("abcd", history=history))
    assert found.to_dict() == pytest.approx({"a": 0.1, "b": -0.05, "c": 0.0, "d": math.nan}, nan_ok=True)


def test_per_group_looks_at_the_group_and_at_all_tasks_where_it_has_none():
    history = [
        *(("a", "pets", "natural", 0.9), ("b", "pets", "natural", 0.1)),
        *(("a", "kitti", "structured", 0.1), ("b", "kitti", "structured", 0.95)),
    ]
    assert order("per_group", pool_of("ab", history=history, group="natural")) == ["a", "b"]
    assert order("per_group", pool_of("ab", history=history, group="structured")) == ["b", "a"]
    assert order("per_group", pool_of("ab", history=history, group="specialized")) == ["b", "a"]


def test_random_k_is_drawn_by_seed_and_task_and_prefers_nobody():
    pool = pool_of()
    first = [order("random_k", replace(pool, seed=seed))[0] for seed in range(400)]
    counts = pd.Series(first).value_counts()
    # Binomial(400, 1/4) has a standard deviation of 8.7.
    assert counts.between(100 - 35, 100 + 35).all()
    assert len(counts) == 4
    assert {tuple(order("random_k", pool_of(task=task))) for task in ("digits", "pets", "dtd", "svhn")} != {tuple("abcd")}
    # Whom it prefers does not depend on who else is there.
    assert order("random_k", pool_of("abd")) == [c for c in order("random_k", pool_of("abcd")) if c != "c"]


def test_rankers_adapt_the_top_of_their_order_in_all_settings():
    pool = pool_of("abc", ((0.1, 100), (0.2, 100)), final_val=[0.1, 0.3, 0.2])
    val = {"a-0.1-100": 0.9, "a-0.2-100": 0.9, "b-0.1-100": 0.5, "b-0.2-100": math.nan, "c-0.1-100": 0.6, "c-0.2-100": 0.7}
    choice, runs = asked("upstream_best", pool, val)
    assert (choice, runs) == (Choice("b", "b-0.1-100", "first of 3 by upstream_best"), ["b-0.1-100", "b-0.2-100"])
    choice, runs = asked("upstream_best", pool, val, 2)
    assert choice == Choice("c", "c-0.2-100", "best of the first 2 by upstream_best")
    assert len(runs) == 4


def test_the_hybrid_takes_the_first_upstream_and_the_others_by_linear_probe():
    val = {"a-0.1-100": 0.1, "b-0.1-100": 0.2, "c-0.1-100": 0.3, "d-0.1-100": 0.4}
    scores = {"linear_probe": [0.9, 0.8, 0.1, 0.7]}
    pool = pool_of(scores=scores, final_val=[0.1, 0.2, 0.9, 0.3])
    assert asked("hybrid", pool, val, 1)[1] == ["c-0.1-100"]
    assert asked("hybrid", pool, val)[1] == ["a-0.1-100", "c-0.1-100"]
    assert asked("hybrid", pool, val, 3)[1] == ["a-0.1-100", "b-0.1-100", "c-0.1-100"]
    # Where the two agree, the second by linear probe comes in.
    agree = pool_of(scores=scores, final_val=[0.9, 0.2, 0.1, 0.3])
    assert asked("hybrid", agree, val)[1] == ["a-0.1-100", "b-0.1-100"]


def test_halving_keeps_so_many_that_every_rung_costs_the_same():
    pool = pool_of("abcdefgh", ((0.1, 100), (0.2, 100), (0.1, 200), (0.1, 800)))
    val = dict.fromkeys(pool.runs.index, 0.1) | {f"{c}-0.2-100": s for c, s in zip("bdfh", (0.2, 0.3, 0.4, 0.5), strict=True)}
    val |= {"d-0.1-200": 0.6, "d-0.1-800": 0.05}
    choice, runs = asked("halving", pool, val)
    assert runs[:16] == [f"{c}-{lr}-100" for c in "abcdefgh" for lr in (0.1, 0.2)]
    # Twice the steps: half of the eight; four times the steps: a quarter of the four. The best so far counts.
    assert runs[16:] == ["b-0.1-200", "d-0.1-200", "f-0.1-200", "h-0.1-200", "d-0.1-800"]
    assert choice == Choice("d", "d-0.1-200", "best of 8 checkpoints, 1 of which were trained to the end")


def test_halving_within_a_budget_starts_with_the_best_upstream_and_drops_what_diverged():
    pool = pool_of("abc", ((0.1, 100), (0.1, 200)), final_val=[0.1, None, 0.3])
    val = {"a-0.1-100": 0.2, "c-0.1-100": math.nan, "a-0.1-200": 0.4, "c-0.1-200": 0.9}
    choice, runs = asked("halving", pool, val, 2)
    assert (choice.run, runs) == ("a-0.1-200", ["a-0.1-100", "c-0.1-100", "a-0.1-200"])


# The thrifty one


def linear(**more):
    scores = {"linear_probe": [0.4, 0.5, 0.6, 0.7]}
    return pool_of(settings=((0.1, 100), (0.2, 100), (0.1, 400)), scores=scores, final_val=[0.1, 0.2, 0.3, 0.4], **more)


def test_the_prior_and_its_conditioning_agree_with_the_textbook():
    constants = Constants(trust=0.7, surprise=0.9, settings=1.1, peculiar=0.4)
    mean, cov = _prior(linear(), constants)
    unit = np.std([0.4, 0.5, 0.6, 0.7])
    z = np.array([-3, -1, 1, 3]) / math.sqrt(5)
    expected = np.zeros((12, 12))
    for i in range(12):
        for j in range(12):
            (c, s), (d, t) = divmod(i, 3), divmod(j, 3)
            rates, steps = [0.1, 0.1, 0.2], [100, 400, 100]
            shared = (rates[s] == rates[t]) + (steps[s] == steps[t]) + 1
            expected[i, j] = 0.25 + (0.7 * unit) ** 2 * z[c] * z[d] + (1.1 * unit) ** 2 / 3 * shared
            expected[i, j] += (0.9 * unit) ** 2 * (c == d) + (0.4 * unit) ** 2 * (i == j)
    np.testing.assert_allclose(mean, 0.5 + 0.7 * unit * math.sqrt(2) * np.repeat(z, 3), atol=1e-12)
    np.testing.assert_allclose(cov, expected, atol=1e-12)

    seen, scores = [2, 7, 3], np.array([0.61, 0.55, 0.7])
    new_mean, new_cov = mean, cov
    for at, score in zip(seen, scores, strict=True):
        new_mean, new_cov = _condition(new_mean, new_cov, at, score)
    gain = cov[:, seen] @ np.linalg.inv(cov[np.ix_(seen, seen)])
    np.testing.assert_allclose(new_mean, mean + gain @ (scores - mean[seen]), atol=1e-9)
    np.testing.assert_allclose(new_cov, cov - gain @ cov[seen], atol=1e-9)


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.5, 0.1, 0.6), (0.7, 0.05, 0.6), (0.2, 0.01, 0.22)])
def test_the_gain_is_the_expected_improvement(mean, deviation, best):
    wanted, _ = integrate.quad(lambda y: (y - best) * stats.norm.pdf(y, mean, deviation), best, mean + 12 * deviation)
    found = _gain(np.array([mean]), np.array([[deviation**2]]), best)
    assert found[0] == pytest.approx(wanted, rel=1e-6, abs=1e-12)


def test_thrifty_starts_with_the_cheap_runs_of_the_most_promising_and_stops_at_its_price():
    pool = linear()
    val = dict.fromkeys(pool.runs.index, 0.5) | {"d-0.1-100": 0.8}
    free = drive(thrifty(Constants(price=0.0)), pool, None, lambda runs: pd.Series(val).loc[runs])
    dear = drive(thrifty(Constants(price=100.0)), pool, None, lambda runs: pd.Series(val).loc[runs])
    assert dear[1] == ["d-0.1-100", "d-0.2-100"]
    assert dear[0].run == free[0].run == "d-0.1-100"
    assert free[1][:2] == dear[1]
    assert len(free[1]) > len(dear[1])


def test_thrifty_learns_that_it_trusted_the_wrong_checkpoints():
    pool = linear()
    # The more promising, the worse: it goes on to the checkpoints that it ranked last.
    level = {"a": 0.9, "b": 0.6, "c": 0.4, "d": 0.3}
    val = {run: level[run[0]] + (0.01 if run.endswith("400") else 0) for run in pool.runs.index}
    choice, runs = drive(thrifty(Constants(price=0.001)), pool, None, lambda names: pd.Series(val).loc[names])
    assert choice.filename == "a"
    assert len(runs) < len(pool.runs)
    within, runs = drive(thrifty(Constants(price=0.001)), pool, 2, lambda names: pd.Series(val).loc[names])
    assert {run[0] for run in runs} == {"d", within.filename}


def test_without_flops_the_costs_are_steps_and_without_those_all_the_same():
    pool = linear()
    bare = Pool.of(
        pool.checkpoints.reset_index(), pool.runs.reset_index().assign(flops=None), pool.scores.reset_index(), task="x"
    )
    val = {run: i / 50 for i, run in enumerate(pool.runs.index)}
    results = [asked("thrifty", each, val) for each in (pool, bare)]
    assert results[0] == results[1]
    nothing = Pool.of(
        bare.checkpoints.reset_index(),
        bare.runs.reset_index().assign(adapt_steps=None),
        bare.scores.reset_index(),
        task="x",
    )
    assert asked("thrifty", nothing, val)[1][:3] == ["d-0.1-100", "d-0.1-400", "d-0.2-100"]


# The driver


def scripted(*questions, choice=None):
    def choose(_pool, _budget):
        for question in questions:
            yield list(question)
        return choice

    return Strategy("scripted", "", choose, usual=None)


def test_the_driver_asks_for_a_run_once_and_answers_from_memory():
    told = []

    def choose(_pool, _budget):
        told.append((yield ["b-0.1-100", "a-0.1-100", "b-0.1-100"]).to_dict())
        told.append((yield ["a-0.1-100"]).to_dict())
        told.append((yield ["a-0.1-100", "c-0.1-100"]).to_dict())
        return Choice("c", "c-0.1-100", "said so")

    driver = Driver(Strategy("memory", "", choose, usual=None), pool_of())
    assert (driver.wanted, driver.budget, driver.choice) == (["b-0.1-100", "a-0.1-100"], 4, None)
    driver.tell(pd.Series({"a-0.1-100": 0.1}))
    assert driver.wanted == ["b-0.1-100"]
    driver.tell(pd.Series({"b-0.1-100": math.nan}))
    assert (driver.wanted, driver.asked) == (["c-0.1-100"], ["b-0.1-100", "a-0.1-100", "c-0.1-100"])
    driver.tell(pd.Series({"c-0.1-100": 0.3}))
    assert driver.choice == Choice("c", "c-0.1-100", "said so")
    assert driver.wanted == []
    first = {"b-0.1-100": pytest.approx(math.nan, nan_ok=True), "a-0.1-100": 0.1}
    assert told == [first, {"a-0.1-100": 0.1}, {"a-0.1-100": 0.1, "c-0.1-100": 0.3}]
    driver.tell(pd.Series({"c-0.1-100": 0.9}))
    assert driver.choice.run == "c-0.1-100"


@pytest.mark.parametrize(
    ("questions", "choice", "message"),
    [
        ([["e-0.1-100"]], None, "asked for 'e-0.1-100', which is no run of digits"),
        ([["a-0.1-100"], ["b-0.1-100", "c-0.1-100"]], None, "asked for runs of 3 checkpoints, but may adapt 2"),
        ([["a-0.1-100"]], Choice("b", "b-0.1-100", ""), "chose 'b-0.1-100', which it did not ask for"),
    ],
)
def test_a_strategy_that_breaks_the_rules_is_stopped(questions, choice, message):
    with pytest.raises(UserError, match=f"strategy 'scripted' {message}"):
        drive(scripted(*questions, choice=choice), pool_of(), 2, lambda runs: pd.Series(0.5, index=runs))


def test_the_driver_refuses_no_budget_and_missing_answers():
    with pytest.raises(UserError, match="a budget of 0 checkpoints, but at least 1 must be adapted"):
        Driver(STRATEGIES["adapt_all"], pool_of(), 0)
    with pytest.raises(UserError, match=r"no answer for 'b-0\.1-100'"):
        drive(STRATEGIES["adapt_all"], pool_of(), None, lambda runs: pd.Series(0.5, index=runs).drop("b-0.1-100"))


def test_a_pool_has_everything_once():
    checkpoints = pd.DataFrame({"filename": ["a", "a"], "final_test": [0.1, 0.2]})
    with pytest.raises(UserError, match="a pool has 'a' twice"):
        Pool.of(checkpoints, pd.DataFrame(columns=["filename", "adapt_filename"]), task="digits")
    pool = Pool.of(checkpoints.iloc[:1], pd.DataFrame(columns=["filename", "adapt_filename"]), task="digits")
    assert "final_test" not in pool.checkpoints
