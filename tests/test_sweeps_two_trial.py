"""The two-trial tuner: on the paper's table, on made surfaces, under noise, by plain Optuna."""

import csv
import dataclasses
import math
import random
from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from searching import FIXED, Folder, result

from bench.errors import UserError
from sweeps.search import Choice, Float, Search
from sweeps.search.proposals import optima
from sweeps.search.two_trial import TwoTrialSampler

PUBLISHED = Path(__file__).parents[1] / "results" / "published" / "nfnet_best_lr.csv"
with PUBLISHED.open() as file:
    PAPER = {(r["model"], float(r["epochs"])): float(r["best_lr"]) for r in csv.DictReader(file)}
SIZES, EPOCHS = ["F0", "F3", "F7+"], [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
LOW, HIGH = 0.025, 102.4


def sampler(sizes=SIZES, epochs=EPOCHS, start=1.6, low=LOW, high=HIGH):
    axes = {"size": Choice(sizes), "epochs": Choice(epochs), "lr": Float(low, high, log=True)}
    return TwoTrialSampler(axes, start)


def space(sizes=SIZES, epochs=EPOCHS, low=LOW, high=HIGH):
    """Returns the axes as plain Optuna has them."""
    lr = FloatDistribution(low, high, log=True)
    return {"size": CategoricalDistribution(sizes), "epochs": CategoricalDistribution(epochs), "lr": lr}


SPACE = space()


def loss(best, lr):
    """Returns a loss with its only minimum, 2.5, at `best`: 0.05 more a factor of 2, whichever way."""
    return 2.5 + 0.05 * abs(math.log2(lr / best))


def tune(tuner, oracle, axes=SPACE):
    """Returns the study after the tuner had what it asked for, one trial after the other, and what it asked for by cell."""
    study, asked = optuna.create_study(sampler=tuner), {}
    while tuner.ready(study):
        trial = study.ask(axes)
        cell = trial.params["size"], trial.params["epochs"]
        asked.setdefault(cell, []).append(trial.params["lr"])
        study.tell(trial, oracle(cell, trial.params["lr"]))
    assert tuner.exhausted(study)
    return study, asked


def test_the_published_table_is_whole_and_falls():
    assert sorted(PAPER) == [(size, epochs) for size in SIZES for epochs in EPOCHS]
    assert set(PAPER.values()) == {0.4, 0.8, 1.6}
    assert 0.1 * 4096 / 256 == 1.6


def test_the_papers_optimum_of_every_model_and_budget_is_found_in_two_trials_each():
    tuner = sampler()
    study, asked = tune(tuner, lambda cell, lr: loss(PAPER[cell], lr))
    assert tuner.best(study) == pytest.approx(PAPER, rel=1e-12)
    assert sorted(asked.pop(("F0", 0.25))) == [0.8, 1.6, 3.2]
    assert len(asked) == 17
    assert {len(rates) for rates in asked.values()} == {2}


def test_a_cell_is_tried_at_its_neighbours_rate_and_at_half_of_it():
    _, asked = tune(sampler(), lambda cell, lr: loss(PAPER[cell], lr))
    for (size, epochs), rates in asked.items():
        i, j = SIZES.index(size), EPOCHS.index(epochs)
        near = [PAPER[SIZES[a], EPOCHS[b]] for a, b in ((i - 1, j), (i, j - 1)) if min(a, b) >= 0]
        assert not near or sorted(rates) == pytest.approx([min(near) / 2, min(near)])


@pytest.mark.parametrize("start", [0.1, 0.4, 6.4, 25.6])
def test_the_first_cell_is_climbed_to_from_anywhere(start):
    tuner = sampler(start=start)
    study, asked = tune(tuner, lambda cell, lr: loss(PAPER[cell], lr))
    assert tuner.best(study) == pytest.approx(PAPER, rel=1e-12)
    assert len(asked.pop(("F0", 0.25))) == 3 + abs(round(math.log2(start / 1.6)))
    assert {len(rates) for rates in asked.values()} == {2}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_surface_that_falls_slowly_is_tuned_in_two_trials_a_cell_also_under_noise(data):
    """Noise of up to 40% of what a factor of two costs, drawn anew for every trial."""
    sizes, epochs = list(range(data.draw(st.integers(1, 5)))), list(range(data.draw(st.integers(1, 5))))
    exponents = {}
    for i in sizes:
        for j in epochs:
            near = [exponents[c] for c in ((i - 1, j), (i, j - 1)) if c in exponents]
            exponents[i, j] = min(near) - data.draw(st.integers(0, 1)) if near else data.draw(st.integers(-3, 3))
    best = {cell: 2.0**n for cell, n in exponents.items()}
    noise = st.floats(-0.02, 0.02)
    bounds = 2.0**-20, 2.0**20
    tuner = sampler(sizes, epochs, 1.0, *bounds)
    study, asked = tune(
        tuner,
        lambda cell, lr: loss(best[cell], lr) + data.draw(noise),
        space(sizes, epochs, *bounds),
    )
    assert tuner.best(study) == best
    assert all(len(rates) <= 2 for cell, rates in asked.items() if cell != (0, 0))


def test_a_wrong_turn_under_strong_noise_stays_within_two_trials_and_a_falling_table():
    worst = 0
    for seed in range(20):
        tuner, noise = sampler(), random.Random(seed)
        study, asked = tune(tuner, lambda cell, lr, noise=noise: loss(PAPER[cell], lr) + noise.gauss(0, 0.02))
        found = tuner.best(study)
        assert all(len(rates) == 2 for cell, rates in asked.items() if cell != ("F0", 0.25))
        for (size, epochs), rate in found.items():
            i, j = SIZES.index(size), EPOCHS.index(epochs)
            assert all(rate <= found[SIZES[a], EPOCHS[b]] for a, b in ((i - 1, j), (i, j - 1)) if min(a, b) >= 0)
        worst = max(worst, max(abs(math.log2(found[c] / PAPER[c])) for c in PAPER))
    assert 0 < worst <= 2  # it goes wrong sometimes, and never by more than a factor of 4


def test_plain_optuna_runs_it_to_its_end():
    study = optuna.create_study(sampler=sampler())

    def objective(trial):
        params = {"size": trial.suggest_categorical("size", SIZES), "epochs": trial.suggest_categorical("epochs", EPOCHS)}
        params["lr"] = trial.suggest_float("lr", LOW, HIGH, log=True)
        return loss(PAPER[params["size"], params["epochs"]], params["lr"])

    study.optimize(objective, n_trials=1000)
    assert len(study.trials) == 3 + 2 * 17
    assert study.sampler.best(study) == pytest.approx(PAPER)


def test_without_a_result_that_is_needed_there_is_nothing_to_propose():
    tuner = sampler()
    study = optuna.create_study(sampler=tuner)
    trials = [study.ask(SPACE) for _ in range(3)]
    assert [t.params["lr"] for t in trials] == [1.6, 0.8, 3.2]
    assert not tuner.ready(study)
    assert not tuner.exhausted(study)
    with pytest.raises(RuntimeError, match="ask `ready` first"):
        study.ask(SPACE)


def test_rates_that_fail_are_too_high():
    tuner = sampler()

    def oracle(cell, lr):
        return loss(0.1, lr) if lr < 0.15 or cell == ("F0", 0.25) else None

    study = optuna.create_study(sampler=tuner)
    while tuner.ready(study):
        trial = study.ask(SPACE)
        value = oracle((trial.params["size"], trial.params["epochs"]), trial.params["lr"])
        study.tell(trial, value, state=TrialState.FAIL if value is None else TrialState.COMPLETE)
    found = tuner.best(study)
    assert found["F0", 0.25] == pytest.approx(0.1)
    assert found["F7+", 8.0] <= 0.1


def test_rates_stay_within_the_axis():
    tuner = sampler(low=0.8, high=1.6)
    study, asked = tune(tuner, lambda _, lr: loss(0.1, lr), space(low=0.8, high=1.6))
    assert {lr for rates in asked.values() for lr in rates} == {0.8, 1.6}
    assert set(tuner.best(study).values()) == {0.8}


SEARCH = Search(
    sampler="two-trial",
    trials=40,
    axes={
        "model": Choice(["NFNet-mu", "NFNet-F0", "NFNet-F1"]),
        "epochs": Choice([1.0, 2.0, 4.0]),
        "lr": Float(0.01, 10.0, log=True),
    },
    fixed={k: v for k, v in FIXED.items() if k not in ("model", "epochs")} | {"do": 0.0},
    first=({"lr": 0.2},),
)
BEST = dict(
    zip(
        [(m, e) for m in SEARCH.axes["model"].values for e in (1.0, 2.0, 4.0)],
        [0.4, 0.4, 0.2] * 2 + [0.2, 0.2, 0.1],
        strict=True,
    )
)


@pytest.mark.parametrize("workers", [1, 8])
def test_as_a_search_it_waits_for_what_it_needs_and_ends_early(tmp_path, workers):
    folder = Folder(tmp_path, SEARCH)
    running, proposals, most = [], folder.open(), 0
    while not proposals.exhausted or running:
        while len(running) < workers and (config := proposals.next()) is not None:
            running.append(config)
        most = max(most, len(running))
        config = running.pop()
        proposals.tell(folder.train(config, value=1 - 0.1 * abs(math.log2(config.lr / BEST[config.model, config.epochs]))))
        if len(folder.trained) % 5 == 0:
            proposals = folder.open()
            running = []
    assert dict(optima(proposals)) == pytest.approx(BEST)
    assert proposals.total == len(folder.trained) == 4 + 2 * 8
    assert (most > 1) == (workers > 1)


def test_as_a_search_it_says_what_it_needs(tmp_path):
    for change in ({"first": ()}, {"axes": {"lr": SEARCH.axes["lr"]}}, {"axes": {**SEARCH.axes, "lr": Choice([0.1])}}):
        with pytest.raises(UserError, match="takes three axes, choices of models"):
            Folder(tmp_path, dataclasses.replace(SEARCH, **change)).open()
    with pytest.raises(UserError, match="takes no pruner"):
        Folder(tmp_path, SEARCH, pruner="median").open()


def test_a_result_is_only_seen_of_what_was_asked(tmp_path):
    """The oracle of the tests above is the truth; the tuner's decisions must follow from told values alone."""
    folder = Folder(tmp_path, SEARCH)
    proposals = folder.open()
    while (config := proposals.next()) is not None:
        proposals.tell(result(config, value=0.5))  # a flat surface: of equals the one to begin with
    assert set(dict(optima(proposals)).values()) == {0.2}
    assert proposals.total == 3 + 2 * 8
