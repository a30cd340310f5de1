"""k nearest neighbours by cosine similarity."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from bench.select.scores.features import Features, Floats, Labels
from bench.select.scores.score import accuracies, accuracy

NEIGHBOURS = (1, 3, 5, 10, 20)
# Images whose neighbours vote at the same time, for memory.
_BATCH = 4096


def knn(features: Features) -> dict[str, float]:
    """Returns the accuracy with the number of neighbours that is best on val; ties go to fewer neighbours.

    The most frequent class among the neighbours wins; of several such classes the one with the nearest image. Features are
    neither centred nor scaled; a feature vector of zeros has similarity 0 with every other.
    """
    allowed = [k for k in NEIGHBOURS if k <= len(features.train_y)]
    index = NearestNeighbors(n_neighbors=allowed[-1], metric="cosine", algorithm="brute").fit(features.train_x)

    def nearest(x: Floats) -> Labels:
        return np.asarray(features.train_y[index.kneighbors(x, return_distance=False)])

    of_val = nearest(features.val_x)
    reached = [accuracy(vote(of_val[:, :k]), features.val_y) for k in allowed]
    chosen = allowed[int(np.argmax(reached))]
    return accuracies(features, lambda x: vote((of_val if x is features.val_x else nearest(x))[:, :chosen]))


def vote(labels: Labels) -> Labels:
    """Returns the winners i64[n] among labels i64[n, k], the nearest neighbour's first."""
    winners = []
    for start in range(0, len(labels), _BATCH):
        part = labels[start : start + _BATCH]
        votes = (part[:, :, None] == part[:, None, :]).sum(2)
        winners.append(part[np.arange(len(part)), votes.argmax(1)])
    return np.concatenate(winners)
