"""EfficientNetV2 against timm's port of the released TensorFlow models, on random weights, statistics and images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import timm_oracle
from flax import traverse_util

from bench import models
from bench.models.efficientnetv2 import EfficientNetV2
from bench.models.variables import flat
from bench.points.execution import Execution
from bench.points.variants import VARIANTS
from bench.points.variants.efficientnetv2 import EfficientNetV2Spec
from bench.weights.timm_efficientnetv2 import names

timm_oracle.timm()

# EfficientNet's first version is the same blocks in the released code, and has kernels of 5 and MBConv without expansion.
V1_B0 = EfficientNetV2Spec.scaled(
    (
        "r1_k3_s1_e1_i32_o16_se0.25",
        "r2_k3_s2_e6_i16_o24_se0.25",
        "r2_k5_s2_e6_i24_o40_se0.25",
        "r3_k3_s2_e6_i40_o80_se0.25",
        "r3_k5_s1_e6_i80_o112_se0.25",
        "r4_k5_s2_e6_i112_o192_se0.25",
        "r1_k3_s1_e6_i192_o320_se0.25",
    )
)
SPECS = {
    "tf_efficientnet_b0": V1_B0,
    "tf_efficientnetv2_b0": VARIANTS["EfficientNetV2-B0"].spec,
    "tf_efficientnetv2_b3": VARIANTS["EfficientNetV2-B3"].spec,
    "tf_efficientnetv2_s": VARIANTS["EfficientNetV2-S"].spec,
}
CLASSES = 7


def ours(array, name, rank):
    """timm's array in this project's layout; squeeze-and-excite is a 1x1 convolution there and a dense layer here."""
    if not name.endswith("kernel"):
        return array
    array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    return array.reshape(array.shape[-2:]) if rank == 2 else array


def moved(state, spec, shapes):
    mapping, shapes = names(spec), flat(shapes)
    assert sorted(mapping.values()) == sorted(key for key in state if not key.endswith("num_batches_tracked"))
    assert mapping.keys() == shapes.keys()
    found = {key: ours(state[theirs].numpy(), key, shapes[key].ndim) for key, theirs in mapping.items()}
    assert {key: array.shape for key, array in found.items()} == {key: leaf.shape for key, leaf in shapes.items()}
    # Copied: PyTorch goes on to change its own in place.
    return traverse_util.unflatten_dict({key: jnp.array(array, copy=True) for key, array in found.items()}, sep="/")


def error(actual, expected):
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


def settle(theirs, images):
    """Moves the running statistics near those of the images, as training does.

    Unrelated ones, or a variance near none, let activations grow a millionfold, and float32 then has no digit in common with
    float64 in either library.
    """
    import torch

    norms = [m for m in theirs.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        theirs.train()(images)
        for norm in norms:
            norm.momentum = 0.1
            norm.running_var += torch.empty(norm.running_var.shape).uniform_(0.2, 1.5, generator=generator)
            norm.running_mean += norm.running_var.sqrt() * torch.randn(norm.running_mean.shape, generator=generator) * 0.3
    theirs.eval()


def pair(name, batch, side, **options):
    import torch

    theirs = timm_oracle.create(name, num_classes=CLASSES)
    images = np.random.default_rng(0).uniform(-1, 1, (batch, side, side, 3)).astype(np.float32)
    planar = torch.from_numpy(images.transpose(0, 3, 1, 2))
    settle(theirs, planar)
    model = EfficientNetV2(SPECS[name], CLASSES, **options)
    weights = moved(theirs.state_dict(), SPECS[name], jax.eval_shape(lambda: models.init(model, 0, side)))
    return theirs, planar, model, weights, images


@pytest.mark.parametrize(
    ("name", "side", "scan"),
    [
        ("tf_efficientnet_b0", 61, False),
        ("tf_efficientnetv2_b0", 75, False),
        ("tf_efficientnetv2_b3", 50, True),
        ("tf_efficientnetv2_s", 64, True),
    ],
)
def test_evaluation_equals_timm(name, side, scan):
    import torch

    theirs, planar, model, weights, images = pair(name, 4, side, execution=Execution(scan=scan))
    with torch.no_grad():
        maps = theirs.forward_features(planar)
        expected = theirs.forward_head(maps).numpy()
    logits, features = jax.jit(lambda w, x: models.evaluate(model, w, x))(weights, images)
    assert error(logits, expected) < 1e-4
    assert error(features, maps.mean((2, 3)).numpy()) < 1e-4


@pytest.mark.parametrize(("name", "side"), [("tf_efficientnetv2_b0", 96)])
def test_training_pass_equals_timm(name, side):
    import torch

    theirs, planar, model, weights, images = pair(name, 8, side)
    counts = {}
    for key, module in theirs.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # timm's momentum is the weight of the new value.
            assert (module.momentum, module.eps) == (0.1, 1e-3)
            module.register_forward_hook(lambda _m, x, _y, key=key: counts.update({key: x[0].numel() // x[0].shape[1]}))
    with torch.no_grad():
        expected = theirs.train()(planar).numpy()
    params, stats = models.split(weights)
    noise = models.Noise(jnp.zeros(2, jnp.uint32), jnp.float32(0), jnp.float32(0))
    step = jax.jit(lambda p, s, x: models.train(model, p, s, x, noise))
    logits, _, updated = step(params, stats, images)
    assert error(logits, expected) < 1e-4
    state, mapping, before, worst = theirs.state_dict(), names(SPECS[name]), flat(stats), {"mean": 0, "var": 0}
    for key, value in flat(updated).items():
        after, leaf = state[mapping[key]].numpy(), key.rsplit("/", 1)[1]
        if leaf == "var":
            # PyTorch stores the unbiased variance, TPUs and this project that of the batch.
            n = counts[mapping[key].removesuffix(".running_var")]
            old = np.float32(0.9) * np.asarray(before[key])
            after = old + (after - old) * (n - 1) / n
        worst[leaf] = max(worst[leaf], error(value, after))
    assert max(worst.values()) < 1e-4
