"""Random weights of a variant's shapes, without building it."""

import numpy as np

from bench import models
from bench.models import variables


def flat(model, classes=10, resolution=28, seed=0):
    """Returns float32 arrays by '/'-joined name; running variances are positive."""
    rng = np.random.default_rng(seed)
    shapes = variables.flat(models.shapes(model, classes, resolution))
    made = {name: rng.standard_normal(leaf.shape, np.float32) for name, leaf in shapes.items()}
    return {name: np.abs(value) + 0.5 if name.endswith("/var") else value for name, value in made.items()}


def same(left, right):
    """Whether two flat dicts hold the same names, types, shapes and bits."""
    return left.keys() == right.keys() and all(
        a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
        for a, b in ((np.asarray(left[name]), np.asarray(right[name])) for name in left)
    )
