"""ViT: literal sizes, the released layout, and the forward pass against NumPy in double precision."""

import math

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.errors import UserError
from bench.models import Noise, build, count_params, init
from bench.models.noise import random_bits
from bench.models.vit import ViT
from bench.points.variants import VARIANTS, ViTSpec

# 1000 classes at 224; the test suite of vision_transformer (models_test.py) has the same numbers.
COUNTS = {
    "Ti/16": 5_717_416,
    "S/32": 22_878_952,
    "S/16": 22_050_664,
    "B/32": 88_224_232,
    "B/16": 86_567_656,
    "B/8": 86_576_872,
    "L/16": 304_326_632,
}
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


def test_every_vit_has_a_literal_count():
    assert {v.name for v in VARIANTS.values() if v.family == "vit"} == {"ViT-mu", *COUNTS}


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

    def norm(x, p):
        mean = x.mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-6) * p["scale"] + p["bias"]

    def gelu(x):
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    batch, height, width, _ = images.shape
    keep = np.ones((depth, 2, batch)) if keep is None else keep
    tokens = [
        np.einsum("bijc,ijcd->bd", images[:, y : y + patch, x : x + patch], p["embedding"]["kernel"]) + p["embedding"]["bias"]
        for y in range(0, height, patch)
        for x in range(0, width, patch)
    ]
    x = np.stack([np.broadcast_to(p["cls"][0, 0], tokens[0].shape), *tokens], 1)
    x = x + p["Transformer"]["posembed_input"]["pos_embedding"]
    for i in range(depth):
        block = p["Transformer"][f"encoderblock_{i}"]
        a = block["MultiHeadDotProductAttention_1"]
        y = norm(x, block["LayerNorm_0"])
        q, k, v = (np.einsum("bnd,dhe->bhne", y, a[n]["kernel"]) + a[n]["bias"][:, None] for n in ("query", "key", "value"))
        scores = np.exp(np.einsum("bhqe,bhke->bhqk", q, k) / math.sqrt(q.shape[-1]))
        y = np.einsum("bhqk,bhke->bqhe", scores / scores.sum(-1, keepdims=True), v)
        x = x + keep[i, 0][:, None, None] * (np.einsum("bqhe,hed->bqd", y, a["out"]["kernel"]) + a["out"]["bias"])
        mlp = block["MlpBlock_3"]
        y = gelu(norm(x, block["LayerNorm_2"]) @ mlp["Dense_0"]["kernel"] + mlp["Dense_0"]["bias"])
        x = x + keep[i, 1][:, None, None] * (y @ mlp["Dense_1"]["kernel"] + mlp["Dense_1"]["bias"])
    features = norm(x, p["Transformer"]["encoder_norm"])[:, 0]
    return features @ p["head"]["kernel"] + p["head"]["bias"], features


def test_forward_pass_equals_numpy(tiny):
    model, params, images = tiny
    logits, features = model.apply({"params": params}, images)
    expected = reference(params, np.asarray(images, np.float64), 4, 3)
    assert logits.shape == (6, 5)
    assert features.shape == (6, 12)
    np.testing.assert_allclose(logits, expected[0], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(features, expected[1], rtol=2e-4, atol=2e-4)


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


def test_hybrid_is_refused_with_what_can_be_built():
    with pytest.raises(UserError, match=r"hybrid family cannot be built yet.*Ti/16.*NFNet-F0") as error:
        build("R+Ti/16", 10)
    assert "R50+L/32" not in str(error.value)
