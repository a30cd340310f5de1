"""ResNet-50 against timm's, on random weights, running statistics and images, in both passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import timm_oracle
from flax.traverse_util import unflatten_dict

from bench import models
from bench.models import Noise
from bench.models.variables import flat
from bench.weights import timm

timm_oracle.timm()

NAME, CLASSES, SIDE = "ResNet-50", 7, 65


@pytest.fixture(scope="module")
def pair():
    oracle = timm_oracle.create("resnet50", num_classes=CLASSES)
    shapes = {k: leaf.shape for k, leaf in flat(models.shapes(NAME, CLASSES, SIDE)).items()}
    # Copied: PyTorch's training pass changes its own in place.
    state = {k: v.numpy().copy() for k, v in oracle.state_dict().items()}
    found = timm.from_timm(state, NAME, shapes)
    weights = unflatten_dict({k: jnp.asarray(v) for k, v in found.items()}, sep="/")
    images = np.random.default_rng(0).uniform(-1, 1, (4, SIDE, SIDE, 3)).astype(np.float32)
    return oracle, state, shapes, found, weights, images


def error(actual, expected):
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


def inputs(images):
    import torch

    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def test_every_weight_has_one_place_in_both(pair):
    _, state, shapes, found, *_ = pair
    assert {k: v.shape for k, v in found.items()} == shapes
    back = timm.to_timm(found, NAME)
    assert back.keys() == state.keys()
    for key, value in back.items():
        np.testing.assert_array_equal(value, state[key])


def test_evaluation_equals_timm(pair):
    import torch

    oracle, *_, weights, images = pair
    model = models.build(NAME, CLASSES)
    logits, features = jax.jit(lambda w, x: models.evaluate(model, w, x))(weights, images)
    with torch.no_grad():
        maps = oracle.eval().forward_features(inputs(images))
        expected, expected_features = oracle.forward_head(maps).numpy(), maps.mean((2, 3)).numpy()
    print(f"relative errors {error(logits, expected):.1e} {error(features, expected_features):.1e}")
    assert error(logits, expected) < 1e-4
    assert error(features, expected_features) < 1e-4


def test_training_pass_and_running_statistics_equal_timm(pair):
    import torch

    oracle, _, shapes, _, weights, images = pair
    model = models.build(NAME, CLASSES)
    params, stats = models.split(weights)
    noise = Noise(jnp.array([1, 2], jnp.uint32), jnp.float32(0), jnp.float32(0))
    logits, _, new = jax.jit(lambda p, s, x: models.train(model, p, s, x, noise))(params, stats, images)
    with torch.no_grad():
        expected = oracle.train()(inputs(images)).numpy()
    print(f"relative error {error(logits, expected):.1e}")
    assert error(logits, expected) < 1e-4
    after = timm.from_timm({k: v.numpy() for k, v in oracle.state_dict().items()}, NAME, shapes)
    before = flat(stats)
    for name, value in flat(new).items():
        if name.endswith("var"):
            # PyTorch keeps the variance of a population, n / (n - 1) times that of n pixels.
            n = len(images) * side_of(name) ** 2
            value = 0.9 * before[name] + (value - 0.9 * before[name]) * n / (n - 1)
        np.testing.assert_allclose(value, after[name], rtol=1e-4, atol=1e-4)


def side_of(norm):
    """65 pixels become 33, 17 before the first stage, then 9, 5 and 3, in the second convolution of a stage."""
    parts = norm.split("/")
    if parts[0] == "bn_root":
        return 33
    stage = int(parts[0][-1]) - (parts[1:3] == ["unit1", "bn1"] and parts[0] != "block1")
    return (17, 9, 5, 3)[stage - 1]
