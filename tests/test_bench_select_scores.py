"""What holds of every score; and the features that they are computed from."""

import dataclasses
import math

import numpy as np
import pytest
from feature_sets import made, of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.select.scores import SCORES, Scored, score_all

TRAIN = ("logme", "h_score", "h_score_regularized", "leep", "nleep", "parc", "transrate")
HELD_OUT = ("linear_probe", "knn", "ridge_1", "ridge_5", "ridge_10", "ridge_25")
RNG = np.random.default_rng(1)
CASES = {
    "ordinary": made(),
    "fewer images than features": made(n=12, d=30),
    "as many images as features": made(n=12, d=12),
    "two classes": made(classes=2),
    "an absent class": made(n=5, classes=8),
    "a class with one image": made(labels=[0] * 20 + [1] * 20 + [2]),
    "a class of its own for every image": made(labels=[2, 0, 1]),
    "one class": made(labels=[1] * 20),
    "one image": made(labels=[1]),
    "two images": made(labels=[1, 0]),
    "one feature": made(d=1),
    "features of zeros": of(np.zeros((20, 4)), np.arange(20) % 3, np.full((20, 2), 0.5)),
    "constant features": of(np.full((20, 4), 0.1), np.arange(20) % 3, np.full((20, 2), 0.5)),
    "constant features, fewer images": of(np.full((7, 40), 0.1), np.arange(7) % 3),
    "duplicate rows": of(np.repeat(RNG.standard_normal((4, 6)), 8, axis=0), np.arange(32) // 8),
    "duplicate rows that disagree": of(np.repeat(RNG.standard_normal((4, 6)), 8, axis=0), np.arange(32) % 3),
    "duplicate columns": of(np.tile(RNG.standard_normal((30, 2)), 4), np.arange(30) % 2),
    "labels that the features are": of(np.eye(3)[np.arange(30) % 3], np.arange(30) % 3, np.eye(3)[np.arange(30) % 3]),
    "tiny": of(1e-20 * RNG.standard_normal((30, 5)), np.arange(30) % 3),
    "huge": of(1e30 * RNG.standard_normal((30, 5)), np.arange(30) % 3),
    "far off the origin": of(1e4 + RNG.standard_normal((30, 5)), np.arange(30) % 3),
}
UNDEFINED = {
    "a class of its own for every image": {"parc": "every training image is of a class of its own"},
    "one class": {"logme": "all training images are of one class", "parc": "all training images are of one class"},
    "one image": {"logme": "all training images are of one class", "parc": "all training images are of one class"},
    "two images": {"parc": "every training image is of a class of its own"},
    "one feature": {"parc": "all training images are equally far apart"},
    "features of zeros": {"parc": "all training images are equally far apart"},
    "constant features": {"parc": "all training images are equally far apart"},
    "constant features, fewer images": {"parc": "all training images are equally far apart"},
}


def values(features, names=None):
    return {(s.score, s.split): s.value for s in score_all(features, names)[0]}


def test_the_scores_are_these():
    assert tuple(SCORES) == (*TRAIN, *HELD_OUT)
    assert all(name == score.name and score.about and score.source for name, score in SCORES.items())
    assert [name for name, score in SCORES.items() if score.split_kind == "train"] == list(TRAIN)
    assert [name for name, score in SCORES.items() if score.needs_head] == ["leep"]


def test_every_score_says_its_splits_and_how_many_images_they_have():
    scored, reasons = score_all(made(n=50, held_out=20))
    assert reasons == []
    assert [(s.score, s.split, s.n) for s in scored] == [
        *((name, "train", 50) for name in TRAIN),
        *((name, split, n) for name in HELD_OUT for split, n in (("val", 20), ("test", 21))),
    ]
    assert all(type(s.value) is float for s in scored)


@pytest.mark.parametrize("case", CASES)
def test_a_score_is_a_number_or_a_reason(case):
    scored, reasons = score_all(CASES[case])
    assert all(math.isfinite(s.value) for s in scored)
    expected = UNDEFINED.get(case, {})
    assert [reason.split(": ")[0] for reason in reasons] == list(expected)
    for reason, (name, why) in zip(reasons, expected.items(), strict=True):
        assert reason.startswith(f"{name}: {why}")
    headless = {"leep"} if CASES[case].train_p is None else set()
    assert {s.score for s in scored} == set(SCORES) - set(expected) - headless
    by_name = {(s.score, s.split): s.value for s in scored}
    assert all(0 <= by_name[name, split] <= 1 for name in HELD_OUT for split in ("val", "test"))
    assert all(by_name.get((name, "train"), 0) <= 1e-12 for name in ("leep", "nleep"))
    assert all(by_name[name, "train"] >= 0 for name in ("h_score", "h_score_regularized", "transrate"))
    assert by_name["h_score", "train"] <= len(CASES[case].present) - 1 + 1e-9
    assert -1 <= by_name.get(("parc", "train"), 0) <= 1


def test_with_one_class_there_is_nothing_to_tell():
    found = values(CASES["one class"])
    for name in ("h_score", "h_score_regularized", "leep", "nleep", "transrate"):
        assert found[name, "train"] == pytest.approx(0, abs=1e-12)
    share = np.mean(CASES["one class"].val_y == 1)
    assert all(found[name, "val"] == pytest.approx(share) for name in HELD_OUT)


@pytest.mark.parametrize("case", ["features of zeros", "constant features"])
def test_constant_features_say_nothing(case):
    found = values(CASES[case])
    shares = np.array([7, 7, 6]) / 20
    assert found["nleep", "train"] == pytest.approx((shares * np.log(shares)).sum())
    assert found["leep", "train"] == pytest.approx((shares * np.log(shares)).sum())
    assert found["h_score", "train"] == found["h_score_regularized", "train"] == found["transrate", "train"] == 0
    # The most frequent class, the first of two.
    assert found["linear_probe", "val"] == found["linear_probe", "test"] == pytest.approx(7 / 20)


def test_better_features_have_higher_scores():
    good, bad = values(made(n=200, spread=0.3)), values(made(n=200, spread=3.0))
    assert all(good[key] > bad[key] for key in good if key[0] != "leep")


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(4, 25), st.integers(1, 12), st.sampled_from([1e-3, 7.0, 1e5]))
@example(11, 10, 11, 7.0)  # as many directions as images: every label is fitted exactly
def test_no_score_of_the_training_images_depends_on_the_scale_or_the_order_of_the_classes(seed, n, d, scale):
    features = made(n, d, seed=seed)
    order = np.random.default_rng(seed).permutation(features.classes)
    other = dataclasses.replace(features, train_x=features.train_x * scale, train_y=order[features.train_y])
    before, after = values(features, TRAIN), values(other, TRAIN)
    assert after == {key: pytest.approx(value, rel=1e-7, abs=1e-7) for key, value in before.items()}


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(4, 25), st.integers(2, 12))
def test_what_reads_inner_products_alone_survives_a_rotation(seed, n, d):
    features = made(n, d, seed=seed)
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))
    names = ["logme", "h_score", "h_score_regularized", "nleep", "transrate"]
    before = values(features, names)
    after = values(dataclasses.replace(features, train_x=features.train_x @ q), names)
    assert after == {key: pytest.approx(value, rel=1e-7, abs=1e-7) for key, value in before.items()}


def test_scores_are_the_same_again():
    assert score_all(made()) == score_all(made())


def test_the_seed_draws_the_shots():
    same = made(n=200, spread=3.0)
    assert values(same, ["ridge_1"]) != values(dataclasses.replace(same, seed=1), ["ridge_1"])


def test_test_labels_change_scores_on_test_alone():
    features = made()
    swapped = dataclasses.replace(features, test_y=features.test_y[::-1])
    before, after = values(features), values(swapped)
    assert {key for key in before if before[key] != after[key]} <= {(name, "test") for name in HELD_OUT}
    without = dataclasses.replace(features, test_x=features.test_x[:0], test_y=features.test_y[:0])
    assert values(without) == {key: value for key, value in before.items() if key[1] != "test"}


def test_parc_reads_a_thousand_images_at_most():
    [scored], reasons = score_all(made(n=1100), ["parc"])
    assert (scored.score, scored.split, scored.n) == ("parc", "train", 1000)
    assert reasons == []


def test_scores_are_asked_for_by_name():
    features = dataclasses.replace(made(), train_p=None)
    assert [s.score for s in score_all(features, ["h_score", "logme"])[0]] == ["h_score", "logme"]
    assert "leep" not in {s.score for s in score_all(features)[0]}
    assert score_all(features)[1] == []
    assert score_all(features, ["leep"]) == ([], ["leep: the checkpoint has no source head"])
    with pytest.raises(UserError, match=r"unknown score 'logmee': did you mean 'logme'\? valid: logme, h_score"):
        score_all(features, ["logmee"])


def test_what_is_no_number_is_a_reason(monkeypatch):
    for value in (math.nan, math.inf):
        broken = dataclasses.replace(SCORES["logme"], function=lambda _, value=value: {"train": value})
        monkeypatch.setitem(SCORES, "logme", broken)
        assert score_all(made(), ["logme"]) == ([], [f"logme: its value on train is {value}"])

    def fails(_):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setitem(SCORES, "logme", dataclasses.replace(SCORES["logme"], function=fails))
    assert score_all(made(), ["logme"])[1] == ["logme: linear algebra failed on these features (SVD did not converge)"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_x": np.zeros((3, 8))}, r"features of train: shapes \(3, 8\) and \(60,\) of features and labels do not fit"),
        ({"val_x": np.zeros((40, 7))}, r"features of val: shapes \(40, 7\) and \(40,\)"),
        ({"test_x": np.zeros(41)}, r"features of test: shapes \(41,\) and \(41,\)"),
        ({"val_x": np.zeros((0, 8)), "val_y": np.zeros(0)}, "features of val: there is no image"),
        ({"test_x": np.where(np.arange(41) == 5, np.nan, 0.0)[:, None] * np.ones(8)}, "features of test: image 5 has a value"),
        ({"classes": 2}, "features of train: labels from 0 to 2 are not within 0 to 1"),
        ({"train_p": np.full((60, 4), 0.5)}, r"source probabilities: row 0 is no distribution \(its sum is 2\)"),
        ({"train_p": np.array([[0.5, 0.5]] * 59 + [[1.5, -0.5]])}, r"source probabilities: row 59 is no distribution"),
        ({"train_p": np.full((60, 2), np.nan)}, "source probabilities: row 0 is no distribution"),
        ({"train_p": np.ones((59, 1))}, r"source probabilities: shape \(59, 1\) does not fit 60 training images"),
    ],
)
def test_features_that_do_not_fit_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(made(), **change)


def test_features_are_converted():
    features = made()
    single = dataclasses.replace(
        features,
        train_x=features.train_x.astype(np.float32),
        train_p=features.train_p.astype(np.float16),
        train_y=[*features.train_y],
    )
    assert (single.train_x.dtype, single.train_y.dtype, single.train_p.dtype) == (np.float64, np.int64, np.float64)
    np.testing.assert_allclose(single.train_p.sum(1), 1, rtol=1e-14)


def test_a_subset_keeps_the_shares_of_the_classes():
    features = made(labels=[0] * 600 + [1] * 300 + [2] * 100)
    some = features.at_most(100)
    assert np.bincount(some.train_y).tolist() == [60, 30, 10]
    place = {row.tobytes(): i for i, row in enumerate(features.train_x)}
    taken = [place[row.tobytes()] for row in some.train_x]
    assert taken == sorted(set(taken))
    np.testing.assert_array_equal(some.train_y, features.train_y[taken])
    np.testing.assert_allclose(some.train_p, features.train_p[taken], rtol=1e-14)
    assert features.at_most(1000) is features
    other = dataclasses.replace(features, seed=1).at_most(100)
    assert not np.array_equal(some.train_x, other.train_x)
    assert len(some.val_y) == len(features.val_y)


def test_scored_is_plain():
    assert dataclasses.astuple(Scored("logme", "train", 3, 0.5)) == ("logme", "train", 3, 0.5)
