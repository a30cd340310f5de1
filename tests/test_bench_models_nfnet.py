"""NFNet: literal sizes, and the forward pass against NumPy in double precision."""

import math

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.models import Noise, build, count_params, init
from bench.models.nfnet import NFNet, WSConv
from bench.models.noise import random_bits
from bench.points.variants import VARIANTS, NFNetSpec

# 1000 classes at 224; F0 to F6 are the paper's Table 1, F7 follows from its formula.
COUNTS = {
    "NFNet-F0": 71_489_284,
    "NFNet-F1": 132_634_256,
    "NFNet-F2": 193_779_228,
    "NFNet-F3": 254_924_200,
    "NFNet-F4": 316_069_172,
    "NFNet-F5": 377_214_144,
    "NFNet-F6": 438_359_116,
    "NFNet-F7": 499_504_088,
}
TINY = NFNetSpec(
    stem=((4, 3, 2), (6, 3, 1)), widths=(8, 12), depths=(2, 2), strides=(1, 2), group_width=2, bottleneck=0.5, se_ratio=0.5
)
GAMMA = 1.7015043497085571


@pytest.fixture(scope="module")
def tiny():
    model = NFNet(TINY, 5)
    images = jax.random.uniform(jax.random.key(1), (6, 14, 10, 3), minval=-1, maxval=1)
    shapes = jax.eval_shape(lambda: init(model, 0, 14))
    rng = np.random.default_rng(0)
    # Zero-initialised gains and biases would hide whatever they multiply.
    params = jax.tree.map(lambda s: jnp.asarray(rng.normal(0.2, 0.5, s.shape), jnp.float32), shapes)
    return model, params, images


@pytest.fixture(scope="module")
def deterministic(tiny):
    model, params, images = tiny
    return jax.jit(model.apply)({"params": params}, images)


@pytest.fixture(scope="module")
def noisy(tiny):
    model, params, images = tiny

    @jax.jit
    def apply(key, dropout, depth):
        noisy_apply.traces += 1
        return model.apply({"params": params}, images, Noise(key, dropout, depth))

    def noisy_apply(key, dropout, depth):
        return apply(jnp.array(key, jnp.uint32), jnp.float32(dropout), jnp.float32(depth))

    noisy_apply.traces = 0
    return noisy_apply


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_parameter_count(name, count):
    assert count_params(name, 1000, 224) == count


def test_mu_parameter_count():
    assert count_params("NFNet-mu", 10, 28) == 46_408


def test_every_nfnet_has_a_literal_count():
    assert {v.name for v in VARIANTS.values() if v.family == "nfnet"} == {"NFNet-mu", *COUNTS}


def test_mu_has_grouped_convolutions():
    spec = VARIANTS["NFNet-mu"].spec
    assert all(int(w * spec.bottleneck) // spec.group_width >= 2 for w in spec.widths)


def test_initial_values():
    params = init(build("NFNet-mu", 10, head_bias=-2.0), 5, 28)
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    assert all(leaf.dtype == jnp.float32 for leaf in flat.values())
    for name, leaf in flat.items():
        if name.endswith("skip_gain"):
            assert leaf.shape == ()
        if name.endswith("gain"):
            np.testing.assert_array_equal(leaf, 0 if name.endswith("skip_gain") else 1)
        elif name.endswith("bias"):
            np.testing.assert_array_equal(leaf, -2 if name == "head/bias" else 0)
    assert float(flat["head/kernel"].std()) == pytest.approx(0.01, rel=0.1)
    kernel = flat["final_conv/kernel"]
    assert float(kernel.std()) == pytest.approx(kernel.shape[2] ** -0.5, rel=0.1)


def gelu(x):
    return GAMMA * x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def same(size, kernel, stride):
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return out, total // 2


def conv(x, p, stride=1, groups=1):
    """Pixel by pixel, with the weights standardised over height, width and inputs."""
    w = p["kernel"]
    fan_in = np.prod(w.shape[:3])
    w = (w - w.mean((0, 1, 2))) * p["gain"] / np.sqrt(np.maximum(w.var((0, 1, 2)) * fan_in, 1e-4))
    (height, top), (width, left) = (same(n, w.shape[0], stride) for n in x.shape[1:3])
    y = np.zeros((x.shape[0], height, width, w.shape[3]))
    inputs, outputs = x.shape[3] // groups, w.shape[3] // groups
    for row, column, i, j in np.ndindex(height, width, *w.shape[:2]):
        r, c = row * stride + i - top, column * stride + j - left
        if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
            for g in range(groups):
                o = slice(g * outputs, (g + 1) * outputs)
                y[:, row, column, o] += x[:, r, c, g * inputs : (g + 1) * inputs] @ w[i, j, :, o]
    return y + p["bias"]


def pool(x):
    height, width = -(-x.shape[1] // 2), -(-x.shape[2] // 2)
    y = np.zeros((x.shape[0], height, width, x.shape[3]))
    for row, column in np.ndindex(height, width):
        y[:, row, column] = x[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean((1, 2))
    return y


def reference(params, images, keep=None):
    """The pass of TINY in float64; `keep[block, sample]` multiplies the residual branches."""
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    keep = np.ones((4, images.shape[0])) if keep is None else keep
    x = conv(gelu(conv(images, p["stem_conv0"], 2)), p["stem_conv1"])
    # (stride, groups, expected standard deviation): a transition resets it to 1, and every branch adds 0.2**2.
    one, two = 1.04**0.5, 1.08**0.5
    for i, (stride, groups, std) in enumerate(((1, 2, 1.0), (1, 2, one), (2, 3, two), (1, 3, one))):
        b = p[f"nf_block_{i}"]
        out = gelu(x) / std
        shortcut = x if i in (1, 3) else conv(pool(out) if stride == 2 else out, b["conv_shortcut"])
        out = conv(out, b["conv0"])
        out = conv(gelu(out), b["conv1"], stride, groups)
        out = conv(gelu(out), b["conv1b"], 1, groups)
        out = conv(gelu(out), b["conv2"])
        se = b["squeeze_excite"]
        gate = np.maximum(out.mean((1, 2)) @ se["linear"]["kernel"] + se["linear"]["bias"], 0)
        gate = 2 / (1 + np.exp(-(gate @ se["linear_1"]["kernel"] + se["linear_1"]["bias"])))
        x = shortcut + 0.2 * b["skip_gain"] * keep[i][:, None, None, None] * out * gate[:, None, None]
    features = gelu(conv(x, p["final_conv"])).mean((1, 2))
    return features @ p["head"]["kernel"] + p["head"]["bias"], features


def test_forward_pass_equals_numpy(tiny, deterministic):
    _, params, images = tiny
    logits, features = deterministic
    expected = reference(params, np.asarray(images, np.float64))
    assert logits.shape == (6, 5)
    assert features.shape == (6, 24)
    np.testing.assert_allclose(logits, expected[0], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(features, expected[1], rtol=2e-4, atol=2e-4)


def test_constant_kernel_standardises_to_zero():
    conv_module = WSConv(4, 3)
    weights = {"kernel": jnp.ones((3, 3, 2, 4)), "gain": jnp.ones(4), "bias": jnp.arange(4.0)}
    y = conv_module.apply({"params": weights}, jnp.ones((1, 4, 4, 2)))
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(4.0), (1, 4, 4, 4)))


def test_one_compilation_serves_all_rates_and_zero_is_deterministic(deterministic, noisy):
    out = {rate: noisy((3, 4), rate, rate)[0] for rate in (0.0, 0.1, 0.5)}
    assert noisy.traces == 1
    np.testing.assert_allclose(out[0.0], deterministic[0], rtol=1e-5, atol=1e-5)
    assert not np.allclose(out[0.1], out[0.0])
    assert not np.allclose(out[0.5], out[0.1])


def test_stochastic_depth_grows_with_depth_and_drops_whole_branches(tiny, noisy):
    _, params, images = tiny
    key, rate = (0, 9), 0.9
    drawn = np.stack([np.asarray(random_bits(jnp.array(key, jnp.uint32), i, (6,))) / 2**32 for i in range(4)])
    keep = (drawn >= rate * np.arange(4)[:, None] / 4).astype(np.float64)
    assert 0 < keep[1:].sum() < keep[1:].size
    expected = reference(params, np.asarray(images, np.float64), keep)
    np.testing.assert_allclose(noisy(key, 0, rate)[0], expected[0], rtol=2e-4, atol=2e-4)


def test_dropout_falls_on_the_pooled_features_only(tiny, deterministic, noisy):
    _, params, _ = tiny
    logits, features = noisy((1, 1), 0.5, 0)
    np.testing.assert_allclose(features, deterministic[1], rtol=1e-5, atol=1e-5)
    kept = np.asarray(random_bits(jnp.array((1, 1), jnp.uint32), 4, features.shape)) / 2**32 >= 0.5
    head = jax.tree.map(np.asarray, params["head"])
    expected = np.where(kept, 2 * np.asarray(features), 0) @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_computes_near_float32_from_float32_parameters(tiny, deterministic):
    model, params, images = tiny
    half = model.clone(dtype=jnp.bfloat16)
    shapes = jax.eval_shape(lambda: init(half, 0, 14))
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(shapes))
    logits, features = jax.jit(half.apply)({"params": params}, images)
    assert logits.dtype == features.dtype == jnp.float32
    np.testing.assert_allclose(logits, deterministic[0], rtol=0.1, atol=0.2)
    assert not np.array_equal(logits, deterministic[0])
