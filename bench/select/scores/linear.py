"""Linear probe: multinomial logistic regression on frozen features."""

from __future__ import annotations

import warnings
from copy import deepcopy

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from bench.select.scores.features import Features, Floats
from bench.select.scores.score import accuracies, accuracy

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""scikit-learn's C: the inverse of the L2 penalty, which stands against the sum of the losses. From the strongest on."""
_ITERATIONS = 200


def linear_probe(features: Features) -> dict[str, float]:
    """Returns the accuracy of the probe whose penalty is best on val; ties go to the stronger penalty.

    Every fit starts from the one with the next stronger penalty. With one training class the probe always says that class.
    """
    if len(features.present) < 2:
        return accuracies(features, lambda x: np.full(len(x), features.present[0]))
    train = features.standardised(features.train_x)
    # The penalty leaves no weight outside of what the training images span, which has fewer axes where they are fewer.
    axes = np.linalg.qr(train.T).Q if train.shape[0] < train.shape[1] else None

    def coordinates(x: Floats) -> Floats:
        standardised = features.standardised(x)
        return standardised if axes is None else standardised @ axes

    x, val = coordinates(features.train_x), coordinates(features.val_x)
    probe = LogisticRegression(warm_start=True, max_iter=_ITERATIONS)
    best, chosen = -1.0, probe
    with warnings.catch_warnings():
        # A fit that the limit stops, with a weak penalty, is still a probe that val can judge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for strength in STRENGTHS:
            probe.set_params(C=strength).fit(x, features.train_y)
            reached = accuracy(probe.predict(val), features.val_y)
            if reached > best:
                best, chosen = reached, deepcopy(probe)
    return accuracies(features, lambda x: np.asarray(chosen.predict(coordinates(x))))
