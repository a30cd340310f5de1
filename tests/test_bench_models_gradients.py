"""Derivatives of every block and layer, in double precision, against finite differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from bench import models
from bench.models import coatnet, efficientnetv2, nfnet, residual, vit
from bench.models.conv import conv2d
from bench.models.norm import BatchNorm, GroupNorm, LayerNorm
from bench.models.relative_attention import RelativeAttention
from bench.points.variants.coatnet import CoAtNetSpec
from bench.points.variants.efficientnetv2 import parse
from bench.points.variants.nfnet import NFNetSpec
from bench.points.variants.vit import ViTSpec

F64 = jnp.float64
TOKENS, PIXELS, SMALL = (3, 5, 8), (3, 5, 4, 8), (2, 4, 4, 8)
VIT = ViTSpec(patch=2, width=8, depth=1, mlp=12, heads=2, pool="map")
NFNET = NFNetSpec(stem=((8, 3, 2),), widths=(12,), depths=(1,), strides=(2,), group_width=3)
COATNET = CoAtNetSpec((8, 8), "CT", (12, 12), (1, 1), (2, 2), head_size=4)
NFBLOCK = {"beta": 0.8, "site": 2, "fraction": 0.5}
BLOCK = {"site": 2, "fraction": 0.5}


def noisy(module, **varying):
    """Returns what calls a block in a training pass."""

    def call(variables, x, noise):
        return module.apply(variables, x, noise, **varying, mutable=["batch_stats"])

    return module, call, varying


def layer(module, *arguments):
    """Returns what calls a layer that takes no noise."""

    def call(variables, x, noise):
        del noise
        return module.apply(variables, x, *arguments, mutable=["batch_stats"])

    return module, call, arguments


# One line a case: what is called, and the shape of x.
CASES = {
    "LayerNorm": (layer(LayerNorm(F64)), TOKENS),
    "GroupNorm": (layer(GroupNorm(4, dtype=F64)), PIXELS),
    "BatchNorm, training": (layer(BatchNorm(dtype=F64), True), PIXELS),
    "BatchNorm, evaluation": (layer(BatchNorm(dtype=F64), False), PIXELS),
    "vit.Attention": (layer(vit.Attention(2, F64)), TOKENS),
    "vit.Mlp": (noisy(vit.Mlp(12, F64), site=2), TOKENS),
    "vit.EncoderBlock": (noisy(vit.EncoderBlock(VIT, F64), **BLOCK), TOKENS),
    "vit.MAPHead": (layer(vit.MAPHead(VIT, F64)), TOKENS),
    "hybrid.Bottleneck": (noisy(residual.Bottleneck(residual.RELEASED, 32, 2, F64), **BLOCK), SMALL),
    "resnet.Bottleneck": (noisy(residual.Bottleneck(residual.CLASSIC, 2, 1, F64), **BLOCK), SMALL),
    "resnet.Bottleneck, stride": (noisy(residual.Bottleneck(residual.CLASSIC, 3, 2, F64), **BLOCK), PIXELS),
    "nfnet.WSConv": (layer(nfnet.WSConv(6, 3, 2, 2, F64)), PIXELS),
    "nfnet.SqueezeExcite": (layer(nfnet.SqueezeExcite(5, F64)), PIXELS),
    "nfnet.NFBlock": (noisy(nfnet.NFBlock(NFNET, 8, 6, 1, F64), **NFBLOCK), SMALL),
    "nfnet.NFBlock, stride": (noisy(nfnet.NFBlock(NFNET, 12, 6, 2, F64), **NFBLOCK), PIXELS),
    "efficientnetv2.MBConv": (noisy(efficientnetv2.MBConv(parse("r1_k3_s1_e4_i8_o8_se0.25"), F64), **BLOCK), SMALL),
    "efficientnetv2.MBConv, stride": (noisy(efficientnetv2.MBConv(parse("r1_k5_s2_e2_i8_o6_se0.25"), F64), **BLOCK), PIXELS),
    "efficientnetv2.FusedMBConv": (noisy(efficientnetv2.MBConv(parse("r1_k3_s1_e2_i8_o8_c1"), F64), **BLOCK), SMALL),
    "efficientnetv2.FusedMBConv, no expansion": (
        noisy(efficientnetv2.MBConv(parse("r1_k3_s2_e1_i8_o6_c1"), F64), **BLOCK),
        PIXELS,
    ),
    "coatnet.RelativeAttention": (layer(RelativeAttention(8, 4, F64)), PIXELS),
    "coatnet.MBConv": (noisy(coatnet.MBConv(COATNET, 8, 1, F64), **BLOCK), SMALL),
    "coatnet.MBConv, stride": (noisy(coatnet.MBConv(COATNET, 12, 2, F64), **BLOCK), PIXELS),
    "coatnet.TransformerBlock": (noisy(coatnet.TransformerBlock(COATNET, 8, 1, F64), **BLOCK), SMALL),
    "coatnet.TransformerBlock, stride": (noisy(coatnet.TransformerBlock(COATNET, 12, 2, F64), **BLOCK), PIXELS),
}
# (channels out, kernel, stride, groups, padding) on PIXELS.
CONVOLUTIONS = {
    "dense": (6, 3, 1, 1, "SAME"),
    "strided": (6, 3, 2, 1, "SAME"),
    "patches": (6, 2, 2, 1, "VALID"),
    "grouped": (6, 3, 2, 2, "SAME"),
    "depthwise": (8, 3, 1, 8, "SAME"),
    "depthwise, strided": (8, 5, 2, 8, "SAME"),
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def check(call, variables, x):
    """Checks derivatives of the outputs, running statistics included, by the floating leaves of `variables` and by x."""
    # In one random direction; the second mode is the transpose of the first, which `jax.vjp` makes of it.
    check_grads(jax.jit(call), (variables, x), order=1, modes=("fwd", "rev"), atol=1e-6, rtol=1e-6, eps=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_block(name):
    (module, call, arguments), shape = CASES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    noise = models.Noise(jnp.array([4, 5], jnp.uint32), jnp.float32(0.3), jnp.float32(0.6))
    x = jnp.asarray(rng.normal(0, 1, shape))
    extra = (None, *arguments.values()) if isinstance(arguments, dict) else arguments
    with jax.numpy_dtype_promotion("standard"):  # initial values are float32 always
        shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), x, *extra))

    def draw(path, leaf):
        center = {"scale": 1.0, "gain": 1.0, "var": 3.0}.get(path[-1].key, 0.1)
        return jnp.asarray(rng.normal(center, 0.4, leaf.shape))

    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    result, _ = jax.eval_shape(partial(call, noise=noise), variables, x)
    assert result.dtype == F64
    check(partial(call, noise=noise), variables, x)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name):
    outputs, size, stride, groups, padding = CONVOLUTIONS[name]
    rng = np.random.default_rng(0)
    kernel = jnp.asarray(rng.normal(size=(size, size, PIXELS[-1] // groups, outputs)))
    check(lambda kernel, x: conv2d(x, kernel, stride, groups, padding), kernel, jnp.asarray(rng.normal(size=PIXELS)))
