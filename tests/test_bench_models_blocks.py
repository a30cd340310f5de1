"""However blocks are run, every family has the same weights, outputs, gradients and running statistics."""

from functools import cache

import families
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import DEEPER
from flax.errors import ModifyScopeVariableError
from jax.extend.core import jaxprs_in_params

from bench import models
from bench.models.blocks import STATS, Block, run
from bench.models.norm import BatchNorm
from bench.models.variables import flat
from bench.points.execution import Execution
from bench.points.variants import FAMILIES

EXECUTIONS = {
    "plain": Execution(),
    "remat": Execution(remat=True),
    "scan": Execution(scan=True),
    "both": Execution(remat=True, scan=True),
}


def test_every_family_is_here():
    assert DEEPER.keys() == FAMILIES.keys()


def setting(family, execution, repeats):
    """Returns (parameters, their loss with everything else that a training pass returns)."""
    model = families.build(family, EXECUTIONS[execution], repeats)
    params, stats = families.weights(model)
    images, noise = families.images(), families.noise()

    def loss(params):
        logits, features, updated = models.train(model, params, stats, images, noise)
        return jnp.sin(logits).sum() + jnp.sin(features).mean(), (logits, features, updated)

    return params, loss


@cache
def trained(family, execution):
    params, loss = setting(family, execution, 2)
    if execution == "scan":  # its gradients are checked where each block is recomputed as well
        return (jax.jit(loss)(params),)
    return jax.jit(jax.value_and_grad(loss, has_aux=True))(params)


@pytest.mark.parametrize("execution", ["remat", "scan", "both"])
@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_gradients_and_statistics_are_those_of_plain_execution(family, execution):
    # Bit for bit in most families; XLA may fuse, and then round, a block of its own differently.
    for ours, plain in zip(trained(family, execution), trained(family, "plain"), strict=False):
        assert jax.tree.structure(ours) == jax.tree.structure(plain)
        largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(plain))
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6 * largest)


def test_noise_was_on():
    params, _ = setting("vit", "plain", 2)
    model = families.build("vit", repeats=2)
    quiet = jax.jit(models.evaluate, static_argnums=0)(model, params, families.images())
    assert not np.allclose(trained("vit", "plain")[0][1][0], quiet[0], atol=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_the_same_whatever_the_execution(family):
    built = [families.build(family, execution, 3) for execution in EXECUTIONS.values()]
    trees = [flat(jax.eval_shape(lambda m=model: models.init(m, 0, families.SIDE))) for model in (built[0], built[-1])]
    assert {k: v.shape for k, v in trees[0].items()} == {k: v.shape for k, v in trees[1].items()}


def products(jaxpr):
    """Returns how many matrix products and convolutions a program spells out."""
    inner = sum(products(each) for eqn in jaxpr.eqns for each in jaxprs_in_params(eqn.params))
    return inner + sum(eqn.primitive.name in ("dot_general", "conv_general_dilated") for eqn in jaxpr.eqns)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_scanned_program_does_not_grow_with_depth(family):
    def count(execution, repeats):
        params, loss = setting(family, execution, repeats)
        return products(jax.make_jaxpr(loss)(params).jaxpr)

    shallow, deep = count("scan", 2), count("scan", 4)
    assert shallow == deep
    assert count("plain", 4) > 1.5 * deep


@pytest.mark.parametrize("family", FAMILIES)
def test_recomputing_keeps_less_for_the_backward_pass(family):
    def saved(execution):
        params, loss = setting(family, execution, 4)
        residuals = jax.eval_shape(lambda p: jax.vjp(lambda p: loss(p)[0], p)[1], params)
        weights = sum(leaf.size for leaf in jax.tree.leaves(params))
        return sum(leaf.size for leaf in jax.tree.leaves(residuals)) - weights

    plain = saved("plain")
    assert saved("remat") < 0.6 * plain
    assert saved("both") < 0.6 * plain


class Half(nn.Module):
    """Every other column times a weight: equal modules whose output has another shape."""

    @nn.compact
    def __call__(self, x, noise, add):
        del noise
        return x[:, ::2] * self.param("kernel", nn.initializers.ones, (), jnp.float32) + add


class Counted(nn.Module):
    """Batch normalisation plus numbers, to see of what type they arrive."""

    @nn.compact
    def __call__(self, x, noise, whole, real):
        whole, real = jnp.asarray(whole), jnp.asarray(real)
        assert whole.dtype in (jnp.uint32, jnp.int32)
        assert real.dtype == jnp.float32
        y = BatchNorm(name="norm")(x, noise is not None)
        return y + whole.astype(jnp.float32) + real


class Network(nn.Module):
    blocks: tuple
    execution: Execution

    @nn.compact
    def __call__(self, x, noise=None):
        return run(self, self.blocks, x, noise, self.execution)


@pytest.mark.parametrize("execution", EXECUTIONS.values(), ids=EXECUTIONS)
def test_equal_blocks_that_change_the_shape_are_run_one_by_one(execution):
    blocks = tuple(Block(f"b{i}", Half(parent=None), {"add": float(i)}) for i in range(3))
    x = jnp.arange(16.0).reshape(2, 8)
    params = {f"b{i}": {"kernel": jnp.float32(i + 2)} for i in range(3)}
    y = Network(blocks, execution).apply({"params": params}, x)
    np.testing.assert_array_equal(y, np.asarray(x)[:, ::8] * 24 + 1 * 4 + 2)


def test_numbers_arrive_with_their_types_and_statistics_of_each_block_come_back():
    blocks = tuple(Block(f"b{i}", Counted(parent=None), {"whole": i, "real": r}) for i, r in enumerate((0.0, 0.5, 1.5)))
    x = jax.random.normal(jax.random.key(0), (64, 3))
    found = Network(blocks, Execution()).init(jax.random.key(0), x)
    results = [
        Network(blocks, execution).apply(found, x, families.noise(), mutable=[STATS]) for execution in EXECUTIONS.values()
    ]
    for y, updated in results[1:]:
        np.testing.assert_allclose(y, results[0][0], rtol=1e-6)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), updated, results[0][1])
    # Each block sees what the one before has added.
    means = [float(results[-1][1][STATS][f"b{i}"]["norm"]["mean"][0]) for i in range(3)]
    assert means[1] == pytest.approx(0.0, abs=1e-6)
    assert means[2] == pytest.approx(0.1 * 1.5, abs=1e-6)


@pytest.mark.parametrize("execution", EXECUTIONS.values(), ids=EXECUTIONS)
def test_statistics_that_cannot_be_kept_are_refused(execution):
    blocks = tuple(Block(f"b{i}", Counted(parent=None), {"whole": i, "real": 0.5}) for i in range(2))
    x = jnp.ones((4, 3))
    found = Network(blocks, execution).init(jax.random.key(0), x)
    with pytest.raises(ModifyScopeVariableError):
        Network(blocks, execution).apply(found, x, families.noise())
