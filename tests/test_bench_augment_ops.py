"""Every operation against an oracle of its own: PIL where its semantics coincide, loops in Python floats where they do not."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from bench.augment import blends, ops

HEIGHT, WIDTH = 24, 32
TRANSLATE, CUTOUT = 9, 6
MAGNITUDES = (0, 5, 10, 15, 20)
CENTRES = ((0, 0), (11, 17), (23, 31))

ARGUMENTS_AT_224 = {
    "AutoContrast": (0, 0, 0, 0, 0),
    "Equalize": (0, 0, 0, 0, 0),
    "Invert": (0, 0, 0, 0, 0),
    "Rotate": (0, 15, 30, 45, 60),
    "Posterize": (0, 2, 4, 6, 8),
    "Solarize": (0, 128, 256, 384, 512),
    "Color": (0.1, 1.0, 1.9, 2.8, 3.7),
    "Contrast": (0.1, 1.0, 1.9, 2.8, 3.7),
    "Brightness": (0.1, 1.0, 1.9, 2.8, 3.7),
    "Sharpness": (0.1, 1.0, 1.9, 2.8, 3.7),
    "ShearX": (0, 0.15, 0.3, 0.45, 0.6),
    "ShearY": (0, 0.15, 0.3, 0.45, 0.6),
    "TranslateX": (0, 50, 100, 150, 200),
    "TranslateY": (0, 50, 100, 150, 200),
    "Cutout": (0, 20, 40, 60, 80),
    "SolarizeAdd": (0, 55, 110, 165, 220),
}


def _images():
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    dim = rng.integers(40, 190, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    dim[..., 1] = 77  # A flat channel.
    real = np.ascontiguousarray(skimage.data.astronaut()[20:212:8, 100:356:8])
    return {"noise": noise, "dim": dim, "astronaut": real, "black": np.zeros_like(noise)}


IMAGES = _images()
_apply = jax.jit(ops.apply)
_arguments = jax.jit(ops.arguments, static_argnums=(1, 2))


def _run(image, name, magnitude, negate=False, centre=(0, 0)):
    op = ops.INDEX[name]
    argument = _arguments(jnp.float32(magnitude), TRANSLATE, CUTOUT)[op]
    out = _apply(jnp.asarray(image), jnp.int32(op), argument, jnp.bool_(negate), jnp.array(centre, jnp.int32))
    assert out.dtype == jnp.uint8
    assert out.shape == image.shape
    return np.asarray(out)


def _pil(function, image, *args):
    return np.asarray(function(Image.fromarray(image), *args))


def _blend(degenerate, image, magnitude):
    base, factor = degenerate.astype(np.float32), np.float32(magnitude / 10 * 1.8 + 0.1)
    return np.clip(base + factor * (image.astype(np.float32) - base), 0, 255).astype(np.uint8)


def _grey(image):
    luma = image.astype(np.float64) @ [0.2989, 0.5870, 0.1140] / 255
    return np.repeat((luma * 255.5).astype(np.uint8)[..., None], 3, axis=2)


def _smoothed(image):
    out = image.astype(np.int64)
    for y in range(1, image.shape[0] - 1):
        for x in range(1, image.shape[1] - 1):
            window = image[y - 1 : y + 2, x - 1 : x + 2].astype(np.int64)
            out[y, x] = (window.sum(axis=(0, 1)) + 4 * window[1, 1]) // 13
    return out.astype(np.uint8)


def _source(name, magnitude, negate):
    """The reference's map from an output position to an input position."""
    sign = -1 if negate else 1
    slope, turn = sign * 0.3 * magnitude / 10, math.radians(sign * 30 * magnitude / 10)
    pixels = sign * TRANSLATE * magnitude / 10
    middle_x, middle_y = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    maps = {
        "Rotate": lambda x, y: (
            middle_x + math.cos(turn) * (x - middle_x) - math.sin(turn) * (y - middle_y),
            middle_y + math.sin(turn) * (x - middle_x) + math.cos(turn) * (y - middle_y),
        ),
        "ShearX": lambda x, y: (x + slope * y, y),
        "ShearY": lambda x, y: (x, y + slope * x),
        "TranslateX": lambda x, y: (x + pixels, y),
        "TranslateY": lambda x, y: (x, y + pixels),
    }
    return maps[name]


def _away(value):
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def test_the_order_of_the_operations():
    assert tuple(ARGUMENTS_AT_224) == ops.NAMES
    assert len(ops.NAMES) == 16


@pytest.mark.parametrize(("column", "magnitude"), list(enumerate(MAGNITUDES)))
def test_arguments_at_224(column, magnitude):
    expected = [row[column] for row in ARGUMENTS_AT_224.values()]
    np.testing.assert_array_max_ulp(np.asarray(_arguments(jnp.float32(magnitude), 100, 40)), np.float32(expected), maxulp=1)


def test_truncated_arguments_equal_python_integers_at_every_whole_magnitude():
    for cutout in (5, 6, 40):
        for magnitude in range(21):
            got = np.asarray(_arguments(jnp.float32(magnitude), 100, cutout))
            for name, full in {"Posterize": 4, "Solarize": 256, "SolarizeAdd": 110, "Cutout": cutout}.items():
                assert got[ops.INDEX[name]] == int(magnitude / 10 * full), (name, magnitude, full)


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("which", IMAGES)
def test_exact_value_operations(which, magnitude):
    image = IMAGES[which]
    threshold = int(magnitude / 10 * 256) % 256
    bits = int(magnitude / 10 * 4)
    added = np.where(image < 128, np.minimum(image.astype(int) + int(magnitude / 10 * 110), 255), image)
    np.testing.assert_array_equal(_run(image, "Equalize", magnitude), _pil(ImageOps.equalize, image))
    np.testing.assert_array_equal(_run(image, "Invert", magnitude), _pil(ImageOps.invert, image))
    np.testing.assert_array_equal(_run(image, "Posterize", magnitude), _pil(ImageOps.posterize, image, max(bits, 1)))
    np.testing.assert_array_equal(_run(image, "Solarize", magnitude), _pil(ImageOps.solarize, image, threshold))
    np.testing.assert_array_equal(_run(image, "SolarizeAdd", magnitude), added)


@pytest.mark.parametrize("which", IMAGES)
def test_autocontrast(which):
    image = IMAGES[which]
    expected = image.copy()
    for channel in range(3):
        low, high = int(image[..., channel].min()), int(image[..., channel].max())
        if high > low:
            stretch = {v: math.floor(Fraction(255 * (v - low), high - low)) for v in range(low, high + 1)}
            expected[..., channel] = np.vectorize(stretch.get)(image[..., channel].astype(int))
    np.testing.assert_array_equal(_run(image, "AutoContrast", 10), expected)


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("which", IMAGES)
def test_blending_operations(which, magnitude):
    image = IMAGES[which]
    degenerates = {
        "Color": _grey(image),
        "Contrast": np.full_like(image, HEIGHT * WIDTH // 256),
        "Brightness": np.zeros_like(image),
        "Sharpness": _smoothed(image),
    }
    for name, degenerate in degenerates.items():
        np.testing.assert_array_equal(_run(image, name, magnitude), _blend(degenerate, image, magnitude), err_msg=name)


def test_blending_is_the_unfused_float32_of_the_reference():
    degenerate, image = np.mgrid[:256, :256]
    blended = jax.jit(blends.blend)
    for magnitude in range(21):
        factor = _arguments(jnp.float32(magnitude), TRANSLATE, CUTOUT)[ops.INDEX["Color"]]
        got = np.asarray(blended(jnp.asarray(degenerate, jnp.int32), jnp.asarray(image, jnp.int32), factor)).astype(int)
        different = np.abs(got - _blend(degenerate, image, magnitude))
        assert different.max() <= (0 if magnitude in MAGNITUDES else 1)
        assert different.mean() < 0.01


def test_a_blending_factor_of_one_returns_the_image_and_the_border_is_never_sharpened():
    image = IMAGES["astronaut"]
    for name in ops.BLENDS:
        np.testing.assert_array_equal(_run(image, name, 5), image)
    sharp = _run(image, "Sharpness", 20)
    border = np.ones(image.shape[:2], bool)
    border[1:-1, 1:-1] = False
    np.testing.assert_array_equal(sharp[border], image[border])
    assert np.mean(sharp[~border] != image[~border]) > 0.5


@pytest.mark.parametrize(("side", "mean"), [(224, 196), (288, 255)])
def test_contrast_keeps_the_reference_bug(side, mean):
    image = np.broadcast_to(np.arange(side, dtype=np.uint8)[:, None, None], (side, side, 3))
    np.testing.assert_array_equal(_run(image, "Contrast", 0), _blend(np.full_like(image, mean), image, 0))


@pytest.mark.parametrize("negate", [False, True])
@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("name", ["Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"])
def test_geometric_operations(name, magnitude, negate):
    image = IMAGES["astronaut"]
    got = _run(image, name, magnitude, negate)
    source, compared = _source(name, magnitude, negate), 0
    exact = name.startswith("Translate")
    for y in range(HEIGHT):
        for x in range(WIDTH):
            from_x, from_y = source(x, y)
            # float32 may fall on either side of a tie, but translations by halves are exact.
            if not exact and any(abs(v % 1 - 0.5) < 1e-4 for v in (from_x, from_y)):
                continue
            column, row = _away(from_x), _away(from_y)
            inside = 0 <= column < WIDTH and 0 <= row < HEIGHT
            assert tuple(got[y, x]) == (tuple(image[row, column]) if inside else (128, 128, 128)), (x, y)
            compared += 1
    assert compared > 0.8 * HEIGHT * WIDTH


@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_cutout(magnitude, centre):
    image = IMAGES["noise"]
    pad, expected = int(magnitude / 10 * CUTOUT), image.copy()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            if centre[0] - pad <= y < centre[0] + pad and centre[1] - pad <= x < centre[1] + pad:
                expected[y, x] = 128
    np.testing.assert_array_equal(_run(image, "Cutout", magnitude, centre=centre), expected)


def test_one_trace_serves_every_operation_and_magnitude():
    traces = []

    @jax.jit
    def traced(image, op, magnitude):
        traces.append(op)
        argument = ops.arguments(magnitude, TRANSLATE, CUTOUT)[op]
        return ops.apply(image, op, argument, jnp.bool_(False), jnp.array([3, 4], jnp.int32))

    image = jnp.asarray(IMAGES["dim"])
    results = {
        np.asarray(traced(image, jnp.int32(op), jnp.float32(magnitude))).tobytes() for op in range(16) for magnitude in (3, 7)
    }
    assert len(traces) == 1
    assert len(results) == 3 + 2 * 13  # AutoContrast, Equalize and Invert have no argument.
