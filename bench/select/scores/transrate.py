"""TransRate: how many bits the features take as a whole, less what they take class by class.

Huang et al., "Frustratingly Easy Transferability Estimation" (ICML 2022): R(f, eps) - R(f, eps | y) with the coding rate R(f,
eps) = 1/2 log det(I + f^T f / (n eps)) of centred features, and eps = 1e-4. R(f, eps | y) is the mean, over images, of the
rate of their class.

Public code (tllib, OpenGVLab/Multitask-Model-Selector) averages over classes in place of images. The two agree where classes
are of equal size; where they are not, only the mean over images is a conditional rate, never above R(f, eps). It also leaves
the features at their scale, and a larger scale gives a larger score without end where a class has fewer images than features.
Checkpoints of different families are compared here, so features are first divided by one number, to mean variance 1.
"""

from __future__ import annotations

import numpy as np

from bench.select.scores.features import Features, Floats

EPSILON = 1e-4


def transrate(features: Features) -> dict[str, float]:
    """Returns TransRate, nats: at least 0, which it is for one class, or features without variance."""
    if not features.variance:
        return {"train": 0.0}
    u, s = features.centred
    x = u * (s / np.sqrt(features.variance))
    classes = [x[rows > 0] for rows in features.member.T]
    rate = _rate(x) - sum(len(own) * _rate(own) for own in classes) / len(x)
    # At least 0 because log det is concave; up to rounding, which a rate of thousands of nats has some of.
    return {"train": max(float(rate), 0.0)}


def _rate(x: Floats) -> float:
    n, dimensions = x.shape
    gram = x @ x.T if n < dimensions else x.T @ x
    return float(np.linalg.slogdet(np.eye(len(gram)) + gram / (n * EPSILON)).logabsdet) / 2
