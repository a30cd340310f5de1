import itertools

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import jaxprs_in_params

from bench import models
from bench.cost.flops import forward, weights
from bench.cost.memory import STATE_BYTES, checkpoint_bytes, weight_bytes
from bench.points import Transfer, Upstream
from bench.train import optimizers


def tree_bytes(tree):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", ["Ti/16", "NFNet-F0", "EfficientNetV2-S", "CoAtNet-0"])
def test_kernels_are_all_but_two_percent_of_the_weights(name):
    share = weights(name, 224, 1000) / models.count_params(name, 1000, 224)
    assert 0.98 < share < 1


@pytest.mark.parametrize("optimizer", sorted(STATE_BYTES))
def test_an_optimiser_keeps_so_many_bytes_for_a_weight(optimizer):
    params, _ = models.split(models.shapes("S/32", 1000, 224))
    one = jnp.float32(1)
    state = jax.eval_shape(optimizers.build(optimizer, one, one, one).init, params)
    kept = tree_bytes(state) / sum(leaf.size for leaf in jax.tree.leaves(params))
    assert kept == pytest.approx(STATE_BYTES[optimizer], rel=1e-4)


def test_a_checkpoint_is_the_weights_and_the_state():
    upstream = Upstream("S/32", "i1k", 90.0, 0.001, "none", 0.1, 0.0, 0.0)
    assert weight_bytes(upstream) == 4 * weights("S/32", 224, 1000)
    assert checkpoint_bytes(upstream) == (4 + 6) * weights("S/32", 224, 1000)
    transfer = Transfer(upstream, "cifar100", 500, 0.01, 384)
    assert checkpoint_bytes(transfer) == (4 + 2) * weights("S/32", 384, 100)


def products(jaxpr):
    """Yields name and size, what is read and written, of every matrix product and convolution of a traced function."""
    for eqn in jaxpr.eqns:
        inner = [list(products(each)) for each in jaxprs_in_params(eqn.params)]
        if eqn.primitive.name == "cond":
            # Branches are the same thing for different devices; accelerators convolve, a CPU may add up rows.
            inner = [branch for branch in inner if any("conv" in name for name, _ in branch)]
        yield from itertools.chain.from_iterable(inner)
        if eqn.primitive.name in ("dot_general", "conv_general_dilated"):
            yield eqn.primitive.name, sum(v.aval.size for v in (*eqn.invars, *eqn.outvars))


@pytest.mark.parametrize(
    ("name", "resolution", "padding"),
    [
        ("ViT-mu", 28, 0.0),
        ("Ti/16", 64, 0.0),
        ("ViT-mu:map", 28, 0.0),
        # Convolutions are built on padded images.
        ("ResNet-mu", 96, 0.06),
        ("R-mu", 96, 0.06),
        ("NFNet-mu", 96, 0.06),
        ("EfficientNetV2-mu", 96, 0.06),
        ("CoAtNet-mu", 96, 0.06),
    ],
)
def test_what_moves_is_what_the_products_of_the_built_model_read_and_write(name, resolution, padding):
    # One image more moves its activations once more, and no weights.
    model, params = models.build(name, 10), models.shapes(name, 10, resolution)

    def moved(batch):
        images = jax.ShapeDtypeStruct((batch, resolution, resolution, 3), jnp.float32)
        return sum(
            size for _, size in products(jax.make_jaxpr(lambda p, x: models.evaluate(model, p, x)[0])(params, images).jaxpr)
        )

    found = moved(3) - moved(2)
    # A query that is a weight is projected once a batch: three in a thousand of the smallest model.
    assert found * (1 - padding) <= forward(name, resolution, 10).numbers <= found * 1.003
