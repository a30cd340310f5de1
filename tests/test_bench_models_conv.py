"""conv2d equals XLA's own grouped convolution, forward and backward, and lowers for every platform."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from bench.models.conv import conv2d

# (height, width, inputs, outputs, kernel, stride, groups, padding)
CASES = [
    (7, 7, 8, 8, 3, 1, 2, "SAME"),
    (8, 6, 12, 24, 3, 2, 3, "SAME"),
    (7, 5, 12, 12, 3, 2, 4, "SAME"),
    (9, 9, 3, 8, 4, 4, 1, "SAME"),
    (15, 16, 3, 8, 7, 7, 1, "VALID"),
    (5, 4, 6, 10, 1, 1, 1, "SAME"),
    (5, 4, 6, 10, 1, 2, 2, "SAME"),
    # Depthwise: a channel a group.
    *((height, 7, 6, 6, size, stride, 6, "SAME") for height in (7, 8) for size in (3, 5) for stride in (1, 2, 3)),
    (9, 8, 5, 5, 3, 2, 5, "VALID"),
    # As many groups as inputs, but two outputs each.
    (7, 6, 4, 8, 3, 2, 4, "SAME"),
]


def reference(x, kernel, stride, groups, padding):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
        precision="highest",
    )


@pytest.mark.parametrize("case", CASES)
def test_equals_the_grouped_convolution(case):
    height, width, inputs, outputs, size, stride, groups, padding = case
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (3, height, width, inputs))
    kernel = jax.random.normal(keys[1], (size, size, inputs // groups, outputs))

    def value_and_gradients(f):
        def run(x, kernel, cotangent):
            y, vjp = jax.vjp(lambda x, k: f(x, k, stride, groups, padding), x, kernel)
            return y, *vjp(cotangent)

        return jax.jit(run)

    shape = jax.eval_shape(lambda: reference(x, kernel, stride, groups, padding)).shape
    cotangent = jax.random.normal(keys[2], shape)
    ours = value_and_gradients(conv2d)(x, kernel, cotangent)
    theirs = value_and_gradients(reference)(x, kernel, cotangent)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def exported(platform):
    f = jax.jit(lambda x, k: conv2d(x, k, 1, 2))
    shapes = jax.ShapeDtypeStruct((2, 4, 4, 8), jnp.float32), jax.ShapeDtypeStruct((3, 3, 4, 8), jnp.float32)
    return jax.export.export(f, platforms=[platform])(*shapes).mlir_module()


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_accelerators_get_the_grouped_convolution(platform):
    module = exported(platform)
    assert "feature_group_count = 2" in module
    assert "dot_general" not in module


def test_bfloat16_depthwise_is_near_the_grouped_convolution():
    keys = jax.random.split(jax.random.key(3))
    x = jax.random.normal(keys[0], (2, 9, 7, 6), jnp.bfloat16)
    kernel = jax.random.normal(keys[1], (5, 5, 1, 6), jnp.bfloat16)
    exact = reference(x.astype(jnp.float32), kernel.astype(jnp.float32), 2, 6, "SAME")
    ours = conv2d(x, kernel, 2, 6)
    assert ours.dtype == jnp.bfloat16
    # 25 products are added one after the other with 8 bits each.
    np.testing.assert_allclose(ours.astype(jnp.float32), exact, rtol=0.05, atol=0.15)


def test_cpu_gets_no_product_for_a_depthwise_convolution():
    f = jax.jit(lambda x, k: conv2d(x, k, 1, 8))
    shapes = jax.ShapeDtypeStruct((2, 4, 4, 8), jnp.float32), jax.ShapeDtypeStruct((3, 3, 1, 8), jnp.float32)
    module = jax.export.export(f, platforms=["cpu"])(*shapes).mlir_module()
    assert "stablehlo.convolution" not in module
    assert "dot_general" not in module


def test_cpu_gets_matrix_products():
    module = exported("cpu")
    assert "stablehlo.convolution" not in module
    assert "dot_general" in module
