"""NFNet against timm's port of DeepMind's, weight by weight and pass by pass."""

import jax
import numpy as np
import pytest
import timm_oracle
from flax.traverse_util import unflatten_dict

from bench.models import build, shapes
from bench.models.variables import flat
from bench.points.execution import Execution
from bench.points.variants import VARIANTS
from bench.weights.timm import from_timm
from bench.weights.timm_nfnet import names

CLASSES = 11
# (ours, timm's, side of the images, how our blocks run): an odd side pads asymmetrically in every stage.
CASES = [("NFNet-F0", "dm_nfnet_f0", 57, Execution()), ("NFNet-F1", "dm_nfnet_f1", 32, Execution(scan=True))]


@pytest.fixture(scope="module", params=CASES, ids=[name for name, *_ in CASES])
def pair(request):
    name, theirs, side, execution = request.param
    oracle = timm_oracle.create(theirs, num_classes=CLASSES)
    import torch
    from timm.layers.activations import gelu_tanh
    from timm.models.nfnet import GammaAct

    for module in oracle.modules():
        if isinstance(module, GammaAct):
            module.act_fn = gelu_tanh  # jax.nn.gelu's default, which the released code uses
    with torch.no_grad():
        for key, value in oracle.state_dict().items():
            if key.endswith("weight") and value.ndim == 4 and "attn_last" not in key:
                # Standardisation forgets the scale, except for the 1e-5 that timm adds to the variance.
                value.mul_(4 / value.std())
    state = {key: value.numpy() for key, value in oracle.state_dict().items()}
    expected = {key: leaf.shape for key, leaf in flat(shapes(name, CLASSES, side)).items()}
    weights = from_timm(state, name, expected)
    return name, build(name, CLASSES, execution=execution), side, oracle, state, expected, weights


def test_every_weight_has_one_name_in_both(pair):
    name, _, _, _, state, expected, weights = pair
    mapping = names(VARIANTS[name].spec)
    assert mapping.keys() == expected.keys()
    assert sorted(mapping.values()) == sorted(state)
    assert {key: weight.shape for key, weight in weights.items()} == expected


def test_forward_pass_equals_timms(pair):
    _, model, side, oracle, _, _, weights = pair
    import torch

    images = np.random.default_rng(1).uniform(-1, 1, (2, side, side, 3)).astype(np.float32)
    logits, features = jax.jit(model.apply)({"params": unflatten_dict(weights, sep="/")}, images)
    with torch.no_grad():
        hidden = oracle.forward_features(torch.from_numpy(images.transpose(0, 3, 1, 2)))
        expected = oracle.forward_head(hidden).numpy(), hidden.mean((2, 3)).numpy()
    for a, b in zip((logits, features), expected, strict=True):
        error = np.abs(np.asarray(a) - b).max() / np.abs(b).max()
        assert error < 1e-4
