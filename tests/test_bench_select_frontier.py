"""Frontiers and power laws, against brute force, NumPy's polyfit and the published curve; pairs of equal compute."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.select import published_scaling
from bench.select.equal_compute import pairs
from bench.select.frontier import frontier, power_law

NFNET = published_scaling.nfnet()


def runs(compute, loss, **more):
    return pd.DataFrame({"compute": compute, "loss": loss, **more})


# The frontier.


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=12))
def test_the_frontier_is_what_nothing_as_cheap_beats_or_equals(cells):
    frame = runs(*map(list, zip(*cells, strict=True)))
    found = frontier(frame)

    def beaten(i):
        (c, low), others = cells[i], [(k, *cells[k]) for k in range(len(cells)) if k != i]
        return any((cj <= c and lj < low) or (cj < c and lj == low) or ((cj, lj) == (c, low) and k < i) for k, cj, lj in others)

    assert sorted(found.index) == [i for i in range(len(cells)) if not beaten(i)]
    assert (np.diff(found["loss"]) < 0).all()
    assert (np.diff(found["compute"]) > 0).all()


def test_the_frontier_keeps_the_other_columns():
    frame = runs([3.0, 1.0, 2.0], [1.0, 3.0, 4.0], model=["c", "a", "b"])
    assert frontier(frame)["model"].tolist() == ["a", "c"]


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (runs([1.0, 2.0], [1.0, 0.0]), "'loss' holds 0: a power law needs"),
        (runs([1.0, math.nan], [1.0, 1.0]), "'compute' holds nan"),
        (runs([1.0, math.inf], [1.0, 1.0]), "'compute' holds inf"),
        (runs([], []), "no rows"),
        (pd.DataFrame({"compute": [1.0]}), "no column 'loss'"),
    ],
)
def test_what_has_no_logarithm_is_refused(frame, match):
    with pytest.raises(UserError, match=match):
        frontier(frame)
    with pytest.raises(UserError, match=match):
        power_law(frame)


# Power laws.


@settings(deadline=None, max_examples=30)
@given(st.floats(-2, -0.01), st.floats(0.1, 100), st.floats(-6, 12))
def test_an_exact_law_is_found_whatever_lies_above_it(exponent, prefactor, start):
    compute = np.geomspace(1, 1000, 9) * 10**start
    law = prefactor * compute**exponent
    found = power_law(runs(np.concatenate([compute, compute]), np.concatenate([law, 1.5 * law])), draws=50)
    assert found.points == 9
    assert found.exponent.value == pytest.approx(exponent, rel=1e-6)
    assert found.prefactor.value == pytest.approx(prefactor, rel=1e-5)
    assert found.rms < 1e-6
    np.testing.assert_allclose(found.at(compute), law, rtol=1e-6)
    assert found.exponent.low <= found.exponent.high


def test_a_line_needs_three_points_and_an_interval_six():
    with pytest.raises(UserError, match="2 of 3 runs are on the frontier"):
        power_law(runs([1.0, 2.0, 3.0], [3.0, 2.0, 2.5]))
    five = power_law(runs([1.0, 2.0, 4.0, 8.0, 16.0], [3.0, 2.5, 2.4, 2.0, 1.9]))
    assert not five.exponent.known
    assert math.isnan(five.prefactor.high)
    assert five.exponent.text(".2f") == f"{five.exponent.value:.2f}"
    six = power_law(runs([1.0, 2.0, 4.0, 8.0, 16.0, 32.0], [3.0, 2.5, 2.4, 2.0, 1.9, 1.6]))
    assert six.exponent.known
    assert six.exponent.text(".2f") == f"{six.exponent.value:.2f} [{six.exponent.low:.2f}, {six.exponent.high:.2f}]"


def test_a_column_that_does_not_change_is_no_number_of_epochs_at_which_it_is_one():
    frame = runs(2.0 ** np.arange(7), 1 / (1.0 + np.arange(7)), epochs=2.0)
    law = power_law(frame, "epochs", draws=20)
    assert law.exponent.value == pytest.approx(0, abs=1e-12)
    assert law.prefactor.value == pytest.approx(2)
    assert not np.isfinite(law.one.value) or law.one.value > 1e100 or law.one.value < 1e-100


def test_the_interval_is_the_bootstrap_of_frontiers_done_one_by_one():
    rng = np.random.default_rng(3)
    compute = rng.uniform(1, 100, 14)
    loss = 3 * compute**-0.2 * np.exp(rng.normal(0, 0.05, 14))
    found = power_law(runs(compute, loss), draws=300, seed=7)
    order = np.argsort(compute)
    x, y = np.log(compute[order]), np.log(loss[order])
    counts = np.random.default_rng(7).multinomial(14, np.full(14, 1 / 14), 300)
    slopes = []
    for count in counts:
        lowest, on = math.inf, []
        for i in np.flatnonzero(count):
            if y[i] < lowest:
                lowest = y[i]
                on.append(i)
        if len(on) > 1:
            slopes.append(np.polyfit(x[on], y[on], 1, w=np.sqrt(count[on]))[0])
    low, high = np.quantile(slopes, [0.025, 0.975])
    assert (found.exponent.low, found.exponent.high) == pytest.approx((low, high), rel=1e-9)


def test_the_blocks_of_the_bootstrap_change_nothing(monkeypatch):
    whole = power_law(NFNET, draws=500)
    monkeypatch.setattr("bench.select.frontier._BLOCK", 36 * 64)
    blocks = power_law(NFNET, draws=500)
    # Numbers are drawn in the same order, block by block.
    assert blocks == whole


# The published curve.


def test_the_published_frontier_is_the_one_that_an_independent_fit_found():
    best = frontier(NFNET)
    slope, intercept = np.polyfit(np.log(best["compute"]), np.log(best["loss"]), 1)
    law = power_law(NFNET)
    assert law.exponent.value == pytest.approx(slope, rel=1e-9)
    assert law.prefactor.value == pytest.approx(math.exp(intercept), rel=1e-9)
    # L = 3.85 C^-0.043 with C in core-hours; the file counts thousands.
    assert round(law.prefactor.value, 2) == 3.85
    assert round(law.exponent.value, 3) == -0.043
    assert round(law.rms, 3) == 0.007
    assert (law.points, len(NFNET)) == (23, 36)
    assert NFNET["compute"].min() == pytest.approx(400)
    assert -0.046 < law.exponent.low < -0.0435 < -0.0425 < law.exponent.high < -0.040
    assert 3.7 < law.prefactor.low < 3.85 < law.prefactor.high < 4.0


def test_more_than_one_epoch_is_best_above_five_thousand_core_hours():
    epochs, size = power_law(NFNET, "epochs"), power_law(NFNET, "size")
    assert epochs.one.low < 5_000 < epochs.one.high
    assert epochs.one.value == pytest.approx(4_819, abs=1)
    # Compute is size times epochs, so that their exponents add up to 1; their intervals do not hold a half.
    assert epochs.exponent.value + size.exponent.value == pytest.approx(1, abs=1e-9)
    assert size.exponent.high < 0.5 < epochs.exponent.low


# Pairs of equal compute.


def test_the_published_pairs_in_which_the_higher_loss_fine_tunes_better():
    found = pairs(NFNET)
    assert len(found) == 9
    wrong = found[found["reversed"]]
    assert wrong["larger"].all()
    assert (wrong["epochs_other"] < wrong["epochs"]).all()
    assert not found.loc[~found["larger"], "reversed"].any()
    said = {
        (r["model"], r["epochs"], r["model_other"], r["epochs_other"]): round(100 * r["gain"], 2) for _, r in wrong.iterrows()
    }
    assert said[("NFNet-F3", 4.0, "NFNet-F7", 2.0)] == 0.11
    assert said[("NFNet-F3+", 8.0, "NFNet-F7+", 4.0)] == 0.22
    assert len(said) == 4


def test_pairs_are_of_two_models_at_nearly_the_same_compute():
    frame = runs(
        [100.0, 109.0, 111.0, 100.0, 100.0],
        [2.0, 1.9, 1.8, 1.0, 1.5],
        model=["a", "b", "c", "a", "d"],
        epochs=[1.0, 2.0, 3.0, 4.0, 5.0],
        size=[100.0, 54.5, 37.0, 25.0, 20.0],
        accuracy=[0.8, 0.7, 0.9, 0.6, math.nan],
    )
    found = pairs(frame)
    # 111 is more than a tenth above 100; the run of d was not fine-tuned; a's two runs are one model.
    assert [tuple(r) for r in found[["model", "epochs", "model_other", "epochs_other"]].to_numpy()] == [
        ("a", 4.0, "b", 2.0),
        ("b", 2.0, "a", 1.0),
        ("c", 3.0, "b", 2.0),
    ]
    np.testing.assert_allclose(found["gain"], [0.1, 0.1, -0.2])
    assert found["reversed"].tolist() == [True, True, False]
    assert found["larger"].tolist() == [True, True, True]
    assert pairs(frame, nearly=0.0).empty
    worse = frame.iloc[[1]].assign(loss=1.95, accuracy=0.99)
    pd.testing.assert_frame_equal(pairs(pd.concat([worse, frame])), found)


def test_a_table_of_runs_without_accuracies_has_no_pairs():
    assert pairs(NFNET.assign(accuracy=math.nan)).empty
    with pytest.raises(UserError, match="no column 'accuracy'"):
        pairs(NFNET.drop(columns="accuracy"))


# What was published.


def test_the_published_files_are_whole():
    assert len(NFNET) == 36
    assert int(NFNET["accuracy"].notna().sum()) == 25
    rates = published_scaling.nfnet_rates()
    assert rates[rates["model"] == "NFNet-F7+"]["lr"].tolist() == [1.6, 1.6, 1.6, 0.8, 0.4, 0.4]
    points = published_scaling.references().set_index("model")
    assert points.loc["ViT-G/14", ["compute", "accuracy"]].tolist() == pytest.approx([280_000, 0.9045])
    nets = published_scaling.efficientnetv2().set_index(["model", "ds"])
    assert nets.loc[("EfficientNetV2-XL", "i21k"), "hours"] == 45
    assert nets["checked"].sum() == 1
    coat = published_scaling.coatnet()
    assert len(coat) == 26
    best = coat.groupby("ds")["accuracy"].max()
    assert best.to_dict() == pytest.approx({"i1k": 0.86, "i21k": 0.8856, "jft300m": 0.8977, "jft3b": 0.9088})


@pytest.mark.parametrize("load", ["nfnet", "nfnet_rates", "references", "efficientnetv2", "coatnet"])
def test_a_missing_file_is_said(tmp_path: Path, load):
    with pytest.raises(UserError, match=r"\.csv: no published numbers"):
        getattr(published_scaling, load)(tmp_path)
