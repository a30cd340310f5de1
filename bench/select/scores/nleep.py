"""NLEEP: LEEP with the components of a Gaussian mixture, fitted to the features, in place of source classes.

Li et al., "Ranking Neural Checkpoints" (CVPR 2021): principal components that hold 80 % of the variance, a mixture with five
times as many components as there are classes, LEEP of its posterior. No source head is needed.

Public code disagrees: TencentARC/SFDA leaves the logarithm out; google-research/stable_transfer has it and skips the
principal components; both take one full covariance a component. With the 800 images of VTAB-1k a full covariance has fewer
images than dimensions: the responsibilities are 0 or 1 from the start and the mixture stays where k-means put it. Here
covariances are diagonal (the principal components are uncorrelated as a whole), the mixture has at most one component for
five images, and coordinates are scaled together to mean variance 1, so that the floor of the variances is relative to the
features.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from bench.select.scores.features import Features, Floats
from bench.select.scores.leep import expected_log

ENERGY = 0.8
PER_CLASS = 5
IMAGES_PER_COMPONENT = 5
# Of expectation-maximisation; most mixtures settle within 30.
_ITERATIONS = 100


def nleep(features: Features) -> dict[str, float]:
    """Returns NLEEP, nats: at most 0. With features without variance it is minus the entropy of the labels."""
    return {"train": expected_log(_posterior(features), features.member)}


def _posterior(features: Features) -> Floats:
    """Returns f64[N, components], drawn by `seed`."""
    n = len(features.train_y)
    u, s = features.centred
    if not len(s):
        return np.ones((n, 1))
    held = np.cumsum(s**2) / (s**2).sum()
    kept = int(np.searchsorted(held, ENERGY)) + 1
    z = u[:, :kept] * s[:kept]
    z /= z.std()
    components = min(PER_CLASS * len(features.present), max(n // IMAGES_PER_COMPONENT, 1))
    mixture = GaussianMixture(components, covariance_type="diag", max_iter=_ITERATIONS, random_state=features.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(mixture.fit(z).predict_proba(z))
