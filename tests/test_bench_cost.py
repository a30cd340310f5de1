from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from bench import models
from bench.cost import forward_flops, image_flops, training_flops
from bench.points import Transfer, Upstream


def shapes(name, resolution, classes):
    return models.build(name, classes), models.shapes(name, classes, resolution)


def counted(jaxpr):
    """Returns the multiply-adds of all matrix products and convolutions of a traced function, padding counted as pixels."""
    macs = 0
    for eqn in jaxpr.eqns:
        inner = [counted(each) for each in jaxprs_in_params(eqn.params)]
        # Branches are the same thing for different devices: some multiply by zeros, some (depthwise on CPU) have no product.
        macs += min(filter(None, inner), default=0) if eqn.primitive.name == "cond" else sum(inner)
        if eqn.primitive.name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            left = eqn.invars[0].aval.shape
            macs += eqn.outvars[0].aval.size * int(np.prod([left[axis] for axis in contracted]))
        elif eqn.primitive.name == "conv_general_dilated":
            kernel = eqn.invars[1].aval
            outputs = kernel.shape[eqn.params["dimension_numbers"].rhs_spec[0]]
            macs += eqn.outvars[0].aval.size * kernel.size // outputs
    return macs


@pytest.mark.parametrize(
    ("name", "resolution", "gmacs"),
    [
        # The NFNet paper's variants; the released code's counts at other resolutions.
        ("NFNet-F0", 224, 9.49),
        ("NFNet-F0", 256, 12.38),
        ("NFNet-F0", 384, 27.83),
        ("NFNet-F1", 224, 17.44),
        ("NFNet-F1", 320, 35.54),
        ("NFNet-F2", 352, 62.59),
        ("NFNet-F5", 544, 289.76),
        ("NFNet-F7", 608, 478.78),
        ("NFNet-F0+", 384, 47.60),
        ("NFNet-F3+", 256, 74.30),
        ("NFNet-F4+", 512, 367.41),
        ("NFNet-F7+", 480, 509.39),
        ("NFNet-F7+:released", 224, 100.74),
    ],
)
def test_nfnets_cost_what_the_paper_says(name, resolution, gmacs):
    assert forward_flops(name, resolution, 1000) / 2e9 == pytest.approx(gmacs, rel=5e-4)


@pytest.mark.parametrize(
    ("name", "resolution", "gmacs", "tolerance"),
    [
        # README of the released EfficientNetV2, at the resolution of evaluation.
        ("EfficientNetV2-B0", 224, 0.72, 0.01),
        ("EfficientNetV2-B1", 240, 1.2, 0.01),
        ("EfficientNetV2-B2", 260, 1.7, 0.01),
        ("EfficientNetV2-B3", 300, 3.0, 0.01),
        ("EfficientNetV2-S", 384, 8.4, 0.01),
        ("EfficientNetV2-M", 480, 24.7, 0.01),
        ("EfficientNetV2-L", 480, 56.3, 0.01),
        ("EfficientNetV2-XL", 512, 94, 0.01),
        # CoAtNet paper, Tables 3 to 5 and 9.
        ("CoAtNet-0", 224, 4.2, 0.03),
        ("CoAtNet-1", 224, 8.4, 0.03),
        ("CoAtNet-2", 224, 15.7, 0.03),
        ("CoAtNet-3", 224, 34.7, 0.03),
        ("CoAtNet-0:dagger", 224, 4.6, 0.03),
        ("CoAtNet-0", 384, 13.4, 0.03),
        ("CoAtNet-3", 384, 107.4, 0.03),
        ("CoAtNet-4", 384, 189.5, 0.03),
        # Deep residual learning, Table 1, counts the stride in the 1x1; in the 3x3 it is torchvision's 4.09.
        ("ResNet-50", 224, 4.09, 0.01),
    ],
)
def test_models_cost_what_their_papers_say(name, resolution, gmacs, tolerance):
    assert forward_flops(name, resolution, 1000) / 2e9 == pytest.approx(gmacs, rel=tolerance)


@pytest.mark.parametrize(
    ("name", "resolution", "classes"),
    [
        ("ViT-mu", 28, 10),
        ("ViT-mu", 56, 7),
        ("Ti/16", 224, 1000),
        ("S/32", 384, 10),
        ("NFNet-mu", 28, 10),
        ("NFNet-mu", 64, 7),
        ("NFNet-F0", 224, 1000),
        ("NFNet-F1", 96, 10),
        ("NFNet-F0+", 64, 10),
        ("NFNet-F0+:released", 64, 10),
        ("Ti/16:gap:sincos", 64, 10),
        ("Ti/16:map:rep", 64, 10),
        ("R-mu", 28, 10),
        ("R-mu:gap", 45, 10),
        ("ViT-mu:map:sincos:rep", 30, 10),
        ("g/14", 28, 5),
        ("ResNet-mu", 45, 3),
        ("R+Ti/16", 224, 1000),
        ("R26+S/32", 96, 10),
        ("ResNet-50", 97, 10),
        ("EfficientNetV2-mu", 28, 10),
        ("EfficientNetV2-B0", 97, 1000),
        ("EfficientNetV2-S", 64, 10),
        ("CoAtNet-mu", 28, 10),
        ("CoAtNet-0", 96, 1000),
        ("CoAtNet-0:dagger", 64, 10),
    ],
)
def test_closed_form_is_every_product_of_the_built_model(name, resolution, classes):
    model, params = shapes(name, resolution, classes)
    image = jax.ShapeDtypeStruct((1, resolution, resolution, 3), jnp.float32)
    traced = jax.make_jaxpr(lambda p, x: models.evaluate(model, p, x)[0])(params, image)
    assert forward_flops(name, resolution, classes) == 2 * counted(traced.jaxpr)


@pytest.mark.parametrize(
    ("name", "platform", "share"),
    [("ViT-mu", "cpu", 0.95), ("NFNet-mu", "cpu", 0.92), ("R-mu", "tpu", 0.95), ("ResNet-mu", "tpu", 0.97)],
)
def test_what_is_left_out_is_a_few_percent_of_the_compilers_count(name, platform, share):
    # Left out: normalisation, activations, softmax, additions, pooling, and what is done once a batch, whatever its size
    # (weight standardisation). The compiler's count of one image more is therefore larger. On accelerators convolutions are
    # whole; on CPU they add up rows, which counts additions.
    model, params = shapes(name, 28, 10)

    def flops(batch):
        images = jax.ShapeDtypeStruct((batch, 28, 28, 3), jnp.float32)
        traced = jax.jit(lambda p, x: models.evaluate(model, p, x)[0]).trace(params, images)
        return traced.lower(lowering_platforms=(platform,)).cost_analysis()["flops"]

    assert share < forward_flops(name, 28, 10) / (flops(3) - flops(2)) < 1


def test_cost_scales_as_the_architecture_says():
    # Every NFNet has the same stem and head and adds the same blocks.
    deep = forward_flops("NFNet-F3", 256, 1000) - forward_flops("NFNet-F1", 256, 1000)
    assert deep == 2 * (forward_flops("NFNet-F1", 256, 1000) - forward_flops("NFNet-F0", 256, 1000))
    # Four times the pixels; the head and squeeze-and-excite see none.
    head = 2 * 3072 * 1000
    squeeze = sum(2 * width**2 * depth for width, depth in zip((256, 512, 1536, 1536), (1, 2, 6, 3), strict=True))
    small, large = (forward_flops("NFNet-F0", side, 1000) - head - squeeze for side in (128, 256))
    assert large == 4 * small
    # Attention grows with the square of the tokens, so a ViT's cost grows faster than its pixels.
    assert forward_flops("B/16", 448, 1000) > 4 * forward_flops("B/16", 224, 1000)
    assert forward_flops("B/8", 112, 1000) == pytest.approx(forward_flops("B/16", 224, 1000), rel=0.02)
    one_more_class = forward_flops("L/16", 224, 1001) - forward_flops("L/16", 224, 1000)
    assert one_more_class == 2 * 1024


def test_training_counts_three_forward_passes_of_every_image():
    config = Upstream("ViT-mu", "mnist5k", 12, 0.003, "none", 0.03, 0.0, 0.0)
    assert training_flops(config, 4000) == 3 * 48_000 * forward_flops("ViT-mu", 28, 10)


def test_stages_cost_what_their_resolutions_do_and_sam_costs_twice():
    config = Upstream("EfficientNetV2-S", "i1k", 350, 4.0, "effnetv2s", 0, 0.2, 0.2, resolution=300, progressive="code")
    stages = [forward_flops("EfficientNetV2-S", side, 1000) for side in (171, 214, 257, 300)]
    assert image_flops(config, 400) == pytest.approx(sum(stages) / 4)
    assert image_flops(config, 400, 150) == pytest.approx((100 * stages[0] + 50 * stages[1]) / 150)
    images = 350 * 1_268_355
    assert training_flops(config, 1_268_355) == pytest.approx(3 * images * sum(stages) / 4, rel=1e-4)
    assert image_flops(replace(config, sam=0.05), 400) == 2 * image_flops(config, 400)
    transfer = Transfer(config, "cifar100", 500, 0.1, 300)
    assert image_flops(transfer, 500) == forward_flops("EfficientNetV2-S", 300, 100)
    assert image_flops(replace(transfer, sam=0.05), 500) == 2 * image_flops(transfer, 500)
