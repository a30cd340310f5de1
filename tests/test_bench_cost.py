import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from bench import models
from bench.cost import forward_flops, training_flops
from bench.errors import UserError
from bench.points import Upstream


def shapes(name, resolution, classes):
    model = models.build(name, classes)
    image = jnp.zeros((1, resolution, resolution, 3), jnp.float32)
    return model, jax.eval_shape(lambda: model.init(jax.random.key(0), image))


def counted(jaxpr):
    """Returns the multiply-adds of all matrix products and convolutions of a traced function, padding counted as pixels."""
    macs = 0
    for eqn in jaxpr.eqns:
        inner = [counted(each) for each in jaxprs_in_params(eqn.params)]
        # Branches are the same thing for different devices, some of which multiply by zeros.
        macs += min(inner) if eqn.primitive.name == "cond" else sum(inner)
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
    ],
)
def test_nfnets_cost_what_the_paper_says(name, resolution, gmacs):
    assert forward_flops(name, resolution, 1000) / 2e9 == pytest.approx(gmacs, rel=5e-4)


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
    ],
)
def test_closed_form_is_every_product_of_the_built_model(name, resolution, classes):
    model, params = shapes(name, resolution, classes)
    image = jax.ShapeDtypeStruct((1, resolution, resolution, 3), jnp.float32)
    traced = jax.make_jaxpr(lambda p, x: model.apply(p, x)[0])(params, image)
    assert forward_flops(name, resolution, classes) == 2 * counted(traced.jaxpr)


@pytest.mark.parametrize(("name", "resolution", "share"), [("ViT-mu", 28, 0.95), ("NFNet-mu", 28, 0.92)])
def test_what_is_left_out_is_a_few_percent_of_the_compilers_count(name, resolution, share):
    # Left out: normalisation, activations, softmax, additions, pooling, and what is done once a batch, whatever its size
    # (weight standardisation). The compiler's count of one image more is therefore larger.
    model, params = shapes(name, resolution, 10)

    def flops(batch):
        images = jax.ShapeDtypeStruct((batch, resolution, resolution, 3), jnp.float32)
        return jax.jit(lambda p, x: model.apply(p, x)[0]).lower(params, images).cost_analysis()["flops"]

    assert share < forward_flops(name, resolution, 10) / (flops(3) - flops(2)) < 1


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


def test_hybrids_have_no_known_cost():
    with pytest.raises(UserError, match=r"model 'R26\+S/32': the family 'hybrid' cannot be built yet"):
        forward_flops("R26+S/32", 224, 1000)
