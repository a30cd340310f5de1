"""`lfw_faces` (specialized): face or not, scikit-image's 200 real 25 px crops (100 of each) of Labeled Faces in the Wild.

100 train, 40 val, 60 test: small, so its scores are coarse (one test image is 1.7 points).
"""

from __future__ import annotations

import numpy as np

from bench.data.arrays import cut, resize
from bench.data.split import Dataset

SIZES = (100, 40, 60)
SPLIT_SEED = 200


def load(resolution: int) -> Dataset:
    """Returns the crops; label 1 is a face."""
    from skimage.data import lfw_subset

    source = lfw_subset()
    images = np.round(source * 255).astype(np.uint8)
    labels = np.repeat([1, 0], 100)  # the source lists the 100 faces first
    return cut(resize(images, resolution), labels, SIZES, SPLIT_SEED)
