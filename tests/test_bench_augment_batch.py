"""One compiled program augments every level, and an example's augmentation depends on its own key alone."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.augment import batch, levels, mixing, ops
from bench.augment.batch import Augmentation, augment_and_mix, augment_batch
from bench.augment.randaugment import randaugment, scaled

BATCH, HEIGHT, WIDTH = 8, 16, 24
PLAIN = Augmentation(flip=False, crop=False, translate=7, cutout=5)
FULL = Augmentation(flip=True, crop=True, translate=7, cutout=5)
KEY = jax.random.key(17)
TRACES: list[Augmentation] = []


def _counted(images, key, epochs, examples, layers, magnitude, static):
    TRACES.append(static)
    return augment_batch(images, key, epochs, examples, layers, magnitude, static)


_augment = jax.jit(_counted, static_argnames="static")
_single = jax.jit(
    lambda image, keys, layers, magnitude: jax.lax.map(
        lambda key: randaugment(image, key, layers, magnitude, translate=7, cutout=5), keys
    )
)


def _images():
    return np.random.default_rng(4).integers(20, 236, (BATCH, HEIGHT, WIDTH, 3), dtype=np.uint8)


def _run(images, epochs, examples, layers, magnitude, static, key=KEY):
    ids = (jnp.asarray(np.asarray(values, np.int32)) for values in (epochs, examples))
    return np.asarray(_augment(jnp.asarray(images), key, *ids, jnp.int32(layers), jnp.float32(magnitude), static=static))


def test_one_trace_serves_every_level():
    before = TRACES.count(PLAIN)
    results = {
        _run(_images(), [0] * BATCH, range(BATCH), layers, magnitude, PLAIN).tobytes()
        for layers in (0, 1, 2, 4)
        for magnitude in (0, 10, 15, 20)
    }
    assert TRACES.count(PLAIN) - before <= 1
    assert TRACES.count(PLAIN) == 1
    assert len(results) == 13


def test_no_layers_return_the_batch():
    images = _images()
    np.testing.assert_array_equal(_run(images, [0] * BATCH, range(BATCH), 0, 20, PLAIN), images)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(BATCH)), epoch=st.integers(0, 5), static=st.sampled_from([PLAIN, FULL]))
def test_augmentation_is_independent_of_the_place_in_the_batch(order, epoch, static):
    images, examples = _images(), np.arange(BATCH) * 1000
    epochs = np.full(BATCH, epoch)
    straight = _run(images, epochs, examples, 2, 15, static)
    np.testing.assert_array_equal(_run(images[order], epochs[order], examples[order], 2, 15, static), straight[order])


def test_augmentation_changes_with_key_epoch_and_example():
    images = np.broadcast_to(_images()[0], (BATCH, HEIGHT, WIDTH, 3))
    same = _run(images, [3] * BATCH, [9] * BATCH, 2, 20, FULL)
    assert np.all(same == same[0])
    by_epoch = _run(images, range(BATCH), [9] * BATCH, 2, 20, FULL)
    by_example = _run(images, [3] * BATCH, range(BATCH), 2, 20, FULL)
    by_key = _run(images, [3] * BATCH, [9] * BATCH, 2, 20, FULL, key=jax.random.key(18))
    for varied in (by_epoch, by_example):
        assert len({image.tobytes() for image in varied}) >= BATCH - 1
    assert np.any(by_key[0] != same[0])


@pytest.mark.parametrize(("flip", "crop"), [(True, False), (False, True)])
def test_flip_and_crop_are_applied_without_layers(flip, crop):
    images = _images()
    out = _run(images, [0] * BATCH, range(BATCH), 0, 0, Augmentation(flip, crop))
    mirrored = np.all(out == images[:, :, ::-1], axis=(1, 2, 3))
    kept = np.all(out == images, axis=(1, 2, 3))
    if flip:
        assert np.all(mirrored ^ kept)
        assert 0 < mirrored.sum() < BATCH
    else:
        assert not np.any(mirrored | kept)


def test_the_form_makes_no_difference():
    images, keys = jnp.asarray(_images()), jax.random.split(KEY, BATCH)

    def one(image, key, form=ops.apply):
        return randaugment(image, key, jnp.int32(2), jnp.float32(15), translate=7, cutout=5, form=form)

    mapped = jax.jit(lambda images, keys: jax.lax.map(lambda pair: one(*pair), (images, keys)))(images, keys)
    together = jax.jit(jax.vmap(lambda image, key: one(image, key, ops.apply_fused)))(images, keys)
    np.testing.assert_array_equal(mapped, together)


def test_a_set_of_operations_is_drawn_from_and_nothing_else():
    images = np.broadcast_to(_images()[0], (BATCH, HEIGHT, WIDTH, 3))
    static = Augmentation(flip=False, crop=False, ops=("Invert", "SolarizeAdd"))
    out = _run(images, range(BATCH), range(BATCH), 1, 0, static)
    inverted, kept = (np.all(out == version, axis=(1, 2, 3)) for version in (255 - images, images))
    # SolarizeAdd adds nothing at magnitude 0.
    assert np.all(inverted ^ kept)
    assert 0 < inverted.sum() < BATCH


ORDERS = {first: Augmentation(flip=True, crop=True, ops=("Solarize",), fixed=True, mix_first=first) for first in (True, False)}
_augment_and_mix = jax.jit(augment_and_mix, static_argnames="static")


def _mixed(first, own, images):
    """At magnitude 5 the fixed Solarize has threshold 128; `own` is every image's own weight."""
    ids, mixed = jnp.arange(BATCH, dtype=jnp.int32), mixing.Mixing(np.full(2, own, np.float32), np.zeros((2, 4), np.int32))
    settings = jnp.int32(1), jnp.float32(5), jax.tree.map(jnp.asarray, mixed)
    return _augment_and_mix(jnp.asarray(images), jax.nn.one_hot(ids, BATCH), KEY, ids, ids, *settings, static=ORDERS[first])


def test_without_mixing_the_order_makes_no_difference():
    alone = _run(_images(), range(BATCH), range(BATCH), 1, 5, ORDERS[True])
    for first in ORDERS:
        images, targets = _mixed(first, 1.0, _images())
        np.testing.assert_array_equal(images, batch.to_float(jnp.asarray(alone)))
        np.testing.assert_array_equal(targets, np.eye(BATCH))


# Solarize makes 0 of 0 and 55 of 200, and leaves their mean of 100.
@pytest.mark.parametrize(("first", "grey"), [(True, 100), (False, 27.5)])
def test_mixing_comes_before_or_after_randaugment(first, grey):
    images = np.zeros((BATCH, HEIGHT, WIDTH, 3), np.uint8)
    images[::2] = 200
    out, targets = _mixed(first, 0.5, images)
    np.testing.assert_allclose(out, (grey - 127.5) / 127.5, atol=1e-6)
    np.testing.assert_array_equal(targets, (np.eye(BATCH) + np.roll(np.eye(BATCH), 1, axis=0)) / 2)


def test_fixed_is_a_choice_of_its_own():
    # A threshold of 256, which wraps around without it.
    static = Augmentation(flip=False, crop=False, ops=("Solarize",), fixed=True)
    np.testing.assert_array_equal(_run(_images(), range(BATCH), range(BATCH), 1, 10, static), _images())


def test_lowers_for_accelerators_without_a_loop_over_the_batch():
    shapes = (
        jax.ShapeDtypeStruct((37, HEIGHT, WIDTH, 3), jnp.uint8),
        jax.eval_shape(lambda: jax.random.key(0)),
        *(jax.ShapeDtypeStruct((37,), jnp.int32) for _ in range(2)),
        jax.ShapeDtypeStruct((), jnp.int32),
        jax.ShapeDtypeStruct((), jnp.float32),
    )
    traced = jax.jit(augment_batch, static_argnames="static").trace(*shapes, static=PLAIN)
    one_image = f"tensor<1x{HEIGHT}x{WIDTH}x3xui8>"  # What a loop slices out of the batch.
    assert one_image in traced.lower(lowering_platforms=("cpu",)).as_text()
    for platform in ("cuda", "tpu"):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert one_image not in text
        # One gather for the warp and one for the look-up table, of all images.
        shapes = re.findall(r"stablehlo.gather.*-> tensor<([0-9x]+)xui8>", text)
        assert [math.prod(map(int, shape.split("x"))) for shape in shapes].count(37 * HEIGHT * WIDTH * 3) == 2


def _classify(images, results, magnitude):
    """The operation and sign that explain each result; Cutout, whose centre is free, is what nothing else explains."""
    strengths = levels.levels(jnp.float32(magnitude), 7, 5)

    def candidates(image):
        def one(index):
            return ops.apply(image, index % 16, strengths, index >= 16, jnp.array([-99, -99], jnp.int32))

        return jax.lax.map(one, jnp.arange(32, dtype=jnp.int32))

    every = np.asarray(jax.jit(lambda images: jax.lax.map(candidates, images))(jnp.asarray(images)))
    match = np.all(every == np.asarray(results)[:, None], axis=(2, 3, 4))
    match[:, [ops.INDEX["Cutout"], 16 + ops.INDEX["Cutout"]]] = False
    first = np.where(match.any(axis=1), match.argmax(axis=1), ops.INDEX["Cutout"])
    return first % 16, first >= 16


def test_operations_and_signs_are_uniform_and_layers_independent():
    count, magnitude = 1600, 7
    image, keys = jnp.asarray(_images()[0]), jax.random.split(jax.random.key(1), count)
    once, twice = (np.asarray(_single(image, keys, jnp.int32(layers), jnp.float32(magnitude))) for layers in (1, 2))
    first, negated = _classify(np.asarray(image)[None].repeat(count, axis=0), once, magnitude)
    counts = np.bincount(first, minlength=16)
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    moved = np.isin(first, [ops.INDEX[name] for name in ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")])
    assert abs(np.mean(negated[moved]) - 0.5) < 3 * 0.5 / np.sqrt(moved.sum())

    # Only first layers that keep the image rich enough to tell the second one.
    rich = np.isin(first, [ops.INDEX[name] for name in ("AutoContrast", "Equalize", "Invert", "Solarize", "Color")])
    second, _ = _classify(once[rich], twice[rich], magnitude)
    assert len(set(second.tolist())) == 16
    assert np.mean(second == first[rich]) < 0.12

    cut = np.all(once[first == ops.INDEX["Cutout"]] == 128, axis=3)
    assert cut.sum(axis=1).max() == 6
    assert cut.sum(axis=2).max() == 6
    edges = (cut[:, 0], cut[:, -1], cut[:, :, 0], cut[:, :, -1])
    assert all(edge.any() for edge in edges)
    assert cut.any(axis=0).mean() > 0.95


def test_pixel_constants_scale_with_the_resolution():
    assert [scaled(100, side) for side in (224, 28, 32, 384)] == [100, 12, 14, 171]
    assert [scaled(40, side) for side in (224, 28, 32, 384)] == [40, 5, 6, 69]
    assert Augmentation.at(224, flip=True, crop=False) == Augmentation(True, False, 100, 40)
    assert Augmentation.at(28, flip=False, crop=True) == Augmentation(False, True, 12, 5)
    assert Augmentation(True, True) == Augmentation(True, True, 100, 40, ops.NAMES, False, False)


def test_to_float():
    values = batch.to_float(jnp.arange(256, dtype=jnp.uint8))
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, (np.arange(256) - 127.5) / 127.5, atol=1e-7)
    assert (values[0], values[255]) == (-1, 1)
