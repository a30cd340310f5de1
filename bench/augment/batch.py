"""The augmentation of a training batch: Inception crop, horizontal flip, RandAugment, in the reference's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp

from bench.augment import geometry
from bench.augment.randaugment import CUTOUT, TRANSLATE, randaugment, scaled

# Streams of an example's key.
_RANDAUGMENT, _CROP, _FLIP = range(3)


@dataclass(frozen=True)
class Augmentation:
    """What is fixed when the training step compiles; layers and magnitude are not.

    Attributes:
      flip: whether to mirror images at random.
      crop: whether to take Inception crops.
      translate: pixels of RandAugment's translations at magnitude 10.
      cutout: half the side of RandAugment's Cutout square at magnitude 10, in pixels.
    """

    flip: bool
    crop: bool
    translate: int = TRANSLATE
    cutout: int = CUTOUT

    @classmethod
    def at(cls, resolution: int, *, flip: bool, crop: bool) -> Self:
        """Returns the augmentation with the reference's pixel constants scaled from 224 px to `resolution`."""
        return cls(flip, crop, scaled(TRANSLATE, resolution), scaled(CUTOUT, resolution))


def augment_batch(
    images: jax.Array,
    key: jax.Array,
    epochs: jax.Array,
    examples: jax.Array,
    layers: jax.Array,
    magnitude: jax.Array,
    static: Augmentation,
) -> jax.Array:
    """Augments every image by a key of its own: `key` folded with its epoch, then with its example number.

    An example is therefore augmented alike wherever it stands in whichever batch.

    Args:
      images: u8[B, H, W, 3].
      key: typed PRNG key of the run.
      epochs: i32[B], the epoch each example belongs to.
      examples: i32[B], the number of each example within its epoch's data set.
      layers: i32[], RandAugment operations per image; 0 with neither flip nor crop returns `images`.
      magnitude: f32[], RandAugment magnitude.
      static: choices fixed at compile time.

    Returns:
      u8[B, H, W, 3].
    """

    def one(inputs: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        image, epoch, example = inputs
        own = jax.random.fold_in(jax.random.fold_in(key, epoch), example)
        if static.crop:
            image = geometry.inception_crop(image, jax.random.fold_in(own, _CROP))
        if static.flip:
            image = geometry.flip(image, jax.random.fold_in(own, _FLIP))
        own = jax.random.fold_in(own, _RANDAUGMENT)
        return randaugment(image, own, layers, magnitude, translate=static.translate, cutout=static.cutout)

    def every(batch: jax.Array) -> jax.Array:
        # One image at a time runs only the branch it drew, 30 to 60 times faster on a CPU; accelerators want the whole batch.
        result: jax.Array = jax.lax.platform_dependent(
            (batch, epochs, examples), cpu=lambda inputs: jax.lax.map(one, inputs), default=jax.vmap(one)
        )
        return result

    if static.flip or static.crop:
        return every(images)
    augmented: jax.Array = jax.lax.cond(layers > 0, every, lambda batch: batch, images)
    return augmented


def to_float(images: jax.Array) -> jax.Array:
    """Returns uint8 `images` of any shape as f32 in [-1, 1]: (x - 127.5) / 127.5."""
    return (images.astype(jnp.float32) - 127.5) / 127.5
