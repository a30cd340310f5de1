"""Effects and what is said of them, against closed forms, NumPy and scikit-learn."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LinearRegression

from bench.findings.effects import Effect, judged, paired, slopes
from bench.findings.finding import CONTRADICTED, NOT_SEPARABLE, SUPPORTED, Untestable
from bench.findings.runs import images, nested, short
from bench.findings.text import effect, for_people
from bench.findings.verdicts import COLUMNS
from bench.select.gap import gap
from bench.select.intervals import Interval


def pairs(models, tasks, a, b, **more):
    return pd.DataFrame({"model": models, "task": tasks, "a": a, "b": b, **more})


def test_six_tasks_are_resampled_before_six_models():
    cells = [(f"m{i}", f"t{j}", 0.5 + 0.01 * i, 0.4 + 0.01 * j) for i in range(6) for j in range(6)]
    frame = pd.DataFrame(cells, columns=["model", "task", "a", "b"])
    found = paired(frame)
    assert (found.over, found.runs) == ("6 tasks", 72)
    assert found.interval.estimate == pytest.approx(0.1, abs=1e-12)
    assert paired(frame[frame["task"] < "t5"]).over == "6 models"
    assert paired(frame, general=False).over == "36 comparisons"


def test_over_models_the_interval_is_about_students():
    """The bootstrap's percentiles are moved outwards until they are Student's on normal values."""
    values = stats.norm.ppf((np.arange(12) + 0.5) / 12) * 0.01 + 0.02
    found = paired(pairs([f"m{i}" for i in range(12)], "t", values + 0.5, 0.5)).interval
    half = stats.t.ppf(0.975, 11) * values.std(ddof=1) / math.sqrt(12)
    assert found.estimate == pytest.approx(values.mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_few_models_are_judged_by_their_images():
    found = paired(pairs(["m"], ["t"], [0.8], [0.78], n_a=[50_000], n_b=[50_000]))
    expected = gap(0.8, 50_000, 0.78, 50_000)
    assert found.over == "the images of 1 comparison"
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high), abs=2e-4)


def test_without_images_few_models_have_no_interval():
    found = paired(pairs(["m", "n"], "t", [0.8, 0.7], [0.7, 0.7]))
    assert found.interval.estimate == pytest.approx(0.05)
    assert not found.interval.known
    assert judged(found, "x").verdict == NOT_SEPARABLE
    assert "2 comparisons are too few to say" in judged(found, "x").why


def test_no_pairs_cannot_be_judged():
    with pytest.raises(Untestable, match="no two runs compare"):
        paired(pairs([], [], [], []))


@given(st.floats(-0.5, 0.5), st.floats(0, 0.2), st.floats(0, 0.2), st.sampled_from([-0.01, 0.0, 0.01]))
def test_a_verdict_is_where_the_interval_lies(estimate, below, above, bar):
    interval = Interval(estimate, estimate - below, estimate + above, 10)
    found = judged(Effect(interval, "10 models", 20), "what it is", bar)
    expected = SUPPORTED if interval.low > bar else CONTRADICTED if interval.high < bar else NOT_SEPARABLE
    assert found.verdict == expected
    assert (found.effect, found.low, found.high) == tuple(100 * v for v in (estimate, interval.low, interval.high))
    assert found.why.startswith("what it is: ")


def test_models_that_do_not_differ_say_nothing():
    a = [0.9, 0.9, *[0.5] * 7]
    found = judged(paired(pairs([f"m{i}" for i in range(9)], "t", a, 0.5)), "x")
    assert found.verdict == NOT_SEPARABLE
    # Six models must differ before an effect of any size is told from none.
    interval = Interval(0.1, 0.05, 0.15, 9, telling=2)
    assert "only 2 of 9 models differ" in judged(Effect(interval, "9 models", 18), "x").why


def test_slopes_are_those_of_least_squares():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2))
    y = 1 + x @ [2.0, -3.0] + rng.normal(size=20)
    found = slopes(y, x[:, 0], x[:, 1])
    assert [s.value for s in found] == pytest.approx(LinearRegression().fit(x, y).coef_.tolist(), abs=1e-10)
    one, reference = slopes(y, x[:, 0])[0], stats.linregress(x[:, 0], y)
    half = stats.t.ppf(0.975, 18) * reference.stderr
    assert (one.value, one.low, one.high) == pytest.approx(
        (reference.slope, reference.slope - half, reference.slope + half), abs=1e-10
    )


def test_two_points_have_a_slope_and_no_interval():
    [found] = slopes([1.0, 3.0], [0.0, 1.0])
    assert found.value == pytest.approx(2.0)
    assert math.isnan(found.low)
    assert str(found) == "+2.00"


def test_influences_that_never_vary_alone_are_not_told_apart():
    with pytest.raises(Untestable, match="do not tell the influences apart"):
        slopes([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [2.0, 4.0, 6.0])


# Upstream sets.


def test_sets_that_climb_and_fractions_of_one_set_are_nested():
    sets = ["i21k", "i1k", "i21k_30", "i1k_10pct", "cifar100", "mnist5k"]
    assert nested(sets, 5) == [("i1k_10pct", "i1k"), ("i1k", "i21k")]
    assert nested(sets, 10.1, 15) == [("i1k", "i21k")]
    assert nested(["cifar100", "cifar100_30pct", "i1k"], 3) == [("cifar100_30pct", "cifar100")]
    assert [short(s) for s in sets] == [False, False, True, False, False, False]
    assert (images("i1k_1pct"), images("i21k_30"), images("cifar100")) == (1.28e4, 1.3e7, 49_000)
    assert math.isnan(images("my_birds"))


# Text.


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ((2.963, 2.444, 3.444, "points"), "+2.96 [+2.44, +3.44] points"),
        ((-0.04304, -0.045, -0.0414, "exponent"), "-0.043 [-0.045, -0.041] exponent"),
        ((1.0, math.nan, math.nan, "points"), "+1.00 points"),
        ((math.nan, math.nan, math.nan, ""), ""),
    ],
)
def test_an_effect_is_shown_with_its_interval_and_unit(cells, text):
    assert effect(*cells) == text


def test_people_see_what_it_was_tested_on_where_that_differs():
    row = dict.fromkeys(COLUMNS, "x") | {"effect": 1.0, "low": 0.5, "high": 1.5, "unit": "points", "runs": 1_234}
    frame = pd.DataFrame([row | {"evidence": "table"}, row | {"evidence": "published", "runs": 0}], columns=list(COLUMNS))
    shown = for_people(frame.astype(COLUMNS))
    assert shown["tested on"].tolist() == ["table", "published"]
    assert shown["runs"].tolist() == ["1,234", ""]
    assert "tested on" not in for_people(frame.astype(COLUMNS).head(1))
