"""ResNet: literal sizes, and both passes against NumPy in double precision."""

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import numpy_passes
import pytest

from bench.models import Noise, build, count_params, evaluate, init, split, train
from bench.models.noise import random_bits
from bench.models.residual import CLASSIC, RELEASED, halve
from bench.models.resnet import ResNet
from bench.points.execution import Execution
from bench.points.variants import FAMILIES, VARIANTS
from bench.points.variants.resnet import ResNetSpec

TINY = ResNetSpec(units=(2, 2), root=4)


@pytest.fixture(scope="module")
def tiny():
    model = ResNet(TINY, 5)
    # 26 x 34 become 13 x 17, 7 x 9 and 4 x 5.
    images = jax.random.uniform(jax.random.key(1), (4, 26, 34, 3), minval=-1, maxval=1)
    shapes = jax.eval_shape(lambda: init(model, 0, 26))
    rng = np.random.default_rng(0)
    weights = jax.tree_util.tree_map_with_path(
        lambda path, s: jnp.asarray(
            rng.uniform(0.5, 1.5, s.shape) if path[-1].key == "var" else rng.normal(0.1, 0.4, s.shape), jnp.float32
        ),
        shapes,
    )
    return model, weights, images


@pytest.fixture(scope="module")
def deterministic(tiny):
    model, weights, images = tiny
    return jax.jit(lambda w, x: evaluate(model, w, x))(weights, images)


@pytest.fixture(scope="module")
def noisy(tiny):
    return passes(tiny, tiny[0])


def passes(tiny, model):
    _, weights, images = tiny
    params, stats = split(weights)
    apply = jax.jit(lambda noise: train(model, params, stats, images, noise))
    return lambda key, dropout, depth: apply(Noise(jnp.array(key, jnp.uint32), jnp.float32(dropout), jnp.float32(depth)))


def test_parameter_counts():
    # 1000 classes; torchvision and timm have the same number.
    assert count_params("ResNet-50", 1000, 224) == 25_557_032
    # A root of 16; bottlenecks 16 -> 64 and 64 -> 128, each with its projection; a classifier on 128 channels.
    root = 7 * 7 * 3 * 16 + 2 * 16
    first = 16 * 16 + 9 * 16 * 16 + 16 * 64 + 16 * 64 + 2 * (16 + 16 + 64 + 64)
    second = 64 * 32 + 9 * 32 * 32 + 32 * 128 + 64 * 128 + 2 * (32 + 32 + 128 + 128)
    assert count_params("ResNet-mu", 10, 28) == root + first + second + 128 * 10 + 10 == 32_794


def test_every_resnet_is_counted():
    assert {v.name for v in VARIANTS.values() if v.family == "resnet"} == {"ResNet-mu", "ResNet-50"}
    assert FAMILIES["resnet"].optimizer == "momentum"


def test_cost_is_the_stated_one():
    # torchvision states 4.09 GMACs for version 1.5.
    assert VARIANTS["ResNet-50"].spec.macs(224, 1000) / 1e9 == pytest.approx(4.09, abs=0.005)


def test_running_statistics_are_no_parameters():
    shapes = flax.traverse_util.flatten_dict(jax.eval_shape(lambda: init(build("ResNet-50", 1000), 0, 224)), sep="/")
    norms = [name for name in shapes if name.endswith("/scale")]
    assert len(norms) == 53
    assert sum(int(np.prod(s.shape)) for n, s in shapes.items() if n.endswith(("/mean", "/var"))) == 2 * 26_560
    assert shapes["block4/unit3/bn3/var"].shape == (2048,)
    assert shapes["block2/unit1/conv_proj/kernel"].shape == (1, 1, 256, 512)
    assert "block2/unit2/conv_proj/kernel" not in shapes


def test_initial_values():
    flat = flax.traverse_util.flatten_dict(init(build("ResNet-mu", 10, head_bias=-2.0), 3, 28), sep="/")
    assert all(leaf.dtype == jnp.float32 for leaf in flat.values())
    for name, leaf in flat.items():
        if name.endswith("scale"):
            np.testing.assert_array_equal(leaf, 0 if "/bn3/" in name else 1)
        elif name.endswith(("bias", "mean")):
            np.testing.assert_array_equal(leaf, -2 if name == "head/bias" else 0)
        elif name.endswith("var"):
            np.testing.assert_array_equal(leaf, 1)
    for name in ("conv_root/kernel", "block1/unit1/conv2/kernel", "block2/unit1/conv_proj/kernel"):
        kernel = flat[name]
        fan_out = kernel.shape[0] * kernel.shape[1] * kernel.shape[3]
        assert float(kernel.std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    assert float(flat["head/kernel"].std()) == pytest.approx(0.01, rel=0.1)


def symmetric(size, kernel, stride):  # noqa: ARG001
    return kernel // 2


def reference(weights, images, batch_statistics, keep=None):
    """Returns (logits, features, the batch's (mean, variance) of each norm, in order)."""
    p, seen = numpy_passes.double(weights), []

    def norm(x, p):
        mean, var = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if batch_statistics else (p["mean"], p["var"])
        seen.append((mean, var))
        return (x - mean) / np.sqrt(var + 1e-5) * p["scale"] + p["bias"]

    x = numpy_passes.residual_trunk(p, np.asarray(images, np.float64), (2, 2), symmetric, lambda k: k, norm, "bn", keep)
    features = x.mean((1, 2))
    return features @ p["head"]["kernel"] + p["head"]["bias"], features, seen


def test_evaluation_equals_numpy(tiny, deterministic):
    _, weights, images = tiny
    logits, features = deterministic
    expected = reference(weights, images, batch_statistics=False)
    assert logits.shape == (4, 5)
    assert features.shape == (4, 32)
    np.testing.assert_allclose(logits, expected[0], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(features, expected[1], rtol=2e-4, atol=2e-4)


def test_training_pass_equals_numpy_and_moves_the_statistics(tiny, noisy):
    _, weights, images = tiny
    logits, features, stats = noisy((1, 2), 0, 0)
    expected = reference(weights, images, batch_statistics=True)
    np.testing.assert_allclose(logits, expected[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(features, expected[1], rtol=1e-3, atol=1e-3)
    mean, var = expected[2][0]
    np.testing.assert_allclose(stats["bn_root"]["mean"], 0.9 * weights["bn_root"]["mean"] + 0.1 * mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stats["bn_root"]["var"], 0.9 * weights["bn_root"]["var"] + 0.1 * var, rtol=1e-4, atol=1e-5)


def test_stochastic_depth_grows_to_the_whole_rate_and_drops_whole_branches(tiny, noisy):
    _, weights, images = tiny
    key, rate = (0, 9), 0.8
    drawn = np.stack([np.asarray(random_bits(jnp.array(key, jnp.uint32), i, (4,))) / 2**32 for i in range(4)])
    keep = (drawn >= rate * np.arange(1, 5)[:, None] / 4).astype(np.float64)
    assert 0 < keep.sum() < keep.size
    expected = reference(weights, images, batch_statistics=True, keep=keep)
    np.testing.assert_allclose(noisy(key, 0, rate)[0], expected[0], rtol=1e-3, atol=1e-3)


def test_dropout_falls_on_the_pooled_features_only(tiny, noisy):
    _, weights, _ = tiny
    logits, features, _ = noisy((1, 1), 0.5, 0)
    np.testing.assert_allclose(features, noisy((1, 1), 0, 0)[1], rtol=1e-5, atol=1e-5)
    kept = np.asarray(random_bits(jnp.array((1, 1), jnp.uint32), 4, features.shape)) / 2**32 >= 0.5
    head = jax.tree.map(np.asarray, weights["head"])
    expected = np.where(kept, 2 * np.asarray(features), 0) @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("style", [CLASSIC, RELEASED])
@pytest.mark.parametrize("side", [7, 8])
def test_maximum_over_windows_is_reduce_windows_and_its_gradient_too(style, side):
    x = jax.random.normal(jax.random.key(0), (2, side, side + 1, 3))
    pads = ((0, 0), *(style.pads(n, 3, 2) for n in x.shape[1:3]), (0, 0))

    def library(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), pads)

    np.testing.assert_array_equal(halve(x, style), library(x))
    ours, theirs = (jax.grad(lambda x, f=f: jnp.square(f(x)).sum())(x) for f in (lambda x: halve(x, style), library))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_blocks_scanned_and_recomputed_give_the_same_with_statistics(tiny, noisy):
    expected = noisy((3, 4), 0.1, 0.5)
    found = passes(tiny, tiny[0].clone(execution=Execution(remat=True, scan=True)))((3, 4), 0.1, 0.5)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_bfloat16_computes_near_float32_from_float32_parameters(tiny, deterministic):
    model, weights, images = tiny
    half = model.clone(dtype=jnp.bfloat16)
    logits, features = jax.jit(lambda w, x: evaluate(half, w, x))(weights, images)
    assert logits.dtype == features.dtype == jnp.float32
    np.testing.assert_allclose(logits, deterministic[0], rtol=0.1, atol=0.2)
    assert not np.array_equal(logits, deterministic[0])
