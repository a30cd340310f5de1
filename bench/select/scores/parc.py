"""PARC: whether images that differ in their features differ in their labels.

Bolya, Mittapalli and Hoffman, "Scalable Diverse Model Selection for Accessible Transfer Learning" (NeurIPS 2021): features
are standardised, 1 - Pearson correlation is the distance of two images, and the score is Spearman's correlation, over all
pairs of images, of that distance and the distance of their one-hot labels.

The authors' code (dbolya/parc) multiplies by 100, which is left out here, and has two options, both left out: a randomised
reduction to 32 dimensions, and `add_plasticity`, a bonus for the number of layers on top of the score, without which its
headline number does not come out. It also takes the distances of labels as floating point gives them, where pairs that should
tie differ in the last digit (with 3, 6 or 37 classes and others), which moves the score by hundredths. Two one-hot labels are
at distance 0 or at one other distance, so that Spearman's correlation is Pearson's of the ranks with "the labels differ".
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from bench.errors import UserError
from bench.select.scores.features import Features

# Distances that differ by rounding only, as those of copies of an image do, are ties.
_DECIMALS = 12


def parc(features: Features) -> dict[str, float]:
    """Returns PARC, from -1 to 1. An image whose standardised features are all equal has correlation 0 with every other.

    Raises:
      UserError: all pairs have equal labels, or all have different ones; or all pairs have one distance.
    """
    features.require_two_classes()
    x = features.standardised(features.train_x)
    x -= x.mean(1, keepdims=True)
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, norm, out=np.zeros_like(x), where=norm > 1e-9 * np.sqrt(x.shape[1]))
    pairs = np.triu_indices(len(x), 1)
    distance = (1 - x @ x.T)[pairs].round(_DECIMALS)
    differ = (features.train_y[:, None] != features.train_y)[pairs]
    if differ.all():
        raise UserError("every training image is of a class of its own, so that no two labels agree")
    if distance.min() == distance.max():
        raise UserError("all training images are equally far apart, as where the features are constant or there is only one")
    return {"train": float(np.corrcoef(rankdata(distance), differ)[0, 1])}
