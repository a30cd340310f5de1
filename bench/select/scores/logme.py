"""LogME: how probable the labels are under Bayesian linear regression on the features, at its best prior and noise.

You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning" (ICML 2021). For one class, with y its
one-hot column (not centred, no bias, as in the paper): weights ~ N(0, 1/a), y ~ N(F w, 1/b), and the evidence
L(a, b) = log N(y; 0, I/b + F F^T/a). The score is the mean over classes of max L / N.

Public code disagrees in three ways, and this module follows the definition in each:
 - The fixed-point code (thuml/LogME's default, google-research/stable_transfer) adds D/2 log a, but subtracts log(a + b sigma)
   of min(N, D) singular values only. Where features outnumber images it is off by (D - N)/(2N) log a. The first version of
   thuml/LogME, and tllib, sum over all D, as the paper does.
 - All stop after 11 steps, or where a/b changes by less than 0.1 % (1 % elsewhere); all but tllib add 1e-5 to the sums that
   they divide by, which makes the value depend on the scale of the features. Here the maximum is found to rounding: given
   t = a/b the best b is known in closed form, and what is left is one dimension.
 - A class without images has unbounded evidence (y = 0). thuml/LogME and tllib count every class up to the largest label,
   stable_transfer refuses; here the classes that occur count.
"""

from __future__ import annotations

import numpy as np

from bench.select.scores.features import ROUNDING, Features, Floats

# log t on a grid whose step is well under the width on which the evidence changes (a logistic curve's), then bisection.
_STEP = 0.5
_HALVINGS = 40
# At this multiple of the largest squared singular value the evidence is that of weights 0, to 1e-8.
_FLAT = 1e8


def logme(features: Features) -> dict[str, float]:
    """Returns the mean log evidence a training image, nats.

    The ratio t is searched from `ROUNDING`^2 times the largest squared singular value on: a weaker prior would only fit
    rounding, and the bound keeps the evidence finite where the features fit a label exactly.

    Raises:
      UserError: one class only.
    """
    features.require_two_classes()
    u, s = features.raw
    along = u.T @ features.member
    # Not the difference of two squared norms: where the features fit a label, that is 1e-15, more than a weak prior leaves.
    rest = ((features.member - u @ along) ** 2).sum(0)
    return {"train": float(np.mean(max_evidence(s**2, along**2, rest, len(features.train_y))))}


def max_evidence(sigma: Floats, projected: Floats, rest: Floats, n: int) -> Floats:
    """Returns max over t of log evidence / n of each class, f64[K].

    Args:
      sigma: f64[k], squared singular values of the features, all positive; k may be 0.
      projected: f64[k, K], squared projections of the targets on the left singular vectors.
      rest: f64[K], squared norms of what the singular vectors leave of the targets.
      n: number of images.
    """
    if not len(sigma):
        return np.asarray(-0.5 * (np.log(2 * np.pi * rest / n) + 1))
    low, high = 2 * np.log(ROUNDING) + np.log(sigma[0]), np.log(_FLAT * sigma[0])
    grid = np.linspace(low, high, int((high - low) / _STEP) + 1)
    on_grid = np.stack([_evidence(np.full(len(rest), at), sigma, projected, rest, n) for at in grid])
    best = on_grid.argmax(0)
    left, right = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        rises = _slope(middle, sigma, projected, rest, n) > 0
        left, right = np.where(rises, middle, left), np.where(rises, right, middle)
    refined = _evidence((left + right) / 2, sigma, projected, rest, n)
    return np.asarray(np.maximum(on_grid.max(0), refined))


def _shrunk(log_t: Floats, sigma: Floats) -> Floats:
    """What the prior leaves of the noise along each direction: t / (t + sigma), f64[k, K]."""
    t = np.exp(log_t)
    return np.asarray(t / (t + sigma[:, None]))


def _evidence(log_t: Floats, sigma: Floats, projected: Floats, rest: Floats, n: int) -> Floats:
    shrunk = _shrunk(log_t, sigma)
    # The best noise variance given t, by setting the derivative of the evidence to zero.
    noise = (rest + (projected * shrunk).sum(0)) / n
    return np.asarray(-0.5 * (np.log(2 * np.pi * noise) + 1 - np.log(shrunk).sum(0) / n))


def _slope(log_t: Floats, sigma: Floats, projected: Floats, rest: Floats, n: int) -> Floats:
    """The derivative of the evidence by log t, times a positive number."""
    shrunk = _shrunk(log_t, sigma)
    fitted = projected * shrunk
    return np.asarray((1 - shrunk).sum(0) * (rest + fitted.sum(0)) - n * (fitted * (1 - shrunk)).sum(0))
