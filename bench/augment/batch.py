"""The augmentation of a training batch: Inception crop, horizontal flip, RandAugment and mixing, in the recipe's order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap

from bench.augment import geometry, mixing, ops
from bench.augment.randaugment import CUTOUT, TRANSLATE, randaugment, scaled

# Streams of an example's key.
_RANDAUGMENT, _CROP, _FLIP = range(3)


@dataclass(frozen=True)
class Augmentation:
    """What is fixed when the training step compiles; layers, magnitude and what is mixed are not.

    Attributes:
      flip: whether to mirror images at random.
      crop: whether to take Inception crops.
      translate: pixels of RandAugment's translations at magnitude 10.
      cutout: half the side of RandAugment's Cutout square at magnitude 10, in pixels.
      ops: the operations that RandAugment draws from, by name.
      fixed: whether Contrast, Solarize and Posterize do without the reference's bugs.
      mix_first: whether RandAugment comes after Mixup and CutMix, as in the NFNet recipe, and not before.
    """

    flip: bool
    crop: bool
    translate: int = TRANSLATE
    cutout: int = CUTOUT
    ops: tuple[str, ...] = ops.NAMES
    fixed: bool = False
    mix_first: bool = False

    @classmethod
    def at(cls, resolution: int, *, flip: bool, crop: bool, fixed: bool = False, mix_first: bool = False) -> Self:
        """Returns the augmentation with the reference's pixel constants scaled from 224 px to `resolution`."""
        constants = scaled(TRANSLATE, resolution), scaled(CUTOUT, resolution)
        return cls(flip, crop, *constants, fixed=fixed, mix_first=mix_first)


_Strengths = tuple[jax.Array, jax.Array]
_Image = Callable[[jax.Array, jax.Array, _Strengths, ops.Form], jax.Array]


def _for_every(
    images: jax.Array, key: jax.Array, epochs: jax.Array, examples: jax.Array, strengths: _Strengths, augment: _Image
) -> jax.Array:
    """Returns `augment(image, key, strengths, form)` of every image, `key` folded with its epoch, then with its example."""

    def under(form: ops.Form, key: jax.Array, strengths: _Strengths) -> Callable[[tuple[jax.Array, ...]], jax.Array]:
        def one(inputs: tuple[jax.Array, ...]) -> jax.Array:
            image, epoch, example = inputs
            return augment(image, jax.random.fold_in(jax.random.fold_in(key, epoch), example), strengths, form)

        return one

    # One image at a time runs only the branch it drew, which a CPU is fast at; accelerators want the whole batch in one pass.
    # Lanes of one program take turns at that: batched, a branch becomes all branches. All that differs between them must be
    # an argument for this, and nothing closed over.
    result: jax.Array = jax.lax.platform_dependent(
        key,
        strengths,
        (images, epochs, examples),
        cpu=sequential_vmap(lambda key, strengths, inputs: jax.lax.map(under(ops.apply, key, strengths), inputs)),
        default=lambda key, strengths, inputs: jax.vmap(under(ops.apply_fused, key, strengths))(inputs),
    )
    return result


def _framed(image: jax.Array, key: jax.Array, static: Augmentation) -> jax.Array:
    if static.crop:
        image = geometry.inception_crop(image, jax.random.fold_in(key, _CROP))
    if static.flip:
        image = geometry.flip(image, jax.random.fold_in(key, _FLIP))
    return image


def augment_batch(
    images: jax.Array,
    key: jax.Array,
    epochs: jax.Array,
    examples: jax.Array,
    layers: jax.Array,
    magnitude: jax.Array,
    static: Augmentation,
    between: Callable[[jax.Array], jax.Array] | None = None,
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
      between: what becomes of the whole batch u8[B, H, W, 3] after crop and flip, before RandAugment.

    Returns:
      u8[B, H, W, 3].
    """
    strengths = (layers, magnitude)

    def distort(image: jax.Array, own: jax.Array, strengths: _Strengths, form: ops.Form) -> jax.Array:
        own = jax.random.fold_in(own, _RANDAUGMENT)
        return randaugment(
            image,
            own,
            *strengths,
            translate=static.translate,
            cutout=static.cutout,
            names=static.ops,
            fixed=static.fixed,
            form=form,
        )

    def frame(image: jax.Array, own: jax.Array, _: _Strengths, __: ops.Form) -> jax.Array:
        return _framed(image, own, static)

    def frame_and_distort(image: jax.Array, own: jax.Array, strengths: _Strengths, form: ops.Form) -> jax.Array:
        return distort(_framed(image, own, static), own, strengths, form)

    if between is None:
        return _for_every(images, key, epochs, examples, strengths, frame_and_distort)
    if static.flip or static.crop:
        images = _for_every(images, key, epochs, examples, strengths, frame)
    return _for_every(between(images), key, epochs, examples, strengths, distort)


def augment_and_mix(
    images: jax.Array,
    targets: jax.Array,
    key: jax.Array,
    epochs: jax.Array,
    examples: jax.Array,
    layers: jax.Array,
    magnitude: jax.Array,
    mixed: mixing.Mixing,
    static: Augmentation,
    shards: int = 1,
) -> tuple[jax.Array, jax.Array]:
    """Augments a batch as `augment_batch` and mixes it as `mixing.mix`, in the order that `static` says.

    Args:
      images: u8[B, H, W, 3].
      targets: f32[B, K].
      key: as for `augment_batch`.
      epochs: as for `augment_batch`.
      examples: as for `augment_batch`.
      layers: as for `augment_batch`.
      magnitude: as for `augment_batch`.
      mixed: what this step mixes.
      static: choices fixed at compile time.
      shards: as for `mixing.mix_images`.

    Returns:
      Images f32[B, H, W, 3] in [-1, 1] and targets f32[B, K]. When mixed first, mixed pixels are whole numbers.
    """
    _, height, width, _ = images.shape

    def mix(batch: jax.Array) -> jax.Array:
        return mixing.mix_images(batch, mixed, shards)

    drawn = (key, epochs, examples, layers, magnitude, static)
    if static.mix_first:
        mixed_images = to_float(augment_batch(images, *drawn, between=mix))
    else:
        mixed_images = mix(to_float(augment_batch(images, *drawn)))
    return mixed_images, mixing.mix_targets(targets, mixed, height * width, shards)


def to_float(images: jax.Array) -> jax.Array:
    """Returns uint8 `images` of any shape as f32 in [-1, 1]: (x - 127.5) / 127.5."""
    return (images.astype(jnp.float32) - 127.5) / 127.5
