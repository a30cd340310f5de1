"""What a magnitude means to each operation of RandAugment.

The reference computes its arguments in Python, in double precision, once for a magnitude that it knows; here the magnitude is
traced. A table over magnitudes, made by that same arithmetic, keeps the results equal to the last bit, including where double
precision truncates what would be whole (23 / 10 * 110 gives 252).
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

FULL = 10  # `_MAX_LEVEL` of the reference: the magnitude of the strengths below.
LARGEST = 30  # Upper end of the range that the reference's docstring gives for magnitudes.
STEPS = 300  # Magnitudes per unit: hundredths, and the thirds that a schedule of four stages has.
DEGREES = 30.0
SLOPE = 0.3
ENHANCEMENT, ENHANCEMENT_AT_ZERO = 1.8, 0.1
BITS, THRESHOLD, ADDITION = 4, 256, 110


class Levels(NamedTuple):
    """Arguments of the operations at one magnitude; fields are scalars, or arrays of one shape.

    Attributes:
      cosine: f32, of Rotate's angle.
      sine: f32, of Rotate's angle.
      slope: f32, of ShearX and ShearY.
      shift: f32, pixels of TranslateX and TranslateY.
      factor: f32, of Color, Contrast, Brightness and Sharpness; 0 gives the degenerate image and 1 the image.
      bits: i32, that Posterize keeps; below 1 and above 8 as well.
      threshold: i32, of Solarize; above 255 as well.
      addition: i32, of SolarizeAdd.
      pad: i32, half the side of Cutout's square.
    """

    cosine: Any
    sine: Any
    slope: Any
    shift: Any
    factor: Any
    bits: Any
    threshold: Any
    addition: Any
    pad: Any


def at(magnitude: float, translate: int, cutout: int) -> Levels:
    """Returns the arguments at one magnitude as the reference computes them: scalars of NumPy.

    Args:
      magnitude: 10 is the reference's full level.
      translate: pixels of TranslateX and TranslateY at magnitude 10 (100 at 224 px).
      cutout: half the side of Cutout's square at magnitude 10 (40 at 224 px).
    """
    level = magnitude / FULL
    # A float32 tensor times a Python float, of which the reference takes the float32 cosine and sine.
    radians = float(np.float32(level * DEGREES) * np.float32(math.pi / 180))
    return Levels(
        np.float32(math.cos(radians)),
        np.float32(math.sin(radians)),
        np.float32(level * SLOPE),
        np.float32(level * float(translate)),
        np.float32(level * ENHANCEMENT + ENHANCEMENT_AT_ZERO),
        np.int32(level * BITS),
        np.int32(level * THRESHOLD),
        np.int32(level * ADDITION),
        np.int32(level * cutout),
    )


@functools.cache
def _table(translate: int, cutout: int) -> Levels:
    rows = [at(step / STEPS, translate, cutout) for step in range(LARGEST * STEPS + 1)]
    return Levels(*(np.array(column) for column in zip(*rows, strict=True)))


def levels(magnitude: jax.Array, translate: int, cutout: int) -> Levels:
    """Returns the arguments at a traced magnitude.

    Args:
      magnitude: f32[], 0 to 30; rounded to the nearest multiple of 1/300.
      translate: as for `at`.
      cutout: as for `at`.
    """
    step = jnp.clip(jnp.rint(magnitude * STEPS).astype(jnp.int32), 0, LARGEST * STEPS)
    return Levels(*(jnp.asarray(column)[step] for column in _table(translate, cutout)))
