"""A model and data small enough to compile and train in seconds, through the code that real ones take."""

import jax
import jax.numpy as jnp
import numpy as np

from bench.augment import batch, mixing
from bench.data.arrays import InMemory
from bench.data.order import Order
from bench.data.split import Dataset
from bench.models import Noise
from bench.points.variants import BY_PREFIX, VARIANTS, Variant
from bench.points.variants.vit import ViTSpec
from bench.train.hyper import Hyper
from bench.train.program import Programs
from bench.train.static import Static

TINY = Variant("tiny", "tiny", "vit", ViTSpec(patch=4, width=8, depth=1, mlp=16, heads=2), "here")
CLASSES = 3


def register(monkeypatch):
    """Makes `tiny` a known variant for one test or session."""
    monkeypatch.setitem(VARIANTS, TINY.name, TINY)
    monkeypatch.setitem(BY_PREFIX, TINY.prefix, TINY)


def programs(**changes):
    """Returns fresh programs of the tiny model: 8 px, batches of 8, 4 steps a dispatch."""
    static = Static("tiny", 4, 0.0, 8, 8, "adam", "softmax", chunk=4, eval_batch=16)
    return Programs(Static(**{**static.__dict__, **changes}))


def split(n, seed):
    """Returns n images whose class is their brightness."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n).astype(np.int32)
    images = rng.integers(0, 60, (n, 8, 8, 3)) + 80 * labels[:, None, None, None]
    return InMemory(images.astype(np.uint8), labels)


DATA = Dataset(split(50, 0), split(21, 1), split(37, 2))


def quiet():
    """Returns the noise of a training pass that drops nothing."""
    return Noise(jnp.zeros(2, jnp.uint32), jnp.float32(0), jnp.float32(0))


def only_mix(images, targets, *arguments):
    """Stands in for `augment_and_mix` without RandAugment, which takes longest to compile."""
    *_, mixed, _, shards = arguments
    return mixing.mix(batch.to_float(images), targets, mixed, shards)


def order(seed=0):
    """Returns an order over the training split."""
    return Order(50, 8, seed)


def hyper(**changes):
    """Returns hyper-parameters of a 22-step run with every knob on."""
    values = {
        "lr": 0.02,
        "wd": 0.1,
        "clip": 1.0,
        "dropout": 0.1,
        "stochastic_depth": 0.1,
        "layers": 2,
        "magnitude": 10,
        "warmup": 3,
        "steps": 22,
    }
    return Hyper.cast(**{**values, **changes})


def furthest(a, b):
    """Returns the largest difference between two states' weights.

    The keys' bias is left out: attention does not depend on it, so its gradient is rounding alone, of which Adam
    makes whole steps.
    """
    apart = jax.tree.map(lambda x, y: float(np.abs(np.asarray(x) - np.asarray(y)).max()), a.weights, b.weights)
    names = ((jax.tree_util.keystr(path), value) for path, value in jax.tree_util.tree_leaves_with_path(apart))
    return max(value for name, value in names if not name.endswith("['key']['bias']"))
