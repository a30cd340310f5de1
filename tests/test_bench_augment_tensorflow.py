"""Where TensorFlow is installed: its own image operations, which the reference was written with, as oracles."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from bench.augment import blends, geometry, tables, warp

HEIGHT, WIDTH = 24, 32


@pytest.fixture(scope="module")
def tf():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow")


def _image():
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def _lookup(table, image):
    return np.asarray(table)[image.astype(int), np.arange(3)]


def _near(got, expected, share=0.98):
    difference = np.abs(np.asarray(got).astype(int) - np.asarray(expected).astype(int))
    assert difference.max() <= 1
    assert np.mean(difference == 0) >= share


def test_grey(tf):
    values = np.stack(np.meshgrid(*(np.arange(0, 256, 5, dtype=np.uint8),) * 3, indexing="ij"), axis=-1).reshape(52, -1, 3)
    _near(blends.grey(jnp.asarray(values))[..., :1], tf.image.rgb_to_grayscale(values), 0.999)


def test_smoothing(tf):
    image = _image()
    kernel = np.tile((np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13)[:, :, None, None], (1, 1, 3, 1))
    expected = tf.nn.depthwise_conv2d(image[None].astype(np.float32), kernel, [1, 1, 1, 1], "VALID")[0]
    _near(blends.smooth(jnp.asarray(image))[1:-1, 1:-1], tf.cast(tf.clip_by_value(expected, 0.0, 255.0), tf.uint8), 0.9)


def test_autocontrast(tf):
    image = _image() // 2 + 30
    channels = tf.cast(image, tf.float32)
    low, high = tf.reduce_min(channels, [0, 1]), tf.reduce_max(channels, [0, 1])
    scale = 255.0 / (high - low)
    expected = tf.cast(tf.clip_by_value(channels * scale - low * scale, 0.0, 255.0), tf.uint8)
    _near(_lookup(tables.autocontrast(jnp.asarray(image)), image), expected, 0.95)


@pytest.mark.parametrize("bits", [0, 1, 2, 4, 6, 8])
def test_posterize_shifts_as_tensorflow_does(tf, bits):
    image, shift = _image(), tf.constant(8 - bits, tf.uint8)
    expected = tf.bitwise.left_shift(tf.bitwise.right_shift(image, shift), shift)
    np.testing.assert_array_equal(_lookup(tables.posterize(jnp.int32(bits)), image), expected)


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("amount", [-31.0, -0.27, 0.0, 0.5, 4.5, 18.0])
def test_warps(tf, kind, amount):
    image = _image()
    matrix = warp.affine(jnp.int32(kind), jnp.float32(amount), HEIGHT, WIDTH)
    with_alpha = np.concatenate([image, np.ones((HEIGHT, WIDTH, 1), np.uint8)], axis=2)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=with_alpha[None],
        transforms=np.concatenate([np.asarray(matrix), np.zeros(2, np.float32)])[None],
        output_shape=[HEIGHT, WIDTH],
        interpolation="NEAREST",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )[0].numpy()
    expected = np.where(moved[..., 3:] == 0, 128, moved[..., :3])
    got = np.asarray(warp.warp(jnp.asarray(image), matrix, 128))
    assert np.mean(np.any(got != expected, axis=2)) < 0.01


@pytest.mark.parametrize("box", [(0, 0, 24, 32), (3, 5, 7, 9), (12, 0, 8, 32), (9, 9, 1, 2)])
def test_crop_and_resize(tf, box):
    image = _image()
    top, left, rows, columns = box
    expected = tf.image.resize(image[top : top + rows, left : left + columns], (HEIGHT, WIDTH), "bilinear", antialias=False)
    _near(geometry.crop_and_resize(jnp.asarray(image), jnp.array(box, jnp.int32)), tf.cast(expected, tf.uint8), 0.95)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (40, 56)])
def test_crop_boxes_have_the_distribution_of_sample_distorted_bounding_box(tf, height, width):
    tf.random.set_seed(0)
    count = 1500

    def draw(_):
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            (height, width, 3),
            tf.zeros([0, 0, 4]),
            area_range=(0.05, 1.0),
            min_object_covered=0,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], size[:2]], 0)

    reference = np.stack(list(tf.data.Dataset.range(count).map(draw).as_numpy_iterator()))
    keys = jax.random.split(jax.random.key(8), count)
    ours = np.asarray(jax.jit(jax.vmap(lambda key: geometry.crop_box(key, height, width)))(keys))
    for column in range(4):
        assert scipy.stats.ks_2samp(ours[:, column], reference[:, column]).pvalue > 0.01
    assert scipy.stats.ks_2samp(ours[:, 2] * ours[:, 3], reference[:, 2] * reference[:, 3]).pvalue > 0.01
    assert (ours[:, :2] + ours[:, 2:]).max(axis=0).tolist() == (reference[:, :2] + reference[:, 2:]).max(axis=0).tolist()
