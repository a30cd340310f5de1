"""NFNet: literal sizes, the forward pass and adaptive clipping against NumPy in double precision."""

import math
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from bench.models import Noise, build, count_params, init
from bench.models.nfnet import NFNet, WSConv
from bench.models.noise import random_bits
from bench.models.variables import flat
from bench.points.variants import BY_PREFIX, VARIANTS
from bench.points.variants.nfnet import NFNetSpec
from bench.train import optimizers

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
# (million parameters, {resolution: billion multiply-adds}): F4+ as the paper states it, 527M and 367G at 512 px, and the others
# by its rule; `released` counts what the code of `nfnet.py` builds.
WIDER = {
    "NFNet-F0+": (119.23, {224: 16.23, 256: 21.18, 384: 47.60, 480: 74.36}),
    "NFNet-F1+": (221.18, {224: 29.79, 256: 38.89, 384: 87.39, 480: 136.50}),
    "NFNet-F3+": (425.08, {224: 56.92, 256: 74.30, 384: 166.97, 480: 260.80}),
    "NFNet-F4+": (527.03, {224: 70.49, 256: 92.00, 384: 206.76, 480: 322.95, 512: 367.41}),
    "NFNet-F7+": (832.89, {224: 111.18, 256: 145.12, 384: 326.12, 480: 509.39}),
    "NFNet-F0+:released": (118.82, {224: 14.96}),
    "NFNet-F1+:released": (220.36, {224: 27.21}),
    "NFNet-F3+:released": (423.42, {224: 51.72}),
    "NFNet-F4+:released": (524.95, {224: 63.97, 512: 333.39}),
    "NFNet-F7+:released": (829.55, {224: 100.74}),
}
PLUS = [f"NFNet-F{n}+" for n in range(8)]
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


def written_out(n, widths, first, inner, groups):
    """Returns the parameters of N times the paper's depths at 1000 classes, layer by layer."""

    def conv(inputs, outputs, kernel=1, groups=1):
        return kernel * kernel * inputs // groups * outputs + 2 * outputs

    total = conv(3, 16, 3) + conv(16, 32, 3) + conv(32, 64, 3) + conv(64, first, 3)
    before = first
    for width, mid, group, depth in zip(widths, inner, groups, (1, 2, 6, 3), strict=True):
        total += conv(before, width)
        for _ in range(n * depth):
            total += conv(before, mid) + 2 * conv(mid, mid, 3, group) + conv(mid, width)
            total += 2 * (width * width // 2) + width // 2 + width + 1
            before = width
    return total + conv(before, 2 * before) + 2 * before * 1000 + 1000


@cache
def built(name):
    return count_params(name, 1000, 224)


@pytest.mark.parametrize("n", range(8))
def test_parameter_count_written_out(n):
    plain = written_out(n + 1, (256, 512, 1536, 1536), 128, (128, 256, 768, 768), (1, 2, 6, 6))
    assert plain == COUNTS[f"NFNet-F{n}"]
    wide = (384, 768, 2048, 2048)
    plus = written_out(n + 1, wide, 192, (192, 384, 1024, 1024), (1, 3, 8, 8))
    released = written_out(n + 1, wide, 192, (128, 384, 1024, 1024), (1, 3, 8, 8))
    assert released < plus
    assert built(f"NFNet-F{n}+") == plus
    for name, count in ((f"NFNet-F{n}+", plus), (f"NFNet-F{n}+:released", released)):
        assert name not in WIDER or round(count / 1e6, 2) == WIDER[name][0]
    if n < 2:  # deeper ones repeat the blocks of these
        assert built(f"NFNet-F{n}+:released") == released


@pytest.mark.parametrize("name", WIDER)
def test_wider_variants_cost_what_is_stated(name):
    _, billions = WIDER[name]
    spec = VARIANTS[name].spec
    assert {resolution: round(spec.macs(resolution, 1000) / 1e9, 2) for resolution in billions} == billions


def test_published_sizes_of_f4_plus():
    # Table 5 of the paper: 527M parameters and 367G multiply-adds, which the released code's spelling would miss.
    assert round(built("NFNet-F4+") / 1e6) == 527
    assert round(VARIANTS["NFNet-F4+"].spec.macs(512, 1000) / 1e9) == 367


def test_names_of_wider_variants():
    assert VARIANTS["NFNet-F3+"].prefix == "NFNet_F3plus"
    released = VARIANTS["NFNet-F3+:released"]
    assert released.prefix == "NFNet_F3plus_released"
    assert BY_PREFIX["NFNet_F3plus_released"] == released
    assert released.spec.inner == (128, 384, 1024, 1024)
    assert VARIANTS["NFNet-F3+"].spec.inner == (192, 384, 1024, 1024)


@pytest.mark.parametrize("name", ["NFNet-mu", *COUNTS])
def test_released_is_refused_where_it_changes_nothing(name):
    assert f"{name}:released" not in VARIANTS
    spec = VARIANTS[name].spec
    assert replace(spec, floored=True) == spec


def test_every_nfnet_has_a_literal_count():
    assert {v.name for v in VARIANTS.values() if v.family == "nfnet"} == {"NFNet-mu", *COUNTS, *PLUS}


def test_mu_has_grouped_convolutions():
    spec = VARIANTS["NFNet-mu"].spec
    assert all(int(w * spec.bottleneck) // spec.group_width >= 2 for w in spec.widths)


def test_initial_values():
    params = init(build("NFNet-mu", 10, head_bias=-2.0), 5, 28)
    leaves = flat(params)
    assert all(leaf.dtype == jnp.float32 for leaf in leaves.values())
    for name, leaf in leaves.items():
        if name.endswith("skip_gain"):
            assert leaf.shape == ()
        if name.endswith("gain"):
            np.testing.assert_array_equal(leaf, 0 if name.endswith("skip_gain") else 1)
        elif name.endswith("bias"):
            np.testing.assert_array_equal(leaf, -2 if name == "head/bias" else 0)
    assert float(leaves["head/kernel"].std()) == pytest.approx(0.01, rel=0.1)
    kernel = leaves["final_conv/kernel"]
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


def reference(params, images, keep=None, groups=(2, 3)):
    """The pass of TINY in float64, `groups` a stage; `keep[block, sample]` multiplies the residual branches."""
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    keep = np.ones((4, images.shape[0])) if keep is None else keep
    x = conv(gelu(conv(images, p["stem_conv0"], 2)), p["stem_conv1"])
    # (stride, groups, expected standard deviation): a transition resets it to 1, and every branch adds 0.2**2.
    one, two = 1.04**0.5, 1.08**0.5
    for i, (stride, stage, std) in enumerate(((1, 0, 1.0), (1, 0, one), (2, 1, two), (1, 1, one))):
        b = p[f"nf_block_{i}"]
        out = gelu(x) / std
        shortcut = x if i in (1, 3) else conv(pool(out) if stride == 2 else out, b["conv_shortcut"])
        out = conv(out, b["conv0"])
        out = conv(gelu(out), b["conv1"], stride, groups[stage])
        out = conv(gelu(out), b["conv1b"], 1, groups[stage])
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


@pytest.mark.parametrize(("floored", "inner"), [(False, (4, 6)), (True, (3, 6))])
def test_inner_channels_that_are_no_whole_groups(tiny, floored, inner):
    images = tiny[2]
    model = NFNet(replace(TINY, group_width=3, floored=floored), 5)
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda: init(model, 0, 14))
    assert shapes["nf_block_1"]["conv1"]["kernel"].shape == (3, 3, inner[0], inner[0])
    assert shapes["nf_block_3"]["conv1"]["kernel"].shape == (3, 3, 3, inner[1])
    params = jax.tree.map(lambda s: jnp.asarray(rng.normal(0.2, 0.5, s.shape), jnp.float32), shapes)
    logits, _ = jax.jit(model.apply)({"params": params}, images)
    expected, _ = reference(params, np.asarray(images, np.float64), groups=(1, 2))
    np.testing.assert_allclose(logits, expected, rtol=2e-4, atol=2e-4)


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


def test_adaptive_clipping_of_every_weight_but_the_classifiers():
    shapes = flat(jax.eval_shape(lambda: init(build("NFNet-mu", 10), 0, 28)))
    rng, ratio = np.random.default_rng(2), 0.1
    params = {k: rng.normal(size=s.shape) for k, s in shapes.items()}
    # Some units stay below the limit, some are far above; a zero weight is clipped as if its norm were 1e-3.
    grads = {k: rng.normal(size=s.shape) * rng.choice([0.01, 1], s.shape[-1:]) for k, s in shapes.items()}
    params["nf_block_0/skip_gain"] = np.zeros(())

    def norm(x):
        axes = {2: 0, 4: (0, 1, 2)}.get(x.ndim)  # a unit is an output; vectors and scalars are one unit
        return np.sqrt(np.square(x).sum(axes, keepdims=True))

    def clipped(name):
        grad, limit = grads[name], ratio * np.maximum(norm(params[name]), 1e-3)
        if name == "head/kernel":
            return grad
        return np.where(norm(grad) > limit, grad * limit / np.maximum(norm(grad), 1e-6), grad)

    def tree(leaves):
        return unflatten_dict({k: jnp.asarray(v, jnp.float32) for k, v in leaves.items()}, sep="/")

    rule = optimizers.build("nesterov_agc", jnp.float32(1), jnp.float32(0), jnp.float32(ratio))
    updates, _ = jax.jit(rule.update)(tree(grads), rule.init(tree(params)), tree(params))
    touched = set()
    for name, update in flat(updates).items():
        # Nesterov's first step is 1 + 0.9 times the gradient.
        np.testing.assert_allclose(update, -1.9 * clipped(name), rtol=1e-5, atol=1e-6, err_msg=name)
        touched |= set() if np.array_equal(clipped(name), grads[name]) else {name}
    assert {len(s.shape) for s in shapes.values()} == {0, 1, 2, 4}
    assert touched >= {
        "head/bias",
        "nf_block_0/skip_gain",
        "nf_block_0/conv1/kernel",
        "nf_block_0/squeeze_excite/linear/kernel",
    }
    assert "head/kernel" not in touched
