"""`digits` (natural): scikit-learn's 1,797 real hand-written digits, 8 px; 800 train, 200 val, 797 test."""

from __future__ import annotations

import numpy as np

from bench.data.arrays import cut, resize
from bench.data.split import Dataset

SIZES = (800, 200, 797)
SPLIT_SEED = 1797


def load(resolution: int) -> Dataset:
    """Returns the digits; grey values 0..16 of the source are stretched to 0..255."""
    from sklearn.datasets import load_digits

    source = load_digits()
    images = np.round(source.images * (255 / 16)).astype(np.uint8)
    return cut(resize(images, resolution), source.target, SIZES, SPLIT_SEED)
