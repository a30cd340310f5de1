"""EfficientNetV2: literal sizes, block strings, and both passes against NumPy in double precision."""

import itertools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from bench import models
from bench.errors import UserError
from bench.models.efficientnetv2 import EfficientNetV2, MBConv
from bench.models.noise import random_bits
from bench.models.variables import flat
from bench.points.execution import Execution
from bench.points.variants import VARIANTS
from bench.points.variants.efficientnetv2 import EfficientNetV2Spec, Stage, parse, round_filters

# (parameters with 1000 classes, pixels, multiply-adds): counts re-derived from the released code; multiply-adds of the README
# beside it, except XL's, which has none there and was counted from the same derivation.
SIZES = {
    "B0": (7_139_704, 224, 0.72e9),
    "B1": (8_141_052, 240, 1.2e9),
    "B2": (10_096_086, 260, 1.7e9),
    "B3": (14_358_406, 300, 3.0e9),
    "S": (21_458_488, 384, 8.4e9),
    "M": (54_139_356, 480, 24.7e9),
    "L": (118_515_272, 480, 56.3e9),
    "XL": (208_119_808, 512, 93.35e9),
}
# Both kinds with and without expansion, squeeze-and-excite and shortcut; both kernels.
TINY = EfficientNetV2Spec.scaled(
    ("r2_k3_s1_e1_i8_o8_c1", "r1_k5_s2_e4_i8_o16_c1_se0.25", "r2_k3_s2_e4_i16_o16_se0.25", "r1_k5_s1_e1_i16_o16"), features=24
)
BLOCKS, RATE = 6, 0.9


@pytest.fixture(scope="module")
def tiny():
    model = EfficientNetV2(TINY, 5)
    images = jax.random.uniform(jax.random.key(1), (6, 14, 10, 3), minval=-1, maxval=1)
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        name, shape = path.rsplit("/", 1)[1], leaf.shape
        if name == "kernel":
            return rng.normal(0, 1.5 * np.prod(shape[:-1]) ** -0.5, shape)
        # Running means of nothing and scales of one would hide their place.
        return rng.uniform(0.5, 1.5, shape) if name in ("scale", "var") else rng.normal(0, 0.4, shape)

    shapes = flat(jax.eval_shape(lambda: models.init(model, 0, 14)))
    weights = {path: jnp.asarray(draw(path, leaf), jnp.float32) for path, leaf in shapes.items()}
    return model, *models.split(flax.traverse_util.unflatten_dict(weights, sep="/")), images


@pytest.fixture(scope="module")
def deterministic(tiny):
    model, params, stats, images = tiny
    return jax.jit(model.apply)({"params": params, "batch_stats": stats}, images)


@pytest.fixture(scope="module")
def noisy(tiny):
    model, params, stats, images = tiny

    @jax.jit
    def apply(key, dropout, depth):
        noisy_apply.traces += 1
        return models.train(model, params, stats, images, models.Noise(key, dropout, depth))

    def noisy_apply(key, dropout, depth):
        return apply(jnp.array(key, jnp.uint32), jnp.float32(dropout), jnp.float32(depth))

    noisy_apply.traces = 0
    return noisy_apply


@pytest.mark.parametrize("size", SIZES)
def test_parameters_and_cost(size):
    name, (parameters, resolution, macs) = f"EfficientNetV2-{size}", SIZES[size]
    assert models.count_params(name, 1000, resolution) == parameters
    assert VARIANTS[name].spec.macs(resolution, 1000) == pytest.approx(macs, rel=0.01)


def test_mu_parameter_count():
    def conv(kernel, inputs, outputs):
        return kernel**2 * inputs * outputs + 2 * outputs

    def fused(inputs, outputs):
        return conv(3, inputs, 4 * inputs) + conv(1, 4 * inputs, outputs)

    def mbconv(inputs, outputs):
        middle, hidden = 4 * inputs, inputs // 4
        squeeze = middle * hidden + hidden + hidden * middle + middle
        return conv(1, inputs, middle) + conv(3, 1, middle) + squeeze + conv(1, middle, outputs)

    expected = conv(3, 3, 16) + conv(3, 16, 16) + 2 * fused(16, 16) + mbconv(16, 32) + mbconv(32, 32)
    assert models.count_params("EfficientNetV2-mu", 10, 28) == expected + conv(1, 32, 96) + 96 * 10 + 10


def test_every_variant_has_a_literal_count():
    assert {v.name for v in VARIANTS.values() if v.family == "efficientnetv2"} == {
        f"EfficientNetV2-{size}" for size in ("mu", *SIZES)
    }


@pytest.mark.parametrize(
    ("size", "stem", "stages", "features"),
    [
        ("B1", 32, ((2, 16), (3, 32), (3, 48), (4, 96), (6, 112), (9, 192)), 1280),
        ("B2", 32, ((2, 16), (3, 32), (3, 56), (4, 104), (6, 120), (10, 208)), 1408),
        ("B3", 40, ((2, 16), (3, 40), (3, 56), (5, 112), (7, 136), (12, 232)), 1536),
    ],
)
def test_scaled_stages_are_the_released_ones(size, stem, stages, features):
    spec = VARIANTS[f"EfficientNetV2-{size}"].spec
    assert (spec.stem, tuple((s.repeats, s.outputs) for s in spec.stages), spec.features) == (stem, stages, features)


def test_rounding_may_lose_more_than_a_tenth():
    # 11 * 0.9 > 8: the first version of EfficientNet would take 16.
    assert [round_filters(n, 1.0) for n in (1, 8, 11, 12, 20, 24)] == [8, 8, 8, 16, 24, 24]


def counted(jaxpr):
    """Returns the multiply-adds of all products; of branches for different devices, those of the one with more (a depthwise
    convolution is no product on CPU)."""
    macs = 0
    for eqn in jaxpr.eqns:
        inner = [counted(each) for each in jaxprs_in_params(eqn.params)]
        macs += max(inner) if eqn.primitive.name == "cond" else sum(inner)
        if eqn.primitive.name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            macs += eqn.outvars[0].aval.size * int(np.prod([eqn.invars[0].aval.shape[axis] for axis in contracted]))
        elif eqn.primitive.name == "conv_general_dilated":
            macs += eqn.outvars[0].aval.size * int(np.prod(eqn.invars[1].aval.shape[:3]))
    return macs


@pytest.mark.parametrize(("spec", "side"), [(TINY, 31), (VARIANTS["EfficientNetV2-mu"].spec, 28)])
def test_closed_form_is_every_product_of_the_built_model(spec, side):
    model, image = EfficientNetV2(spec, 7), jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    assert spec.macs(side, 7) == counted(jax.make_jaxpr(lambda v, x: model.apply(v, x)[0])(variables, image).jaxpr)


def test_parse_reads_the_released_notation():
    assert parse("r2_k3_s1_e1_i24_o24_c1") == Stage(2, 3, 1, 1, 24, 24, fused=True)
    assert parse("r15_k5_s2_e6_i160_o256_se0.25") == Stage(15, 5, 2, 6, 160, 256, fused=False, se_ratio=0.25)
    assert parse("o24_i24_e1_s1_k3_r2_c0") == Stage(2, 3, 1, 1, 24, 24, fused=False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("r2_k3_s1_e1_i24", "o missing"),
        ("r2_k3_s1_e1_i24_o24_x1", "'x1' is unknown or repeated"),
        ("r2_r3_k3_s1_e1_i24_o24", "'r3' is unknown or repeated"),
        ("r2_k3_s1_e1_i24_o24_noskip", "'noskip' is unknown or repeated"),
        ("r0_k3_s1_e1_i24_o24", "whole numbers from 1"),
        ("r2_k3_s1_e1.5_i24_o24", "whole numbers from 1"),
        ("r2_k3_s1_e1_i24_o24_c2", "c is 0 or 1"),
        ("r2_k3_s1_e1_i24_o24_se1.5", "se is from 0 to 1"),
    ],
)
def test_a_wrong_block_string_says_why(text, problem):
    with pytest.raises(UserError, match=problem):
        parse(text)


def test_blocks_that_do_not_fit_together_say_so():
    with pytest.raises(UserError, match="i must be 16, the o of the one before"):
        EfficientNetV2Spec.scaled(["r1_k3_s1_e1_i8_o16", "r1_k3_s1_e1_i8_o16"])
    with pytest.raises(UserError, match="at least one"):
        EfficientNetV2Spec.scaled([])


@pytest.mark.parametrize(("kind", "kernel", "expansion"), [*itertools.product(("", "_c1"), (3, 5), (1, 4, 6))])
def test_a_spec_is_made_of_any_block(kind, kernel, expansion):
    spec = EfficientNetV2Spec.scaled([f"r2_k{kernel}_s2_e{expansion}_i8_o16_se0.25{kind}"], features=32)
    shapes = flat(jax.eval_shape(lambda: models.init(EfficientNetV2(spec, 3), 0, 12)))
    place = {"": "block_1/depthwise", "_c1": "block_1/expand" if expansion > 1 else "block_1/project"}[kind]
    inputs, outputs = (16 if kind else 1), 16 * expansion
    assert shapes[f"{place}/kernel"].shape == (kernel, kernel, inputs, outputs)
    # A quarter of what enters the block, whatever it expands to.
    assert shapes["block_1/squeeze_excite/reduce/kernel"].shape == (outputs, 4)
    assert ("block_1/expand/kernel" in shapes) == (expansion > 1)


def test_initial_values():
    spec = EfficientNetV2Spec.scaled(("r1_k3_s1_e4_i64_o128_c1", "r1_k5_s1_e6_i128_o128_se0.25"), features=512)
    weights = flat(models.init(EfficientNetV2(spec, 100, head_bias=-2.0), 5, 16))
    assert all(leaf.dtype == jnp.float32 for leaf in weights.values())
    for name, leaf in weights.items():
        last = name.rsplit("/", 1)[1]
        if last == "kernel" and name != "head/kernel":
            # One output for each input of a depthwise convolution, in the released code's layout.
            fan_out = 25 if "depthwise" in name else np.prod(leaf.shape[:-2]) * leaf.shape[-1]
            assert float(leaf.std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.06), name
        elif last != "kernel":
            np.testing.assert_array_equal(leaf, -2 if name == "head/bias" else {"scale": 1, "var": 1}.get(last, 0))
    bound = float(jnp.abs(weights["head/kernel"]).max())
    assert 0.099 < bound <= 0.1
    # A normal distribution that is not cut off at two standard deviations.
    assert float(jnp.abs(weights["final/kernel"]).max()) > 3.5 * (2 / 512) ** 0.5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


class Reference:
    """The pass of TINY in float64, pixel by pixel; `keep[block, sample]` multiplies branches; in training, `stats` collects."""

    def __init__(self, params, stats, train, keep=None):
        self.params, self.running = ({k: np.asarray(v, np.float64) for k, v in flat(t).items()} for t in (params, stats))
        self.train, self.keep, self.stats = train, keep, {}

    def conv_norm(self, x, name, stride=1, depthwise=False, active=True):
        w = self.params[f"{name}/kernel"]
        (height, top), (width, left) = (self.same(n, w.shape[0], stride) for n in x.shape[1:3])
        y = np.zeros((x.shape[0], height, width, w.shape[3]))
        for row, column, i, j in np.ndindex(height, width, *w.shape[:2]):
            r, c = row * stride + i - top, column * stride + j - left
            if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
                y[:, row, column] += x[:, r, c] * w[i, j, 0] if depthwise else x[:, r, c] @ w[i, j]
        mean, var = self.running[f"{name}/norm/mean"], self.running[f"{name}/norm/var"]
        if self.train:
            batch = y.mean((0, 1, 2)), y.var((0, 1, 2))
            self.stats[f"{name}/norm/mean"], self.stats[f"{name}/norm/var"] = (
                0.9 * mean + 0.1 * batch[0],
                0.9 * var + 0.1 * batch[1],
            )
            mean, var = batch
        y = (y - mean) / np.sqrt(var + 1e-3) * self.params[f"{name}/norm/scale"] + self.params[f"{name}/norm/bias"]
        return silu(y) if active else y

    @staticmethod
    def same(size, kernel, stride):
        out = -(-size // stride)
        return out, max((out - 1) * stride + kernel - size, 0) // 2

    def dense(self, x, name):
        return x @ self.params[f"{name}/kernel"] + self.params[f"{name}/bias"]

    def squeeze_excite(self, x, name):
        gate = self.dense(silu(self.dense(x.mean((1, 2)), f"{name}/reduce")), f"{name}/expand")
        return x * sigmoid(gate)[:, None, None]

    def residual(self, x, y, index):
        return x + (y if self.keep is None else self.keep[index][:, None, None, None] * y)

    def mbconv(self, x, name, stride):
        y = self.conv_norm(self.conv_norm(x, f"{name}/expand"), f"{name}/depthwise", stride, depthwise=True)
        return self.conv_norm(self.squeeze_excite(y, f"{name}/squeeze_excite"), f"{name}/project", active=False)

    def __call__(self, images):
        x = self.conv_norm(images, "stem", 2)
        x = self.residual(x, self.conv_norm(x, "block_0/project"), 0)
        x = self.residual(x, self.conv_norm(x, "block_1/project"), 1)
        x = self.squeeze_excite(self.conv_norm(x, "block_2/expand", 2), "block_2/squeeze_excite")
        x = self.conv_norm(x, "block_2/project", active=False)
        x = self.mbconv(x, "block_3", 2)
        x = self.residual(x, self.mbconv(x, "block_4", 1), 4)
        y = self.conv_norm(x, "block_5/depthwise", depthwise=True)
        x = self.residual(x, self.conv_norm(y, "block_5/project", active=False), 5)
        features = self.conv_norm(x, "final").mean((1, 2))
        return self.dense(features, "head"), features


def test_evaluation_equals_numpy(tiny, deterministic):
    _, params, stats, images = tiny
    logits, features = deterministic
    expected = Reference(params, stats, train=False)(np.asarray(images, np.float64))
    assert (logits.shape, features.shape) == ((6, 5), (6, 24))
    np.testing.assert_allclose(logits, expected[0], rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(features, expected[1], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("rate", [0, RATE])
def test_training_pass_equals_numpy(tiny, noisy, rate):
    _, params, stats, images = tiny
    key = (0, 9)
    drawn = np.stack([np.asarray(random_bits(jnp.array(key, jnp.uint32), i, (6,))) / 2**32 for i in range(BLOCKS)])
    rates = rate * np.arange(BLOCKS)[:, None] / BLOCKS
    # Divided by the probability of being kept.
    keep = (drawn >= rates) / (1 - rates)
    if rate:
        assert 0 < (keep[[1, 4, 5]] > 0).sum() < 18
    reference = Reference(params, stats, train=True, keep=keep)
    expected = reference(np.asarray(images, np.float64))
    logits, features, updated = noisy(key, 0, rate)
    np.testing.assert_allclose(logits, expected[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(features, expected[1], rtol=1e-3, atol=1e-4)
    assert flat(updated).keys() == reference.stats.keys()
    for name, value in flat(updated).items():
        np.testing.assert_allclose(value, reference.stats[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_one_compilation_serves_all_rates(noisy):
    out = {rate: noisy((3, 4), rate, rate)[0] for rate in (0.0, 0.1, 0.5)}
    assert noisy.traces == 1
    assert not np.allclose(out[0.1], out[0.0])
    assert not np.allclose(out[0.5], out[0.1])


def test_dropout_falls_on_the_pooled_features_only(tiny, noisy):
    _, params, _, _ = tiny
    logits, features, _ = noisy((1, 1), 0.5, 0)
    np.testing.assert_allclose(features, noisy((1, 1), 0, 0)[1], rtol=1e-5, atol=1e-5)
    kept = np.asarray(random_bits(jnp.array((1, 1), jnp.uint32), BLOCKS, features.shape)) / 2**32 >= 0.5
    head = jax.tree.map(np.asarray, params["head"])
    expected = np.where(kept, 2 * np.asarray(features), 0) @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_scanned_and_rematerialised_blocks_are_the_same_network(tiny, noisy):
    model, params, stats, images = tiny
    other = model.clone(execution=Execution(remat=True, scan=True))
    noise = models.Noise(jnp.array((0, 9), jnp.uint32), jnp.float32(0.2), jnp.float32(0.5))
    found = jax.jit(lambda p, s: models.train(other, p, s, images, noise))(params, stats)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, noisy((0, 9), 0.2, 0.5))


@pytest.mark.parametrize("index", [1, 4])
def test_gradients_of_blocks_equal_differences(tiny, index):
    _, params, stats, _ = tiny
    with jax.enable_x64(True):
        wide = [jax.tree.map(lambda a: jnp.asarray(np.asarray(a), jnp.float64), t[f"block_{index}"]) for t in (params, stats)]
        shape, rng = list(TINY.blocks())[index], np.random.default_rng(2)
        block = MBConv(shape, jnp.float64)
        x0 = jnp.asarray(rng.normal(size=(4, 3, 2, shape.inputs)))
        direction = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), (wide[0], x0))
        noise = models.Noise(jnp.array((5, 6), jnp.uint32), jnp.float32(0), jnp.float32(0.3))

        @jax.jit
        def loss(step):
            params, x = jax.tree.map(lambda a, d: a + step * d, (wide[0], x0), direction)
            y, _ = block.apply({"params": params, "batch_stats": wide[1]}, x, noise, index, 0.5, mutable=["batch_stats"])
            return jnp.square(y).mean()

        exact, size = jax.jit(jax.grad(loss))(jnp.float64(0)), 1e-5
        slope = (loss(jnp.float64(size)) - loss(jnp.float64(-size))) / (2 * size)
        assert float(exact) == pytest.approx(float(slope), rel=1e-6)


def test_bfloat16_computes_near_float32_from_float32_parameters(tiny, deterministic):
    model, params, stats, images = tiny
    half = model.clone(dtype=jnp.bfloat16)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(jax.eval_shape(lambda: models.init(half, 0, 14))))
    logits, features = jax.jit(half.apply)({"params": params, "batch_stats": stats}, images)
    assert logits.dtype == features.dtype == jnp.float32
    np.testing.assert_allclose(logits, deterministic[0], rtol=0.1, atol=0.1)
    assert not np.array_equal(logits, deterministic[0])
