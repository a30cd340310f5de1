"""What holds for every strategy, whatever it does."""

import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.select.drive import Driver, drive
from bench.select.pool import CHECKPOINTS, HISTORY, RUNS, Pool
from bench.select.scores import SCORES
from bench.select.strategies import STRATEGIES, find

EVERY = pytest.mark.parametrize("name", STRATEGIES)


def world(seed):
    """A pool with gaps and ties, and what validation says of its runs: NaN where one diverged."""
    rng = random.Random(seed)
    # Few values, so that ties are common.
    one, names = (lambda: rng.choice([None, 0.1, 0.2, 0.5, 0.9])), [f"c{i}" for i in range(rng.randrange(6))]
    settings = [(0.1, 100), (0.2, 100), (0.1, 400), (0.1, None)]
    checkpoints = [{"filename": n, "name": "ViT-mu", "ds": "mnist5k", "final_val": one(), "params": one()} for n in names]
    runs = [
        {
            "adapt_filename": f"{n}-{lr}-{steps}",
            "filename": n,
            "adapt_lr": lr,
            "adapt_steps": steps,
            "flops": steps and 1e9 * steps,
        }
        for n in names
        for lr, steps in rng.sample(settings, rng.randrange(5))
    ]
    scores = [{"filename": n, **{score: one() for score in SCORES}} for n in names]
    tasks = rng.sample([("pets", "natural"), ("kitti", "structured")], rng.randrange(3))
    history = [
        {"filename": n, "adapt_ds": task, "adapt_group": group, "score": rng.choice([0.3, 0.6])}
        for task, group in tasks
        for n in names
    ]
    frames = (
        pd.DataFrame(checkpoints, columns=["filename", *CHECKPOINTS]),
        pd.DataFrame(runs, columns=["adapt_filename", *RUNS]),
        pd.DataFrame(scores, columns=["filename", *SCORES]),
        pd.DataFrame(history, columns=list(HISTORY)),
    )
    return frames, pd.Series({run["adapt_filename"]: one() for run in runs}, dtype="float64")


def pool_of(frames):
    return Pool.of(*frames, task="digits", group="natural", seed=3)


def played(name, pool, val, budget=None):
    """Returns choice and runs asked for; None where the strategy has nothing to choose by."""
    strategy = find(name)
    if strategy.lacks(pool):
        with pytest.raises(UserError, match=f"strategy '{name}' needs "):
            Driver(strategy, pool, budget)
        return None
    return drive(strategy, pool, budget, lambda runs: val.loc[runs])


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), budget=st.one_of(st.none(), st.integers(1, 6)))
def test_choices_are_of_the_pool_within_the_budget_and_the_best_of_what_was_asked_for(seed, budget):
    frames, val = world(seed)
    pool = pool_of(frames)
    for name, strategy in STRATEGIES.items():
        found = played(name, pool, val, budget)
        if found is None:
            continue
        choice, asked = found
        adapted = set(pool.runs.loc[asked, "filename"])
        assert len(asked) == len(set(asked)), name
        assert len(adapted) <= strategy.budget(pool, budget) <= max(1, len(pool.checkpoints)), name
        assert choice.why, name
        assert choice.filename is None or choice.filename in pool.checkpoints.index, name
        if choice.run is None:
            assert val[asked].isna().all(), name
        else:
            assert choice.run in asked, name
            assert choice.filename == pool.runs.at[choice.run, "filename"], name
            assert val[choice.run] == val[asked].max(), name


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_order_of_rows_and_of_answers_changes_nothing(seed):
    frames, val = world(seed)
    rng = random.Random(seed)
    pool = pool_of(frames)
    mixed = pool_of([frame.sample(frac=1, random_state=rng.randrange(1000)).reset_index(drop=True) for frame in frames])
    for name, strategy in STRATEGIES.items():
        first = played(name, pool, val)
        assert played(name, mixed, val) == first, name
        if first is None:
            continue
        # A sweep tells of runs as they end, one after the other, and again after a restart.
        driver = Driver(strategy, pool)
        while driver.choice is None:
            run = rng.choice(driver.wanted)
            driver.tell(pd.Series({run: val[run], "not asked for": 1.0}))
            driver.tell(pd.Series({run: 0.0}))
        assert (driver.choice, driver.asked) == first, name


@EVERY
def test_strategies_cannot_spoil_the_pool_of_others(name):
    frames, val = example()
    pool = pool_of(frames)
    before = pool.copy()
    played(name, pool, val)
    for frame in ("checkpoints", "runs", "scores", "history"):
        pd.testing.assert_frame_equal(getattr(pool, frame), getattr(before, frame))


@EVERY
def test_a_pool_of_nothing_a_checkpoint_without_runs_and_runs_that_all_diverge(name):
    frames, val = example()
    nothing = pool_of([frame.iloc[:0] for frame in frames])
    found = played(name, nothing, val)
    assert found is None or (found[0].filename, found[0].run, found[1]) == (None, None, [])
    runless = pool_of([frames[0], frames[1].iloc[:0], *frames[2:]])
    assert played(name, runless, val)[0].run is None
    choice, asked = played(name, pool_of(frames), val * np.nan)
    assert choice.run is None
    assert asked


@EVERY
def test_a_strategy_says_what_it_is_and_needs(name):
    strategy = find(name)
    assert strategy.name == name
    assert strategy.about
    assert strategy.ranks == (strategy.rank is not None)
    assert set(strategy.needs) <= {*SCORES, "final_val", "params", "history"}
    frames, _ = example()
    pool = pool_of(frames)
    assert strategy.lacks(pool) == []
    if strategy.rank is not None:
        ranks = strategy.rank(pool)
        assert list(ranks.index) == list(pool.checkpoints.index)
        assert ranks.dtype == "float64"


def example():
    """Four checkpoints with everything that any strategy needs."""
    rng = random.Random(0)
    names = ["a", "b", "c", "d"]
    checkpoints = pd.DataFrame(
        [{"filename": n, "name": "ViT-mu", "ds": "mnist5k", "final_val": rng.random(), "params": rng.random()} for n in names]
    )
    runs = pd.DataFrame(
        [
            {"adapt_filename": f"{n}-{lr}-{steps}", "filename": n, "adapt_lr": lr, "adapt_steps": steps, "flops": float(steps)}
            for n in names
            for lr in (0.1, 0.2)
            for steps in (100, 400)
        ]
    )
    scores = pd.DataFrame([{"filename": n, **{s: rng.random() for s in SCORES}} for n in names])
    history = pd.DataFrame(
        [{"filename": n, "adapt_ds": "pets", "adapt_group": "natural", "score": rng.random()} for n in names]
    )
    return (checkpoints, runs, scores, history), pd.Series({r: rng.random() for r in runs["adapt_filename"]})


def test_an_unknown_strategy_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="no strategy 'upstream_bst'; did you mean 'upstream_best'"):
        find("upstream_bst")


def test_the_strategies_are_these():
    assert list(STRATEGIES) == [
        *("upstream_best", "adapt_all", "random_k", "size", "static", "per_group", "linear_probe", "knn", "ridge"),
        *("logme", "h_score", "leep", "nleep", "parc", "transrate", "hybrid", "halving", "thrifty"),
    ]
