"""Features made by hand, for the tests of scores."""

import numpy as np

from bench.select.scores import Features


def made(n=60, d=8, classes=3, seed=0, held_out=40, spread=1.0, source=5, labels=None):
    """Returns features: a Gaussian a class, of falling variances, off the origin; and a random source head."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes, d)) + 0.5
    scales = spread * np.linspace(2.0, 0.2, d)

    def split(size, y=None):
        y = rng.integers(0, classes, size) if y is None else np.asarray(y)
        return centres[y] + rng.standard_normal((len(y), d)) * scales, y

    train = split(n, labels)
    return Features(
        *train, *split(held_out), *split(held_out + 1), classes, rng.dirichlet(np.full(source, 0.3), len(train[1])), seed
    )


def of(x, y, p=None, seed=0):
    """Returns features whose held-out splits are the training images."""
    x, y = np.asarray(x, float), np.asarray(y)
    return Features(x, y, x, y, x, y, int(y.max()) + 1, p, seed)
