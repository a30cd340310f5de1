"""Mixup and CutMix: every image is blended with its neighbour in the batch, or has a box replaced by the neighbour's.

What is drawn is a pure function of (seed, step), so that a resumed run draws what the interrupted one would have drawn. It is
drawn on the host, where a Beta distribution costs nothing to compile; the step receives arrays whose shapes do not depend on
strengths. Mixup with one coefficient a step, folded to max(a, 1 - a), and neighbours by a roll of the batch follow big_vision's
`get_mixup`. CutMix's box, its label weight (the area that is left of it within the image) and one half of the batch for each
follow the NFNet and EfficientNetV2 pipelines (deepmind-research nfnets/dataset.py, google/automl efficientnetv2/datasets.py).
These draw for every image (`draws`) and pair images differently, by quarters of a double batch and by reversal: batches are
random, so the neighbour is as good a partner. NFNet does not fold, and keeps the image itself within the box: as either of a
pair is equally likely to be the first one, both give the same distribution.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

HALVES = 2  # The least number of draws a step: the first half of the batch and the second may differ.


class Mixing(NamedTuple):
    """What a step mixes, by draw; draws share the images of a batch evenly, in order. Stacked over steps by `draw`.

    Attributes:
      coefficient: f32[D], an image's own weight outside its box; 1 without Mixup.
      box: i32[D, 4], top, bottom, left and right of what the neighbour replaces; empty without CutMix.
    """

    coefficient: Any
    box: Any


def _generator(seed: int, step: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(counter=stream << 192, key=np.array([seed, step], np.uint64)))


def _folded(generator: np.random.Generator, alpha: float, count: int) -> npt.NDArray[np.float32]:
    drawn = generator.beta(alpha, alpha, count)
    return np.maximum(drawn, 1 - drawn).astype(np.float32)


def _boxes(generator: np.random.Generator, alpha: float, resolution: int, count: int) -> npt.NDArray[np.int32]:
    middle = generator.integers(0, resolution, (2, count))
    # The sides' share, of which the reference takes half a side, in whole pixels, to each side of the middle.
    side = np.sqrt(1 - generator.beta(alpha, alpha, count))
    half = (side * resolution).astype(np.int64) // 2
    edges = np.clip(np.stack([middle - half, middle + half], axis=1), 0, resolution)
    return edges.reshape(4, count).T.astype(np.int32)


def draw(
    seed: int, steps: Iterable[int], mixup_alpha: float, cutmix_alpha: float, resolution: int, draws: int | None = None
) -> Mixing:
    """Draws what every step mixes.

    With one strength above 0 it applies to the whole batch; with both, Mixup to the first half and CutMix to the second.

    Args:
      seed: seed of the run, 0 to 2**64 - 1.
      steps: numbers of K steps, each 0 to 2**64 - 1.
      mixup_alpha: both parameters of the Beta distribution of Mixup's coefficient; 0 switches Mixup off.
      cutmix_alpha: both parameters of the Beta distribution of the share that CutMix's box leaves; 0 switches CutMix off.
      resolution: side of the images, pixels.
      draws: None for one coefficient and one box a step, as AugReg; the size of the batch for one an image.

    Returns:
      NumPy arrays f32[K, D] and i32[K, D, 4]; D is `draws`, or 2.
    """
    numbers = list(steps)
    count = HALVES if draws is None else draws
    coefficients, boxes = np.ones((len(numbers), count), np.float32), np.zeros((len(numbers), count, 4), np.int32)
    mixed, cut = slice(0, count), slice(0, count)
    if mixup_alpha and cutmix_alpha:
        mixed, cut = slice(0, count // 2), slice(count // 2, count)
    for row, step in enumerate(numbers):
        if mixup_alpha:
            own = _folded(_generator(seed, int(step), 0), mixup_alpha, draws or 1)
            coefficients[row, mixed] = own[mixed] if draws else own
        if cutmix_alpha:
            drawn = _boxes(_generator(seed, int(step), 1), cutmix_alpha, resolution, draws or 1)
            boxes[row, cut] = drawn[cut] if draws else drawn
    return Mixing(coefficients, boxes)


def _neighbours(x: jax.Array, shards: int) -> jax.Array:
    return jnp.roll(x.reshape(shards, -1, *x.shape[1:]), 1, axis=1).reshape(x.shape)


def _of_images(values: jax.Array, count: int) -> jax.Array:
    draws = values.shape[0]
    shared: jax.Array = values[np.arange(count) * draws // count]
    return shared


def mix_images(images: jax.Array, mixing: Mixing, shards: int = 1) -> jax.Array:
    """Mixes every image with the one before it.

    Args:
      images: f32[B, H, W, C], or u8, which mixes in float32 and truncates.
      mixing: of one step, `coefficient` f32[D] and `box` i32[D, 4].
      shards: number of equal parts of the batch within which to look for the neighbour; 1 is the whole batch. The released runs
        mixed within each device.

    Returns:
      As `images`; equal to it where nothing is mixed.
    """
    count, height, width, _ = images.shape
    top, bottom, left, right = _of_images(mixing.box, count).T[:, :, None, None, None]
    rows = jnp.arange(height, dtype=jnp.int32)[None, :, None, None]
    columns = jnp.arange(width, dtype=jnp.int32)[None, None, :, None]
    inside = ((rows >= top) & (rows < bottom)) & ((columns >= left) & (columns < right))
    own = jnp.where(inside, jnp.float32(0), _of_images(mixing.coefficient, count)[:, None, None, None])
    pixels = images.astype(jnp.float32)
    mixed: jax.Array = (pixels * own + _neighbours(pixels, shards) * (1 - own)).astype(images.dtype)
    return mixed


def mix_targets(targets: jax.Array, mixing: Mixing, pixels: int, shards: int = 1) -> jax.Array:
    """Mixes the targets f32[B, K] of images of so many `pixels` as `mix_images` mixes the images; same shape."""
    top, bottom, left, right = _of_images(mixing.box, targets.shape[0]).T
    own = _of_images(mixing.coefficient, targets.shape[0])
    own = own * (1 - ((bottom - top) * (right - left)).astype(jnp.float32) / pixels)
    mixed: jax.Array = targets * own[:, None] + _neighbours(targets, shards) * (1 - own)[:, None]
    return mixed


def mix(images: jax.Array, targets: jax.Array, mixing: Mixing, shards: int = 1) -> tuple[jax.Array, jax.Array]:
    """Returns `mix_images` and `mix_targets` of a batch, images (f32 or u8)[B, H, W, C] and targets f32[B, K]."""
    _, height, width, _ = images.shape
    return mix_images(images, mixing, shards), mix_targets(targets, mixing, height * width, shards)
