"""Few-shot ridge regression in closed form: accuracy with a handful of training images a class.

big_vision's `fewshot_lsr` evaluator (evaluators/fewshot_lsr.py and configs/common_fewshot.py): labels -1 and 1, features
whitened with the few images' own mean and deviation (+ 1e-5), a constant feature 100 that makes the bias nearly free, L2
penalty 2^10, the mean over three draws of the images. The penalty is the published one and is not chosen on val: a few-shot
number should not lean on hundreds of other labels.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve

from bench.select.scores.features import Features, Floats, Labels
from bench.select.scores.score import accuracies

SHOTS = (1, 5, 10, 25)
DRAWS = 3
PENALTY = 2.0**10
BIAS = 100.0
_DEVIATION = 1e-5


def few_shot(features: Features, shots: int) -> dict[str, float]:
    """Returns the mean accuracy over `DRAWS` draws of `shots` training images a class; all of a class that has fewer.

    With seed 0 the draws are those of big_vision for the same order of images.
    """
    drawn = [_draw(features, shots, features.seed * DRAWS + draw) for draw in range(DRAWS)]
    # Where no class has more images than shots, every draw is the same.
    distinct = drawn if features.member.sum(0).max() > shots else drawn[:1]
    runs = [_fit(features, index) for index in distinct]
    return {split: float(np.mean([run[split] for run in runs])) for split in runs[0]}


def _draw(features: Features, shots: int, seed: int) -> Labels:
    generator = np.random.default_rng(seed)
    per_class = [generator.permutation(np.flatnonzero(features.train_y == label))[:shots] for label in range(features.classes)]
    return np.concatenate(per_class)


def _fit(features: Features, index: Labels) -> dict[str, float]:
    few = features.train_x[index]
    mean, deviation = few.mean(0), few.std(0) + _DEVIATION

    def whitened(x: Floats) -> Floats:
        return np.pad((x - mean) / deviation, ((0, 0), (0, 1)), constant_values=BIAS)

    targets = np.where(features.train_y[index][:, None] == np.arange(features.classes), 1.0, -1.0)
    weights = ridge(whitened(few), targets, PENALTY)
    return accuracies(features, lambda x: np.asarray((whitened(x) @ weights).argmax(1), np.int64))


def ridge(x: Floats, y: Floats, penalty: float) -> Floats:
    """Returns the weights f64[D, C] that minimise |x w - y|^2 + penalty |w|^2, through the smaller of the two Gram matrices."""
    n, dimensions = x.shape
    if n >= dimensions:
        return np.asarray(solve(x.T @ x + penalty * np.eye(dimensions), x.T @ y, assume_a="pos"))
    return np.asarray(x.T @ solve(x @ x.T + penalty * np.eye(n), y, assume_a="pos"))
