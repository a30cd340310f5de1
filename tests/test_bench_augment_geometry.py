"""Flips mirror half of the images; crops keep the bounds of the reference and resize bilinearly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.augment import geometry

HEIGHT, WIDTH = 20, 24


def _image():
    return np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def _boxes(height, width, count=2000):
    keys = jax.random.split(jax.random.key(5), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: geometry.crop_box(key, height, width)))(keys))


def test_flip_mirrors_half_of_the_images_left_to_right():
    image, count = _image(), 400
    keys = jax.random.split(jax.random.key(0), count)
    out = np.asarray(jax.jit(lambda keys: jax.lax.map(lambda key: geometry.flip(jnp.asarray(image), key), keys))(keys))
    kept, mirrored = (np.all(out == version, axis=(1, 2, 3)) for version in (image, image[:, ::-1]))
    assert np.all(kept ^ mirrored)
    assert abs(mirrored.sum() - count / 2) < 4 * np.sqrt(count) / 2


@pytest.mark.parametrize(("height", "width"), [(28, 28), (20, 24), (224, 224)])
def test_boxes_keep_the_bounds(height, width):
    top, left, rows, columns = _boxes(height, width).T
    assert top.min() == 0
    assert left.min() == 0
    assert np.all(top + rows <= height)
    assert np.all(left + columns <= width)
    assert np.all(rows * columns >= 0.05 * height * width)
    # The columns are the rounded product of the rows and an aspect within 0.75 and 1.33.
    assert np.all((columns + 0.5 >= 0.75 * rows) & (columns - 0.5 <= 1.33 * rows))
    assert (rows * columns).max() > 0.9 * height * width
    aspects = columns[rows > 12] / rows[rows > 12]
    assert aspects.min() < 0.8
    assert aspects.max() > 1.2


def test_box_heights_are_uniform_and_so_favour_small_crops():
    rows, columns = _boxes(224, 224)[:, 2:].T
    middle = np.abs(columns / rows - 1) < 0.05
    heights = rows[middle]
    # Of aspect 1: from sqrt(0.05) * 224 = 50 to 224.
    assert abs(heights.mean() - 137) < 15
    assert np.mean(rows * columns < 0.5 * 224 * 224) > 0.55


@pytest.mark.parametrize("box", [(0, 0, 20, 24), (3, 5, 7, 9), (12, 0, 8, 24), (0, 20, 20, 4), (9, 9, 1, 1)])
def test_crop_and_resize_against_loops(box):
    image = _image()
    top, left, rows, columns = box
    cut = image[top : top + rows, left : left + columns].astype(np.float64)
    expected = np.zeros((HEIGHT, WIDTH, 3))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            at_y = min(max((y + 0.5) * rows / HEIGHT - 0.5, 0), rows - 1)
            at_x = min(max((x + 0.5) * columns / WIDTH - 0.5, 0), columns - 1)
            low_y, low_x = int(at_y), int(at_x)
            high_y, high_x = min(low_y + 1, rows - 1), min(low_x + 1, columns - 1)
            v, u = at_y - low_y, at_x - low_x
            upper = cut[low_y, low_x] * (1 - u) + cut[low_y, high_x] * u
            lower = cut[high_y, low_x] * (1 - u) + cut[high_y, high_x] * u
            expected[y, x] = upper * (1 - v) + lower * v
    got = np.asarray(_resize(jnp.asarray(image), jnp.array(box, jnp.int32)))
    assert got.dtype == np.uint8
    difference = expected - got
    assert difference.min() > -1e-2
    assert difference.max() < 1 + 1e-2
    if box == (0, 0, 20, 24):
        np.testing.assert_array_equal(got, image)


_resize = jax.jit(geometry.crop_and_resize)


def test_inception_crop_is_keyed():
    image = jnp.asarray(_image())
    crop = jax.jit(geometry.inception_crop)
    outputs = [np.asarray(crop(image, jax.random.key(seed))).tobytes() for seed in (0, 1, 2, 0)]
    assert outputs[0] == outputs[3]
    assert len(set(outputs)) == 3


def test_attempts_that_give_no_valid_box_are_repeated():
    keys = jax.random.split(jax.random.key(6), 2000)
    _, valid = jax.jit(jax.vmap(lambda key: geometry._attempt(key, 6, 110)))(keys)
    # An area of 5% is 33, which narrow crops of 6 rows do not have; the whole image is 660.
    assert 0.2 < 1 - np.mean(valid) < 0.4
    areas = np.prod(_boxes(6, 110)[:, 2:], axis=1)
    assert (areas.min(), areas.max()) == (35, 48)
    # Of 4 rows no width within the aspects covers 5% of 200 columns.
    np.testing.assert_array_equal(_boxes(4, 200, count=3), [[0, 0, 4, 200]] * 3)
