"""The smallest variant of every family, and a deeper one made of it, with weights that hide nothing."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from bench import models
from bench.models import variables
from bench.points.execution import Execution
from bench.points.variants import FAMILIES, VARIANTS, Variant

CLASSES, SIDE, BATCH = 5, 28, 4


def _efficientnetv2(spec, n):
    first, *_, last = spec.stages
    last = replace(last, stride=1, inputs=first.outputs, outputs=first.outputs, repeats=n)
    return replace(spec, stages=(replace(first, repeats=n), last))


# The smallest spec changed so that n equal blocks of each kind follow each other, and few others.
DEEPER = {
    "vit": lambda spec, n: replace(spec, depth=n),
    "hybrid": lambda spec, n: replace(spec, depth=n),
    "resnet": lambda spec, n: replace(spec, units=(n + 1,)),
    "nfnet": lambda spec, n: replace(spec, stem=((48, 4, 4),), widths=(48,), depths=(n,), strides=(1,)),
    "efficientnetv2": _efficientnetv2,
    "coatnet": lambda spec, n: replace(spec, stem=(16, 16), widths=(16, 16), depths=(n, n), strides=(1, 1)),
}


def smallest(family):
    """Returns the family's variant for tests and demonstrations; a family without one fails."""
    found = [v for v in FAMILIES[family].variants if v.name.endswith("-mu")]
    assert len(found) == 1, f"family {family!r} needs one variant that trains in seconds, named '...-mu'"
    return found[0]


def build(family, execution=Execution(), repeats=None, dtype=jnp.float32):
    """Returns the model of the smallest variant, or of one whose blocks repeat."""
    variant = smallest(family)
    spec = DEEPER[family](variant.spec, repeats) if repeats else variant.spec
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "here", Variant("here", "here", family, spec, "here"))
        return models.build("here", CLASSES, dtype=dtype, execution=execution)


def weights(model, seed=0):
    """Returns (parameters, running statistics), random: zeros would hide what they multiply."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name, shape = path.rsplit("/", 1)[-1], leaf.shape
        if name == "kernel":
            return rng.normal(0, max(np.prod(shape[:-1]), 1) ** -0.5, shape)
        if name == "var":
            return rng.uniform(0.5, 1.5, shape)
        return rng.normal(float(name in ("scale", "gain")), 0.3, shape)

    shapes = variables.flat(jax.eval_shape(lambda: models.init(model, 0, SIDE)))
    tree = {path: jnp.asarray(draw(path, leaf), jnp.float32) for path, leaf in shapes.items()}
    return variables.split(unflatten_dict(tree, sep="/"))


def images(seed=1, batch=BATCH):
    """Returns float32[batch, SIDE, SIDE, 3] in [-1, 1]."""
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, (batch, SIDE, SIDE, 3)), jnp.float32)


def noise(key=(1, 2), dropout=0.3, depth=0.5):
    """Returns the noise of a training pass."""
    return models.Noise(jnp.array(key, jnp.uint32), jnp.float32(dropout), jnp.float32(depth))
