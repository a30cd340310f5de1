"""ViT: literal sizes, the released layout, and the forward pass against NumPy in double precision."""

import dataclasses
import math

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import numpy_passes
import pytest
import scipy.ndimage

from bench.errors import UserError
from bench.models import Noise, build, count_params, init
from bench.models.noise import random_bits
from bench.models.position import resample, sincos2d
from bench.models.vit import ViT
from bench.points.variants import BY_PREFIX, VARIANTS
from bench.points.variants.vit import ViTSpec

# 1000 classes at 224. The test suite of vision_transformer (models_test.py) has these.
COUNTS = {
    "Ti/16": 5_717_416,
    "S/32": 22_878_952,
    "S/16": 22_050_664,
    "B/32": 88_224_232,
    "B/16": 86_567_656,
    "B/8": 86_576_872,
    "L/16": 304_326_632,
    "L/32": 306_535_400,
    "H/14": 632_045_800,
    "S/16:gap": 22_049_896,
    "S/32:gap": 22_878_184,
    "B/16:gap": 86_566_120,
    "B/32:gap": 88_222_696,
    # timm's counts: vit_small_patch8_224; vit_base_patch16_siglip_224; vit_so400m_patch14_siglip_224; vit_giant_patch14_224 and
    # vit_gigantic_patch14_224, both made with class_token=False and global_pool="map".
    "S/8": 21_670_272 + 384 * 1000 + 1000,
    "B/16:map": 93_653_224,
    "SoViT-400m/14": 428_833_704,
    "g/14": 1_037_857_384,
    "G/14": 1_882_797_416,
}
SIZES = {"Ti": (192, 768, 12), "S": (384, 1536, 12), "B": (768, 3072, 12), "L": (1024, 4096, 24)}
TINY = ViTSpec(patch=4, width=12, depth=3, mlp=20, heads=3)


@pytest.fixture(scope="module")
def tiny():
    model = ViT(TINY, 5)
    images = jax.random.uniform(jax.random.key(1), (6, 12, 8, 3), minval=-1, maxval=1)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: jnp.asarray(rng.normal(0.1, 0.4, s.shape), jnp.float32), shapes)
    return model, params, images


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_parameter_count(name, count):
    assert count_params(name, 1000, 224) == count


def test_mu_parameter_count():
    assert count_params("ViT-mu", 10, 28) == 65_098


@pytest.mark.parametrize("patch", [8, 14, 16, 32])
@pytest.mark.parametrize("size", SIZES)
def test_parameter_count_is_the_sum_of_its_parts(size, patch):
    width, mlp, depth = SIZES[size]
    block = 4 * (width * width + width) + 2 * width * mlp + mlp + width + 4 * width
    tokens = (224 // patch) ** 2 + 1
    rest = (patch * patch * 3 + 1) * width + width + tokens * width + 2 * width + (width + 1) * 1000
    assert count_params(f"{size}/{patch}", 1000, 224) == depth * block + rest


def test_every_vit_is_counted():
    plain = {name for name in COUNTS if ":" not in name}
    products = {f"{size}/{patch}" for size in SIZES for patch in (8, 14, 16, 32)}
    assert {v.name for v in VARIANTS.values() if v.family == "vit"} == {"ViT-mu", *plain, *products}


def test_names_and_prefixes():
    assert BY_PREFIX["SoViT_400m_14"].name == "SoViT-400m/14"
    assert BY_PREFIX["B_16_gap_sincos"] == VARIANTS["B/16:gap:sincos"]
    assert VARIANTS["B/16:gap:sincos"].spec == ViTSpec(16, 768, 12, 3072, 12, pool="gap", position="sincos2d")
    # A modifier that changes nothing, or stands out of order, is no name.
    assert "g/14:map" not in VARIANTS
    assert "B/16:sincos:gap" not in VARIANTS


def test_options_add_and_remove_what_they_should():
    plain = count_params("B/16", 1000, 224)
    assert count_params("B/16:rep", 1000, 224) == plain + 768 * 768 + 768
    assert count_params("B/16:sincos", 1000, 224) == plain - 197 * 768
    # big_vision's recommended baseline: neither a class token nor a learned position.
    assert count_params("S/16:gap:sincos", 1000, 224) == COUNTS["S/16:gap"] - 196 * 384


@pytest.mark.parametrize(
    ("name", "resolution", "gmacs", "tolerance"),
    [
        # ViT-G/14 at 384: 2859.9 GFLOPs in "Scaling vision transformers"; ViT-B/16 and L/16 as everybody counts them.
        ("G/14", 384, 2859.9 / 2, 0.005),
        ("B/16", 224, 17.6, 0.005),
        ("B/16", 384, 55.5, 0.005),
        ("L/16", 224, 61.6, 0.005),
    ],
)
def test_cost_is_the_stated_one(name, resolution, gmacs, tolerance):
    assert VARIANTS[name].spec.macs(resolution, 1000) / 1e9 == pytest.approx(gmacs, rel=tolerance)


def test_layout_is_that_of_the_released_files():
    params = jax.eval_shape(lambda: init(build("Ti/16", 1000), 0, 224))
    flat = {k: v.shape for k, v in flax.traverse_util.flatten_dict(params, sep="/").items()}
    expected = {
        "cls": (1, 1, 192),
        "embedding/kernel": (16, 16, 3, 192),
        "embedding/bias": (192,),
        "Transformer/posembed_input/pos_embedding": (1, 197, 192),
        "Transformer/encoder_norm/scale": (192,),
        "Transformer/encoder_norm/bias": (192,),
        "head/kernel": (192, 1000),
        "head/bias": (1000,),
    }
    for i in range(12):
        block = f"Transformer/encoderblock_{i}/"
        attention = block + "MultiHeadDotProductAttention_1/"
        for name in ("query", "key", "value"):
            expected |= {attention + name + "/kernel": (192, 3, 64), attention + name + "/bias": (3, 64)}
        expected |= {attention + "out/kernel": (3, 64, 192), attention + "out/bias": (192,)}
        for norm in ("LayerNorm_0", "LayerNorm_2"):
            expected |= {block + norm + "/scale": (192,), block + norm + "/bias": (192,)}
        mlp = block + "MlpBlock_3/"
        expected |= {mlp + "Dense_0/kernel": (192, 768), mlp + "Dense_0/bias": (768,)}
        expected |= {mlp + "Dense_1/kernel": (768, 192), mlp + "Dense_1/bias": (192,)}
    assert flat == expected
    assert len(flat) == 200


def test_initial_values():
    model = build("ViT-mu", 10, head_bias=-6.9)
    params = init(model, 3, 28)
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    assert all(leaf.dtype == jnp.float32 for leaf in flat.values())
    np.testing.assert_array_equal(flat["head/kernel"], 0)
    np.testing.assert_allclose(flat["head/bias"], -6.9)
    np.testing.assert_array_equal(flat["cls"], 0)
    assert float(flat["Transformer/posembed_input/pos_embedding"].std()) == pytest.approx(0.02, rel=0.15)
    xavier = math.sqrt(6 / (48 + 48))
    for name in ("query", "out"):
        kernel = flat[f"Transformer/encoderblock_0/MultiHeadDotProductAttention_1/{name}/kernel"]
        assert 0.97 * xavier < float(jnp.abs(kernel).max()) <= xavier
    bias = flat["Transformer/encoderblock_0/MlpBlock_3/Dense_0/bias"]
    assert 0.5e-6 < float(bias.std()) < 2e-6
    # lecun_normal: a truncated normal of standard deviation 1/sqrt(fan-in).
    assert float(flat["embedding/kernel"].std()) == pytest.approx((7 * 7 * 3) ** -0.5, rel=0.05)
    other = init(model, np.uint32(4), 28)
    assert not np.array_equal(other["embedding"]["kernel"], params["embedding"]["kernel"])


def reference(params, images, patch, depth, keep=None):
    """The pass in float64; `keep[block, branch, sample]` multiplies the residual branches."""
    return numpy_passes.vit(numpy_passes.double(params), np.asarray(images, np.float64), patch, depth, keep=keep)


def test_forward_pass_equals_numpy(tiny):
    model, params, images = tiny
    logits, features = model.apply({"params": params}, images)
    expected = reference(params, np.asarray(images, np.float64), 4, 3)
    assert logits.shape == (6, 5)
    assert features.shape == (6, 12)
    np.testing.assert_allclose(logits, expected[0], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(features, expected[1], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"pool": "gap"},
        {"pool": "map"},
        {"position": "sincos2d"},
        {"pool": "map", "position": "sincos2d", "pre_logits": True},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_every_option_equals_numpy(tiny, options):
    _, _, images = tiny
    spec = dataclasses.replace(TINY, depth=1, **options)
    model = ViT(spec, 5)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda s: jnp.asarray(rng.normal(0.1, 0.4, s.shape), jnp.float32), shapes)
    assert ("cls" in params) == (spec.pool == "tok")
    position = None
    if spec.position == "sincos2d":
        assert "posembed_input" not in params["Transformer"]
        position = moco_v3(3, 2, 12)
        if spec.pool == "tok":
            position = np.concatenate([np.zeros((1, 12)), position])
    logits, features = jax.jit(model.apply)({"params": params}, images)
    expected = numpy_passes.vit(numpy_passes.double(params), np.asarray(images, np.float64), 4, 1, spec.pool, position=position)
    np.testing.assert_allclose(logits, expected[0], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(features, expected[1], rtol=2e-4, atol=2e-4)


def moco_v3(rows, columns, width):
    """Token by token and channel by channel: a quarter of the channels for each of sin(x), cos(x), sin(y), cos(y)."""
    quarter = width // 4
    found = np.zeros((rows * columns, width))
    for y, x, i in np.ndindex(rows, columns, quarter):
        frequency = 1 / 10_000 ** (i / (quarter - 1))
        values = (math.sin(x * frequency), math.cos(x * frequency), math.sin(y * frequency), math.cos(y * frequency))
        found[y * columns + x, i::quarter] = values
    return found


def test_sincos_needs_a_width_that_it_can_divide():
    for width in (4, 10):
        with pytest.raises(ValueError, match=f"multiple of 4 channels, at least 8, not {width}"):
            sincos2d((2, 2), width)


def test_options_begin_as_in_big_vision():
    flat = flax.traverse_util.flatten_dict(init(build("ViT-mu:map:rep", 10), 3, 28), sep="/")
    # xavier_uniform of (1, 1, D) has one input and D outputs.
    limit = math.sqrt(6 / (1 + 48))
    assert 0.9 * limit < float(jnp.abs(flat["MAPHead_0/probe"]).max()) <= limit
    xavier = math.sqrt(6 / (48 + 48))
    for name in ("query", "key", "value", "out"):
        kernel = flat[f"MAPHead_0/MultiHeadDotProductAttention_0/{name}/kernel"]
        assert 0.95 * xavier < float(jnp.abs(kernel).max()) <= xavier
    assert flat["MAPHead_0/MultiHeadDotProductAttention_0/key/kernel"].shape == (48, 3, 16)
    assert flat["pre_logits/kernel"].shape == (48, 48)
    np.testing.assert_array_equal(flat["head/kernel"], 0)


@pytest.mark.parametrize("new", [(7, 7), (14, 14), (24, 24), (5, 9), (1, 1), (15, 14)])
@pytest.mark.parametrize("class_token", [True, False])
def test_resampled_positions_are_scipys(new, class_token):
    old = np.random.default_rng(0).normal(size=(1, 14 * 14 + class_token, 6)).astype(np.float32)
    found = resample(old, new, class_token)
    assert found.dtype == np.float32
    assert found.shape == (1, new[0] * new[1] + class_token, 6)
    # As checkpoint.interpolate_posembed of vision_transformer does it.
    cells = old[0, class_token:].reshape(14, 14, 6)
    expected = scipy.ndimage.zoom(cells, (new[0] / 14, new[1] / 14, 1), order=1).reshape(-1, 6)
    np.testing.assert_array_equal(found[:, :class_token], old[:, :class_token])
    np.testing.assert_allclose(found[0, class_token:], expected, rtol=1e-5, atol=1e-6)


def test_resampling_to_the_same_grid_changes_nothing_and_a_strip_is_refused():
    old = np.random.default_rng(0).normal(size=(1, 10, 4)).astype(np.float32)
    np.testing.assert_array_equal(resample(old, (3, 3), True), old)
    with pytest.raises(ValueError, match="10 positions are not a square grid"):
        resample(old, (3, 3), False)


def test_one_compilation_serves_all_rates_and_zero_is_deterministic(tiny):
    model, params, images = tiny
    traces = []

    @jax.jit
    def apply(params, noise):
        traces.append(1)
        return model.apply({"params": params}, images, noise)[0]

    key = jnp.array([3, 4], jnp.uint32)
    out = {rate: apply(params, Noise(key, jnp.float32(rate), jnp.float32(rate))) for rate in (0.0, 0.1, 0.5)}
    assert len(traces) == 1
    np.testing.assert_allclose(out[0.0], model.apply({"params": params}, images)[0], rtol=1e-5, atol=1e-5)
    assert not np.allclose(out[0.1], out[0.0])
    assert not np.allclose(out[0.5], out[0.1])


def test_stochastic_depth_grows_with_depth_and_drops_whole_branches(tiny):
    model, params, images = tiny
    # Sites as the blocks number them: 1 + 5 * block, the branches' masks at offsets 1 and 4.
    key, rate = jnp.array([0, 8], jnp.uint32), 0.9
    keep = np.ones((3, 2, 6))
    for block in (1, 2):
        for branch, offset in enumerate((1, 4)):
            drawn = np.asarray(random_bits(key, 1 + 5 * block + offset, (6,)))
            keep[block, branch] = drawn / 2**32 >= rate * block / 2
    assert 0 < keep[1:].sum() < keep[1:].size
    noise = Noise(key, jnp.float32(0), jnp.float32(rate))
    logits, _ = model.apply({"params": params}, images, noise)
    expected, _ = reference(params, np.asarray(images, np.float64), 4, 3, keep)
    np.testing.assert_allclose(logits, expected, rtol=2e-4, atol=2e-4)


def test_dropout_sites(tiny, monkeypatch):
    model, params, images = tiny
    calls = []

    def record(x, _, site):
        calls.append((site, x.shape))
        return x

    monkeypatch.setattr("bench.models.vit.dropout", record)
    model.apply({"params": params}, images)
    inner, hidden = (6, 7, 12), (6, 7, 20)
    expected = [(0, inner)]
    for block in range(3):
        first = 1 + 5 * block
        expected += [(first, inner), (first + 2, hidden), (first + 3, inner)]
    assert calls == expected


def test_bfloat16_computes_near_float32_from_float32_parameters(tiny):
    model, params, images = tiny
    half = model.clone(dtype=jnp.bfloat16)
    shapes = jax.eval_shape(lambda: init(half, 0, 8))
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(shapes))
    logits, features = jax.jit(half.apply)({"params": params}, images)
    assert logits.dtype == features.dtype == jnp.float32
    exact = model.apply({"params": params}, images)[0]
    np.testing.assert_allclose(logits, exact, atol=0.25)
    assert not np.array_equal(logits, exact)


def test_unknown_model_is_explained():
    with pytest.raises(UserError, match=r"'Ti16'.*did you mean 'Ti/16'"):
        build("Ti16", 10)
