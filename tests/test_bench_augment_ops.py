"""Operations against oracles that share nothing with TensorFlow: PIL where its semantics coincide, loops in Python floats."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from bench.augment import levels, ops

HEIGHT, WIDTH = 24, 32
TRANSLATE, CUTOUT = 9, 6
MAGNITUDES = (0, 5, 10, 15, 20)
CENTRES = ((0, 0), (11, 17), (23, 31))

ARGUMENTS_AT_224 = {
    "bits": (0, 2, 4, 6, 8),
    "threshold": (0, 128, 256, 384, 512),
    "factor": (0.1, 1.0, 1.9, 2.8, 3.7),
    "slope": (0, 0.15, 0.3, 0.45, 0.6),
    "shift": (0, 50, 100, 150, 200),
    "pad": (0, 20, 40, 60, 80),
    "addition": (0, 55, 110, 165, 220),
    "cosine": (1, 0.9659258, 0.8660254, 0.7071068, 0.5),
    "sine": (0, 0.2588190, 0.5, 0.7071068, 0.8660254),
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
_levels = jax.jit(levels.levels, static_argnums=(1, 2))


def _run(image, name, magnitude, negate=False, centre=(0, 0)):
    op = ops.INDEX[name]
    strengths = _levels(jnp.float32(magnitude), TRANSLATE, CUTOUT)
    out = _apply(jnp.asarray(image), jnp.int32(op), strengths, jnp.bool_(negate), jnp.array(centre, jnp.int32))
    assert out.dtype == jnp.uint8
    assert out.shape == image.shape
    return np.asarray(out)


def _pil(function, image, *args):
    return np.asarray(function(Image.fromarray(image), *args))


def _blend(degenerate, image, magnitude):
    base, factor = degenerate.astype(np.float32), np.float32(magnitude / 10 * 1.8 + 0.1)
    return np.clip(base + factor * (image.astype(np.float32) - base), 0, 255).astype(np.uint8)


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


def test_the_operations():
    names = (
        *("AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize", "Color", "Contrast"),
        *("Brightness", "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY", "Cutout", "SolarizeAdd"),
    )
    assert names == ops.NAMES


@pytest.mark.parametrize(("column", "magnitude"), list(enumerate(MAGNITUDES)))
def test_arguments_at_224(column, magnitude):
    found = _levels(jnp.float32(magnitude), 100, 40)._asdict()
    assert set(found) == set(ARGUMENTS_AT_224)
    for name, row in ARGUMENTS_AT_224.items():
        assert float(found[name]) == pytest.approx(row[column], rel=2e-7, abs=1e-7), name


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
    image = IMAGES[which].astype(float)
    low, high = image.min(axis=(0, 1)), image.max(axis=(0, 1))
    stretched = np.where(high > low, 255 * (image - low) / np.maximum(high - low, 1), image)
    # Truncation in float32 may fall short of what is whole.
    difference = stretched - _run(IMAGES[which], "AutoContrast", 10)
    assert difference.min() >= 0
    assert difference.max() < 1 + 1e-4


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("which", IMAGES)
def test_blending_with_a_constant(which, magnitude):
    image = IMAGES[which]
    for name, constant in {"Contrast": HEIGHT * WIDTH // 256, "Brightness": 0}.items():
        expected = _blend(np.full_like(image, constant), image, magnitude)
        np.testing.assert_array_equal(_run(image, name, magnitude), expected, err_msg=name)


def test_a_blending_factor_of_one_returns_the_image_and_the_border_is_never_sharpened():
    image = IMAGES["astronaut"]
    for name in ("Color", "Contrast", "Brightness", "Sharpness"):
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
        strengths = levels.levels(magnitude, TRANSLATE, CUTOUT)
        return ops.apply(image, op, strengths, jnp.bool_(False), jnp.array([3, 4], jnp.int32))

    image = jnp.asarray(IMAGES["dim"])
    results = {
        np.asarray(traced(image, jnp.int32(op), jnp.float32(magnitude))).tobytes() for op in range(16) for magnitude in (3, 7)
    }
    assert len(traces) == 1
    assert len(results) == 3 + 2 * 13  # AutoContrast, Equalize and Invert have no argument.
