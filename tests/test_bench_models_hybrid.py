"""Hybrids: literal sizes, the released layout, and the forward pass against NumPy in double precision."""

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import numpy_passes
import pytest

from bench.models import Noise, build, count_params, init
from bench.models.hybrid import Hybrid
from bench.models.noise import random_bits
from bench.models.residual import standardise
from bench.points.variants import BY_PREFIX, VARIANTS
from bench.points.variants.hybrid import HybridSpec

# 1000 classes at 224; the test suite of vision_transformer (models_test.py) has the same numbers.
COUNTS = {"R+Ti/16": 6_337_704, "R26+S/32": 36_431_912, "R50+L/32": 328_994_856}
TINY = HybridSpec(2, 12, 2, 20, 3, units=(2, 1), root=32)


@pytest.fixture(scope="module")
def tiny():
    model = Hybrid(TINY, 5)
    # Odd sides and patches that do not fill the maps: 26 x 34 become 13 x 17, 7 x 9 and 4 x 5.
    images = jax.random.uniform(jax.random.key(1), (3, 26, 34, 3), minval=-1, maxval=1)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: jnp.asarray(rng.normal(0.1, 0.4, s.shape), jnp.float32), shapes)
    return model, params, images


@pytest.fixture(scope="module")
def deterministic(tiny):
    model, params, images = tiny
    return jax.jit(model.apply)({"params": params}, images)


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_parameter_count(name, count):
    assert count_params(name, 1000, 224) == count


def test_mu_parameter_count():
    # A root of 32; a bottleneck 32 -> 128 with its projection; a Vision Transformer of width 48 on 7 x 7 pixels, 128 channels.
    root = 7 * 7 * 3 * 32 + 2 * 32
    bottleneck = 32 * 32 + 9 * 32 * 32 + 2 * 32 * 128 + 2 * (32 + 32 + 128 + 128)
    block = 4 * (48 * 48 + 48) + 2 * 48 * 192 + 192 + 48 + 4 * 48
    vit = 2 * block + 128 * 48 + 48 + 48 + 50 * 48 + 2 * 48 + 48 * 10 + 10
    assert count_params("R-mu", 10, 28) == root + bottleneck + vit == 89_610


def test_every_hybrid_has_a_literal_count():
    assert {v.name for v in VARIANTS.values() if v.family == "hybrid"} == {"R-mu", *COUNTS}


def test_names_and_prefixes():
    assert [VARIANTS[name].prefix for name in COUNTS] == ["R_Ti_16", "R26_S_32", "R50_L_32"]
    assert BY_PREFIX["R26_S_32_gap"] == VARIANTS["R26+S/32:gap"]
    assert VARIANTS["R26+S/32:gap"].spec.units == (2, 2, 2, 2)
    assert count_params("R26+S/32:gap", 1000, 224) == COUNTS["R26+S/32"] - 2 * 384


@pytest.mark.parametrize(
    ("name", "tensors", "rows", "embedding"),
    [
        ("R+Ti/16", 203, 50, (8, 8, 64, 192)),
        ("R26+S/32", 287, 50, (1, 1, 2048, 384)),
        ("R50+L/32", 551, 50, (1, 1, 2048, 1024)),
    ],
)
def test_layout_is_that_of_the_released_files(name, tensors, rows, embedding):
    params = jax.eval_shape(lambda: init(build(name, 1000), 0, 224))
    flat = {k: v.shape for k, v in flax.traverse_util.flatten_dict(params, sep="/").items()}
    width = embedding[-1]
    expected = {
        "conv_root/kernel": (7, 7, 3, 64),
        "gn_root/scale": (64,),
        "gn_root/bias": (64,),
        "embedding/kernel": embedding,
        "embedding/bias": (width,),
        "Transformer/posembed_input/pos_embedding": (1, rows, width),
        "cls": (1, 1, width),
    }
    channels = 64
    for stage, count in enumerate({"R+Ti/16": (), "R26+S/32": (2, 2, 2, 2), "R50+L/32": (3, 4, 6, 3)}[name]):
        inner = 64 * 2**stage
        for unit in range(count):
            block = f"block{stage + 1}/unit{unit + 1}/"
            expected[block + "conv1/kernel"] = (1, 1, channels, inner)
            expected[block + "conv2/kernel"] = (3, 3, inner, inner)
            expected[block + "conv3/kernel"] = (1, 1, inner, 4 * inner)
            norms = {"gn1": inner, "gn2": inner, "gn3": 4 * inner}
            if unit == 0:
                expected[block + "conv_proj/kernel"] = (1, 1, channels, 4 * inner)
                norms["gn_proj"] = 4 * inner
            expected |= {f"{block}{norm}/{leaf}": (size,) for norm, size in norms.items() for leaf in ("scale", "bias")}
            channels = 4 * inner
    found = {k: v for k, v in flat.items() if not k.startswith(("Transformer/encoder", "head/"))}
    assert found == expected
    assert len(flat) == tensors


def test_cost_of_the_released_models():
    # GMACs of timm's model cards: 0.4, 3.5 and 19.5.
    for name, gmacs in {"R+Ti/16": 0.4, "R26+S/32": 3.5, "R50+L/32": 19.5}.items():
        assert VARIANTS[name].spec.macs(224, 1000) / 1e9 == pytest.approx(gmacs, abs=0.1)


def test_initial_values():
    flat = flax.traverse_util.flatten_dict(init(build("R-mu", 10, head_bias=-10.0), 3, 28), sep="/")
    assert all(leaf.dtype == jnp.float32 for leaf in flat.values())
    unit = "block1/unit1/"
    for name in ("gn_root/", unit + "gn1/", unit + "gn2/", unit + "gn3/", unit + "gn_proj/"):
        np.testing.assert_array_equal(flat[name + "scale"], 0 if name.endswith("gn3/") else 1)
        np.testing.assert_array_equal(flat[name + "bias"], 0)
    for name in (unit + "conv2/kernel", unit + "conv3/kernel", "conv_root/kernel", "embedding/kernel"):
        assert float(flat[name].std()) == pytest.approx(np.prod(flat[name].shape[:3]) ** -0.5, rel=0.05)
    np.testing.assert_array_equal(flat["head/kernel"], 0)
    np.testing.assert_array_equal(flat["head/bias"], -10)


def same(size, kernel, stride):
    """TensorFlow's padding: the odd pixel goes after."""
    return max((-(-size // stride) - 1) * stride + kernel - size, 0) // 2


def standardised(kernel):
    """The epsilon is added to the deviation, not to the variance: `weight_standardize` of models_resnet.py."""
    return (kernel - kernel.mean((0, 1, 2))) / (kernel.std((0, 1, 2)) + 1e-5)


def group_norm(x, p):
    groups = x.reshape(*x.shape[:3], 32, -1)
    mean, var = (f(groups, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
    return ((groups - mean) / np.sqrt(var + 1e-6)).reshape(x.shape) * p["scale"] + p["bias"]


def reference(params, images, keep=None):
    p = numpy_passes.double(params)
    x = numpy_passes.residual_trunk(p, np.asarray(images, np.float64), (2, 1), same, standardised, group_norm, "gn")
    assert x.shape == (3, 4, 5, 256)
    return numpy_passes.vit(p, x, 2, 2, keep=keep)


def test_forward_pass_equals_numpy(tiny, deterministic):
    _, params, images = tiny
    logits, features = deterministic
    expected = reference(params, images)
    assert logits.shape == (3, 5)
    assert features.shape == (3, 12)
    np.testing.assert_allclose(logits, expected[0], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(features, expected[1], rtol=2e-4, atol=2e-4)


def test_standardisation_of_small_kernels_is_the_released_one():
    # Where the deviation is as small as the epsilon, its place matters.
    kernel = np.random.default_rng(0).normal(3, 1e-5, (3, 3, 4, 6))
    found = standardise(jnp.asarray(kernel - 3, jnp.float32))
    np.testing.assert_allclose(found, standardised(kernel), rtol=1e-3, atol=1e-3)
    assert 0.4 < float(found.std()) < 0.6


def test_noise_is_the_transformers_alone(tiny, deterministic):
    model, params, images = tiny
    key = jnp.array([5, 6], jnp.uint32)
    apply = jax.jit(lambda dropout, depth: model.apply({"params": params}, images, Noise(key, dropout, depth))[0])
    np.testing.assert_allclose(apply(jnp.float32(0), jnp.float32(0)), deterministic[0], rtol=1e-5, atol=1e-5)
    # The second and last of the transformer's blocks, whose sites begin at 6, is dropped at the whole rate.
    keep = np.ones((2, 2, 3))
    for branch, site in enumerate((7, 10)):
        keep[1, branch] = np.asarray(random_bits(key, site, (3,))) / 2**32 >= 0.5
    assert 0 < keep[1].sum() < 6
    expected = reference(params, images, keep)[0]
    np.testing.assert_allclose(apply(jnp.float32(0), jnp.float32(0.5)), expected, rtol=2e-4, atol=2e-4)
    assert not np.allclose(apply(jnp.float32(0.1), jnp.float32(0)), deterministic[0])


def test_bfloat16_computes_near_float32_from_float32_parameters(tiny, deterministic):
    model, params, images = tiny
    half = model.clone(dtype=jnp.bfloat16)
    logits, features = jax.jit(half.apply)({"params": params}, images)
    assert logits.dtype == features.dtype == jnp.float32
    np.testing.assert_allclose(logits, deterministic[0], atol=0.25)
    assert not np.array_equal(logits, deterministic[0])
