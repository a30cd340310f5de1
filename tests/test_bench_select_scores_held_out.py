"""Accuracies of what is fitted on frozen features, against other ways to fit it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from feature_sets import made, of
from scipy import optimize, special
from sklearn.linear_model import Ridge

from bench.select.scores import score_all
from bench.select.scores.ridge import ridge


def measured(features, name):
    scored, reasons = score_all(features, [name])
    assert reasons == []
    return {s.split: s.value for s in scored}


# Few-shot ridge


def one_draw(features, shots, seed):
    """Returns (val, test) accuracy of big_vision's evaluator on its draw of this seed."""
    rng = np.random.default_rng(seed)
    index = np.concatenate([rng.permutation(np.where(features.train_y == c)[0])[:shots] for c in range(features.classes)])
    x, y = features.train_x[index], features.train_y[index]
    mean, deviation = x.mean(0), x.std(0) + 1e-5

    def prepared(x):
        return np.hstack([(x - mean) / deviation, np.full((len(x), 1), 100.0)])

    fitted = Ridge(alpha=1024, fit_intercept=False, solver="svd").fit(prepared(x), 2.0 * np.eye(features.classes)[y] - 1)
    splits = ((features.val_x, features.val_y), (features.test_x, features.test_y))
    return [np.mean(fitted.predict(prepared(x)).argmax(1) == y) for x, y in splits]


@pytest.mark.parametrize("shots", [1, 5, 10, 25])
@pytest.mark.parametrize("shape", [{"n": 200}, {"n": 60, "d": 150}, {"n": 30}, {"n": 200, "classes": 2, "seed": 3}])
def test_few_shot_ridge_is_big_visions(shape, shots):
    features = made(spread=2.0, held_out=200, **shape)
    seed = shape.get("seed", 0)
    val, test = np.mean([one_draw(features, shots, 3 * seed + draw) for draw in range(3)], axis=0)
    assert measured(features, f"ridge_{shots}") == {
        "val": pytest.approx(val, abs=1e-12),
        "test": pytest.approx(test, abs=1e-12),
    }


def test_both_gram_matrices_give_the_same_weights():
    rng = np.random.default_rng(0)
    for n, d in ((30, 7), (7, 30), (9, 9)):
        x, y = rng.standard_normal((n, d)), rng.standard_normal((n, 4))
        expected = Ridge(alpha=2.0, fit_intercept=False, solver="svd").fit(x, y).coef_.T
        np.testing.assert_allclose(ridge(x, y, 2.0), expected, rtol=1e-9, atol=1e-12)


# Linear probe


def logistic(x, y, classes, strength):
    """Returns (weights [D, K], biases [K]) that minimise strength * cross-entropy + |weights|^2 / 2."""
    one_hot = np.eye(classes)[y]

    def objective(flat):
        w, b = flat[: x.shape[1] * classes].reshape(x.shape[1], classes), flat[x.shape[1] * classes :]
        log_p = special.log_softmax(x @ w + b, axis=1)
        error = np.exp(log_p) - one_hot
        value = -strength * (log_p * one_hot).sum() + (w**2).sum() / 2
        return value, np.concatenate([(strength * x.T @ error + w).ravel(), strength * error.sum(0)])

    start = np.zeros((x.shape[1] + 1) * classes)
    flat = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "gtol": 1e-8}).x
    return flat[: x.shape[1] * classes].reshape(x.shape[1], classes), flat[x.shape[1] * classes :]


def probed(features):
    """Returns the accuracies of the probe whose strength is the best on val, and how near an image came to another label."""
    mean, deviation = features.train_x.mean(0), features.train_x.std(0)
    best, margin = (-1.0, 0.0), np.inf
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        w, b = logistic((features.train_x - mean) / deviation, features.train_y, features.classes, strength)
        accuracies = []
        for x, y in ((features.val_x, features.val_y), (features.test_x, features.test_y)):
            p = np.sort(special.softmax((x - mean) / deviation @ w + b, axis=1), axis=1)
            margin = min(margin, (p[:, -1] - p[:, -2]).min())
            accuracies.append(np.mean(((x - mean) / deviation @ w + b).argmax(1) == y))
        if accuracies[0] > best[0]:
            best = tuple(accuracies)
    return best, margin


@pytest.mark.parametrize("shape", [{"n": 120, "seed": 1}, {"n": 40, "d": 60, "seed": 2}, {"n": 200, "classes": 5, "seed": 3}])
def test_the_linear_probe_is_the_minimum_of_its_objective(shape):
    features = made(held_out=60, **shape)
    (val, test), margin = probed(features)
    assert margin > 1e-5
    assert measured(features, "linear_probe") == {"val": pytest.approx(val), "test": pytest.approx(test)}


def test_ties_on_val_go_to_the_stronger_penalty():
    features = made(n=120, held_out=200, seed=1)
    # One image, which all but the strongest penalties may get right, and whose penalty then decides 201 others.
    few = replace(features, val_x=features.val_x[:1], val_y=features.val_y[:1])
    (val, test), margin = probed(few)
    assert margin > 1e-5
    assert val == 1
    assert measured(few, "linear_probe") == {"val": 1, "test": pytest.approx(test)}
    assert measured(features, "linear_probe")["test"] != pytest.approx(test)


def test_a_probe_ignores_what_is_constant_in_training():
    features = made()
    train = np.hstack([features.train_x, np.full((60, 1), 0.1)])
    wild = {s: np.hstack([getattr(features, s), 1e6 * np.ones((len(getattr(features, s)), 1))]) for s in ("val_x", "test_x")}
    assert measured(replace(features, train_x=train, **wild), "linear_probe") == measured(features, "linear_probe")


# Nearest neighbours


def neighbours(features, x, y, k):
    unit = [row / np.linalg.norm(row) for row in features.train_x]
    right = 0
    for row, label in zip(x, y, strict=True):
        order = sorted(range(len(unit)), key=lambda i: -(unit[i] @ row))[:k]
        votes = Counter(features.train_y[order].tolist())
        most = max(votes.values())
        right += next(c for c in features.train_y[order] if votes[c] == most) == label
    return right / len(y)


@pytest.mark.parametrize("shape", [{}, {"n": 9}, {"n": 4, "d": 30}, {"n": 200, "classes": 7, "spread": 0.7}])
def test_nearest_neighbours_are_counted_and_ties_go_to_the_nearest(shape):
    features = made(**shape)
    by_k = {k: neighbours(features, features.val_x, features.val_y, k) for k in (1, 3, 5, 10, 20) if k <= len(features.train_y)}
    k = max(by_k, key=by_k.get)
    test = neighbours(features, features.test_x, features.test_y, k)
    assert measured(features, "knn") == {"val": pytest.approx(by_k[k]), "test": pytest.approx(test)}


def test_similarity_is_the_cosine():
    # Euclidean distance would take the second.
    features = of([[10.0, 0.0], [0.0, 1.0]], [0, 1])
    features = replace(features, val_x=np.array([[0.5, 0.4]]), val_y=np.array([0]))
    assert measured(features, "knn")["val"] == 1
