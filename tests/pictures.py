"""Image files and arrays made up for tests: smooth, as photographs are, so that a shift by a pixel shows."""

import io

import numpy as np
from PIL import Image


def pixels(height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def file(image, kind="JPEG", mode=None, **options):
    """`image`: uint8[H, W, 3], or a Pillow image."""
    made = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    out = io.BytesIO()
    (made.convert(mode) if mode else made).save(out, kind, **options)
    return out.getvalue()


def jpeg(height, width, seed=0, **options):
    return file(pixels(height, width, seed), "JPEG", **options)


def places(height, width):
    """An image that tells where its pixels were: row, column, and 0; of at most 256 x 256."""
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)
