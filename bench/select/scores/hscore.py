"""H-score: how much of the features' variance, direction by direction, lies between the classes; plain and regularised.

Plain: Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning" (ICIP 2019),
tr(pinv(cov f) cov(E[f|y])). Regularised: Ibrahim et al., "Newer is not always better: Rethinking transferability metrics, their
peculiarities, stability and performance" (2021), tr(inv(cov_a f) (1 - a) cov(E[f|y])) with the Ledoit-Wolf covariance, whose
weight of the identity a is.

With U the left singular vectors of the centred features, the plain score is the sum over classes of
|sum of their rows of U|^2 / n_c: neither a covariance nor its inverse is formed. Where features outnumber images it is the
number of classes less 1 whatever the checkpoint, which is why the regularised one exists.

Public code disagrees. The authors', tllib's and dbolya/parc's invert with a cut at 1e-15, so that directions of mere rounding
count as much as any other; google-research/stable_transfer cuts at 1e-5 and multiplies the two matrices entry by entry, which
is another number; dbolya/parc standardises the features first, which changes nothing but what is cut. Here what is below
float32's rounding is cut. tllib's regularised score divides one covariance by N and the other by N - 1; here both are divided
by N.
"""

from __future__ import annotations

import numpy as np

from bench.select.scores.features import Features, Floats

# Relative to the squared variances: below it, that they differ is rounding.
_IDENTITY = 1e-12


def h_score(features: Features) -> dict[str, float]:
    """Returns the plain H-score: between 0 and the number of classes less 1; 0 for one class, or features without variance."""
    return {"train": float(_between(features).sum())}


def h_score_regularized(features: Features) -> dict[str, float]:
    """Returns the H-score with the Ledoit-Wolf covariance; 0 for one class, or features without variance."""
    n, dimensions = features.train_x.shape
    variances = features.centred.s**2 / n
    if not len(variances):
        return {"train": 0.0}
    shrinkage = _shrinkage(features, variances)
    kept = (1 - shrinkage) * variances
    return {"train": float((_between(features) * kept / (kept + shrinkage * variances.sum() / dimensions)).sum())}


def _between(features: Features) -> Floats:
    """The share of the variance along each singular direction that lies between the classes, f64[k]."""
    sums = features.member.T @ features.centred.u
    return np.asarray((sums**2 / features.member.sum(0)[:, None]).sum(0))


def _shrinkage(features: Features, variances: Floats) -> float:
    """The optimal weight of the scaled identity, between 0 and 1; 0 where the covariance is one already.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (2004), lemma 3.2, in terms of the
    spectrum; scikit-learn's estimator is the same and takes O(N D^2).
    """
    n, dimensions = features.train_x.shape
    u, s = features.centred
    fourth = (((u * s) ** 2).sum(1) ** 2).sum() / n
    squared = (variances**2).sum()
    spread = squared - variances.sum() ** 2 / dimensions
    return float(min((fourth - squared) / n / spread, 1.0)) if spread > _IDENTITY * squared else 0.0
