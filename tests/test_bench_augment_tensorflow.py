"""Where TensorFlow is installed: crops against its own operations, which the reference was written with."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from bench.augment import geometry

HEIGHT, WIDTH = 24, 32


@pytest.fixture(scope="module")
def tf():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow")


def _image():
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def _near(got, expected, share=0.98):
    difference = np.abs(np.asarray(got).astype(int) - np.asarray(expected).astype(int))
    assert difference.max() <= 1
    assert np.mean(difference == 0) >= share


@pytest.mark.parametrize("box", [(0, 0, 24, 32), (3, 5, 7, 9), (12, 0, 8, 32), (9, 9, 1, 2)])
def test_crop_and_resize(tf, box):
    image = _image()
    top, left, rows, columns = box
    expected = tf.image.resize(image[top : top + rows, left : left + columns], (HEIGHT, WIDTH), "bilinear", antialias=False)
    _near(geometry.crop_and_resize(jnp.asarray(image), jnp.array(box, jnp.int32)), tf.cast(expected, tf.uint8), 0.95)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (40, 56), (56, 40), (6, 110)])
def test_crop_boxes_have_the_distribution_of_sample_distorted_bounding_box(tf, height, width):
    count = 1500

    def draw(i):
        # Operations with a state draw differently in every process, whatever the global seed.
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            (height, width, 3),
            tf.zeros([0, 0, 4]),
            seed=tf.stack([i, 0]),
            area_range=(0.05, 1.0),
            min_object_covered=0,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], size[:2]], 0)

    reference = np.stack(list(tf.data.Dataset.range(count).map(draw).as_numpy_iterator()))
    keys = jax.random.split(jax.random.key(8), count)
    ours = np.asarray(jax.jit(jax.vmap(lambda key: geometry.crop_box(key, height, width)))(keys))
    for column in range(4):
        assert scipy.stats.ks_2samp(ours[:, column], reference[:, column], method="asymp").pvalue > 0.01
    assert scipy.stats.ks_2samp(ours[:, 2] * ours[:, 3], reference[:, 2] * reference[:, 3], method="asymp").pvalue > 0.01
    assert (ours[:, :2] + ours[:, 2:]).max(axis=0).tolist() == (reference[:, :2] + reference[:, 2:]).max(axis=0).tolist()
