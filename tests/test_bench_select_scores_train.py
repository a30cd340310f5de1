"""Scores of the training images, against other ways to compute them, in float64 to 1e-6."""

import numpy as np
import pytest
from feature_sets import made, of
from scipy import optimize, stats
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from bench.select.scores import score_all

EXACT = {"rel": 1e-6, "abs": 1e-6}
SHAPES = [
    {},
    {"n": 30, "d": 5, "classes": 2},
    {"n": 14, "d": 40, "classes": 3},
    {"n": 10, "d": 10, "classes": 4},
    {"labels": [0] * 15 + [1] * 4 + [2], "spread": 0.5},
]


def value(features, name):
    [scored], reasons = score_all(features, [name])
    assert (scored.split, reasons) == ("train", [])
    return scored.value


# LogME


def dense_evidence(x, y):
    """Returns max over (a, b) of log N(y; 0, I/b + x x'/a), searched in both from many starts."""

    def minus(log):
        return -stats.multivariate_normal.logpdf(
            y, np.zeros(len(y)), np.eye(len(y)) / np.exp(log[1]) + x @ x.T / np.exp(log[0])
        )

    starts = sorted(((a, b) for a in range(-8, 11, 3) for b in range(-2, 9, 2)), key=minus)[:3]
    how = {"bounds": [(-12, 30), (-5, 25)], "options": {"xatol": 1e-7, "fatol": 1e-11, "maxiter": 4000}}
    return -min(optimize.minimize(minus, at, method="Nelder-Mead", **how).fun for at in starts)


@pytest.mark.parametrize("shape", SHAPES)
def test_logme_is_the_highest_evidence_of_the_dense_gaussian(shape):
    features = made(**shape)
    x, y = features.train_x, features.train_y
    expected = np.mean([dense_evidence(x, (y == c).astype(float)) / len(y) for c in np.unique(y)])
    assert value(features, "logme") == pytest.approx(expected, **EXACT)


def test_logme_is_where_the_fixed_point_of_the_paper_ends():
    features = made(n=80, d=6, spread=1.5)
    x, n, found = features.train_x, 80, []
    for c in range(3):
        y, a, b = (features.train_y == c).astype(float), 1.0, 1.0
        for _ in range(3000):
            precision = a * np.eye(6) + b * x.T @ x
            m = b * np.linalg.solve(precision, x.T @ y)
            gamma = 6 - a * np.trace(np.linalg.inv(precision))
            a, b = gamma / (m @ m), (n - gamma) / ((y - x @ m) ** 2).sum()
        log_det = np.linalg.slogdet(precision).logabsdet
        fit = b * ((y - x @ m) ** 2).sum() + a * m @ m
        found.append((6 * np.log(a) + n * np.log(b) - n * np.log(2 * np.pi) - fit - log_det) / 2 / n)
    assert value(features, "logme") == pytest.approx(np.mean(found), **EXACT)


def test_features_of_zeros_leave_logme_the_evidence_of_noise():
    features = of(np.zeros((20, 4)), np.arange(20) % 3)
    shares = np.array([7, 7, 6]) / 20
    assert value(features, "logme") == pytest.approx(-0.5 * np.mean(np.log(2 * np.pi * np.e * shares)), **EXACT)


def test_features_without_information_leave_logme_the_evidence_of_noise():
    # Orthogonal to either label.
    x = np.tile([[1.0], [-1.0]], (10, 1))
    expected = -0.5 * np.log(2 * np.pi * np.e * 0.5)
    assert value(of(x, np.arange(20) // 10), "logme") == pytest.approx(expected, **EXACT)


def test_logme_of_constant_features_and_of_duplicates_is_the_dense_one():
    y = np.arange(20) % 3
    for x in (np.full((20, 4), 0.1), np.repeat(np.random.default_rng(0).standard_normal((5, 9)), 4, axis=0)):
        expected = np.mean([dense_evidence(x, (y == c).astype(float)) / 20 for c in range(3)])
        assert value(of(x, y), "logme") == pytest.approx(expected, **EXACT)


def test_features_of_zeros_beside_others_change_nothing():
    for n in (30, 8):
        features = made(n=n, d=10)
        wide = of(np.pad(features.train_x, ((0, 0), (0, 50))), features.train_y)
        for name in ("logme", "h_score"):
            assert value(wide, name) == pytest.approx(value(features, name), **EXACT)


# H-score


def between(x, y):
    means = np.array([x[y == label].mean(0) for label in y])
    return (means - x.mean(0)).T @ (means - x.mean(0)) / len(y)


@pytest.mark.parametrize("shape", SHAPES)
def test_h_score_is_the_trace_of_the_two_covariances(shape):
    features = made(**shape)
    x, y = features.train_x, features.train_y
    covariance = np.cov(x, rowvar=False, bias=True)
    expected = np.trace(np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ between(x, y))
    assert value(features, "h_score") == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_regularised_h_score_has_scikit_learns_covariance(shape):
    features = made(**shape)
    x, y = features.train_x, features.train_y
    fitted = LedoitWolf().fit(x)
    expected = (1 - fitted.shrinkage_) * np.trace(np.linalg.solve(fitted.covariance_, between(x, y)))
    assert value(features, "h_score_regularized") == pytest.approx(expected, **EXACT)


def test_with_a_covariance_shrunk_to_the_identity_nothing_is_left():
    x = np.random.default_rng(1).standard_normal((6, 4))
    assert LedoitWolf().fit(x).shrinkage_ == 1
    assert value(of(x, np.arange(6) % 2), "h_score_regularized") == 0


def test_a_covariance_that_is_the_identity_already_is_not_shrunk():
    cross = np.vstack([np.eye(4), -np.eye(4)])
    for x in (cross, cross @ np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0], cross[:, :1]):
        features = of(x, np.arange(8) // 2)
        assert value(features, "h_score_regularized") == pytest.approx(value(features, "h_score"), **EXACT)
        assert value(features, "h_score") > 0.1


def test_with_more_features_than_images_the_h_score_says_nothing():
    for spread in (0.1, 10.0):
        assert value(made(n=12, d=30, classes=4, spread=spread), "h_score") == pytest.approx(3)


def test_directions_of_mere_rounding_do_not_count():
    features = made(n=50, d=4)
    noise = 1e-9 * np.random.default_rng(0).standard_normal((50, 30))
    noisy = of(np.hstack([features.train_x, noise]), features.train_y)
    assert value(noisy, "h_score") == pytest.approx(value(features, "h_score"), rel=1e-6)


# LEEP and NLEEP


def looped_leep(p, y):
    given = {(c, z): p[y == c, z].sum() / max(p[:, z].sum(), 1e-300) for c in set(y) for z in range(p.shape[1])}
    return np.mean([np.log(sum(given[y[i], z] * p[i, z] for z in range(p.shape[1]))) for i in range(len(y))])


@pytest.mark.parametrize("shape", SHAPES)
def test_leep_is_its_definition(shape):
    features = made(**shape)
    assert value(features, "leep") == pytest.approx(looped_leep(features.train_p, features.train_y), **EXACT)


def test_leep_of_certain_sources_is_minus_the_conditional_entropy():
    # Source class 0: labels 0, 0, 1; source class 1: labels 1, 1; source class 2 never.
    p = np.eye(3)[[0, 0, 0, 1, 1]]
    features = of(np.random.default_rng(0).standard_normal((5, 2)), [0, 0, 1, 1, 1], p)
    assert value(features, "leep") == pytest.approx((2 * np.log(2 / 3) + np.log(1 / 3)) / 5, **EXACT)


@pytest.mark.parametrize("shape", SHAPES)
def test_nleep_is_leep_of_a_mixture_on_principal_components(shape):
    features = made(**shape)
    x, y = features.train_x - features.train_x.mean(0), features.train_y
    variances, axes = np.linalg.eigh(x.T @ x / len(x))
    variances, axes = variances[::-1], axes[:, ::-1]
    kept = next(k for k in range(1, len(variances) + 1) if variances[:k].sum() > 0.8 * variances.sum())
    z = x @ axes[:, :kept]
    z /= np.sqrt((z**2).mean())
    components = min(5 * len(set(y)), len(y) // 5)
    p = GaussianMixture(components, covariance_type="diag", random_state=0).fit(z).predict_proba(z)
    assert value(features, "nleep") == pytest.approx(looped_leep(p, y), **EXACT)


def test_nleep_of_two_places_is_minus_the_conditional_entropy():
    # Ten images in one place, labels 0; ten in another, labels 0 and 1 in halves.
    x = np.repeat([[0.0, 1.0, 2.0], [3.0, -1.0, 0.0]], 10, axis=0)
    y = [0] * 15 + [1] * 5
    assert value(of(x, y), "nleep") == pytest.approx(np.log(0.5) / 2, **EXACT)


# PARC


@pytest.mark.parametrize("shape", SHAPES)
def test_parc_is_spearmans_correlation_of_the_distances(shape):
    features = made(**shape)
    x, y = StandardScaler().fit_transform(features.train_x), features.train_y
    pairs = np.tril_indices(len(y), -1)
    of_labels = (1 - np.corrcoef(np.eye(features.classes)[y]))[pairs].round(12)
    expected = stats.spearmanr((1 - np.corrcoef(x))[pairs], of_labels).statistic
    assert value(features, "parc") == pytest.approx(expected, **EXACT)


def test_copies_of_an_image_are_equally_far_from_the_others():
    # Six images are three, twice each. Pairs of copies are the nearest (mean rank 2 of 3) and alone agree in their labels.
    x, y = np.repeat([[0.0, 1.0, 5.0], [2.0, 0.0, 1.0], [1.0, 7.0, 0.0]], 2, axis=0), np.repeat(np.arange(3), 2)
    standard = (x[::2] - x.mean(0)) / x.std(0)
    apart = np.repeat(1 - np.corrcoef(standard)[np.triu_indices(3, 1)], 4)
    expected = stats.spearmanr([*np.zeros(3), *apart], [0] * 3 + [1] * 12).statistic
    for scale in (1.0, 1.1, 0.7e-3):
        assert value(of(scale * x, y), "parc") == pytest.approx(expected, **EXACT)


def test_an_image_at_the_mean_of_all_is_uncorrelated_with_every_other():
    x = np.array([[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0], [2.0, -1.0], [-2.0, 1.0]])
    y = np.array([0, 0, 1, 1, 1])
    # Standardised and centred a row, two features are one sign: 1 - correlation is 0, 1 or 2.
    sign = np.sign((x / x.std(0))[:, 0] - (x / x.std(0))[:, 1])
    pairs = np.triu_indices(5, 1)
    expected = stats.spearmanr((1 - np.outer(sign, sign))[pairs], (y[:, None] != y)[pairs]).statistic
    assert value(of(x, y), "parc") == pytest.approx(expected, **EXACT)


# TransRate


def rate(x, dimensions):
    return np.linalg.slogdet(np.eye(dimensions) + x.T @ x / (len(x) * 1e-4)).logabsdet / 2


@pytest.mark.parametrize("shape", SHAPES)
def test_transrate_is_the_rate_less_the_mean_rate_of_the_classes(shape):
    features = made(**shape)
    y, d = features.train_y, features.train_x.shape[1]
    x = features.train_x - features.train_x.mean(0)
    x /= np.sqrt((x**2).mean())
    expected = rate(x, d) - sum((y == c).mean() * rate(x[y == c], d) for c in np.unique(y))
    assert value(features, "transrate") == pytest.approx(expected, **EXACT)


def test_with_classes_of_equal_size_transrate_is_the_one_of_public_code():
    features = made(labels=np.arange(30) % 3)
    x = features.train_x - features.train_x.mean(0)
    x /= np.sqrt((x**2).mean())
    expected = rate(x, 8) - np.mean([rate(x[features.train_y == c], 8) for c in range(3)])
    assert value(features, "transrate") == pytest.approx(expected, **EXACT)
