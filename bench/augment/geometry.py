"""Random horizontal flip and Inception crop of one image.

The crop follows `tf.image.sample_distorted_bounding_box` as big_vision's inception_crop calls it. The same: the aspect ratio is
uniform, the height is a uniform whole number between the bounds that area and image allow (which favours small crops), rounding
is repaired by one pixel, the corner never takes the last possible position of an axis that is cropped, and after 100 attempts
without a valid box it is the whole image. Not the same: the random stream; and the crop is resized to the size of the image it
came from, because shapes are static.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

MIN_AREA = 0.05  # Smallest share of the image that a crop covers; inception_crop's area_min = 5.
ATTEMPTS = 100  # TensorFlow's default max_attempts.
ASPECTS = (0.75, 1.33)  # Width over height; TensorFlow's default aspect_ratio_range, with 1.33 for 4/3.


def flip(image: jax.Array, key: jax.Array) -> jax.Array:
    """Returns `image` u8[H, W, C] mirrored left to right with probability one half; `key` is a typed PRNG key."""
    mirrored = jax.random.bits(key, (), jnp.uint32) % 2 == 1
    # A select would make the compiler compute what precedes it, the crop, twice.
    result: jax.Array = jax.lax.cond(mirrored, lambda: image[:, ::-1], lambda: image)
    return result


def _attempt(key: jax.Array, height: int, width: int) -> tuple[jax.Array, jax.Array]:
    """Returns a box i32[4] as from `crop_box`, and whether it is valid, bool[]."""
    draws = jax.random.uniform(key, (4,), jnp.float32)
    aspect = ASPECTS[0] + draws[0] * (ASPECTS[1] - ASPECTS[0])
    least, most = MIN_AREA * height * width, height * width
    tallest = jnp.rint(jnp.sqrt(most / aspect))
    fitting = jnp.floor((width + 0.5) / aspect)
    fitting = jnp.where(jnp.rint(fitting * aspect) > width, fitting - 1, fitting)
    tallest = jnp.minimum(jnp.where(jnp.rint(tallest * aspect) > width, fitting, tallest), height)
    shortest = jnp.minimum(jnp.rint(jnp.sqrt(least / aspect)), tallest)
    rows = shortest + jnp.floor(draws[1] * (tallest - shortest + 1))
    rows = jnp.where(rows * jnp.rint(rows * aspect) < least, rows + 1, rows)
    rows = jnp.where(rows * jnp.rint(rows * aspect) > most, rows - 1, rows)
    columns = jnp.rint(rows * aspect)
    area = rows * columns
    valid = (area >= least) & (area <= most) & (rows <= height) & (columns <= width)
    top, left = jnp.floor(draws[2] * (height - rows)), jnp.floor(draws[3] * (width - columns))
    return jnp.stack([top, left, rows, columns]).astype(jnp.int32), valid


def crop_box(key: jax.Array, height: int, width: int) -> jax.Array:
    """Draws a crop of an image of `height` x `width`.

    Args:
      key: typed PRNG key.
      height: rows of the image.
      width: columns of the image.

    Returns:
      i32[4]: top, left, rows, columns; the box lies inside the image.
    """
    whole = jnp.array([0, 0, height, width], jnp.int32)
    box, valid = _attempt(key, height, width)
    if height == width:
        # The first attempt succeeds: every aspect leaves heights of valid area. A loop would be paid for with every image.
        return jnp.where(valid, box, whole)

    def again(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        number, _, _ = state
        return number + 1, *_attempt(jax.random.fold_in(key, number), height, width)

    _, box, valid = jax.lax.while_loop(lambda state: (state[0] < ATTEMPTS) & ~state[2], again, (jnp.int32(1), box, valid))
    return jnp.where(valid, box, whole)


def _samples(start: jax.Array, size: jax.Array, length: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns the two source positions i32[length] of every output position and the weight f32[length] of the second."""
    position = (jnp.arange(length, dtype=jnp.float32) + 0.5) * (size.astype(jnp.float32) / length) - 0.5
    below = jnp.floor(position)
    first = jnp.clip(below.astype(jnp.int32), 0, size - 1)
    second = jnp.clip(below.astype(jnp.int32) + 1, 0, size - 1)
    return start + first, start + second, position - below


def crop_and_resize(image: jax.Array, box: jax.Array) -> jax.Array:
    """Cuts a box out and enlarges it bilinearly, half-pixel centres, no antialias, truncated to whole numbers.

    Args:
      image: u8[H, W, C].
      box: i32[4] as from `crop_box`.

    Returns:
      u8[H, W, C].
    """
    height, width, _ = image.shape
    upper, lower, down = _samples(box[0], box[2], height)
    left, right, across = _samples(box[1], box[3], width)
    first, second = (image.at[rows].get(mode="promise_in_bounds").astype(jnp.float32) for rows in (upper, lower))
    strips = first + (second - first) * down[:, None, None]
    first, second = (strips.at[:, columns].get(mode="promise_in_bounds") for columns in (left, right))
    return (first + (second - first) * across[None, :, None]).astype(jnp.uint8)


def inception_crop(image: jax.Array, key: jax.Array) -> jax.Array:
    """Returns a random crop of `image` u8[H, W, C] resized to H x W; `key` is a typed PRNG key."""
    return crop_and_resize(image, crop_box(key, image.shape[0], image.shape[1]))
